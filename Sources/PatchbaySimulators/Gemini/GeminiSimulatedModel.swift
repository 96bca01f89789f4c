public import PatchbayCore

/// A model that a simulated Gemini API offers: what it says and how it behaves.
public struct GeminiSimulatedModel: Sendable {
    /// Without `models/`; `nil` answers to every name.
    public var name: String?
    /// The voice of espeak-ng.
    public var language: String
    /// The greeting is said when the model is first asked for an answer in writing: Gemini never speaks unasked. There
    /// is no goodbye either, as the protocol has no way to hang up.
    public var script: SimulatedAgentScript
    public var timing = Timing()
    public var faults = Faults()

    public init(name: String? = nil, language: String = "en", script: SimulatedAgentScript = SimulatedAgentScript()) {
        self.name = name
        self.language = language
        self.script = script
    }

    /// How long things take.
    public struct Timing: Sendable {
        /// Silence of the caller that ends a turn, where the client does not say.
        public var silence = TimeSpan.milliseconds(600)
        /// Between the end of the caller's turn and the first sound of the answer.
        public var thinking = TimeSpan.milliseconds(200)
        /// Sound in one message; at least 20 ms.
        public var chunk = TimeSpan.milliseconds(100)
        /// How many times faster than real time sound is sent; more than 0.
        public var pace = 4.0
        /// After the end of a turn, until the conversation can be resumed from there.
        public var resumptionUpdate = TimeSpan.milliseconds(100)
        /// From the opening of a socket to its `goAway`; `nil` for never. The service gives about ten minutes.
        public var goAwayAfter: TimeSpan?
        /// What `goAway` grants; the connection is cut then.
        public var goAwayTimeLeft = TimeSpan.seconds(10)

        public init() {}
    }

    /// What goes wrong on purpose.
    public struct Faults: Sendable {
        /// What goes wrong with every vendor alike.
        public var connection = SimulatorFaults()
        /// Every conversation is refused: the account's quota is used up.
        public var hasNoQuota = false
        /// No handles are given out.
        public var isNotResumable = false
        /// Handles of earlier connections are refused.
        public var forgetsHandles = false
        /// After the first sound a message follows that is no JSON.
        public var malformedJSON = false
        /// Several members come in one message, as from models of the third generation.
        public var bundlesMembers = false

        public init() {}
    }
}
