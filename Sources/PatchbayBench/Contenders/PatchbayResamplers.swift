import PatchbayAudio

extension ResamplerContender {
    /// Ours: its own filters, then what it makes of libsamplerate for other pairs of rates.
    static let patchbay: [ResamplerContender] =
        PolyphaseDesign.allCases.map { patchbay($0.rawValue, .polyphase($0)) }
        + StreamResampler.Quality.allCases.map { patchbay($0.rawValue, .libsamplerate($0)) }

    private static func patchbay(_ name: String, _ engine: StreamResampler.Engine) -> ResamplerContender {
        ResamplerContender("patchbay \(name)") { from, to in
            PatchbayResampler(try StreamResampler(from: from, to: to, engine: engine))
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
