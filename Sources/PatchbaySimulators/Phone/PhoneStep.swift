/// Something the person at a simulated phone does, and when.
public struct PhoneStep: Sendable {
    /// When a step begins; each waits for the step before it to be over.
    public enum Trigger: Sendable, Equatable {
        /// This long after the step before, or after the stream's start.
        case after(milliseconds: Int)
        /// When the other side has said something since the last step and has then been silent for this long.
        case afterPause(milliseconds: Int)
        /// When the other side has been speaking for this long: to interrupt it.
        case duringSpeech(milliseconds: Int)
    }

    public enum Action: Sendable {
        /// Speaks: µ-law at 8 kHz.
        case speak([UInt8])
        /// Presses a key.
        case press(Character)
        case hangUp
    }

    public var trigger: Trigger
    public var action: Action

    public init(_ trigger: Trigger, _ action: Action) {
        self.trigger = trigger
        self.action = action
    }
}
