public import NIOCore
public import PatchbayWire

extension ElevenLabsConversationSimulator {
    /// What came and went in one conversation.
    public struct Statistics: SimulatedConversationStatistics {
        static let maximumOtherMessages = 1000

        /// As the client asked for it.
        public var agentId: String
        public var conversationId: String
        public var initiation: ElevenLabsInitiation?
        public var messagesReceived = 0
        /// Bytes of those messages.
        public var bytesReceived = 0
        public var audioChunks = 0
        /// Bytes of the caller's audio, decoded from base64, in the agent's input format.
        public var userAudioBytes = 0
        /// The first of those bytes, as many as the simulator was told to keep.
        public var userAudio = ByteBuffer()
        public var pongs = 0
        /// All messages but initiation, audio and pongs; the first 1000.
        public var otherMessages: [ElevenLabsClientMessage] = []
        /// Turns of the caller, spoken or written.
        public var userTurns = 0
        /// Utterances the agent began.
        public var agentTurns = 0
        public var interruptions = 0
        /// Bytes of agent audio sent, in the agent's output format.
        public var agentAudioBytes = 0
        /// How it ended; `nil` while it runs.
        public var close: SimulatedClose?

        /// What tools gave, of ``otherMessages``.
        public var toolResults: [ElevenLabsClientMessage.ToolResult] {
            otherMessages.compactMap { message in
                if case .clientToolResult(let result) = message { result } else { nil }
            }
        }
    }

    /// The utterance that was sent last, or is being sent.
    struct Speech: Sendable {
        var id: Int
        var text: String
        /// Not sent yet.
        var rest: ByteBuffer
        /// Bytes of the whole utterance.
        var byteCount: Int
        var isFarewell: Bool
    }
}
