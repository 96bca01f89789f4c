public import PatchbayCore

/// What goes wrong with a simulated conversation on purpose, whoever the vendor is.
public struct SimulatorFaults: Sendable, Equatable {
    /// The end of a conversation, from the agent's side.
    public struct Closing: Sendable, Equatable {
        /// 1006 cuts the TCP connection without a close frame.
        public var code: UInt16
        public var reason: String
        /// From the start of the conversation.
        public var after: TimeSpan

        public init(code: UInt16, reason: String = "", after: TimeSpan) {
            self.code = code
            self.reason = reason
            self.after = after
        }
    }

    /// An HTTP answer in place of a handshake that would have been accepted.
    public struct Refusal: Sendable, Equatable {
        /// 400 to 599.
        public var status: Int
        /// What `Retry-After` asks for, in seconds.
        public var retryAfter: Int?

        public init(status: Int, retryAfter: Int? = nil) {
            self.status = status
            self.retryAfter = retryAfter
        }
    }

    /// A random delay of each message that the agent sends. The order is kept.
    public struct Jitter: Sendable, Equatable {
        /// The longest delay; all from zero to here are equally likely.
        public var maximum: TimeSpan
        /// The same seed delays the same messages alike. The first conversation has it, the second the next number.
        public var seed: UInt64

        public init(maximum: TimeSpan, seed: UInt64) {
            self.maximum = maximum
            self.seed = seed
        }
    }

    /// No conversation is begun at all.
    public var refusal: Refusal?
    /// How late the conversation begins. What the client sends meanwhile is read then.
    public var slowStart = TimeSpan.zero
    /// The socket opens, and nothing is ever said.
    public var neverStarts = false
    /// From this time on nothing is heard or said any more, and no application-level ping is sent.
    public var stallAfter: TimeSpan?
    public var closeWith: Closing?
    public var jitter: Jitter?

    public init() {}
}

/// A sequence of numbers that depends on nothing but its seed (SplitMix64, Steele et al., OOPSLA 2014).
struct SeededNumbers: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
