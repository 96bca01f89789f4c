import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire

/// The caller's sound on its way to the server: sent as it comes, kept while the server is away, and marked where the
/// server does not listen for speech itself.
struct GeminiCallerSound {
    /// Sound that is kept while another socket is opened; older sound is dropped.
    static let keptDuration = TimeSpan.seconds(10)
    /// Sound in one message, where much has been kept.
    static let messageDuration = TimeSpan.milliseconds(200)
    /// Silence of the caller that is a quiet moment.
    static let quietDuration = TimeSpan.milliseconds(600)

    private let isAutomatic: Bool
    private let preRollBytes: Int
    /// Sound that waits: for the server, or for the caller to speak.
    private var kept = ByteBuffer()
    private var hasDropped = false
    /// Between `activityStart` and `activityEnd`, whether or not the server was there to be told.
    private var isSpeaking = false
    /// Whether the server has been told.
    private var isMarked = false
    /// An activity that began and ended while the server was away.
    private var hasMissedEnd = false
    /// Whether the server expects more sound.
    private var isStreaming = false
    private var lastSound: MediaTime?
    /// Listens while a quiet moment is looked for.
    private var listener: EnergyVAD?
    private var silentSince: MediaTime?
    private var samples: [Int16] = []

    init(turnDetection: GeminiTurnDetection, preRoll: TimeSpan) {
        if case .automatic = turnDetection { isAutomatic = true } else { isAutomatic = false }
        preRollBytes = GeminiConversation.inputFormat.byteCount(milliseconds: Int(preRoll.milliseconds))
    }

    /// - Returns: Whether sound had to be dropped for the first time.
    mutating func hear(
        _ sound: ByteBuffer, isReady: Bool, at now: MediaTime, into messages: inout MessageBatch
    ) -> Bool {
        lastSound = now
        if listener != nil { listen(to: sound, at: now) }
        if isReady, isAutomatic || isSpeaking {
            isStreaming = true
            send(sound, into: &messages)
            return false
        }
        // While the server is away everything counts; otherwise only what may be the beginning of a word.
        let isPreRoll = isReady || !isAutomatic && !isSpeaking && !hasMissedEnd
        let format = GeminiConversation.inputFormat
        let limit = isPreRoll ? preRollBytes : format.byteCount(milliseconds: Int(Self.keptDuration.milliseconds))
        kept.writeImmutableBuffer(sound)
        let excess = kept.readableBytes - limit
        guard excess > 0 else { return false }
        kept.moveReaderIndex(forwardBy: excess)
        if kept.readerIndex > limit { kept.discardReadBytes() }
        guard !isPreRoll, !hasDropped else { return false }
        hasDropped = true
        return true
    }

    mutating func speechStarted(isReady: Bool, into messages: inout MessageBatch) {
        guard !isAutomatic, !isSpeaking else { return }
        isSpeaking = true
        if isReady { mark(into: &messages) }
    }

    /// - Returns: Whether the server was told that the caller's turn is over.
    mutating func speechStopped(isReady: Bool, into messages: inout MessageBatch) -> Bool {
        guard !isAutomatic, isSpeaking else { return false }
        isSpeaking = false
        guard isReady, isMarked else {
            hasMissedEnd = true
            return false
        }
        isMarked = false
        messages.text { GeminiClientMessage.activityEnd.write(into: &$0) }
        return true
    }

    /// The socket is gone, and with it what the server knew of the caller's turn.
    mutating func socketLost() {
        isMarked = false
        isStreaming = false
    }

    /// The server listens again: what was kept goes out first.
    mutating func resume(at now: MediaTime, into messages: inout MessageBatch) {
        hasDropped = false
        listener = nil
        if isAutomatic {
            isStreaming = kept.readableBytes > 0
            sendKept(into: &messages)
        } else if isSpeaking || hasMissedEnd {
            mark(into: &messages)
            guard hasMissedEnd, !isSpeaking else { return }
            isMarked = false
            messages.text { GeminiClientMessage.activityEnd.write(into: &$0) }
        }
        hasMissedEnd = false
    }

    private mutating func mark(into messages: inout MessageBatch) {
        guard !isMarked else { return }
        isMarked = true
        messages.text { GeminiClientMessage.activityStart.write(into: &$0) }
        sendKept(into: &messages)
    }

    private mutating func sendKept(into messages: inout MessageBatch) {
        let size = GeminiConversation.inputFormat.byteCount(milliseconds: Int(Self.messageDuration.milliseconds))
        while let piece = kept.readSlice(length: min(size, kept.readableBytes)), piece.readableBytes > 0 {
            send(piece, into: &messages)
        }
        kept.empty(keepingCapacity: 2 * preRollBytes)
    }

    private func send(_ sound: ByteBuffer, into messages: inout MessageBatch) {
        messages.text { buffer in
            sound.withUnsafeReadableBytes {
                GeminiWriter.realtimeAudio(
                    $0, sampleRate: GeminiConversation.inputFormat.sampleRate, into: &buffer)
            }
        }
    }

    // MARK: Pauses

    /// A quiet moment is wanted: from now on it is listened for.
    mutating func awaitQuiet() {
        guard listener == nil else { return }
        listener = EnergyVAD(.init(minimumSpeech: 60, minimumSilence: 300))
        silentSince = nil
    }

    /// Whether the caller has been silent for a while, as far as can be heard since ``awaitQuiet()``.
    func isQuiet(at now: MediaTime) -> Bool {
        guard let lastSound, now - lastSound < Self.quietDuration else { return true }
        guard let silentSince else { return false }
        return now - silentSince >= Self.quietDuration
    }

    private mutating func listen(to sound: ByteBuffer, at now: MediaTime) {
        let rate = GeminiConversation.inputFormat.sampleRate
        sound.withUnsafeSamples(copyingInto: &samples) { _ = listener?.process($0, sampleRate: rate) }
        silentSince = listener?.isSpeaking == true ? nil : silentSince ?? now
    }

    /// When the server has to be told that no sound comes; it would wait for the end of a word for ever.
    var pauseDue: MediaTime? {
        guard isAutomatic, isStreaming, let lastSound else { return nil }
        return lastSound + GeminiConversation.streamPause
    }

    mutating func deadlineReached(at now: MediaTime, isReady: Bool, into messages: inout MessageBatch) {
        guard let due = pauseDue, due <= now else { return }
        isStreaming = false
        if isReady { messages.text { GeminiClientMessage.audioStreamEnd.write(into: &$0) } }
    }
}
