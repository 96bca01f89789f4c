public import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore

/// `mute`: silence in place of sound, always or by a key.
public struct Mute: StageComponent {
    public init() {}

    private static let keys = DTMFKeypad.digits.map(String.init)

    public let spec = ComponentSpec(
        "mute", .stage,
        summary: "Replaces linear audio by silence of the same length: always, or switched by the caller's keys.",
        fields: [
            Field(
                "initially", .boolean, example: "true",
                "Whether it is silent when the call begins. Without it only where no \"muteKey\" could make it so."),
            Field(
                "muteKey", .choice(Self.keys), example: "\"*\"",
                "The key that silences; the same as unmuteKey to switch to and fro. Keys go on to the agent."),
            Field("unmuteKey", .choice(Self.keys), example: "\"#\"", "The key that ends the silence."),
        ])

    public func problems(in settings: Settings) -> [SettingsProblem] {
        guard !startsMuted(settings), settings.string("muteKey") == nil, settings.string("unmuteKey") != nil else {
            return []
        }
        return [
            SettingsProblem(
                field: "unmuteKey", .missingField, severity: .warning,
                "\"unmuteKey\" ends a silence that never begins", remedy: "add \"muteKey\", or remove \"initially\"")
        ]
    }

    public func problems(in settings: Settings, at place: StagePlace) -> [SettingsProblem] {
        guard !place.isBeforeAgent, let field = ["muteKey", "unmuteKey"].first(where: { settings.string($0) != nil })
        else { return [] }
        return [
            SettingsProblem(
                field: field, .misplacedStage, severity: .warning, "behind the agent the caller's keys do not come by",
                remedy: "put it before the agent")
        ]
    }

    private func startsMuted(_ settings: Settings) -> Bool {
        settings.bool("initially") ?? (settings.string("muteKey") == nil)
    }

    public func output(for input: AudioFormat, settings: Settings) throws(FormatMismatch) -> AudioFormat {
        try requireLinear(input, rates: StreamResampler.sampleRates)
    }

    public func isIdentity(for input: AudioFormat, settings: Settings) -> Bool {
        !startsMuted(settings) && settings.string("muteKey") == nil
    }

    public func makeProcessor(taking input: AudioFormat, settings: Settings) throws(PipelineError) -> any Processor {
        MuteStage(
            isMuted: startsMuted(settings), muteKey: settings.string("muteKey")?.first,
            unmuteKey: settings.string("unmuteKey")?.first, rate: input.sampleRate)
    }
}

/// Silences, with ramps of 10 ms on each side.
struct MuteStage: Processor {
    private var gain: GainRamp
    private var isMuted: Bool
    private var editor = SampleEditor()
    private let muteKey: Character?
    private let unmuteKey: Character?
    private let rate: Int

    init(isMuted: Bool, muteKey: Character?, unmuteKey: Character?, rate: Int) {
        self.isMuted = isMuted
        self.muteKey = muteKey
        self.unmuteKey = unmuteKey
        self.rate = rate
        gain = GainRamp(factor: isMuted ? 0 : 1, sampleRate: rate)
    }

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        switch frame {
        case .audio(let audio):
            let result = try editor.edit(audio, rate: rate) { gain.apply(to: $0) }
            output.emit(.audio(result))
        case .dtmf(let digit):
            if digit == muteKey, digit == unmuteKey {
                isMuted.toggle()
            } else if digit == muteKey {
                isMuted = true
            } else if digit == unmuteKey {
                isMuted = false
            }
            gain.change(to: isMuted ? 0 : 1)
            output.emit(frame)
        default:
            output.emit(frame)
        }
    }
}
