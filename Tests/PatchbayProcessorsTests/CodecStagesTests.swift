import NIOCore
import PatchbayAudio
import PatchbayConfig
import PatchbayCore
import PatchbayProcessors
import PatchbayTesting
import Testing

@Suite struct CodecStagesTests {
    private func settings(_ component: any StageComponent, _ values: [String: VariableValue] = [:]) -> Settings {
        Settings(component.spec.fields, values)
    }

    private func encoder(_ input: AudioFormat, _ values: [String: VariableValue]) throws -> ProcessorHarness<Box> {
        ProcessorHarness(Box(try Encoder().makeProcessor(taking: input, settings: settings(Encoder(), values))))
    }

    private func decoder(_ input: AudioFormat) throws -> ProcessorHarness<Box> {
        ProcessorHarness(Box(try Decoder().makeProcessor(taking: input, settings: settings(Decoder()))))
    }

    private func frame(_ samples: [Int16], _ format: AudioFormat, generation: UInt32 = 3) -> Frame {
        var payload = ByteBuffer()
        samples.withUnsafeBytes { _ = payload.writeBytes($0) }
        return .audio(AudioFrame(payload, format: format, generation: generation))
    }

    private func audio(_ frames: [Frame]) -> [AudioFrame] {
        frames.compactMap { if case .audio(let audio) = $0 { audio } else { nil } }
    }

    private func samples(_ frames: [Frame]) -> [Int16] {
        audio(frames).flatMap { audio -> [Int16] in
            var scratch: [Int16] = []
            return audio.payload.withUnsafeSamples(copyingInto: &scratch) { Array($0) }
        }
    }

    @Test(arguments: [
        ("mulaw", 8000, 0), ("alaw", 8000, 0), ("l16", 24_000, 0), ("g722", 16_000, 22), ("opus", 16_000, 104),
        ("opus", 48_000, 312),
    ])
    func aToneSurvivesEncoderAndDecoder(encoding: String, rate: Int, delay: Int) throws {
        let values: [String: VariableValue] = ["encoding": .string(encoding)]
        let format = try Encoder().output(for: .pcm(rate), settings: settings(Encoder(), values))
        #expect(
            format.encoding.rawValue == encoding && format.sampleRate == rate && format.packetMicroseconds == 20_000)
        #expect(try Decoder().output(for: format, settings: settings(Decoder(), values)) == .pcm(rate))
        #expect(try Decoder().output(for: format, settings: settings(Decoder())) == .pcm(rate))
        var first = try encoder(.pcm(rate), values), second = try decoder(format)
        let tone = Tone(440), packet = rate / 50
        var heard: [Int16] = []
        for index in 0..<15 {
            let sound = tone.samples(count: packet, sampleRate: rate, offset: index * packet)
            let payloads = audio(try first.push(frame(sound, .pcm(rate))))
            #expect(payloads.count == 1 && payloads.allSatisfy { $0.format == format && $0.generation == 3 })
            for payload in payloads { heard += samples(try second.push(.audio(payload))) }
        }
        let ending = try first.push(.utteranceEnded(generation: 3))
        for payload in audio(ending) { heard += samples(try second.push(.audio(payload))) }
        guard case .utteranceEnded? = ending.last else {
            Issue.record("the end itself must pass on, behind the tail")
            return
        }
        #expect(heard.count >= 15 * packet + delay, "the tail is given out")
        #expect(
            abs(Tone.level(of: 440, in: Array(heard[(5 * packet)..<(15 * packet)]), sampleRate: rate) - tone.level)
                < 1.5)
        #expect(
            (first.processor.delay + second.processor.delay).nanoseconds == Int64(delay) * 1_000_000_000 / Int64(rate))
    }

    @Test func anEncoderWithMoreToDoThanTheEncodingIsNoIdentity() throws {
        let opus = AudioFormat(.opus, sampleRate: 16_000)
        for (values, isIdentity) in [
            ([:], true), (["packetMs": "20"], true), (["packetMs": "40"], false), (["bitrate": 6000], false),
            (["dtx": true], false),
        ] as [([String: VariableValue], Bool)] {
            let settings = settings(Encoder(), values.merging(["encoding": "opus"]) { $1 })
            #expect(Encoder().isIdentity(for: opus, settings: settings) == isIdentity, "\(values)")
            do {
                #expect(try Encoder().output(for: opus, settings: settings) == opus && isIdentity, "\(values)")
            } catch {
                #expect(!isIdentity && error.wanted == .pcm(16_000), "\(values)")
            }
        }
    }

    @Test func aDecoderAdvisesOnlyWhatItTakes() {
        let error = #expect(throws: FormatMismatch.self) {
            try Decoder().output(for: .pcm(8000), settings: settings(Decoder(), ["encoding": "mulaw"]))
        }
        #expect(error?.remedy.contains("pcm16") == false)
    }

    @Test func opusPacketsFillAcrossFrames() throws {
        let values: [String: VariableValue] = [
            "encoding": "opus", "packetMs": "60", "bitrate": 16_000, "complexity": 0,
        ]
        let format = try Encoder().output(for: .pcm(16_000), settings: settings(Encoder(), values))
        #expect(format.packetMicroseconds == 60_000)
        var stage = try encoder(.pcm(16_000), values)
        let sound = frame(Tone(440).samples(count: 320, sampleRate: 16_000), .pcm(16_000))
        let counts = try (0..<6).map { _ in audio(try stage.push(sound)).count }
        #expect(counts == [0, 0, 1, 0, 0, 1])
        #expect(stage.processor.delay == .milliseconds(46) + TimeSpan(nanoseconds: 500_000))
        let long = frame(Tone(440).samples(count: 16_000, sampleRate: 16_000), .pcm(16_000))
        let payloads = audio(try stage.push(long))
        #expect(payloads.count == 16 && payloads.allSatisfy { (20...300).contains($0.payload.readableBytes) })
        var other = try decoder(format)
        #expect(
            samples(try payloads.flatMap { try other.push(.audio($0)) }).count == 16 * 960,
            "each is a packet of its own")
    }

    @Test func anInterruptionDropsWhatIsHeldBack() throws {
        var stage = try encoder(.pcm(16_000), ["encoding": "opus"])
        #expect(audio(try stage.push(frame([Int16](repeating: 9000, count: 300), .pcm(16_000)))).isEmpty)
        let passed = try stage.push(.interruption(Interruption(generation: 4, cause: "")))
        #expect(passed.count == 1)
        #expect(audio(try stage.push(.utteranceEnded(generation: 4))).isEmpty, "nothing of the cut turn may be heard")
    }

    @Test func senselessAndEmptyPayloadsAreSurvived() throws {
        let format = AudioFormat(.opus, sampleRate: 16_000, channelCount: 2)
        var first = try encoder(AudioFormat(.pcm16, sampleRate: 16_000, channelCount: 2), ["encoding": "opus"])
        var second = try decoder(format)
        var heard: [Int16] = []
        let mono = Tone(440).samples(count: 320 * 12, sampleRate: 16_000)
        for index in 0..<12 {
            let sound = mono[(320 * index)..<(320 * (index + 1))].flatMap { [$0, $0] }
            for var payload in audio(
                try first.push(frame(sound, AudioFormat(.pcm16, sampleRate: 16_000, channelCount: 2))))
            {
                if index == 6 { payload.payload = ByteBuffer(bytes: [0x03, 0x00]) }
                heard += samples(try second.push(.audio(payload)))
            }
        }
        #expect(heard.count == 12 * 640, "the lost packet is filled to the sample")
        #expect(
            Tone.level(of: 440, in: stride(from: 0, to: heard.count, by: 2).map { heard[$0] }, sampleRate: 16_000) > -16
        )
        #expect(try second.push(.audio(AudioFrame(ByteBuffer(), format: format))).isEmpty)
        #expect(throws: PipelineError.self) {
            try second.push(.audio(AudioFrame(ByteBuffer(), format: AudioFormat(.opus, sampleRate: 16_000))))
        }
    }

    @Test func mismatchesSayTheWayOut() throws {
        func mismatch(_ component: any StageComponent, _ input: AudioFormat, _ values: [String: VariableValue])
            -> FormatMismatch?
        {
            #expect(throws: FormatMismatch.self) {
                try component.output(for: input, settings: settings(component, values))
            }
        }
        #expect(mismatch(Decoder(), .telephony, ["encoding": "opus"])?.message == "takes opus")
        #expect(
            mismatch(Decoder(), .telephony, ["encoding": "opus"])?.remedy
                == "write \"encoding\": \"mulaw\", or leave it out")
        #expect(mismatch(Encoder(), .pcm(8000), ["encoding": "g722"])?.wanted == .pcm(16_000))
        #expect(mismatch(Encoder(), .pcm(44_100), ["encoding": "opus"])?.wanted == .pcm(48_000))
        #expect(mismatch(Encoder(), .pcm(96_000), ["encoding": "opus"])?.wanted == .pcm(48_000))
        let stereo = mismatch(Encoder(), AudioFormat(.pcm16, sampleRate: 16_000, channelCount: 2), ["encoding": "g722"])
        #expect(stereo?.message == "takes mono for G.722" && stereo?.wanted == nil)
        #expect(throws: PipelineError.self) { try encoder(.pcm(8000), ["encoding": "g722"]) }
        let odd = AudioFormat(.pcm16, sampleRate: 16_000, packetMilliseconds: 30)
        let output = try Encoder().output(for: odd, settings: settings(Encoder(), ["encoding": "opus"]))
        #expect(output.packetMicroseconds == 20_000, "Opus has no packets of 30 ms")
    }

    static let combinations: [([String: VariableValue], [String])] = [
        ([:], []), (["encoding": "alaw"], []), (["encoding": "g722"], []),
        (
            [
                "encoding": "opus", "bitrate": 24_000, "dtx": true, "fec": true, "packetMs": "10",
                "application": "audio",
            ], []
        ),
        (["encoding": "mulaw", "bitrate": 24_000, "dtx": false], ["bitrate", "dtx"]),
        (["packetMs": "20"], ["packetMs"]),
        (["encoding": "opus", "fec": true, "packetMs": "2.5"], ["fec"]),
        (["encoding": "opus", "fec": true, "application": "lowDelay"], ["fec"]),
    ]

    @Test(arguments: combinations)
    func settingsThatDoNothingAreProblems(values: [String: VariableValue], fields: [String]) {
        #expect(Encoder().problems(in: settings(Encoder(), values)).map(\.field) == fields)
        #expect(Decoder().problems(in: settings(Decoder(), ["encoding": "g722"])).isEmpty)
    }
}
