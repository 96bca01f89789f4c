import NIOCore
import PatchbayAudio
import PatchbayConfig
import PatchbayCore
import PatchbayProcessors
import PatchbayTesting
import Testing

@Suite struct StandardStagesTests {
    private func settings(_ component: any StageComponent, _ values: [String: VariableValue] = [:]) -> Settings {
        Settings(component.spec.fields, values)
    }

    private func frame(_ samples: [Int16], _ rate: Int, generation: UInt32 = 0) -> Frame {
        var payload = ByteBuffer()
        samples.withUnsafeBytes { _ = payload.writeBytes($0) }
        return .audio(AudioFrame(payload, format: .pcm(rate), generation: generation))
    }

    private func samples(_ frames: [Frame]) -> [Int16] {
        frames.flatMap { frame -> [Int16] in
            guard case .audio(let audio) = frame else { return [] }
            var scratch: [Int16] = []
            return audio.payload.withUnsafeSamples(copyingInto: &scratch) { Array($0) }
        }
    }

    @Test func formatsAreStatedAndMismatchesExplained() throws {
        #expect(try Decoder().output(for: .telephony, settings: settings(Decoder())) == .pcm(8000))
        #expect(try Encoder().output(for: .pcm(8000), settings: settings(Encoder())) == .telephony)
        #expect(
            try Encoder().output(for: .pcm(8000), settings: settings(Encoder(), ["encoding": "alaw"]))
                == AudioFormat(.alaw, sampleRate: 8000))
        let resampler = settings(Resampler(), ["rateHz": 16000])
        #expect(try Resampler().output(for: .pcm(8000), settings: resampler) == .pcm(16000))
        for component in [Resampler(), VAD(), PatchbayProcessors.Gain(), DTMF(), Denoiser()] as [any StageComponent] {
            let mismatch = #expect(throws: FormatMismatch.self) {
                try component.output(for: .telephony, settings: settings(component))
            }
            #expect(mismatch?.wanted == .pcm(8000), "\(component.spec.type) says what it would take")
        }
        let alaw = #expect(throws: FormatMismatch.self) {
            try Encoder().output(for: .telephony, settings: settings(Encoder(), ["encoding": "alaw"]))
        }
        #expect(alaw?.wanted == .pcm(8000))
    }

    @Test func aConverterWithNothingToDoIsLeftOut() throws {
        #expect(try Decoder().output(for: .pcm(8000), settings: settings(Decoder())) == .pcm(8000))
        #expect(Decoder().isIdentity(for: .pcm(8000), settings: settings(Decoder())))
        #expect(try Encoder().output(for: .telephony, settings: settings(Encoder())) == .telephony)
        #expect(Encoder().isIdentity(for: .telephony, settings: settings(Encoder())))
        #expect(!Encoder().isIdentity(for: .pcm(8000), settings: settings(Encoder())))
    }

    @Test func decodeAndEncodeGiveBackEveryCode() throws {
        let codes = (0...255).map { UInt8($0) }.filter { $0 != 0x7F }
        var decoder = ProcessorHarness(
            try Box(Decoder().makeProcessor(taking: .telephony, settings: settings(Decoder()))))
        var encoder = ProcessorHarness(
            try Box(Encoder().makeProcessor(taking: .pcm(8000), settings: settings(Encoder()))))
        let decoded = try decoder.push(.audio(AudioFrame(ByteBuffer(bytes: codes), format: .telephony, generation: 7)))
        let encoded = try encoder.push(try #require(decoded.first))
        guard case .audio(let audio)? = encoded.first else {
            Issue.record("no audio came out")
            return
        }
        #expect(Array(audio.payload.readableBytesView) == codes)
        #expect(audio.generation == 7 && audio.format == .telephony)
    }

    @Test func aToneKeepsItsPitchThroughBothResamplers() throws {
        let up = try Resampler().makeProcessor(taking: .pcm(8000), settings: settings(Resampler(), ["rateHz": 16000]))
        let down = try Resampler().makeProcessor(taking: .pcm(16000), settings: settings(Resampler(), ["rateHz": 8000]))
        var first = ProcessorHarness(Box(up)), second = ProcessorHarness(Box(down))
        var out: [Int16] = []
        let tone = Tone(440)
        for packet in 0..<50 {
            for wide in try first.push(frame(tone.samples(count: 160, sampleRate: 8000, offset: packet * 160), 8000)) {
                out += samples(try second.push(wide))
            }
        }
        #expect(Tone.strongest(of: [220, 440, 880, 1760], in: Array(out.suffix(4000)), sampleRate: 8000) == 440)
        #expect(abs(Tone.level(of: 440, in: Array(out.suffix(4000)), sampleRate: 8000) - tone.level) < 0.5)
    }

    @Test func theTailComesOutAtTheEndOfAnUtteranceAndNotAfterAnInterruption() throws {
        let stage = try Resampler().makeProcessor(
            taking: .pcm(16000), settings: settings(Resampler(), ["rateHz": 8000, "quality": "linear-phase"]))
        var harness = ProcessorHarness(Box(stage))
        let body = samples(try harness.push(frame(Tone(440).samples(count: 1600, sampleRate: 16000), 16000)))
        let ending = try harness.push(.utteranceEnded(generation: 0))
        #expect(body.count < 800, "a filter holds something back")
        #expect(abs(body.count + samples(ending).count - 800) <= 1)
        guard case .utteranceEnded? = ending.last else {
            Issue.record("the end itself must pass on, behind the tail")
            return
        }
        _ = try harness.push(frame(Tone(440).samples(count: 1600, sampleRate: 16000), 16000))
        _ = try harness.push(.interruption(Interruption(generation: 1, cause: "")))
        let silence = samples(try harness.push(frame([Int16](repeating: 0, count: 1600), 16000)))
        #expect(silence.allSatisfy { $0 == 0 }, "nothing of the cut turn may be heard in the next")
    }

    @Test func audioInAnotherFormatIsATypedError() throws {
        let stage = try Encoder().makeProcessor(taking: .pcm(8000), settings: settings(Encoder()))
        var harness = ProcessorHarness(Box(stage))
        #expect(throws: PipelineError.self) { try harness.push(frame([0], 16000)) }
    }

    @Test func vadMarksSpeechWhereItIsAndPassesEverythingOn() throws {
        let stage = try VAD().makeProcessor(taking: .pcm(8000), settings: settings(VAD(), ["minimumSilenceMs": 300]))
        var harness = ProcessorHarness(Box(stage))
        var edges: [(String, Int)] = []
        var passed = 0
        for packet in 0..<150 {
            let isSpeech = (50..<100).contains(packet)
            let samples =
                isSpeech
                ? Tone(300, level: -15).samples(count: 160, sampleRate: 8000, offset: packet * 160)
                : [Int16](repeating: 0, count: 160)
            for frame in try harness.push(frame(samples, 8000)) {
                switch frame {
                case .speechStarted: edges.append(("start", packet))
                case .speechStopped: edges.append(("stop", packet))
                case .audio: passed += 1
                default: break
                }
            }
        }
        #expect(edges.map(\.0) == ["start", "stop"])
        #expect((50...57).contains(edges[0].1), "speech begins at packet 50 and needs 100 ms to count")
        #expect((112...118).contains(edges[1].1), "300 ms of silence after packet 99 end it")
        #expect(passed == 150)
    }
}

/// Lets a harness hold a processor of any type.
struct Box: Processor {
    private var processor: any Processor

    init(_ processor: any Processor) { self.processor = processor }

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        try processor.receive(frame, at: now, into: &output)
    }

    var delay: TimeSpan { processor.delay }
}
