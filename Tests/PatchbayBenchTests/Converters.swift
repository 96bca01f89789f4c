@testable import PatchbayBench

/// Converters whose figures can be worked out on paper.
final class PaperConverter: StreamConverter {
    private let body: ([Int16]) -> [Int16]
    let reportedDelay: Double?

    init(reportedDelay: Double? = nil, _ body: @escaping ([Int16]) -> [Int16]) {
        self.reportedDelay = reportedDelay
        self.body = body
    }

    func process(_ input: UnsafeBufferPointer<Int16>, into output: UnsafeMutableBufferPointer<Int16>) -> Int {
        let result = body(Array(input))
        for (index, sample) in result.enumerated() { output[index] = sample }
        return result.count
    }

    /// Gives everything so many samples late.
    static func delayLine(_ count: Int) -> PaperConverter {
        var line = [Int16](repeating: 0, count: count)
        return PaperConverter { input in
            line += input
            defer { line.removeFirst(input.count) }
            return Array(line[..<input.count])
        }
    }

    /// Gives everything at its place in the stream, but keeps so many samples until more come.
    static func holding(_ count: Int) -> PaperConverter {
        var held: [Int16] = []
        return PaperConverter { input in
            held += input
            let ready = max(0, held.count - count)
            defer { held.removeFirst(ready) }
            return Array(held[..<ready])
        }
    }

    /// The mean of each sample and the one before: half a sample late.
    static func pairMean() -> PaperConverter {
        var previous = 0
        return PaperConverter { input in
            input.map { sample in
                defer { previous = Int(sample) }
                return Int16((previous + Int(sample)) / 2)
            }
        }
    }

    /// Doubles the rate by straight lines; its gain is (1 + cos 2πf/output)/2, for images as for tones.
    static func lines() -> PaperConverter {
        var previous = 0
        return PaperConverter { input in
            input.flatMap { sample -> [Int16] in
                defer { previous = Int(sample) }
                return [Int16((previous + Int(sample)) / 2), sample]
            }
        }
    }

    /// Halves the rate by leaving out every second sample: everything aliases at full level.
    static func dropping() -> PaperConverter {
        PaperConverter { input in stride(from: 0, to: input.count, by: 2).map { input[$0] } }
    }

    /// Adds noise of a known RMS, in 16-bit steps.
    static func noisy(_ rms: Double, seed: UInt64 = 7) -> PaperConverter {
        var random = SplitMix(seed: seed)
        return PaperConverter { input in
            input.map { Int16((Double($0) + rms * random.nextNormal()).rounded()) }
        }
    }
}
