import NIOCore
import PatchbayCore
import PatchbayTesting
import Testing

/// The stage that the README shows, to the letter.
struct Gain: Processor {
    var factor: Int
    private var scratch: [Int16] = []

    init(factor: Int) { self.factor = factor }

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        guard case .audio(var audio) = frame, audio.format.encoding == .pcm16 else { return output.emit(frame) }
        let factor = factor
        audio.payload = audio.payload.withUnsafeSamples(copyingInto: &scratch) { samples in
            var louder = ByteBuffer()
            for sample in samples { louder.writeInteger(Int16(clamping: Int(sample) * factor), endianness: .little) }
            return louder
        }
        output.emit(.audio(audio))
    }
}

@Suite struct ReadmeStageTests {
    @Test func itMakesSoundLouderAndPassesTheRest() throws {
        var harness = ProcessorHarness(Gain(factor: 3))
        var payload = ByteBuffer()
        for sample in [100, -100, 20_000] as [Int16] { payload.writeInteger(sample, endianness: .little) }
        let frames = try harness.push(.audio(AudioFrame(payload, format: .pcm(8000), generation: 2)))
        guard case .audio(var audio)? = frames.first else {
            Issue.record("no audio came out")
            return
        }
        let samples = (0..<3).compactMap { _ in audio.payload.readInteger(endianness: .little, as: Int16.self) }
        #expect(samples == [300, -300, 32_767])
        #expect(audio.generation == 2)
        #expect(try harness.push(.speechStarted).count == 1)
    }
}
