public import PatchbayCore

/// A model of a simulated OpenAI account: its script, how fast it is, and what goes wrong.
public struct OpenAISimulatedModel: Sendable {
    /// How long things take.
    public struct Timing: Sendable {
        /// Between the end of the caller's turn, or the request, and the first sound.
        public var thinking = TimeSpan.milliseconds(200)
        /// Sound in one delta; at least 20 ms.
        public var chunk = TimeSpan.milliseconds(200)
        /// How many times faster than real time sound is sent; more than 0.
        public var pace = 8.0
        /// How late what the caller said is written down.
        public var transcription = TimeSpan.milliseconds(150)
        /// The API's own limit is 60 minutes.
        public var maximumDuration = TimeSpan.seconds(3600)

        public init() {}
    }

    /// What goes wrong on purpose.
    public struct Faults: Sendable {
        public var connection = SimulatorFaults()
        /// Every response fails with this code, for instance `insufficient_quota`.
        public var failResponses: String?
        /// After a response was cancelled one more delta of it is sent.
        public var lateAudio = false
        /// After the first delta a message follows that is no JSON.
        public var malformedJSON = false

        public init() {}
    }

    /// Models that can be asked for; empty for any.
    public var names: [String]
    public var script: SimulatedAgentScript
    /// Voice of espeak-ng and language of the script.
    public var language: String
    public var timing: Timing
    public var faults: Faults

    /// - Parameter script: The goodbye is said after the replies; the API has no way to hang up.
    public init(
        names: [String] = [], script: SimulatedAgentScript = SimulatedAgentScript(goodbye: nil),
        language: String = "en",
        timing: Timing = Timing(), faults: Faults = Faults()
    ) {
        self.names = names
        self.script = script
        self.language = language
        self.timing = timing
        self.faults = faults
    }
}
