import NIOCore
import PatchbayAudio
import PatchbayCore
import Synchronization
import Testing

/// What a spy was given, in order.
final class Notes: Sendable {
    private let state = Mutex<[String]>([])
    var lines: [String] { state.withLock { $0 } }
    func add(_ line: String) { state.withLock { $0.append(line) } }
    func clear() { state.withLock { $0 = [] } }
}

/// A stage that writes down what it is given and otherwise does as it is told.
struct Spy: Processor {
    var name = ""
    let notes: Notes
    /// Text that it throws at.
    var throwsAt: String?
    /// Asked of the call at every key.
    var requests: [Frame] = []
    /// Time after a text at which it says "late".
    var patience: TimeSpan?
    var delay = TimeSpan.zero
    var marksSpeech = false
    private(set) var deadline: MediaTime?

    init(
        _ name: String, _ notes: Notes, throwsAt: String? = nil, requests: [Frame] = [],
        patience: TimeSpan? = nil, delay: TimeSpan = .zero, marksSpeech: Bool = false
    ) {
        self.name = name
        self.notes = notes
        self.throwsAt = throwsAt
        self.requests = requests
        self.patience = patience
        self.delay = delay
        self.marksSpeech = marksSpeech
    }

    init(_ notes: Notes, throwsAt: String? = nil, requests: [Frame] = []) {
        self.init("", notes, throwsAt: throwsAt, requests: requests)
    }

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        notes.add(name + word(frame))
        if case .text(let text) = frame {
            if text.text == throwsAt { throw PipelineError(.stageFailed, "\(text.text) is too much") }
            if let patience { deadline = now + patience }
        }
        if case .dtmf = frame { for request in requests { output.emitUpstream(request) } }
        output.emit(frame)
    }

    mutating func deadlineReached(at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        deadline = nil
        output.emit(.text(TextFrame("late", speaker: .caller)))
        notes.add(name + "late")
    }
}

/// A stage whose results come when the test says so.
struct Patient: Processor {
    final class Door: Sendable {
        private let mailbox = Mutex<StageMailbox?>(nil)
        func open(_ mailbox: StageMailbox) { self.mailbox.withLock { $0 = mailbox } }
        func deliver(_ frames: [Frame]) { mailbox.withLock { $0?.deliver(frames) } }
        func fail(_ error: PipelineError) { mailbox.withLock { $0?.fail(error) } }
    }

    let door: Door

    mutating func attach(_ mailbox: StageMailbox) { door.open(mailbox) }
    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        output.emit(frame)
    }
}

func stage(_ processor: any Processor, _ address: String = "stages[0].stages[0]") -> Stage {
    Stage("spy", address: address, takes: .telephony, gives: .telephony, processor: processor)
}

func text(_ words: String, generation: UInt32 = 0) -> Frame {
    .text(TextFrame(words, speaker: .caller, generation: generation))
}

/// Linear samples at 8 kHz.
func sound(_ samples: some Sequence<Int16>) -> Frame {
    var payload = ByteBuffer()
    for sample in samples { payload.writeInteger(sample, endianness: .little) }
    return .audio(AudioFrame(payload, format: .pcm(8000)))
}

let nowhere = StageMailbox(post: { _ in }, fail: { _ in })

/// A short name for a frame.
func word(_ frame: Frame) -> String {
    switch frame {
    case .callStarted: "start"
    case .callEnded: "end"
    case .interruption(let interruption): "cut \(interruption.generation)"
    case .dtmf(let key): "key \(key)"
    case .speechStarted: "speech"
    case .speechStopped: "silence"
    case .userTurnStarted: "turn"
    case .userTurnEnded: "turn over"
    case .failure(let error): "failure \(error)"
    case .text(let text): text.text
    case .audio(let audio): "audio \(audio.payload.readableBytes)"
    case .utteranceEnded: "utterance over"
    case .interruptible(let isAllowed): isAllowed ? "unlock" : "lock"
    case .bargeIn(let step): step.rawValue
    case .recording(let command): command.rawValue
    default: "?"
    }
}

extension [Frame] {
    var words: [String] { map(word) }
    var samples: [Int16] {
        flatMap { frame -> [Int16] in
            guard case .audio(let audio) = frame else { return [] }
            var scratch: [Int16] = []
            return audio.payload.withUnsafeSamples(copyingInto: &scratch) { [Int16]($0) }
        }
    }
}
