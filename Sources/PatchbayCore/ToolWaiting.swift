public import NIOCore

/// What the caller hears when the answer of a tool takes its time.
public struct WaitingSound: Sendable {
    /// In the format of the agent's joint.
    public var audio: ByteBuffer
    /// Silence after which it is heard.
    public var after: TimeSpan

    public init(_ audio: ByteBuffer, after: TimeSpan) {
        self.audio = audio
        self.after = after
    }
}

/// Which sound is due while an agent waits for tools: once for each call of a tool, never two at once.
struct ToolWaiting {
    private let sounds: [String: WaitingSound]
    private let own: [[String: WaitingSound]]
    /// Calls whose sound has not been heard, with the time of the call; no more than tools may be awaited.
    private var due: [String: (sound: WaitingSound, since: MediaTime)] = [:]

    /// - Parameter own: For each backend the sounds of the tools that it alone has.
    init(_ sounds: [String: WaitingSound], own: [[String: WaitingSound]] = []) {
        self.sounds = sounds
        self.own = own
    }

    /// Whether any call waits for its sound.
    var isDue: Bool { !due.isEmpty }

    mutating func begin(_ call: ToolCall, at now: MediaTime) {
        let ownSounds = own.indices.contains(call.backend) ? own[call.backend] : [:]
        if let sound = ownSounds[call.name] ?? sounds[call.name] { due[call.id] = (sound, now) }
    }

    /// The tool has answered, or its answer is not wanted any more.
    mutating func end(_ id: String) {
        if !due.isEmpty { due[id] = nil }
    }

    /// The sound of the call that has waited longest, if that was long enough.
    ///
    /// - Parameter silentSince: When the caller last heard something.
    mutating func take(at now: MediaTime, silentSince: MediaTime) -> ByteBuffer? {
        guard let first = due.min(by: { ($0.value.since, $0.key) < ($1.value.since, $1.key) }),
            now - max(first.value.since, silentSince) >= first.value.sound.after
        else { return nil }
        // Who has just heard that it takes a moment need not hear it again for what was called at the same time.
        due = [:]
        return first.value.sound.audio
    }
}
