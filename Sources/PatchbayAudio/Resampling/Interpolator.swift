/// Resampling without a filter: straight lines between samples, or steps.
///
/// In integers, so that positions never drift. (libsamplerate's converters of the same names read a sample before the
/// start of every block that has only one, which is why they are not used.)
final class Interpolator: RateConverter {
    enum Shape {
        case lines
        case steps
    }

    private let shape: Shape
    private let channelCount: Int
    private let inputRate: Int
    private let outputRate: Int
    /// The sample frame before the one that is awaited; two channels at most.
    private var previous: (Int, Int)?
    /// Where the next output sample lies behind the last input sample used, in parts of which `outputRate` make one
    /// input sample.
    private var phase = 0

    init(_ shape: Shape, from inputRate: Int, to outputRate: Int, channelCount: Int) {
        self.shape = shape
        self.channelCount = channelCount
        self.inputRate = inputRate
        self.outputRate = outputRate
    }

    var delayNanoseconds: Int64 { Int64((delay * 1e9 / Double(inputRate)).rounded()) }

    func maximumOutput(forFrames frames: Int) -> Int {
        maximumFrames(forInput: frames, from: inputRate, to: outputRate)
    }

    var maximumFlushFrames: Int { maximumOutput(forFrames: 2) }

    /// How late the signal is, in input samples. Lines await their far end. Steps await nothing; but the value of a
    /// step is on average half a step old, or a little less where only some points of a step are ever sampled.
    private var delay: Double {
        switch shape {
        case .lines: return 1
        case .steps:
            let points = Double(outputRate / greatestCommonDivisor(inputRate, outputRate))
            return (1 - 1 / points) / 2
        }
    }

    /// Converts whole sample frames; what does not fit into `output` is lost. Returns how many samples were written.
    func process(
        _ input: UnsafeBufferPointer<Int16>, into output: UnsafeMutableBufferPointer<Int16>
    ) -> Int {
        var written = 0
        for frame in 0..<input.count / channelCount {
            let first = Int(input[frame * channelCount])
            let next = (first, channelCount == 2 ? Int(input[frame * channelCount + 1]) : first)
            switch shape {
            case .steps: advance(from: next, to: next, into: output, &written)
            case .lines:
                if let previous { advance(from: previous, to: next, into: output, &written) }
            }
            previous = next
        }
        return written
    }

    /// Gives out what awaits a next sample, as if the last one were held, and starts anew.
    func flush(into output: UnsafeMutableBufferPointer<Int16>) -> Int {
        var written = 0
        if shape == .lines, let previous { advance(from: previous, to: previous, into: output, &written) }
        reset()
        return written
    }

    func reset() {
        previous = nil
        phase = 0
    }

    /// Writes the output samples between two input samples, the first included and the second not.
    private func advance(
        from start: (Int, Int), to end: (Int, Int), into output: UnsafeMutableBufferPointer<Int16>,
        _ written: inout Int
    ) {
        while phase < outputRate {
            write(start.0 + rounded((end.0 - start.0) * phase), into: output, &written)
            if channelCount == 2 { write(start.1 + rounded((end.1 - start.1) * phase), into: output, &written) }
            phase += inputRate
        }
        phase -= outputRate
    }

    private func rounded(_ product: Int) -> Int {
        (product + (product < 0 ? -outputRate / 2 : outputRate / 2)) / outputRate
    }

    private func write(_ sample: Int, into output: UnsafeMutableBufferPointer<Int16>, _ written: inout Int) {
        guard written < output.count else { return }
        output[written] = Int16(clamping: sample)
        written += 1
    }
}
