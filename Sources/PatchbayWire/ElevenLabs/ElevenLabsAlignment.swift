/// How much of the agent's text one audio message holds.
///
/// The message says when each character begins and how long it lasts, counted from the message's own beginning
/// (elevenlabs.io/docs/agents-platform/api-reference/agents-platform/websocket: `alignment`). What is kept of it is what
/// a player needs to know: the characters, and where the last of them ends.
public struct ElevenLabsAlignment: Sendable, Hashable {
    public var characters: Int
    /// Where the last character ends, in milliseconds from the beginning of the message's audio.
    public var milliseconds: Int

    public init(characters: Int, milliseconds: Int) {
        self.characters = characters
        self.milliseconds = milliseconds
    }
}

extension ElevenLabsAlignment {
    /// Longer audio has no part of a conversation.
    private static let longest = 3_600_000

    /// Reads the object without allocating; `nil` when it tells nothing that could be used.
    init?(scanning scanner: inout JSONScanner) throws(WireError) {
        var characters = 0
        var start: Int?, duration: Int?
        var isFirst = true
        try scanner.beginObject()
        while let key = try scanner.nextKey(&isFirst) {
            guard key.isPlain, try scanner.peek() == UInt8(ascii: "[") else {
                try scanner.skipValue(depth: 3)
                continue
            }
            if scanner.matches(key, "chars") {
                characters = try Self.last(&scanner).count
            } else if scanner.matches(key, "char_start_times_ms") {
                start = try Self.last(&scanner).integer
            } else if scanner.matches(key, "char_durations_ms") {
                duration = try Self.last(&scanner).integer
            } else {
                try scanner.skipValue(depth: 3)
            }
        }
        guard characters > 0, let start, let duration, (0...Self.longest).contains(start),
            (0...Self.longest).contains(duration)
        else { return nil }
        self.init(characters: characters, milliseconds: start + duration)
    }

    /// The number of an array's elements, and the last of them where it is an integer.
    private static func last(_ scanner: inout JSONScanner) throws(WireError) -> (count: Int, integer: Int?) {
        var count = 0
        var integer: Int?
        var isFirst = true
        try scanner.beginArray()
        while try scanner.nextElement(&isFirst) {
            _ = try scanner.peek()
            let start = scanner.index
            try scanner.skipValue(depth: 4)
            integer = scanner.integer(from: start, to: scanner.index)
            count += 1
        }
        return (count, integer)
    }
}
