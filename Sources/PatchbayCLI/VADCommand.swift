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

    @Argument(help: "WAV files; stereo is mixed down.") var files: [String]
    @Option(help: "energy, webrtc or silero") var engine = Engine.energy
    @Option(help: "What counts as speech: dB above the noise (energy, 9) or a probability (silero, 0.5).")
    var threshold: Double?
    @Option(help: "What speech may fall to: as --threshold (energy), or 0.15 less (silero).") var exitThreshold: Double?
    @Option(help: "energy: dBFS below which nothing is speech.") var minimumLevel = EnergyDetector.defaultMinimumLevel
    @Option(help: "webrtc: how strict it is, 0 to 3.") var mode = WebRTCDetector.defaultMode
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
        let wav = try WAVFile(path: file)
        let rate = self.rate ?? engineRate(for: wav.format.sampleRate)
        var samples: [Int16] = []
        let audio = try wav.audio(in: .pcm(rate))
        audio.withUnsafeSamples(copyingInto: &samples) { _ in }
        switch engine {
        case .energy:
            return report(EnergyDetector(sampleRate: rate, minimumLevel: minimumLevel), .energy, samples, file)
        case .webrtc:
            return report(try WebRTCDetector(sampleRate: rate, mode: mode), .webrtc, samples, file)
        case .silero:
            let model = try SileroModel.shared(path: model ?? SileroModel.defaultPath)
            let usual = threshold.map { SpeechSegmenter.Parameters.silero(threshold: $0) } ?? .silero
            return report(try SileroDetector(model, sampleRate: rate), usual, samples, file)
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
        _ detector: Detector, _ usual: SpeechSegmenter.Parameters, _ samples: [Int16], _ file: String
    ) -> VADReport {
        var parameters = usual
        if let threshold, engine != .silero {
            parameters.threshold = threshold
            parameters.exitThreshold = threshold
        }
        parameters.exitThreshold = exitThreshold ?? parameters.exitThreshold
        parameters.minimumSpeech = minimumSpeech
        parameters.minimumSilence = minimumSilence
        var report = VADReport(
            file: file, engine: engine.rawValue, sampleRate: detector.sampleRate, samples: samples.count,
            windowSamples: detector.windowLength)
        var speech = SpeechDetector(detector, parameters)
        let start = ContinuousClock.now
        samples.withUnsafeBufferPointer { samples in
            // In packets, as on a call.
            let packet = max(1, detector.sampleRate / 50)
            for start in stride(from: 0, to: samples.count, by: packet) {
                speech.process(UnsafeBufferPointer(rebasing: samples[start..<min(samples.count, start + packet)])) {
                    report.add(score: $0.score, edge: $0.edge, keepingScore: scores)
                }
            }
        }
        let packets = Double(samples.count) / Double(detector.sampleRate) * 50
        report.microsecondsPer20Ms = packets > 0 ? (ContinuousClock.now - start) / .microseconds(1) / packets : 0
        return report
    }
}

/// Where somebody speaks in one file.
struct VADReport: Encodable {
    /// Offsets in samples from the start of the file.
    struct Segment: Encodable {
        var start: Int
        /// The file's end when nothing else ended the speech.
        var end: Int
        /// How much had been heard when the start and the end were noticed.
        var startNoticed: Int
        var endNoticed: Int?
    }

    var file, engine: String
    var sampleRate: Int
    var samples: Int
    /// How many samples one score is for.
    var windowSamples: Int
    var segments: [Segment] = []
    /// What the engine costs on this machine.
    var microsecondsPer20Ms = 0.0
    var scores: [Double]?

    init(file: String, engine: String, sampleRate: Int, samples: Int, windowSamples: Int) {
        self.file = file
        self.engine = engine
        self.sampleRate = sampleRate
        self.samples = samples
        self.windowSamples = windowSamples
    }

    mutating func add(score: Double, edge: SpeechEdge?, keepingScore: Bool) {
        if keepingScore { scores = (scores ?? []) + [score] }
        guard let edge else { return }
        switch edge.kind {
        case .speechStarted:
            segments.append(Segment(start: edge.offset, end: samples, startNoticed: edge.decidedAt))
        case .speechStopped:
            segments[segments.count - 1].end = edge.offset
            segments[segments.count - 1].endNoticed = edge.decidedAt
        }
    }

    var text: String {
        func seconds(_ samples: Int) -> String { String(format: "%8.3f s", Double(samples) / Double(sampleRate)) }
        let total = segments.reduce(0) { $0 + $1.end - $1.start }
        var lines = [
            "\(file): speech in \(segments.count) stretch\(segments.count == 1 ? "" : "es"), "
                + "\(seconds(total).trimmed) of \(seconds(samples).trimmed) (\(engine) at \(sampleRate) Hz)"
        ]
        for segment in segments {
            lines.append("\(seconds(segment.start)) to\(seconds(segment.end))")
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
