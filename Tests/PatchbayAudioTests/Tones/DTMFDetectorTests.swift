import Foundation
import Testing

@testable import PatchbayAudio

@Suite struct DTMFDetectorTests {
    /// Two tones with silence around them, through µ-law like everything that comes from a telephone.
    struct Signal {
        var rate = 8000
        /// Where the tones begin, in milliseconds.
        var start = 62.3
        var milliseconds = 40.0
        var levels = (low: -9.0, high: -7.0)
        /// What the frequencies are multiplied with.
        var error = (low: 1.0, high: 1.0)
        /// Noise below the tones' power, in dB.
        var noise: Double?
        var tail = 110.0

        func samples(of digit: Character, using generator: inout SeededGenerator) -> [Int16] {
            guard let tones = DTMFKeypad.frequencies(of: digit) else { return [] }
            let low = DTMFKeypad.amplitude(dBm0: levels.low), high = DTMFKeypad.amplitude(dBm0: levels.high)
            let first = Int(start * Double(rate) / 1000), last = first + Int(milliseconds * Double(rate) / 1000)
            let phases = (Double.random(in: 0...6, using: &generator), Double.random(in: 0...6, using: &generator))
            let bound = noise.map { ((low * low + high * high) / 2 * pow(10, -$0 / 10) * 3).squareRoot() } ?? 0
            return (0..<last + Int(tail * Double(rate) / 1000)).map { index in
                var value = bound > 0 ? Double.random(in: -bound...bound, using: &generator) : 0
                if (first..<last).contains(index) {
                    let angle = 2 * .pi * Double(index - first) / Double(rate)
                    value += low * sin(angle * tones.low * error.low + phases.0)
                    value += high * sin(angle * tones.high * error.high + phases.1)
                }
                return G711.decodeMulaw(G711.encodeMulaw(Int16(max(-32768, min(32767, value)))))
            }
        }
    }

    private func events(_ samples: [Int16], rate: Int = 8000, chunk: Int = 160) throws -> [DTMFEvent] {
        var detector = try DTMFDetector(sampleRate: rate)
        var events: [DTMFEvent] = []
        for start in stride(from: 0, to: samples.count, by: chunk) {
            samples[start..<min(start + chunk, samples.count)].withUnsafeBufferPointer {
                detector.process($0) { events.append($0) }
            }
        }
        #expect(detector.position == samples.count)
        return events
    }

    private func keys(_ events: [DTMFEvent]) -> String {
        String(events.compactMap { if case .began(let digit, _) = $0 { digit } else { nil } })
    }

    /// How many of some keys' signals are heard as exactly that key, and how many not at all.
    private func count(
        _ signal: Signal, _ digits: String = "16#A", using generator: inout SeededGenerator
    ) throws -> (heard: Int, silent: Int) {
        var result = (heard: 0, silent: 0)
        for (index, digit) in digits.enumerated() {
            var signal = signal
            // Blocks of 5 ms must not happen to stand where the tone begins.
            signal.start += 1.3 * Double(index)
            let heard = keys(try events(signal.samples(of: digit, using: &generator), rate: signal.rate))
            if heard == String(digit) { result.heard += 1 }
            if heard.isEmpty { result.silent += 1 }
        }
        return result
    }

    @Test(arguments: [8000, 16000, 48000])
    func everyKeyIsHeardIn40Milliseconds(rate: Int) throws {
        var generator = SeededGenerator(seed: 1)
        let digits = rate == 8000 ? String(DTMFKeypad.digits) : "19D"
        let result = try count(Signal(rate: rate), digits, using: &generator)
        #expect(result.heard == digits.count)
    }

    /// What ITU-T Q.24's table says must be heard, and what must not.
    @Test func theLimitsOfQ24AreKept() throws {
        var generator = SeededGenerator(seed: 2)
        func signal(_ change: (inout Signal) -> Void) -> Signal {
            var signal = Signal()
            change(&signal)
            return signal
        }
        let heard: [(String, Signal)] = [
            ("+1.5 % and -1.5 %", signal { $0.error = (1.015, 0.985) }),
            ("-1.5 % and +1.5 %", signal { $0.error = (0.985, 1.015) }),
            ("+1.5 % both", signal { $0.error = (1.015, 1.015) }),
            ("high tone 4 dB louder", signal { $0.levels = (-10, -6) }),
            ("high tone 8 dB softer", signal { $0.levels = (-8, -16) }),
            ("0 dBm0", signal { $0.levels = (0, 0) }),
            ("-25 dBm0", signal { $0.levels = (-25, -25) }),
            ("noise 15 dB below", signal { $0.noise = 15 }),
        ]
        for (name, signal) in heard { #expect(try count(signal, using: &generator).heard == 4, "\(name)") }
        let refused: [(String, Signal)] = [
            (
                "low tone 3.5 % high",
                signal {
                    $0.error.low = 1.035; $0.milliseconds = 80
                }
            ),
            (
                "low tone 3.5 % low",
                signal {
                    $0.error.low = 0.965; $0.milliseconds = 80
                }
            ),
            (
                "high tone 3.5 % high",
                signal {
                    $0.error.high = 1.035; $0.milliseconds = 80
                }
            ),
            (
                "high tone 3.5 % low",
                signal {
                    $0.error.high = 0.965; $0.milliseconds = 80
                }
            ),
            ("high tone 6 dB louder", signal { $0.levels = (-12, -6) }),
            ("high tone 11 dB softer", signal { $0.levels = (-6, -17) }),
            ("-55 dBm0", signal { $0.levels = (-55, -55) }),
            ("23 ms", signal { $0.milliseconds = 23 }),
            ("one tone", signal { $0.levels.high = -80 }),
        ]
        for (name, signal) in refused { #expect(try count(signal, using: &generator).silent == 4, "\(name)") }
    }

    @Test func aShortBreakIsOnePressAndAPauseMakesTwo() throws {
        var generator = SeededGenerator(seed: 3)
        for (pause, expected) in [(10.0, "5"), (30.0, "55"), (40.0, "55")] {
            let first = Signal(milliseconds: 50, tail: 0), second = Signal(start: pause, milliseconds: 50)
            let samples = first.samples(of: "5", using: &generator) + second.samples(of: "5", using: &generator)
            #expect(keys(try events(samples)) == expected, "\(pause) ms")
        }
        let hurried =
            Signal(tail: 0).samples(of: "1", using: &generator) + Signal(start: 0).samples(of: "9", using: &generator)
        #expect(keys(try events(hurried)) == "19", "two keys without a pause")
    }

    @Test func edgesAreFoundWithin3MillisecondsAndReportedIn45() throws {
        var generator = SeededGenerator(seed: 4)
        for (digit, start) in [("2", 61.0), ("6", 63.7), ("*", 65.9)] as [(Character, Double)] {
            let signal = Signal(start: start, milliseconds: 70)
            let samples = signal.samples(of: digit, using: &generator)
            var detector = try DTMFDetector(sampleRate: 8000)
            var reports: [(event: DTMFEvent, at: Int)] = []
            for index in samples.indices {
                samples[index...index].withUnsafeBufferPointer { sample in
                    detector.process(sample) { reports.append(($0, index)) }
                }
            }
            guard reports.count == 2, case .began(digit, let began) = reports[0].event,
                case .ended(digit, began, let ended) = reports[1].event
            else {
                Issue.record("\(reports)")
                continue
            }
            #expect(abs(Double(began) / 8 - start) < 3)
            #expect(abs(Double(ended) / 8 - start - 70) < 3)
            #expect(Double(reports[0].at) / 8 - start < 45)
            #expect(Double(reports[1].at) / 8 - start - 70 < 45)
        }
    }

    @Test func cuttingTheSignalChangesNothing() throws {
        let samples =
            silence(sampleRate: 8000, milliseconds: 31)
            + (try DTMFGenerator.samples(of: "08A", sampleRate: 8000))
        let whole = try events(samples, chunk: samples.count)
        #expect(keys(whole) == "08A" && whole.count == 6)
        for chunk in [1, 37, 160] { #expect(try events(samples, chunk: chunk) == whole) }
    }

    @Test func resetForgetsTheKeyThatIsHeld() throws {
        let samples = try DTMFGenerator.samples(of: "7", sampleRate: 8000)
        var detector = try DTMFDetector(sampleRate: 8000)
        samples[..<600].withUnsafeBufferPointer { detector.process($0) { _ in } }
        #expect(detector.digit == "7" && detector.isToneSuspected)
        detector.reset()
        #expect(detector.digit == nil && !detector.isToneSuspected && detector.position == 0)
        var events: [DTMFEvent] = []
        silence(sampleRate: 8000, milliseconds: 60).withUnsafeBufferPointer {
            detector.process($0) { events.append($0) }
        }
        #expect(events.isEmpty)
    }

    @Test(arguments: [0, 7999, 48001])
    func otherRatesAreRefused(rate: Int) {
        #expect(throws: DTMFError.self) { try DTMFDetector(sampleRate: rate) }
        #expect(throws: DTMFError.self) { try DTMFGenerator(sampleRate: rate) }
    }

    // MARK: - Talk-off

    /// Vowels: the harmonics of a gliding voice, softer with their number, through three resonances.
    @Test func vowelsAreNoKeys() throws {
        var generator = SeededGenerator(seed: 5)
        var samples: [Int16] = []
        var phase = 0.0
        for _ in 0..<24 {
            let pitch = Double.random(in: 90...330, using: &generator)
            let glide = Double.random(in: -0.1...0.1, using: &generator)
            let resonances = [300.0...950, 1000...2200, 2300...2900].map { Double.random(in: $0, using: &generator) }
            let gains = (1...10).map { harmonic -> Double in
                let frequency = pitch * Double(harmonic)
                return resonances.reduce(1 / Double(harmonic)) { gain, resonance in
                    let ratio = frequency / resonance
                    return gain / (pow(1 - ratio * ratio, 2) + pow(ratio * 90 / resonance, 2)).squareRoot()
                }
            }
            let loudness = 9000 / gains.reduce(0, +)
            for index in 0..<800 {
                phase += 2 * .pi * pitch * (1 + glide * Double(index) / 800) / 8000
                let value = gains.indices.reduce(0.0) { $0 + gains[$1] * sin(Double($1 + 1) * phase) }
                samples.append(Int16(value * loudness))
            }
        }
        #expect(try events(samples).isEmpty, "seed 5")
    }

    private static let voice = "/usr/bin/espeak-ng"

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: voice), "needs espeak-ng"))
    func speechIsNoKey() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Self.voice)
        process.arguments = ["-v", "en+f5", "-p", "70", "--stdout", "Who are you? Aaah, oooh, five five one, no."]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        let file = try WAVFile(bytes: [UInt8](data))
        #expect(file.durationNanoseconds > 2_000_000_000)
        let resampler = try StreamResampler(from: file.format.sampleRate, to: 8000)
        #expect(try events(resampler.process(file.samples()) + resampler.flush()).isEmpty)
    }
}
