import ArgumentParser
import Foundation
import Patchbay

struct VADCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vad",
        abstract: "Prints where in sound files somebody speaks, as the stage \"vad\" hears it.",
        discussion: """
            EXAMPLES
              patchbay vad question.wav
              patchbay vad question.wav --engine silero --scores
              patchbay vad recordings/*.wav --engine webrtc --mode 2 --format json | jq .segments

            Times are those of the speech itself, not of the moment at which it was noticed. JSON is one line a file.
            """)

    enum Engine: String, ExpressibleByArgument, CaseIterable { case energy, webrtc, silero }

    @Argument(help: "WAV or Ogg Opus files; stereo is mixed down.") var files: [String]
    @Option(help: "energy, webrtc or silero") var engine = Engine.energy
    @Option(help: "What counts as speech: dB above the noise (energy, 9) or a probability (silero, 0.5).")
    var threshold: Double?
    @Option(help: "What speech may fall to: as --threshold (energy), or 0.15 less (silero).") var exitThreshold: Double?
    @Option(help: "energy: dBFS below which nothing is speech. (default: -50)") var minimumLevel: Double?
    @Option(help: "webrtc: how strict it is, 0 to 3. (default: 3)") var mode: Int?
    @Option(help: "silero: the model file. (default: where `patchbay model silero` puts it)") var model: String?
    @Option(help: "Milliseconds of speech before it counts.") var minimumSpeech = 100
    @Option(help: "Milliseconds of silence that end speech.") var minimumSilence = 500
    @Option(help: "Sample rate to judge at, in Hz. (default: the file's, if the engine takes it)") var rate: Int?
    @Flag(help: "Also print what the engine says of every window.") var scores = false
    @Option(help: "text or json") var format = OutputFormat.text

    func validate() throws {
        if let rate, !StreamResampler.sampleRates.contains(rate) {
            throw ValidationError("--rate is \(rate); allowed are 4000 to 192000")
        }
        guard minimumSpeech >= 0, minimumSilence >= 0, minimumSpeech <= 60_000, minimumSilence <= 60_000 else {
            throw ValidationError("--minimum-speech and --minimum-silence are 0 to 60000 milliseconds")
        }
        try validateEngine()
    }

    /// As `lint` does for the stage: what the engine does not have is refused, and what is out of its range.
    private func validateEngine() throws {
        let owners: [(option: String, isSet: Bool, engines: [Engine])] = [
            ("--threshold", threshold != nil, [.energy, .silero]),
            ("--exit-threshold", exitThreshold != nil, [.energy, .silero]),
            ("--minimum-level", minimumLevel != nil, [.energy]),
            ("--mode", mode != nil, [.webrtc]),
            ("--model", model != nil, [.silero]),
        ]
        for owner in owners where owner.isSet && !owner.engines.contains(engine) {
            let engines = owner.engines.map(\.rawValue).joined(separator: " and ")
            throw ValidationError(
                "\(owner.option) belongs to --engine \(engines), but the engine is \(engine.rawValue)")
        }
        let range = engine == .silero ? 0.01...0.99 : 3...30
        if let threshold, !range.contains(threshold) {
            throw ValidationError(
                "--threshold is \(threshold); \(engine.rawValue) takes \(range.lowerBound) to \(range.upperBound)")
        }
        let highest = parameters.threshold
        if let exitThreshold, !(0.01...highest).contains(exitThreshold) {
            throw ValidationError(
                "--exit-threshold is \(exitThreshold); allowed are 0.01 to the threshold, which is \(highest)")
        }
        if let minimumLevel, !(-90 ... -10).contains(minimumLevel) {
            throw ValidationError("--minimum-level is \(minimumLevel); allowed are -90 to -10 dBFS")
        }
        if let mode, !WebRTCDetector.modes.contains(mode) {
            throw ValidationError("--mode is \(mode); allowed are 0 to 3")
        }
    }

    /// What the options make of the engine's usual parameters.
    private var parameters: SpeechSegmenter.Parameters {
        var parameters: SpeechSegmenter.Parameters
        switch engine {
        case .energy:
            parameters = .energy
            if let threshold { (parameters.threshold, parameters.exitThreshold) = (threshold, threshold) }
        case .webrtc: parameters = .webrtc
        case .silero: parameters = threshold.map { .silero(threshold: $0) } ?? .silero
        }
        parameters.exitThreshold = exitThreshold ?? parameters.exitThreshold
        parameters.minimumSpeech = minimumSpeech
        parameters.minimumSilence = minimumSilence
        return parameters
    }

    func run() throws {
        for file in files {
            let report: VADReport
            do {
                report = try judge(file)
            } catch let error as VoiceActivityError {
                let remedy = error.code == .modelUnreadable ? "; `patchbay model silero` gets the file" : ""
                throw CommandFailure(description: "\(error)\(remedy)")
            }
            switch format {
            case .text: Terminal.result(report.text)
            case .json: Terminal.result(try report.json)
            }
        }
    }

    private func judge(_ file: String) throws -> VADReport {
        let sound = try SoundFile(path: file)
        let rate = self.rate ?? engineRate(for: sound.format.sampleRate)
        var samples: [Int16] = []
        let wav = WAVFile(
            samples: sound.samples, sampleRate: sound.format.sampleRate, channelCount: sound.format.channelCount)
        let audio = try wav.audio(in: .pcm(rate))
        audio.withUnsafeSamples(copyingInto: &samples) { _ in }
        switch engine {
        case .energy:
            let level = minimumLevel ?? EnergyDetector.defaultMinimumLevel
            return report(EnergyDetector(sampleRate: rate, minimumLevel: level), samples, file)
        case .webrtc:
            let mode = mode ?? WebRTCDetector.defaultMode
            return report(try WebRTCDetector(sampleRate: rate, mode: mode), samples, file)
        case .silero:
            let model = try SileroModel.shared(path: model ?? SileroModel.defaultPath)
            return report(try SileroDetector(model, sampleRate: rate), samples, file)
        }
    }

    /// The file's own rate where the engine takes it; the highest it takes below, otherwise.
    private func engineRate(for rate: Int) -> Int {
        let known: [Int]
        switch engine {
        case .energy: return rate
        case .webrtc: known = WebRTCDetector.sampleRates
        case .silero: known = SileroDetector.sampleRates
        }
        return known.last { $0 <= rate } ?? known[0]
    }

    private func report<Detector: VoiceActivityDetector>(
        _ detector: Detector, _ samples: [Int16], _ file: String
    ) -> VADReport {
        var report = VADReport(
            file: file, engine: engine.rawValue, sampleRateHz: detector.sampleRate, samples: samples.count,
            windowSamples: detector.windowLength)
        var speech = SpeechDetector(detector, parameters)
        var edges: [SpeechEdge] = []
        // There is room for all of them, so that keeping them is not what is timed.
        var kept: [Double] = []
        if scores { kept.reserveCapacity(samples.count / detector.windowLength + 1) }
        let start = ContinuousClock.now
        samples.withUnsafeBufferPointer { samples in
            // In packets, as on a call.
            let packet = max(1, detector.sampleRate / 50)
            for start in stride(from: 0, to: samples.count, by: packet) {
                speech.process(UnsafeBufferPointer(rebasing: samples[start..<min(samples.count, start + packet)])) {
                    if scores { kept.append($0.score) }
                    if let edge = $0.edge { edges.append(edge) }
                }
            }
        }
        let spent = ContinuousClock.now - start
        let packets = Double(samples.count) / Double(detector.sampleRate) * 50
        report.microsecondsPer20Ms = packets > 0 ? spent / .microseconds(1) / packets : 0
        for edge in edges { report.add(edge) }
        if scores { report.scores = kept }
        return report
    }
}

/// Where somebody speaks in one file.
struct VADReport: Encodable {
    /// Offsets in samples from the start of the file.
    struct Segment: Encodable {
        var startSample: Int
        /// The file's end when nothing else ended the speech.
        var endSample: Int
        /// How much had been heard when the start and the end were noticed.
        var startNoticedSample: Int
        var endNoticedSample: Int?
    }

    var file, engine: String
    var sampleRateHz: Int
    var samples: Int
    /// How many samples one score is for.
    var windowSamples: Int
    var segments: [Segment] = []
    /// What the engine costs on this machine.
    var microsecondsPer20Ms = 0.0
    var scores: [Double]?

    init(file: String, engine: String, sampleRateHz: Int, samples: Int, windowSamples: Int) {
        self.file = file
        self.engine = engine
        self.sampleRateHz = sampleRateHz
        self.samples = samples
        self.windowSamples = windowSamples
    }

    mutating func add(_ edge: SpeechEdge) {
        switch edge.kind {
        case .speechStarted:
            segments.append(
                Segment(startSample: edge.offset, endSample: samples, startNoticedSample: edge.decidedAt))
        case .speechStopped:
            // None stops that has not started.
            segments[segments.count - 1].endSample = edge.offset
            segments[segments.count - 1].endNoticedSample = edge.decidedAt
        }
    }

    var text: String {
        func seconds(_ samples: Int) -> String { String(format: "%8.3f s", Double(samples) / Double(sampleRateHz)) }
        let total = segments.reduce(0) { $0 + $1.endSample - $1.startSample }
        var lines = [
            "\(file): speech in \(segments.count) stretch\(segments.count == 1 ? "" : "es"), "
                + "\(seconds(total).trimmed) of \(seconds(samples).trimmed) (\(engine) at \(sampleRateHz) Hz)"
        ]
        for segment in segments {
            lines.append("\(seconds(segment.startSample)) to\(seconds(segment.endSample))")
        }
        for (window, score) in (scores ?? []).enumerated() {
            lines.append("\(seconds(window * windowSamples))  \(String(format: "%.6f", score))")
        }
        return lines.joined(separator: "\n")
    }

    var json: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(self), as: UTF8.self)
        }
    }
}

extension String {
    fileprivate var trimmed: String { trimmingCharacters(in: .whitespaces) }
}
