/// What Gemini Live sends (ai.google.dev/api/live#BidiGenerateContentServerMessage).
///
/// The members are not exclusive: newer models bundle several, with the usage riding along. Members of a newer protocol
/// are ignored. The server sends its JSON in binary messages; text messages are read just the same.
public struct GeminiServerMessage: Sendable, Equatable {
    /// The answer to `setup`.
    public var setupComplete: SetupComplete?
    public var content: Content?
    public var functionCalls: [FunctionCall] = []
    /// Ids of calls whose answers are not wanted any more.
    public var cancelledCalls: [String] = []
    public var goAway: GoAway?
    public var resumption: Resumption?
    public var usage: Usage?

    public init() {}

    public init(_ content: Content) { self.content = content }
}

extension GeminiServerMessage {
    public struct SetupComplete: Sendable, Equatable {
        public var sessionId: String?
        public init(sessionId: String? = nil) { self.sessionId = sessionId }
    }

    /// A piece of the conversation. To be handled in this order: interruption, sound, transcriptions, end of
    /// generation, end of turn.
    public struct Content: Sendable, Equatable {
        /// The caller spoke over the model: what waits must not be heard. May come late, twice, or when nothing waits.
        public var isInterrupted = false
        /// Bytes of sound that were appended to the decoder's buffer, of all parts of the turn.
        public var audioByteCount = 0
        /// Of that sound, in Hz.
        public var sampleRate = 24_000
        /// Text parts of the turn. Thoughts are left out.
        public var text: String?
        /// A fragment of what the caller said.
        public var inputTranscription: Transcription?
        /// What the caller seems to be saying beyond the fragments so far; may still change.
        public var interimInputTranscription: Transcription?
        /// A fragment of what the model says.
        public var outputTranscription: Transcription?
        /// All of the turn has been sent. Does not come for a turn that was interrupted.
        public var isGenerationComplete = false
        /// The turn is over; held back until its sound should have been played.
        public var isTurnComplete = false

        public init() {}
    }

    /// To be joined to the former fragments as it is, blanks included.
    public struct Transcription: Sendable, Equatable {
        public var text: String
        public var isFinished: Bool

        public init(_ text: String, isFinished: Bool = false) {
            self.text = text
            self.isFinished = isFinished
        }
    }

    public struct FunctionCall: Sendable, Equatable {
        /// Absent on Vertex AI.
        public var id: String?
        public var name: String
        /// The JSON text of an object.
        public var arguments: String

        public init(id: String?, name: String, arguments: String = "{}") {
            self.id = id
            self.name = name
            self.arguments = arguments
        }
    }

    /// The socket will be cut.
    public struct GoAway: Sendable, Equatable {
        /// `nil` where the server does not say.
        public var timeLeftMs: Int?
        public init(timeLeftMs: Int?) { self.timeLeftMs = timeLeftMs }
    }

    public struct Resumption: Sendable, Equatable {
        /// Absent or empty while the conversation cannot be resumed.
        public var handle: String?
        public var isResumable: Bool

        public init(handle: String?, isResumable: Bool) {
            self.handle = handle
            self.isResumable = isResumable
        }
    }

    /// Tokens so far.
    public struct Usage: Sendable, Equatable {
        public var promptTokens: Int
        public var responseTokens: Int
        public var totalTokens: Int

        public init(promptTokens: Int, responseTokens: Int, totalTokens: Int) {
            self.promptTokens = promptTokens
            self.responseTokens = responseTokens
            self.totalTokens = totalTokens
        }
    }
}
