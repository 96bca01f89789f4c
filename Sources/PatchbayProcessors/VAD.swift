import NIOCore
public import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore

/// `vad`: marks where the caller's speech begins and ends.
public struct VAD: StageComponent {
    public init() {}

    public let spec = ComponentSpec(
        "vad", .stage,
        summary: "Hears where the caller's speech begins and ends, by energy over an adaptive noise floor.",
        fields: [
            Field(
                "thresholdDb", .number(3...30), default: 9, "Level above the noise floor that counts as speech, in dB."),
            Field(
                "minimumLevelDbfs", .number(-90 ... -10), default: -50,
                "Level below which nothing counts as speech, in dBFS."),
            Field(
                "minimumSpeechMs", .integer(10...2000), default: 100, "Speech needed before it counts, in milliseconds."
            ),
            Field("minimumSilenceMs", .integer(100...5000), default: 500, "Silence that ends speech, in milliseconds."),
        ])

    public func output(for input: AudioFormat, settings: Settings) throws(FormatMismatch) -> AudioFormat {
        guard input.encoding == .pcm16 else {
            throw FormatMismatch("takes pcm16", remedy: "put a decoder before it")
        }
        return input
    }

    public func makeProcessor(taking input: AudioFormat, settings: Settings) throws(PipelineError) -> any Processor {
        VADStage(
            EnergyVAD.Parameters(
                threshold: settings.number("thresholdDb") ?? 9,
                minimumLevel: settings.number("minimumLevelDbfs") ?? -50,
                minimumSpeech: settings.integer("minimumSpeechMs") ?? 100,
                minimumSilence: settings.integer("minimumSilenceMs") ?? 500))
    }
}

/// Passes everything on and puts the speech edges where they were heard.
struct VADStage: Processor {
    private var vad: EnergyVAD
    private var samples: [Int16] = []

    var marksSpeech: Bool { true }

    init(_ parameters: EnergyVAD.Parameters) { vad = EnergyVAD(parameters) }

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        if case .audio(let audio) = frame {
            let edge = audio.payload.withUnsafeSamples(copyingInto: &samples) {
                vad.process($0, sampleRate: audio.format.sampleRate)
            }
            switch edge {
            case .speechStarted: output.emit(.speechStarted)
            case .speechStopped: output.emit(.speechStopped)
            case nil: break
            }
        }
        output.emit(frame)
    }
}
