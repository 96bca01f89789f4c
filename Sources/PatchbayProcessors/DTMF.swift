public import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore

/// `dtmf`: keys heard in the caller's audio, or sounded in the agent's.
///
/// In front of the agent (`"mode": "detect"`) tones become ``Frame/dtmf(_:)``; behind it (`"mode": "generate"`) such frames
/// become tones. The mode has to be said, because a stage does not know where it stands.
public struct DTMF: StageComponent {
    public init() {}

    public let spec = ComponentSpec(
        "dtmf", .stage,
        summary:
            "Hears telephone keys in the caller's linear audio (in front of the agent), or sounds the agent's keys (behind it).",
        fields: [
            Field(
                "mode", .choice(["detect", "generate"]), default: "detect",
                "detect: tones in the audio become keys, in front of the agent. generate: keys become tones, behind it."
            ),
            Field(
                "mute", .boolean, default: false,
                "detect: silences the tones, so that the agent does not hear them; their first 12 to 28 ms get through."
            ),
            Field(
                "debounceMs", .integer(0...1000), default: 35,
                "detect: a key heard again so soon after its tones broke off was held all the time, in milliseconds."),
            Field(
                "duplicateMs", .integer(0...5000), default: 1000,
                "detect: a key that the carrier reports by message as well within this time counts once, in milliseconds."
            ),
            Field("toneMs", .integer(40...1000), default: 100, "generate: length of a tone, in milliseconds."),
            Field("pauseMs", .integer(40...1000), default: 100, "generate: silence after a tone, in milliseconds."),
        ])

    public func problems(in settings: Settings) -> [SettingsProblem] {
        guard settings.string("mode") == "generate", settings.bool("mute") == true else { return [] }
        return [
            SettingsProblem(
                field: "mute", .outOfRange, severity: .warning, "\"mute\" does nothing where tones are generated",
                remedy: "remove it, or set \"mode\" to \"detect\"")
        ]
    }

    public func problems(in settings: Settings, at place: StagePlace) -> [SettingsProblem] {
        let generates = settings.string("mode") == "generate"
        guard generates == place.isBeforeAgent else { return [] }
        return [
            SettingsProblem(
                field: "mode", .misplacedStage,
                generates
                    ? "before the agent nobody hears the tones" : "behind the agent there are no keys of the caller",
                remedy: generates
                    ? "put it behind the agent, or set \"mode\" to \"detect\""
                    : "put it before the agent, or set \"mode\" to \"generate\"")
        ]
    }

    public func listensOnly(_ settings: Settings) -> Bool {
        settings.string("mode") != "generate" && settings.bool("mute") != true
    }

    public func output(for input: AudioFormat, settings: Settings) throws(FormatMismatch) -> AudioFormat {
        try requireLinear(input, rates: DTMFKeypad.sampleRates)
    }

    public func makeProcessor(taking input: AudioFormat, settings: Settings) throws(PipelineError) -> any Processor {
        do {
            if settings.string("mode") == "generate" {
                var parameters = DTMFGenerator.Parameters()
                parameters.toneMilliseconds = settings.integer("toneMs") ?? 100
                parameters.pauseMilliseconds = settings.integer("pauseMs") ?? 100
                return DTMFGeneratorStage(
                    try DTMFGenerator(sampleRate: input.sampleRate, parameters: parameters), format: input)
            }
            return DTMFDetectorStage(
                try DTMFDetector(sampleRate: input.sampleRate), isMuting: settings.bool("mute") ?? false,
                debounce: settings.integer("debounceMs") ?? 35,
                duplicates: .milliseconds(Int64(settings.integer("duplicateMs") ?? 1000)))
        } catch {
            throw PipelineError(.unsupportedFormat, error.message, cause: error)
        }
    }
}

/// Turns tones into keys, and keeps one of each pair when the carrier reports keys too.
struct DTMFDetectorStage: Processor {
    private enum Source { case tones, carrier }

    private var detector: DTMFDetector
    private var samples: [Int16] = []
    private var editor = SampleEditor()
    private let isMuting: Bool
    private var isSilent = false
    /// Samples between two tones of one key that may belong to one press.
    private let debounce: Int
    private var lastTone: (digit: Character, end: Int)?
    private let duplicates: TimeSpan
    /// Keys that one source has reported and the other has not.
    private var reported: [(digit: Character, source: Source, time: MediaTime)] = []

    private static let mostReported = 16

    init(_ detector: DTMFDetector, isMuting: Bool, debounce: Int, duplicates: TimeSpan) {
        self.detector = detector
        self.isMuting = isMuting
        self.debounce = detector.sampleRate * debounce / 1000
        self.duplicates = duplicates
        reported.reserveCapacity(Self.mostReported)
    }

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        switch frame {
        case .audio(let audio):
            var events: [DTMFEvent] = []
            let result = try listen(to: audio) { events.append($0) }
            for event in events { handle(event, at: now, into: &output) }
            output.emit(.audio(result))
        case .dtmf(let digit):
            if isNew(digit, from: .carrier, at: now) { output.emit(frame) }
        default:
            output.emit(frame)
        }
    }

    private mutating func listen(
        to audio: AudioFrame, _ report: (DTMFEvent) -> Void
    ) throws(PipelineError) -> AudioFrame {
        guard isMuting else {
            try checkLinear(audio.format, rate: detector.sampleRate)
            audio.payload.withUnsafeSamples(copyingInto: &samples) { detector.process($0, report) }
            return audio
        }
        return try editor.edit(audio, rate: detector.sampleRate) { samples in
            let packet = detector.sampleRate / 50
            for start in stride(from: 0, to: samples.count, by: packet) {
                let part = UnsafeMutableBufferPointer(
                    rebasing: samples[start..<min(start + packet, samples.count)])
                let position = detector.position
                detector.process(UnsafeBufferPointer(part), report)
                Self.silence(
                    part, from: detector.isToneSuspected ? max(0, detector.toneStart - position) : nil,
                    after: isSilent, ramp: detector.sampleRate / 500)
                isSilent = detector.isToneSuspected
            }
        }
    }

    /// Silences a stretch from an index on, with ramps of 2 ms where sound becomes silence and silence sound.
    private static func silence(
        _ samples: UnsafeMutableBufferPointer<Int16>, from start: Int?, after wasSilent: Bool, ramp: Int
    ) {
        guard let start else {
            if wasSilent {
                for index in 0..<min(ramp, samples.count) {
                    samples[index] = Int16(Int(samples[index]) * index / ramp)
                }
            }
            return
        }
        let first = wasSilent ? 0 : min(start, samples.count)
        for index in first..<samples.count {
            let level = wasSilent ? 0 : ramp - 1 - (index - first)
            samples[index] = level > 0 ? Int16(Int(samples[index]) * level / ramp) : 0
        }
    }

    private mutating func handle(_ event: DTMFEvent, at now: MediaTime, into output: inout FrameOutput) {
        switch event {
        case .began(let digit, let start):
            if let lastTone, lastTone.digit == digit, start - lastTone.end < debounce { return }
            if isNew(digit, from: .tones, at: now) { output.emit(.dtmf(digit)) }
        case .ended(let digit, _, let end):
            lastTone = (digit, end)
        }
    }

    /// Whether a key is not the other source's word for one that has been reported already.
    ///
    /// Each report is matched with one of the other source, so that a key pressed twice counts twice however it is told.
    private mutating func isNew(_ digit: Character, from source: Source, at now: MediaTime) -> Bool {
        reported.removeAll { now - $0.time > duplicates }
        if let index = reported.firstIndex(where: { $0.digit == digit && $0.source != source }) {
            reported.remove(at: index)
            return false
        }
        if reported.count == Self.mostReported { reported.removeFirst() }
        reported.append((digit, source, now))
        return true
    }
}
