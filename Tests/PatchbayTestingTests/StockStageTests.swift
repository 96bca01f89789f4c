import Foundation
import Patchbay
import PatchbayTesting
import Testing

/// The stages that come with Patchbay keep the rules that plug-ins are held to.
@Suite struct StockStageTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var type: String
        var values: [String: VariableValue] = [:]
        var taking = AudioFormat.pcm(8000)
        var giving: AudioFormat?
        /// Rules that do not hold by design.
        var exempt: Set<ConformanceFailure.Rule> = []

        var testDescription: String { "\(type) \(values.map { "\($0)=\($1)" }.sorted()) \(taking)" }
    }

    static let wide = AudioFormat.pcm(16000)

    static let cases: [Case] = [
        Case(type: "decoder", taking: .telephony, giving: .pcm(8000)),
        Case(type: "decoder", taking: AudioFormat(.alaw, sampleRate: 8000), giving: .pcm(8000)),
        Case(type: "decoder", taking: AudioFormat(.l16, sampleRate: 16000), giving: wide),
        Case(type: "decoder", taking: AudioFormat(.g722, sampleRate: 16000), giving: wide),
        Case(type: "decoder", taking: AudioFormat(.opus, sampleRate: 48000), giving: .pcm(48000)),
        Case(type: "encoder", values: ["encoding": "mulaw"], giving: .telephony),
        Case(type: "encoder", values: ["encoding": "alaw"], giving: AudioFormat(.alaw, sampleRate: 8000)),
        Case(
            type: "encoder", values: ["encoding": "g722"], taking: wide, giving: AudioFormat(.g722, sampleRate: 16000)),
        Case(
            type: "encoder", values: ["encoding": "opus"], taking: wide, giving: AudioFormat(.opus, sampleRate: 16000)),
        Case(type: "resampler", values: ["rateHz": 16000], giving: wide),
        Case(type: "resampler", values: ["rateHz": 8000], taking: wide, giving: .pcm(8000)),
        Case(type: "resampler", values: ["rateHz": 24000], taking: .pcm(16000), giving: .pcm(24000)),
        Case(type: "resampler", values: ["rateHz": 16000, "quality": "linear-phase"], giving: wide),
        Case(type: "resampler", values: ["rateHz": 11025], giving: .pcm(11025)),
        Case(type: "vad"),
        Case(type: "vad", values: ["engine": "webrtc"]),
        Case(type: "vad", values: ["gate": true], taking: wide),
        Case(type: "turns", values: ["uninterruptible": "greeting"]),
        Case(type: "dtmf"),
        Case(type: "dtmf", values: ["mute": true]),
        Case(type: "dtmf", values: ["mode": "generate"]),
        Case(type: "gain", values: ["gainDb": -3]),
        Case(type: "mute", values: ["muteKey": "5"]),
        Case(type: "mute"),
        Case(type: "denoiser"),
        Case(type: "recorder", values: ["path": "x.wav"], taking: .telephony),
        // Its own sound is heard under silence.
        Case(type: "mixer", values: ["sound": "hum.wav"], exempt: [.interruption]),
    ]

    /// `turns` is there to act on the marks of speech.
    private static func swallows(_ type: String, _ frame: Frame) -> Bool {
        guard type == "turns" else { return false }
        switch frame {
        case .speechStarted, .speechStopped, .speechPaused, .speechResumed: return true
        case .userTurnEnded(let end): return end.cause == .agent
        default: return false
        }
    }

    /// A folder with a sound for the mixer.
    private static let folder: String = {
        let folder = FileManager.default.temporaryDirectory.path + "/patchbay-conformance-\(UUID().uuidString)"
        try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try? WAVFile(samples: Tone(200).samples(count: 4000, sampleRate: 8000), sampleRate: 8000)
            .write(to: folder + "/hum.wav")
        return folder
    }()

    private static func component(_ type: String) throws -> any StageComponent {
        try #require(try ComponentRegistry.standard().stage(type))
    }

    @Test(arguments: cases) func itsProcessorsConform(stage: Case) throws {
        let component = try Self.component(stage.type)
        let settings = Settings(component.spec.fields, stage.values, directory: Self.folder)
        let giving = stage.giving ?? stage.taking
        let failures = ProcessorConformance.check(
            make: { try component.makeProcessor(taking: stage.taking, giving: giving, settings: settings) },
            taking: stage.taking, giving: giving,
            options: .init(exempt: stage.exempt) { Self.swallows(stage.type, $0) })
        #expect(failures.isEmpty, "\(failures.map(\.description).joined(separator: "\n"))")
    }

    @Test(arguments: cases) func itsComponentConforms(stage: Case) throws {
        // `resampler` takes stereo while documents are checked, and cannot be made for it.
        let formats = StageComponentConformance.usualFormats.filter {
            stage.type != "resampler" || $0.channelCount == 1
        }
        let failures = StageComponentConformance.check(
            try Self.component(stage.type), values: stage.values, directory: Self.folder, formats: formats)
        #expect(failures.isEmpty, "\(failures.map(\.description).joined(separator: "\n"))")
    }

    @Test func noneIsLeftOut() throws {
        #expect(
            Set(try ComponentRegistry.standard().stages.map(\.spec.type)) == Set(Self.cases.map(\.type)))
    }
}
