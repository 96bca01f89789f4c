public import NIOCore
import PatchbayAudio
import PatchbayCore
public import PatchbayWire

extension ElevenLabsConversationSimulator {
    /// What came and went in one conversation.
    public struct Statistics: Sendable {
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
        public var close: CloseRequest?

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

    /// When each timer is due.
    struct Timers: Sendable {
        private var due = [MediaTime?](repeating: nil, count: Timer.allCases.count)

        subscript(timer: Timer) -> MediaTime? {
            get { due[timer.rawValue] }
            set { due[timer.rawValue] = newValue }
        }

        /// The earliest; of several at once the one that is declared first.
        var next: (timer: Timer, due: MediaTime)? {
            var next: (timer: Timer, due: MediaTime)?
            for timer in Timer.allCases {
                if let due = self[timer], next.map({ due < $0.due }) ?? true { next = (timer, due) }
            }
            return next
        }
    }
}

/// Hears where the caller's speech starts and stops, by its energy.
struct ElevenLabsEar: Sendable {
    private let format: AudioFormat
    private var vad: EnergyVAD
    private var samples: [Int16] = []

    init(format: AudioFormat, endOfTurnSilence: Int) {
        self.format = format
        vad = EnergyVAD(.init(minimumSpeech: 80, minimumSilence: endOfTurnSilence))
    }

    var isHearingSpeech: Bool { vad.isSpeaking }

    mutating func reset() { vad.reset() }

    /// - Returns: The edges in these bytes, in order.
    mutating func hear(_ audio: ByteBuffer) -> [EnergyVAD.Edge] {
        let count = format.sampleFrames(byteCount: audio.readableBytes)
        if samples.count < count { samples.append(contentsOf: repeatElement(0, count: count - samples.count)) }
        audio.withUnsafeReadableBytes { bytes in
            samples.withUnsafeMutableBufferPointer { samples in
                if format.encoding == .mulaw {
                    G711.decodeMulaw(bytes, into: samples)
                } else {
                    UnsafeMutableRawBufferPointer(samples).copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: bytes.prefix(2 * count)))
                }
            }
        }
        // A detector reports at most one edge of a block, so long messages are cut.
        let block = max(1, format.sampleRate / 50)
        var edges: [EnergyVAD.Edge] = []
        var vad = vad
        samples.withUnsafeBufferPointer { samples in
            for start in stride(from: 0, to: count, by: block) {
                let slice = UnsafeBufferPointer(rebasing: samples[start..<min(count, start + block)])
                if let edge = vad.process(slice, sampleRate: format.sampleRate) { edges.append(edge) }
            }
        }
        self.vad = vad
        return edges
    }
}
