import PatchbayAudio

extension ResamplerContender {
    /// Ours, in every quality.
    static let patchbay: [ResamplerContender] = StreamResampler.Quality.allCases.map { quality in
        ResamplerContender("patchbay \(quality.rawValue)") { from, to in
            PatchbayResampler(try StreamResampler(from: from, to: to, quality: quality))
        }
    }
}

private final class PatchbayResampler: StreamConverter {
    private let resampler: StreamResampler

    init(_ resampler: StreamResampler) { self.resampler = resampler }

    var reportedDelay: Double? { Double(resampler.delayNanoseconds) / 1e6 }

    func process(_ input: UnsafeBufferPointer<Int16>, into output: UnsafeMutableBufferPointer<Int16>) -> Int {
        resampler.process(input, into: output)
    }
}
