import CSampleRate

/// Converts a stream of 16-bit samples from one rate to another, with libsamplerate's filters.
///
/// Made for odd pairs of rates and for work off the media path: 20 ms from 8 to 16 kHz take some 20 µs at `.fastest`,
/// 40 at `.medium` and 110 at `.best`. Cutting the input differently changes no output sample.
///
/// The output stream is aligned with the input stream (output sample `i` is the signal at `i / outputRate` seconds),
/// but a filter looks ahead, so a part of the input is held back until more arrives: `delayNanoseconds`. At the end of
/// an utterance `flush(into:)` gives out what is held back and readies the resampler for the next one. Over an
/// utterance the output has `input × outputRate / inputRate` samples, give or take one.
///
/// Equal rates copy. After `init` nothing is allocated. libsamplerate's own history takes about 50 kB at `.fastest`,
/// 120 at `.medium` and 370 at `.best`, for each channel. Not `Sendable`: a resampler belongs to one stream.
public final class StreamResampler {
    /// Converters, from the cleanest to the cheapest.
    ///
    /// The first three are libsamplerate's sinc filters (<https://libsndfile.github.io/libsamplerate/api_misc.html>).
    /// Their delays are given for raising the rate; lowering it stretches them by the ratio of the rates.
    public enum Quality: String, Hashable, Sendable, CaseIterable {
        /// Sinc, 97 % of the bandwidth, 144 input samples of delay.
        case best
        /// Sinc, 90 % of the bandwidth, 47 input samples of delay.
        case medium
        /// Sinc, 80 % of the bandwidth, 20 input samples of delay.
        case fastest
        /// Straight lines between samples, which suppress neither images nor aliases. One input sample of delay.
        case linear
        /// Each output sample repeats the input sample before it. Up to half an input sample of delay.
        case zeroOrderHold
    }

    /// Rates a resampler takes and gives, in Hz.
    public static let sampleRates = 4000...192_000
    /// Interleaved channels a resampler takes.
    public static let channelCounts = 1...2

    /// Samples per second and channel that go in, in Hz.
    public let inputRate: Int
    /// Samples per second and channel that come out, in Hz.
    public let outputRate: Int
    public let channelCount: Int
    public let quality: Quality
    /// How much later than a converter without delay this one gives out its signal, in nanoseconds.
    ///
    /// For the sinc filters it is their look-ahead, measured when the resampler is made.
    public let delayNanoseconds: Int64

    /// A sinc filter; `nil` for the other qualities and for equal rates.
    private let filter: OpaquePointer?
    /// `nil` for the sinc filters and for equal rates.
    private var interpolator: Interpolator?
    private let input: UnsafeMutableBufferPointer<Float>
    private let output: UnsafeMutableBufferPointer<Float>
    /// Sample frames that fit into `input`.
    private let inputCapacity: Int
    /// Sample frames that fit into `output`.
    private let outputCapacity: Int
    /// Whether anything has gone in since the start of the utterance.
    private var isUsed = false

    /// Makes a resampler, ready for the first sample.
    ///
    /// - Parameters:
    ///   - inputRate: 4,000 to 192,000 Hz.
    ///   - outputRate: 4,000 to 192,000 Hz.
    ///   - channelCount: 1, or 2 for interleaved stereo.
    /// - Throws: `ResamplerError` for other rates and channel counts, and when memory is short.
    public init(
        from inputRate: Int, to outputRate: Int, channelCount: Int = 1, quality: Quality = .medium
    ) throws(ResamplerError) {
        for rate in [inputRate, outputRate] where !StreamResampler.sampleRates.contains(rate) {
            throw ResamplerError(
                .sampleRateOutOfRange,
                "cannot resample \(inputRate) Hz to \(outputRate) Hz: rates are 4000 to 192000 Hz")
        }
        guard StreamResampler.channelCounts.contains(channelCount) else {
            throw ResamplerError(
                .unsupportedChannelCount,
                "cannot resample \(channelCount) channels: 1 or 2 are possible; mix down first")
        }
        let converterType: Int32?
        switch quality {
        case .best: converterType = Int32(SRC_SINC_BEST_QUALITY)
        case .medium: converterType = Int32(SRC_SINC_MEDIUM_QUALITY)
        case .fastest: converterType = Int32(SRC_SINC_FASTEST)
        case .linear, .zeroOrderHold: converterType = nil
        }
        var filter: OpaquePointer?
        if let converterType, inputRate != outputRate {
            var code: Int32 = 0
            filter = src_new(converterType, Int32(channelCount), &code)
            guard filter != nil else {
                let reason = src_strerror(code).map { String(cString: $0) } ?? "error \(code)"
                throw ResamplerError(.unavailable, "libsamplerate refused to start: \(reason)")
            }
        } else if inputRate != outputRate {
            interpolator = Interpolator(
                quality == .linear ? .lines : .steps, from: inputRate, to: outputRate, channelCount: channelCount)
        }
        self.inputRate = inputRate
        self.outputRate = outputRate
        self.channelCount = channelCount
        self.quality = quality
        self.filter = filter
        // 20 ms at a time; nothing if there is no filter to work for.
        inputCapacity = filter == nil ? 0 : inputRate / 50
        outputCapacity = StreamResampler.maximumFrames(forInput: inputCapacity, from: inputRate, to: outputRate)
        input = .allocate(capacity: inputCapacity * channelCount)
        input.initialize(repeating: 0)
        output = .allocate(capacity: outputCapacity * channelCount)
        output.initialize(repeating: 0)
        let lookahead = StreamResampler.lookahead(of: filter, from: inputRate, to: outputRate, input, output)
        delayNanoseconds = Int64(((interpolator?.delay ?? Double(lookahead)) * 1e9 / Double(inputRate)).rounded())
    }

    deinit {
        if let filter { src_delete(filter) }
        input.deallocate()
        output.deallocate()
    }

    /// The most samples (all channels together) that `process` writes for `count` samples of input.
    public func maximumOutput(forInput count: Int) -> Int {
        guard inputRate != outputRate else { return count }
        return channelCount
            * StreamResampler.maximumFrames(forInput: count / channelCount, from: inputRate, to: outputRate)
    }

    /// The most samples (all channels together) that `flush` writes.
    public var maximumFlushOutput: Int {
        let held = Int(delayNanoseconds * Int64(inputRate) / 1_000_000_000) + 1
        return inputRate == outputRate ? 0 : maximumOutput(forInput: held * channelCount)
    }

    /// Converts a block. All of it is consumed; the output lags by the resampler's delay.
    ///
    /// - Parameters:
    ///   - samples: Whole sample frames, interleaved; an incomplete last one is ignored.
    ///   - destination: Room for `maximumOutput(forInput: samples.count)` samples. What does not fit is lost.
    /// - Returns: How many samples were written, all channels together.
    public func process(
        _ samples: UnsafeBufferPointer<Int16>, into destination: UnsafeMutableBufferPointer<Int16>
    ) -> Int {
        let frames = samples.count / channelCount
        guard frames > 0, let source = samples.baseAddress else { return 0 }
        isUsed = true
        guard filter != nil else {
            if interpolator != nil { return interpolator?.process(samples, into: destination) ?? 0 }
            let count = min(frames * channelCount, destination.count)
            _ = destination.update(fromContentsOf: UnsafeBufferPointer(rebasing: samples[..<count]))
            return count
        }
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

    /// Gives out what is held back, as if silence followed, and readies the resampler for another utterance.
    ///
    /// - Parameter destination: Room for `maximumFlushOutput` samples. What does not fit is lost.
    /// - Returns: How many samples were written, all channels together.
    public func flush(into destination: UnsafeMutableBufferPointer<Int16>) -> Int {
        guard isUsed else { return 0 }
        let written =
            filter == nil
            ? interpolator?.flush(into: destination) ?? 0 : convert(0, isLast: true, into: destination, at: 0)
        reset()
        return written
    }

    /// Drops what is held back and readies the resampler for another utterance.
    public func reset() {
        if let filter { src_reset(filter) }
        interpolator?.reset()
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

    /// The most sample frames that come out for `count` that go in, wherever between two samples the last one ended.
    private static func maximumFrames(forInput count: Int, from inputRate: Int, to outputRate: Int) -> Int {
        ((count + 1) * outputRate + inputRate - 1) / inputRate + 1
    }

    /// How many sample frames have to follow one before it comes out.
    private static func lookahead(
        of filter: OpaquePointer?, from inputRate: Int, to outputRate: Int,
        _ silence: UnsafeMutableBufferPointer<Float>, _ output: UnsafeMutableBufferPointer<Float>
    ) -> Int {
        guard let filter else { return 0 }
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

/// Why a resampler could not be made.
public struct ResamplerError: Error, Hashable, Sendable, CustomStringConvertible {
    public struct Code: Hashable, Sendable {
        /// The code in messages and logs, such as `sample-rate-out-of-range`.
        public let name: String

        public static let sampleRateOutOfRange = Code(name: "sample-rate-out-of-range")
        public static let unsupportedChannelCount = Code(name: "unsupported-channel-count")
        /// The library could not start, most likely for want of memory.
        public static let unavailable = Code(name: "resampler-unavailable")
    }

    public let code: Code
    /// What is wrong and what is possible.
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(code.name): \(message)" }
}
