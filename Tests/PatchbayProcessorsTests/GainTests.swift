import PatchbayAudio
import PatchbayConfig
import PatchbayCore
import PatchbayProcessors
import PatchbayTesting
import Testing

@Suite struct GainTests {
    @Test(arguments: [(6.0, 8000), (-20, 16000), (0.5, 48000)])
    func aToneBecomesLouderByTheDecibels(decibels: Double, rate: Int) throws {
        var harness = try PatchbayProcessors.Gain().harness(["gainDb": .number(decibels)], taking: .pcm(rate))
        let out = try harness.push(
            audio(Tone(1000, level: -18).samples(count: rate / 10, sampleRate: rate), rate: rate))
        #expect(abs(Tone.level(of: 1000, in: out.samples, sampleRate: rate) - (-18 + decibels)) < 0.1)
        #expect(out.audio.first?.format == .pcm(rate))
    }

    @Test func whatIsTooLoudIsCutOff() throws {
        var harness = try PatchbayProcessors.Gain().harness(["gainDb": 40])
        #expect(try harness.push(audio([400, -400, 0, 30])).samples == [.max, .min, 0, 3000])
    }

    @Test func noGainIsLeftOut() {
        let settings = Settings(PatchbayProcessors.Gain().spec.fields, ["gainDb": 0])
        #expect(PatchbayProcessors.Gain().isIdentity(for: .pcm(8000), settings: settings))
        #expect(
            !PatchbayProcessors.Gain().isIdentity(
                for: .pcm(8000), settings: Settings(PatchbayProcessors.Gain().spec.fields, ["gainDb": 1])))
    }

    @Test func otherFormatsAreRefused() throws {
        for component in [PatchbayProcessors.Gain(), Mute(), DTMF(), Mixer(), Denoiser()] as [any StageComponent] {
            let settings = Settings(component.spec.fields)
            for format in [.telephony, AudioFormat(.pcm16, sampleRate: 8000, channelCount: 2)] {
                #expect(throws: FormatMismatch.self) { try component.output(for: format, settings: settings) }
            }
            #expect(try component.output(for: .pcm(16000), settings: settings) == .pcm(16000))
        }
        #expect(throws: FormatMismatch.self) {
            try Denoiser().output(for: .pcm(48000), settings: Settings(Denoiser().spec.fields))
        }
        var harness = try PatchbayProcessors.Gain().harness(["gainDb": 6])
        #expect(throws: PipelineError.self) { try harness.push(audio([1], rate: 16000)) }
    }
}

@Suite struct MuteTests {
    private let tone = Tone(700, level: -10).samples(count: 800, sampleRate: 8000)

    @Test func itIsSilentFromTheStart() throws {
        var harness = try Mute().harness()
        let out = try harness.push(audio(tone, generation: 3))
        #expect(out.samples == [Int16](repeating: 0, count: 800))
        #expect(out.audio.first?.generation == 3)
    }

    @Test(arguments: [("*", "#", "**#", [true, true, false]), ("0", "0", "000", [true, false, true])])
    func keysSwitchIt(on: String, off: String, pressed: String, silent: [Bool]) throws {
        var harness = try Mute().harness([
            "initially": false, "muteKey": .string(on), "unmuteKey": .string(off),
        ])
        #expect(try harness.push(audio(tone)).samples == tone)
        for (key, isSilent) in zip(pressed, silent) {
            #expect(try harness.push(.dtmf(key)).keys == String(key), "keys go on")
            let out = try harness.push(audio(tone)).samples
            #expect(out[80...].allSatisfy { $0 == 0 } == isSilent)
            #expect(isSilent || out[80...] == tone[80...])
        }
    }

    @Test func whereAKeySilencesTheCallBeginsAloud() throws {
        func isSilent(_ values: [String: VariableValue]) throws -> Bool {
            var harness = try Mute().harness(values)
            return try harness.push(audio([Int16](repeating: 1000, count: 160))).samples.allSatisfy { $0 == 0 }
        }
        #expect(try isSilent([:]) && isSilent(["unmuteKey": "#"]) && isSilent(["initially": true, "muteKey": "*"]))
        #expect(try !isSilent(["muteKey": "*"]) && !isSilent(["initially": false]))
        #expect(Mute().problems(["initially": false, "unmuteKey": "#"]).map(\.severity) == [.warning])
        #expect(Mute().problems(["unmuteKey": "#"]).isEmpty)
        #expect(Mute().problems(["initially": false, "muteKey": "*", "unmuteKey": "#"]).isEmpty)
    }

    @Test func withoutAKeyAndNotSilentItIsLeftOut() {
        let fields = Mute().spec.fields
        #expect(Mute().isIdentity(for: .pcm(8000), settings: Settings(fields, ["initially": false])))
        #expect(!Mute().isIdentity(for: .pcm(8000), settings: Settings(fields)))
        #expect(!Mute().isIdentity(for: .pcm(8000), settings: Settings(fields, ["initially": false, "muteKey": "*"])))
    }
}
