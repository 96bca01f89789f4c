public import NIOCore
public import PatchbayAudio

/// Turns audio of one format into another: decodes, resamples, encodes, as far as the two differ.
///
/// Keeps its buffers, so that a packet costs no allocation once the first has passed and the result of the previous call is
/// no longer held. Mono only. Opus is taken one packet at a time, and what cannot be decoded is concealed; it is not given,
/// because a run of any length makes no packet or several.
public struct FormatConverter {
    public let source: AudioFormat
    public let target: AudioFormat
    private let resampler: StreamResampler?
    /// Both `nil` where the bytes pass unchanged.
    private let decoder: (any AudioDecoder)?
    private let encoder: (any AudioEncoder)?
    /// Sample frames of the payload before, to conceal as much.
    private var packetFrames: Int
    private var linear: [Int16] = []
    private var resampled: [Int16] = []
    private var result = ByteBuffer()

    /// - Throws: ``PipelineError/Code/unsupportedFormat`` for other channels than one, a rate that cannot be resampled, an
    ///   encoding that cannot be decoded or encoded, and for Opus to be given.
    public init(
        from source: AudioFormat, to target: AudioFormat, engine: StreamResampler.Engine = .automatic
    ) throws(PipelineError) {
        guard source.channelCount == 1, target.channelCount == 1 else {
            throw PipelineError(.unsupportedFormat, "cannot convert \(source) to \(target): only mono is converted")
        }
        self.source = source
        self.target = target
        packetFrames = source.sampleFramesPerPacket
        if source.encoding == target.encoding, source.sampleRate == target.sampleRate {
            (decoder, encoder) = (nil, nil)
        } else {
            guard target.encoding != .opus else {
                throw PipelineError(
                    .unsupportedFormat,
                    "cannot convert \(source) to \(target): Opus is made of whole packets; put an encoder stage there")
            }
            do throws(CodecError) {
                decoder = try AudioCodecs.decoder(for: source)
                encoder = try AudioCodecs.encoder(for: target)
            } catch {
                throw PipelineError(.unsupportedFormat, "cannot convert \(source) to \(target)", cause: error)
            }
        }
        if source.sampleRate == target.sampleRate {
            resampler = nil
        } else {
            do {
                resampler = try StreamResampler(from: source.sampleRate, to: target.sampleRate, engine: engine)
            } catch {
                throw PipelineError(.unsupportedFormat, "cannot convert \(source) to \(target)", cause: error)
            }
        }
    }

    /// Whether the bytes pass unchanged.
    public var isIdentity: Bool { resampler == nil && source.encoding == target.encoding }

    /// Audio that the resampler and the codecs hold back.
    public var delay: TimeSpan {
        let codecs = (decoder?.delayNanoseconds ?? 0) + (encoder?.delayNanoseconds ?? 0)
        return TimeSpan(nanoseconds: (resampler?.delayNanoseconds ?? 0) + codecs)
    }

    /// Converts a run of audio of any length. O(n); bytes beyond the last whole sample are ignored.
    public mutating func convert(_ payload: ByteBuffer) -> ByteBuffer {
        if isIdentity { return payload }
        let count = decode(payload)
        guard let resampler else {
            encode(linear, count: count)
            return result
        }
        Self.reserve(&resampled, resampler.maximumOutput(forInput: count))
        let produced = linear.withUnsafeBufferPointer { input in
            resampled.withUnsafeMutableBufferPointer {
                resampler.process(UnsafeBufferPointer(rebasing: input.prefix(count)), into: $0)
            }
        }
        encode(resampled, count: produced)
        return result
    }

    /// Gives out the resampler's and the encoder's tail, at the end of an utterance. Empty when there is none.
    public mutating func flush() -> ByteBuffer {
        _ = flushResampler()
        guard let encoder else { return result }
        _ = result.writeWithUnsafeMutableBytes(minimumWritableBytes: encoder.maximumPayload(forSamples: 0)) {
            (try? encoder.flush(into: $0)) ?? 0
        }
        return result
    }

    private mutating func flushResampler() -> ByteBuffer {
        result.clear()
        guard let resampler else { return result }
        Self.reserve(&resampled, resampler.maximumFlushOutput)
        let produced = resampled.withUnsafeMutableBufferPointer { resampler.flush(into: $0) }
        encode(resampled, count: produced)
        return result
    }

    /// Forgets what is held back, after an interruption.
    public mutating func reset() {
        resampler?.reset()
        decoder?.reset()
        encoder?.reset()
    }

    private static func reserve(_ samples: inout [Int16], _ count: Int) {
        if samples.count < count { samples.append(contentsOf: repeatElement(0, count: count - samples.count)) }
    }

    private mutating func decode(_ payload: ByteBuffer) -> Int {
        guard let decoder, payload.readableBytes > 0 else { return 0 }
        return payload.withUnsafeReadableBytes { bytes in
            Self.reserve(&linear, max(decoder.sampleCount(of: bytes), packetFrames))
            return linear.withUnsafeMutableBufferPointer { samples in
                do throws(CodecError) {
                    let count = try decoder.decode(bytes, into: samples)
                    packetFrames = count
                    return count
                } catch {
                    return decoder.conceal(sampleFrames: packetFrames, into: samples)
                }
            }
        }
    }

    private mutating func encode(_ samples: [Int16], count: Int) {
        result.clear()
        guard let encoder, count > 0 else { return }
        _ = result.writeWithUnsafeMutableBytes(minimumWritableBytes: encoder.maximumPayload(forSamples: count)) {
            room in
            samples.withUnsafeBufferPointer { all in
                // Encoders of a constant rate take all at once, and fail only where there is too little room.
                (try? encoder.encode(UnsafeBufferPointer(rebasing: all.prefix(count)), into: room))?.byteCount ?? 0
            }
        }
    }
}
