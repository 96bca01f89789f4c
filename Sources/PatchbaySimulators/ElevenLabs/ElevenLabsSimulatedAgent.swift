import PatchbayAudio
public import PatchbayCore
public import PatchbayWire

/// One agent of a simulated account: its settings, as they would be made in the vendor's dashboard, its script and its
/// faults.
public struct ElevenLabsSimulatedAgent: Sendable {
    /// `nil` answers to every id that no other agent has.
    public var id: String?
    /// What clients must send.
    public var inputFormat: ElevenLabsAudioFormat
    /// What the agent sends.
    public var outputFormat: ElevenLabsAudioFormat
    /// Whether a conversation needs a signed URL.
    public var isPrivate: Bool
    /// The overrides a client may send, as paths like `agent.first_message`. Any other ends the conversation
    /// (elevenlabs.io/docs/agents-platform/customization/personalization/overrides).
    public var allowedOverrides: Set<String>
    /// Dynamic variables without which a conversation ends at once.
    public var requiredVariables: [String]
    /// The events that are sent. Metadata and errors always are; without `interruption` nothing cuts the agent off.
    public var clientEvents: Set<ClientEvent>
    /// Whether audio tells when each character of the text is spoken; the simulator's are spoken evenly.
    public var alignsText = false
    /// Voice of espeak-ng and language of the script, for instance `en` or `de`.
    public var language: String
    public var script: SimulatedAgentScript
    public var timing: Timing
    public var faults: Faults

    public init(
        id: String? = nil, inputFormat: ElevenLabsAudioFormat = .pcm16000,
        outputFormat: ElevenLabsAudioFormat = .pcm16000, isPrivate: Bool = false,
        allowedOverrides: Set<String> = ElevenLabsSimulatedAgent.commonOverrides, requiredVariables: [String] = [],
        clientEvents: Set<ClientEvent> = ClientEvent.standard, language: String = "en",
        script: SimulatedAgentScript = SimulatedAgentScript(), timing: Timing = Timing(), faults: Faults = Faults()
    ) {
        self.id = id
        self.inputFormat = inputFormat
        self.outputFormat = outputFormat
        self.isPrivate = isPrivate
        self.allowedOverrides = allowedOverrides
        self.requiredVariables = requiredVariables
        self.clientEvents = clientEvents
        self.language = language
        self.script = script
        self.timing = timing
        self.faults = faults
    }

    /// What the vendor's SDKs offer as overrides. A new agent of the vendor allows none of them; a simulator that works
    /// without configuration allows these.
    public static let commonOverrides: Set<String> = [
        "agent.prompt.prompt", "agent.first_message", "agent.language", "tts.voice_id", "conversation.text_only",
    ]
}

extension ElevenLabsSimulatedAgent {
    /// A type of message that an agent's settings switch on or off
    /// (elevenlabs.io/docs/agents-platform/customization/events/client-events).
    public enum ClientEvent: String, Sendable, CaseIterable {
        case ping
        case audio
        case interruption
        case userTranscript = "user_transcript"
        case tentativeUserTranscript = "tentative_user_transcript"
        case agentResponse = "agent_response"
        case agentResponseCorrection = "agent_response_correction"
        case agentResponseComplete = "agent_response_complete"
        case agentChatResponsePart = "agent_chat_response_part"
        case clientToolCall = "client_tool_call"
        case agentToolRequest = "agent_tool_request"
        case agentToolResponse = "agent_tool_response"
        case vadScore = "vad_score"

        /// The vendor's own defaults, and what the tools and the hang-up of a script need.
        public static let standard: Set<ClientEvent> = [
            .ping, .audio, .interruption, .userTranscript, .tentativeUserTranscript, .agentResponse,
            .agentResponseCorrection, .agentChatResponsePart, .clientToolCall, .agentToolResponse,
        ]
    }

    /// How long things take.
    public struct Timing: Sendable {
        /// How long the greeting waits for the client's first message.
        public var initiationTimeout = TimeSpan.seconds(1)
        /// Silence of the caller that ends a turn.
        public var endOfTurnSilence = TimeSpan.milliseconds(600)
        /// Between the end of the caller's turn and the first audio of the reply.
        public var thinking = TimeSpan.milliseconds(200)
        /// Audio in one message; at least 20 ms.
        public var chunk = TimeSpan.milliseconds(200)
        /// How many times faster than real time audio is sent; more than 0.
        public var pace = 4.0
        public var pingInterval = TimeSpan.seconds(2)
        /// How long a tool's result is waited for.
        public var toolTimeout = TimeSpan.seconds(20)
        /// Without anything but pongs from the client for this long, the conversation ends.
        public var inputTimeout = TimeSpan.seconds(60)
        public var maximumDuration = TimeSpan.seconds(600)

        public init() {}
    }

    /// What goes wrong on purpose.
    public struct Faults: Sendable {
        /// The wait for a free conversation, before the metadata.
        public enum Queue: Sendable, Equatable {
            /// A place becomes free.
            case admits(after: TimeSpan)
            /// None does; the socket is closed with 3008.
            case timesOut(after: TimeSpan)
        }

        /// What goes wrong with every vendor alike.
        public var connection = SimulatorFaults()
        /// The account's quota is used up half a second into the conversation.
        public var exceedsQuota = false
        public var queue: Queue?
        /// The reply that follows an interruption carries the interruption's own event id, as has been reported of the
        /// vendor's server.
        public var interruptionSharesId = false
        /// After an interruption one more message of the cut-off audio is sent.
        public var lateAudio = false
        /// The first audio is one message of 2 MiB: the speech, then silence.
        public var hugeAudio = false
        /// After the first audio a message follows that is no JSON.
        public var malformedJSON = false

        public init() {}
    }
}

extension ElevenLabsAudioFormat {
    /// The platform's default in both directions.
    public static let pcm16000 = ElevenLabsAudioFormat(codec: .pcm, sampleRate: 16000)
    /// What telephone carriers speak.
    public static let ulaw8000 = ElevenLabsAudioFormat(codec: .ulaw, sampleRate: 8000)

    var audioFormat: AudioFormat { AudioFormat(codec == .ulaw ? .mulaw : .pcm16, sampleRate: sampleRate) }
}
