import NIOCore
import PatchbayAudio
import PatchbayConfig
import PatchbayCore
import PatchbayTesting

/// Lets a harness hold a stage of any type, timer and all.
struct TimedBox: Processor {
    private var processor: any Processor

    init(_ processor: any Processor) { self.processor = processor }

    var deadline: MediaTime? { processor.deadline }
    var delay: TimeSpan { processor.delay }

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        try processor.receive(frame, at: now, into: &output)
    }

    mutating func deadlineReached(at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        try processor.deadlineReached(at: now, into: &output)
    }
}

extension StageComponent {
    /// A stage of the component in a harness.
    func harness(
        _ values: [String: VariableValue] = [:], taking format: AudioFormat = .pcm(8000)
    ) throws -> ProcessorHarness<TimedBox> {
        ProcessorHarness(
            TimedBox(try makeProcessor(taking: format, settings: Settings(spec.fields, values))))
    }

    func problems(_ values: [String: VariableValue]) -> [SettingsProblem] {
        problems(in: Settings(spec.fields, values))
    }
}

/// Linear mono samples as a frame.
func audio(_ samples: some Sequence<Int16>, rate: Int = 8000, generation: UInt32 = 0) -> Frame {
    var payload = ByteBuffer()
    for sample in samples { payload.writeInteger(sample, endianness: .little) }
    return .audio(AudioFrame(payload, format: .pcm(rate), generation: generation))
}

extension AudioFrame {
    var samples: [Int16] {
        var scratch: [Int16] = []
        return payload.withUnsafeSamples(copyingInto: &scratch) { Array($0) }
    }
}

extension [Frame] {
    /// The audio frames among them.
    var audio: [AudioFrame] { compactMap { if case .audio(let audio) = $0 { audio } else { nil } } }
    /// The samples of all of them.
    var samples: [Int16] { audio.flatMap(\.samples) }
    /// The keys among them, in order.
    var keys: String { String(compactMap { if case .dtmf(let digit) = $0 { digit } else { nil } }) }
}

let callStart = Frame.callStarted(CallStart(callSid: "CA1", streamSid: "MZ1"))
