@testable import PatchbayAudio
import Testing

/// One of Patchbay's filters for one pair of rates.
struct PolyphasePair: CustomTestStringConvertible, Sendable {
    var design: PolyphaseDesign
    var from: Int
    var to: Int
    var testDescription: String { "\(design.rawValue) \(from) to \(to)" }

    static let all = PolyphaseDesign.allCases.flatMap { design in
        PolyphaseDesign.sampleRates.flatMap { from in
            PolyphaseDesign.sampleRates.compactMap { to in
                from == to ? nil : PolyphasePair(design: design, from: from, to: to)
            }
        }
    }

    var bank: PolyphaseBank { PolyphaseBank(design, from: from, to: to) }
    var lowerRate: Int { min(from, to) }

    func make(channelCount: Int = 1) throws -> StreamResampler {
        try StreamResampler(from: from, to: to, channelCount: channelCount, engine: .polyphase(design))
    }
}

/// Full-scale white noise whose every third sample is an extreme of 16 bits.
func harshNoise(_ count: Int, using generator: inout SeededGenerator) -> [Int16] {
    (0..<count).map { index in
        index % 3 == 0 ? (generator.next() & 1 == 0 ? .min : .max) : Int16(truncatingIfNeeded: generator.next())
    }
}
