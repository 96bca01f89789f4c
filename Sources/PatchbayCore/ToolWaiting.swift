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
    /// Calls whose sound has not been heard, with the time of the call; no more than tools may be awaited.
    private var due: [String: (name: String, since: MediaTime)] = [:]
    private var rest = ByteBuffer()

    init(_ sounds: [String: WaitingSound]) { self.sounds = sounds }

    /// Whether any call waits for its sound.
    var isDue: Bool { !due.isEmpty }
    /// Whether some of a sound has still to be sent.
    var isPlaying: Bool { rest.readableBytes > 0 }

    mutating func begin(_ call: ToolCall, at now: MediaTime) {
        if sounds[call.name] != nil { due[call.id] = (call.name, now) }
    }

    /// The tool has answered, or its answer is not wanted any more. A sound that plays is played to its end.
    mutating func end(_ id: String) {
        if !due.isEmpty { due[id] = nil }
    }

    /// Takes up the sound of the call that has waited longest, if that was long enough.
    ///
    /// - Parameter silentSince: When the caller last heard something.
    mutating func play(at now: MediaTime, silentSince: MediaTime) {
        guard let first = due.min(by: { ($0.value.since, $0.key) < ($1.value.since, $1.key) }),
            let sound = sounds[first.value.name], now - max(first.value.since, silentSince) >= sound.after
        else { return }
        rest = sound.audio
        // Who has just heard that it takes a moment need not hear it again for what was called at the same time.
        due = [:]
    }

    /// Takes up to `count` bytes; `nil` when there are none.
    mutating func take(_ count: Int) -> ByteBuffer? {
        guard rest.readableBytes > 0, count > 0 else { return nil }
        return rest.readSlice(length: min(count, rest.readableBytes))
    }

    /// The caller has interrupted: what was not heard is not said.
    mutating func cut() { rest = ByteBuffer() }
}
