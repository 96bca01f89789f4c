/// Converts a stream of 16-bit samples from one rate to another.
///
/// Between 8, 16, 24 and 48 kHz with Patchbay's own filters, which cost 0.2 to 0.7 µs for 20 ms; between other rates
/// with libsamplerate's, where 20 ms from 8 to 16 kHz take some 20 µs at `.fastest`, 40 at `.medium` and 110 at
/// `.best`. Cutting the input differently changes no output sample.
///
/// The output stream is aligned with the input stream (output sample `i` is the signal at `i / outputRate` seconds),
/// but a filter looks ahead, so a part of the input is held back until more arrives: `delayNanoseconds`. At the end of
/// an utterance `flush(into:)` gives out what is held back and readies the resampler for the next one. Over an
/// utterance the output has `input × outputRate / inputRate` samples, give or take one. ``PolyphaseDesign/lowDelay`` is
/// the exception: it holds nothing back, and the signal is late within the output stream instead.
///
/// Equal rates copy. After `init` nothing is allocated. Not `Sendable`: a resampler belongs to one stream.
public final class StreamResampler {
    /// Whose filters convert.
    public enum Engine: Hashable, Sendable {
        /// Patchbay's own of linear phase where the pair of rates is among its own, else libsamplerate's `.medium`.
        case automatic
        /// Patchbay's own; between ``PolyphaseDesign/sampleRates`` only.
        case polyphase(PolyphaseDesign)
        /// libsamplerate's, or what goes by the name of one of its converters; between any rates.
        case libsamplerate(Quality)
    }

    /// Converters for any pair of rates, from the cleanest to the cheapest.
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
        case zeroOrderHold = "zero-order-hold"
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
    /// What converts; never `.automatic`, which is decided when the resampler is made.
    public let engine: Engine

    /// `nil` for equal rates.
    private let converter: (any RateConverter)?

    /// Makes a resampler, ready for the first sample.
    ///
    /// - Parameters:
    ///   - inputRate: 4,000 to 192,000 Hz.
    ///   - outputRate: 4,000 to 192,000 Hz.
    ///   - channelCount: 1, or 2 for interleaved stereo.
    /// - Throws: `ResamplerError` for other rates and channel counts, for rates that the engine does not take, and when
    ///   memory is short.
    public init(
        from inputRate: Int, to outputRate: Int, channelCount: Int = 1, engine: Engine = .automatic
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
        self.inputRate = inputRate
        self.outputRate = outputRate
        self.channelCount = channelCount
        self.engine = engine.resolved(from: inputRate, to: outputRate)
        converter =
            inputRate == outputRate
            ? nil : try self.engine.makeConverter(from: inputRate, to: outputRate, channelCount: channelCount)
    }

    /// How much later than a converter without delay this one gives out its signal, in nanoseconds.
    ///
    /// For filters of linear phase it is their look-ahead; for libsamplerate's it is measured when the resampler is
    /// made. For ``PolyphaseDesign/lowDelay`` it is how late low tones are.
    public var delayNanoseconds: Int64 { converter?.delayNanoseconds ?? 0 }

    /// The most samples (all channels together) that `process` writes for `count` samples of input.
    public func maximumOutput(forInput count: Int) -> Int {
        guard let converter else { return count }
        return channelCount * converter.maximumOutput(forFrames: count / channelCount)
    }

    /// The most samples (all channels together) that `flush` writes.
    public var maximumFlushOutput: Int { channelCount * (converter?.maximumFlushFrames ?? 0) }

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
        guard frames > 0 else { return 0 }
        if let converter { return converter.process(samples, into: destination) }
        let count = min(frames * channelCount, destination.count)
        _ = destination.update(fromContentsOf: UnsafeBufferPointer(rebasing: samples[..<count]))
        return count
    }

    /// Gives out what is held back, as if silence followed, and readies the resampler for another utterance.
    ///
    /// - Parameter destination: Room for `maximumFlushOutput` samples. What does not fit is lost.
    /// - Returns: How many samples were written, all channels together.
    public func flush(into destination: UnsafeMutableBufferPointer<Int16>) -> Int {
        converter?.flush(into: destination) ?? 0
    }

    /// Drops what is held back and readies the resampler for another utterance.
    public func reset() { converter?.reset() }
}

extension StreamResampler.Engine {
    /// What stands behind this engine for two rates.
    fileprivate func resolved(from inputRate: Int, to outputRate: Int) -> Self {
        guard self == .automatic else { return self }
        return inputRate == outputRate || PolyphaseDesign.supports(from: inputRate, to: outputRate)
            ? .polyphase(.linearPhase) : .libsamplerate(.medium)
    }

    /// For two rates that differ.
    fileprivate func makeConverter(
        from inputRate: Int, to outputRate: Int, channelCount: Int
    ) throws(ResamplerError) -> any RateConverter {
        switch self {
        case .automatic:
            return try resolved(from: inputRate, to: outputRate)
                .makeConverter(from: inputRate, to: outputRate, channelCount: channelCount)
        case .polyphase(let design):
            guard PolyphaseDesign.supports(from: inputRate, to: outputRate) else {
                let rates = PolyphaseDesign.sampleRates.map(String.init).joined(separator: ", ")
                throw ResamplerError(
                    .unsupportedRatePair,
                    "the polyphase engine cannot resample \(inputRate) Hz to \(outputRate) Hz: it takes and gives "
                        + "\(rates) Hz; use libsamplerate for other rates")
            }
            return PolyphaseResampler(
                PolyphaseBank(design, from: inputRate, to: outputRate), channelCount: channelCount)
        case .libsamplerate(.linear):
            return Interpolator(.lines, from: inputRate, to: outputRate, channelCount: channelCount)
        case .libsamplerate(.zeroOrderHold):
            return Interpolator(.steps, from: inputRate, to: outputRate, channelCount: channelCount)
        case .libsamplerate(.best):
            return try SincResampler(.best, from: inputRate, to: outputRate, channelCount: channelCount)
        case .libsamplerate(.medium):
            return try SincResampler(.medium, from: inputRate, to: outputRate, channelCount: channelCount)
        case .libsamplerate(.fastest):
            return try SincResampler(.fastest, from: inputRate, to: outputRate, channelCount: channelCount)
        }
    }
}
