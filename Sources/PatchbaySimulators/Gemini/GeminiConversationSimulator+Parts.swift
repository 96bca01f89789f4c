public import NIOCore
public import PatchbayWire

extension GeminiConversationSimulator {
    /// What came and went over one connection.
    public struct Statistics: SimulatedConversationStatistics {
        static let maximumMessages = 1000

        public var sessionId: String
        public var setup: GeminiSetup?
        /// Whether the conversation had begun over another connection.
        public var isResumed = false
        public var messagesReceived = 0
        /// Bytes of those messages.
        public var bytesReceived = 0
        /// Bytes of the caller's sound.
        public var userAudioBytes = 0
        /// The first of those bytes, as many as the simulator was told to keep.
        public var userAudio = ByteBuffer()
        /// All messages but sound; the first 1000.
        public var messages: [GeminiClientMessage] = []
        /// Turns of the caller, spoken or written.
        public var userTurns = 0
        /// Utterances that the model began.
        public var agentTurns = 0
        public var interruptions = 0
        /// Bytes of sound sent.
        public var agentAudioBytes = 0
        /// How it ended; `nil` while it runs.
        public var close: SimulatedClose?

        /// What tools gave, of ``messages``.
        public var toolResponses: [GeminiClientMessage.FunctionResponse] {
            messages.flatMap { message -> [GeminiClientMessage.FunctionResponse] in
                if case .toolResponses(let responses) = message { responses } else { [] }
            }
        }
    }

    /// The utterance that was sent last, or is being sent.
    struct Speech: Sendable {
        /// Words that have not been transcribed yet.
        var words: [Substring]
        /// Not sent yet.
        var rest: ByteBuffer
        /// Bytes of the whole utterance.
        var byteCount: Int
        /// Words of the whole utterance.
        var wordCount: Int

        init(_ utterance: SimulatedUtterance) {
            words = utterance.text.fragments
            wordCount = words.count
            rest = utterance.audio
            byteCount = rest.readableBytes
        }

        /// The words that have been said once the rest remains.
        mutating func takeWords() -> String? {
            let said = byteCount > 0 ? wordCount * (byteCount - rest.readableBytes) / byteCount : wordCount
            let count = min(words.count, said - (wordCount - words.count))
            guard count > 0 else { return nil }
            defer { words.removeFirst(count) }
            return words.prefix(count).joined()
        }
    }
}

extension String {
    /// The words, each but the first with the blank before it.
    var fragments: [Substring] {
        var fragments: [Substring] = []
        var start = startIndex
        for index in indices.dropFirst() where self[index] == " " {
            fragments.append(self[start..<index])
            start = index
        }
        if start < endIndex { fragments.append(self[start...]) }
        return fragments
    }
}
