import CSampleRate

/// libsamplerate's sinc filters, for any pair of rates.
///
/// libsamplerate's own history takes about 50 kB at `.fastest`, 120 at `.medium` and 370 at `.best`, for each channel.
final class SincResampler: RateConverter {
    let delayNanoseconds: Int64
    private let inputRate: Int
    private let outputRate: Int
    private let channelCount: Int
    private let filter: OpaquePointer
    private let input: UnsafeMutableBufferPointer<Float>
    private let output: UnsafeMutableBufferPointer<Float>
    /// Sample frames that fit into `input`.
    private let inputCapacity: Int
    /// Sample frames that fit into `output`.
    private let outputCapacity: Int
    /// Whether anything has gone in since the start of the utterance.
    private var isUsed = false

    enum Kind {
        case best
        case medium
        case fastest

        fileprivate var converterType: Int32 {
            switch self {
            case .best: Int32(SRC_SINC_BEST_QUALITY)
            case .medium: Int32(SRC_SINC_MEDIUM_QUALITY)
            case .fastest: Int32(SRC_SINC_FASTEST)
            }
        }
    }

    init(_ kind: Kind, from inputRate: Int, to outputRate: Int, channelCount: Int) throws(ResamplerError) {
        var code: Int32 = 0
        guard let filter = src_new(kind.converterType, Int32(channelCount), &code) else {
            let reason = src_strerror(code).map { String(cString: $0) } ?? "error \(code)"
            throw ResamplerError(.unavailable, "libsamplerate refused to start: \(reason)")
        }
        self.filter = filter
        self.inputRate = inputRate
        self.outputRate = outputRate
        self.channelCount = channelCount
        // 20 ms at a time.
        inputCapacity = inputRate / 50
        outputCapacity = maximumFrames(forInput: inputCapacity, from: inputRate, to: outputRate)
        input = .allocate(capacity: inputCapacity * channelCount)
        input.initialize(repeating: 0)
        output = .allocate(capacity: outputCapacity * channelCount)
        output.initialize(repeating: 0)
        let lookahead = SincResampler.lookahead(of: filter, from: inputRate, to: outputRate, input, output)
        delayNanoseconds = Int64((Double(lookahead) * 1e9 / Double(inputRate)).rounded())
    }

    deinit {
        src_delete(filter)
        input.deallocate()
        output.deallocate()
    }

    func maximumOutput(forFrames frames: Int) -> Int {
        maximumFrames(forInput: frames, from: inputRate, to: outputRate)
    }

    var maximumFlushFrames: Int {
        maximumOutput(forFrames: Int(delayNanoseconds * Int64(inputRate) / 1_000_000_000) + 1)
    }

    func process(_ samples: UnsafeBufferPointer<Int16>, into destination: UnsafeMutableBufferPointer<Int16>) -> Int {
        let frames = samples.count / channelCount
        guard frames > 0, let source = samples.baseAddress else { return 0 }
        isUsed = true
        var taken = 0
        var written = 0
        while taken < frames {
            let count = min(frames - taken, inputCapacity)
            src_short_to_float_array(source + taken * channelCount, input.baseAddress, Int32(count * channelCount))
            taken += count
            written += convert(count, isLast: false, into: destination, at: written)
        }
        return written
    }

    func flush(into destination: UnsafeMutableBufferPointer<Int16>) -> Int {
        guard isUsed else { return 0 }
        let written = convert(0, isLast: true, into: destination, at: 0)
        reset()
        return written
    }

    func reset() {
        src_reset(filter)
        isUsed = false
    }

    /// Runs the first `frames` sample frames of `input` through the filter, until it gives nothing more. Returns how
    /// many samples were written behind `offset`.
    private func convert(
        _ frames: Int, isLast: Bool, into destination: UnsafeMutableBufferPointer<Int16>, at offset: Int
    ) -> Int {
        var taken = 0
        var written = 0
        while true {
            var data = SRC_DATA()
            data.data_in = input.baseAddress.map { UnsafePointer($0 + taken * channelCount) }
            data.input_frames = frames - taken
            data.data_out = output.baseAddress
            data.output_frames = outputCapacity
            data.end_of_input = isLast ? 1 : 0
            data.src_ratio = Double(outputRate) / Double(inputRate)
            // It fails only for a bad state, ratio or pointer, and all of these were right in `init`.
            guard src_process(filter, &data) == 0 else { return written }
            taken += data.input_frames_used
            let count = min(data.output_frames_gen * channelCount, destination.count - offset - written)
            if count > 0, let target = destination.baseAddress {
                src_float_to_short_array(output.baseAddress, target + offset + written, Int32(count))
                written += count
            }
            if data.output_frames_gen == 0 && (taken == frames || data.input_frames_used == 0) { return written }
        }
    }

    /// How many sample frames have to follow one before it comes out.
    private static func lookahead(
        of filter: OpaquePointer, from inputRate: Int, to outputRate: Int,
        _ silence: UnsafeMutableBufferPointer<Float>, _ output: UnsafeMutableBufferPointer<Float>
    ) -> Int {
        defer { src_reset(filter) }
        var data = SRC_DATA()
        data.data_in = UnsafePointer(silence.baseAddress)
        data.input_frames = 1
        data.data_out = output.baseAddress
        data.output_frames = 1
        data.src_ratio = Double(outputRate) / Double(inputRate)
        // The longest of all, `best` from 192 to 4 kHz, needs 6,859 and 0.2 ms.
        for following in 0..<20_000 {
            guard src_process(filter, &data) == 0 else { break }
            if data.output_frames_gen > 0 { return following }
        }
        return 0
    }
}
