import PatchbayAudio
import PatchbayConfig
import PatchbayCore
import PatchbayProcessors
import PatchbayTesting
import Testing

@Suite(.enabled(if: NoiseSuppressor.missingLibrary == nil, "needs libspeexdsp1"))
struct DenoiserTests {
    @Test(arguments: [8000, 16000])
    func packetsComeOutAsTheyCameAndTheDelayIsReported(rate: Int) throws {
        var harness = try Denoiser().harness(taking: .pcm(rate))
        #expect(harness.processor.delay == .milliseconds(10))
        let tone = Tone(700).samples(count: rate / 50, sampleRate: rate)
        for _ in 0..<4 {
            let out = try harness.push(audio(tone, rate: rate, generation: 5))
            #expect(out.samples.count == rate / 50 && out.audio.first?.generation == 5)
        }
        #expect(Denoiser().problems([:]).isEmpty)
    }

    @Test func whatFillsNoFrameWaitsAndComesOutAtTheEnd() throws {
        var harness = try Denoiser().harness()
        #expect(try harness.push(audio([Int16](repeating: 50, count: 79))).isEmpty)
        #expect(harness.processor.delay.nanoseconds == 10_000_000 + 79 * 125_000)
        #expect(try harness.push(audio([50])).samples.count == 80)
        let ending = try harness.push(.utteranceEnded(generation: 0))
        #expect(ending.samples.count == 80)
        guard case .utteranceEnded? = ending.last else {
            Issue.record("the end itself must pass on, behind the tail")
            return
        }
    }

    @Test func nothingOfACutTurnIsHeardInTheNext() throws {
        var harness = try Denoiser().harness()
        _ = try harness.push(audio(Tone(700, level: -6).samples(count: 850, sampleRate: 8000)))
        _ = try harness.push(.interruption(Interruption(generation: 1, cause: "test")))
        let next = try harness.push(audio([Int16](repeating: 0, count: 160))).samples
        #expect(next.count == 160 && next.allSatisfy { abs($0) < 40 })
    }
}
