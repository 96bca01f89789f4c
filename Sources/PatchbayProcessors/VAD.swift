public import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore

/// `vad`: marks where the caller's speech begins and ends.
///
/// ``Frame/speechStarted`` and ``Frame/speechStopped`` are emitted in front of the audio with which they were decided.
/// All audio passes unchanged and undelayed, unless `gate` is set.
public struct VAD: StageComponent {
    public init() {}

    public let spec = ComponentSpec(
        "vad", .stage, summary: "Hears where the caller's speech begins and ends, and can silence what is not speech.",
        fields: [
            Field(
                "engine", .choice(Engine.allCases.map(\.rawValue)), default: "energy",
                "energy: level over an adaptive noise floor, for quiet lines. webrtc: WebRTC's detector, also for quiet "
                    + "lines; a third and more of what is heard in noise, music or keystrokes is speech to it. silero: a "
                    + "neural network that knows speech from other sounds; needs the file that `patchbay model silero` "
                    + "gets."),
            Field(
                "threshold", .number(0.01...0.99), example: "0.5",
                "silero: probability that counts as speech; 0.5 if not given."),
            Field(
                "exitThreshold", .number(0.01...0.99), isAdvanced: true, example: "0.35",
                "silero: probability down to which speech lasts; 0.15 below \"threshold\" if not given."),
            Field(
                "model", .string, isPath: true, example: "\"models/silero_vad.onnx\"",
                "silero: the model file, from the document's folder; where `patchbay model silero` puts it if not given."
            ),
            Field(
                "mode", .integer(0...3), example: "3",
                "webrtc: how strict it is, from 0 (most passes as speech) to 3; 3 if not given."),
            Field(
                "thresholdDb", .number(3...30), example: "9",
                "energy: level above the noise floor that counts as speech, in dB; 9 if not given."),
            Field(
                "minimumLevelDbfs", .number(-90 ... -10), example: "-50",
                "energy: level below which nothing counts as speech, in dBFS; -50 if not given."),
            Field(
                "minimumSpeechMs", .integer(10...2000), default: 100, "Speech needed before it counts, in milliseconds."
            ),
            Field("minimumSilenceMs", .integer(100...5000), default: 500, "Silence that ends speech, in milliseconds."),
            Field(
                "gate", .boolean, default: false,
                "Whether audio that is not speech is replaced by silence. Delays the audio by \"preRollMs\"."),
            Field(
                "preRollMs", .integer(0...2000), example: "300",
                "gate: how much audio from before speech is noticed still passes, in milliseconds; 300 if not given."),
            Field(
                "hangoverMs", .integer(0...2000), example: "200",
                "gate: how long it stays open after sound of speech, in milliseconds; 200 if not given."),
        ])

    /// What judges the sound.
    enum Engine: String, CaseIterable {
        case energy, webrtc, silero

        /// The settings that only this engine has.
        var ownFields: [String] {
            switch self {
            case .energy: ["thresholdDb", "minimumLevelDbfs"]
            case .webrtc: ["mode"]
            case .silero: ["threshold", "exitThreshold", "model"]
            }
        }

        /// Rates it takes, in Hz; `nil` for any.
        var sampleRates: [Int]? {
            switch self {
            case .energy: nil
            case .webrtc: WebRTCDetector.sampleRates
            case .silero: SileroDetector.sampleRates
            }
        }

        init(_ settings: Settings) { self = settings.string("engine").flatMap(Self.init) ?? .energy }
    }

    public var marksSpeech: Bool { true }

    public func listensOnly(_ settings: Settings) -> Bool { settings.bool("gate") != true }

    public func problems(in settings: Settings) -> [SettingsProblem] {
        let engine = Engine(settings)
        var problems: [SettingsProblem] = []
        for other in Engine.allCases where other != engine {
            for field in other.ownFields where settings.isSet(field) {
                problems.append(
                    SettingsProblem(
                        field: field, .notAllowed,
                        "\"\(field)\" belongs to engine \"\(other.rawValue)\", but the engine is \"\(engine.rawValue)\"",
                        remedy: engine.ownFields.isEmpty
                            ? nil : "settings of this engine: \(engine.ownFields.joined(separator: ", "))"))
            }
        }
        problems += gateProblems(settings)
        switch engine {
        case .energy: break
        case .webrtc:
            do { try WebRTCDetector.checkAvailability() } catch {
                problems.append(SettingsProblem(field: "engine", .unavailable, error.message))
            }
        case .silero:
            if let exit = settings.number("exitThreshold"), exit > settings.number("threshold") ?? 0.5 {
                problems.append(
                    SettingsProblem(
                        field: "exitThreshold", .outOfRange,
                        "\"exitThreshold\" is \(exit), above \"threshold\", which is \(settings.number("threshold") ?? 0.5)",
                        remedy: "leave it out: it is then 0.15 below"))
            }
            let path = modelPath(settings)
            guard !path.contains("${") else { break }
            do { _ = try SileroModel.shared(path: path, refreshing: true) } catch {
                problems.append(
                    SettingsProblem(
                        field: settings.isSet("model") ? "model" : "engine", .unavailable, "\(error)",
                        remedy: error.code == .modelUnreadable
                            ? "run `patchbay model silero`, or name the file in \"model\"" : nil))
            }
        }
        return problems
    }

    private func gateProblems(_ settings: Settings) -> [SettingsProblem] {
        guard settings.bool("gate") == true else {
            return ["preRollMs", "hangoverMs"].filter { settings.isSet($0) }.map {
                SettingsProblem(field: $0, .notAllowed, "\"\($0)\" does nothing without \"gate\": true")
            }
        }
        let speech = settings.integer("minimumSpeechMs") ?? 100
        let preRoll = settings.integer("preRollMs") ?? 300
        guard preRoll < speech else { return [] }
        return [
            SettingsProblem(
                field: "preRollMs", .outOfRange, severity: .warning,
                "\"preRollMs\" is \(preRoll), but speech is noticed only after \"minimumSpeechMs\", \(speech): the gate cuts "
                    + "off its beginning")
        ]
    }

    /// What it would take instead: linear samples, at the rate that arrives where that is possible.
    private func wanted(_ input: AudioFormat, _ settings: Settings) -> AudioFormat {
        let engine = Engine(settings)
        var rates = engine.sampleRates
        if engine == .silero, let model = try? SileroModel.shared(path: modelPath(settings)) {
            rates = model.sampleRates
        }
        var wanted = input.decoded
        if let rates, !rates.contains(input.sampleRate) {
            wanted.sampleRate = rates.first { $0 >= 16_000 } ?? rates.first ?? 16_000
        }
        return wanted
    }

    public func output(for input: AudioFormat, settings: Settings) throws(FormatMismatch) -> AudioFormat {
        guard input.encoding == .pcm16 else {
            throw FormatMismatch("takes pcm16", remedy: "put a decoder before it", wanted: wanted(input, settings))
        }
        guard input.channelCount == 1 else { throw FormatMismatch("takes one channel", remedy: "mix down before it") }
        let engine = Engine(settings)
        if let rates = engine.sampleRates, !rates.contains(input.sampleRate) {
            throw FormatMismatch(
                "takes \(rates.map(String.init).joined(separator: ", ")) Hz with engine \"\(engine.rawValue)\"",
                remedy: "put \"resampler\" with \"rateHz\": 16000 before it", wanted: wanted(input, settings))
        }
        // Files with only one of the two networks exist.
        if engine == .silero, let model = try? SileroModel.shared(path: modelPath(settings)),
            let rate = model.sampleRates.first, !model.sampleRates.contains(input.sampleRate)
        {
            throw FormatMismatch(
                "takes \(rate) Hz with this model", remedy: "put \"resampler\" with \"rateHz\": \(rate) before it",
                wanted: .pcm(rate))
        }
        return input
    }

    public func makeProcessor(taking input: AudioFormat, settings: Settings) throws(PipelineError) -> any Processor {
        let rate = input.sampleRate
        var gate: SpeechGate?
        if settings.bool("gate") == true {
            gate = SpeechGate(
                preRoll: (settings.integer("preRollMs") ?? 300) * rate / 1000,
                hangover: (settings.integer("hangoverMs") ?? 200) * rate / 1000)
        }
        do throws(VoiceActivityError) {
            switch Engine(settings) {
            case .energy:
                var parameters = segmenter(.energy, settings)
                parameters.threshold = settings.number("thresholdDb") ?? parameters.threshold
                parameters.exitThreshold = parameters.threshold
                let level = settings.number("minimumLevelDbfs") ?? EnergyDetector.defaultMinimumLevel
                return VADStage(EnergyDetector(sampleRate: rate, minimumLevel: level), parameters, gate)
            case .webrtc:
                let mode = settings.integer("mode") ?? WebRTCDetector.defaultMode
                let detector = try WebRTCDetector(sampleRate: rate, mode: mode)
                return VADStage(detector, segmenter(.webrtc, settings), gate)
            case .silero:
                let usual = settings.number("threshold").map { SpeechSegmenter.Parameters.silero(threshold: $0) }
                var parameters = segmenter(usual ?? .silero, settings)
                parameters.exitThreshold = settings.number("exitThreshold") ?? parameters.exitThreshold
                let model = try SileroModel.shared(path: modelPath(settings))
                return VADStage(try SileroDetector(model, sampleRate: rate), parameters, gate)
            }
        } catch {
            throw PipelineError(.stageFailed, "\(error)")
        }
    }

    private func segmenter(_ usual: SpeechSegmenter.Parameters, _ settings: Settings) -> SpeechSegmenter.Parameters {
        var parameters = usual
        parameters.minimumSpeech = settings.integer("minimumSpeechMs") ?? parameters.minimumSpeech
        parameters.minimumSilence = settings.integer("minimumSilenceMs") ?? parameters.minimumSilence
        return parameters
    }

    private func modelPath(_ settings: Settings) -> String {
        guard let path = settings.string("model") else { return SileroModel.defaultPath }
        return path.hasPrefix("/") ? path : "\(settings.directory(of: "model"))/\(path)"
    }
}

extension Settings {
    /// Whether a setting that has no default is there.
    fileprivate func isSet(_ name: String) -> Bool { number(name) != nil || string(name) != nil }
}

extension Diagnostic.Code {
    /// Something that a component needs on this machine, a library or a model, is missing or cannot be used.
    public static let unavailable = Self("unavailable")
}
