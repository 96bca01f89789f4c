public import NIOCore
public import PatchbayAudio

/// Turns audio of one format into another: decodes, resamples, encodes, as far as the two differ.
///
/// Keeps its buffers, so that a packet costs no allocation once the first has passed and the result of the previous call is
/// no longer held. Mono only.
public struct FormatConverter {
    public let source: AudioFormat
    public let target: AudioFormat
    private let resampler: StreamResampler?
    private var linear: [Int16] = []
    private var resampled: [Int16] = []
    private var result = ByteBuffer()

    /// - Throws: ``PipelineError/Code/unsupportedFormat`` when the channels differ or a rate cannot be resampled.
    public init(
        from source: AudioFormat, to target: AudioFormat, engine: StreamResampler.Engine = .automatic
    ) throws(PipelineError) {
        guard source.channelCount == 1, target.channelCount == 1 else {
            throw PipelineError(.unsupportedFormat, "cannot convert \(source) to \(target): only mono is converted")
        }
        self.source = source
        self.target = target
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

    /// Audio that the resampler holds back.
    public var delay: TimeSpan { TimeSpan(nanoseconds: resampler?.delayNanoseconds ?? 0) }

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

    /// Gives out the resampler's tail, at the end of an utterance. Empty when there is none.
    public mutating func flush() -> ByteBuffer {
        result.clear()
        guard let resampler else { return result }
        Self.reserve(&resampled, resampler.maximumFlushOutput)
        let produced = resampled.withUnsafeMutableBufferPointer { resampler.flush(into: $0) }
        encode(resampled, count: produced)
        return result
    }

    /// Forgets what is held back, after an interruption.
    public mutating func reset() { resampler?.reset() }

    private static func reserve(_ samples: inout [Int16], _ count: Int) {
        if samples.count < count { samples.append(contentsOf: repeatElement(0, count: count - samples.count)) }
    }

    private mutating func decode(_ payload: ByteBuffer) -> Int {
        let count = source.sampleFrames(byteCount: payload.readableBytes)
        Self.reserve(&linear, count)
        payload.withUnsafeReadableBytes { bytes in
            linear.withUnsafeMutableBufferPointer { samples in
                switch source.encoding {
                case .pcm16:
                    UnsafeMutableRawBufferPointer(samples).copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: bytes.prefix(count * 2)))
                case .mulaw: _ = G711.decodeMulaw(bytes, into: samples)
                case .alaw: _ = G711.decodeAlaw(bytes, into: samples)
                case .l16, .g722, .opus: break
                }
            }
        }
        return count
    }

    private mutating func encode(_ samples: [Int16], count: Int) {
        result.clear()
        let byteCount = target.byteCount(sampleFrames: count)
        result.writeWithUnsafeMutableBytes(minimumWritableBytes: byteCount) { destination in
            samples.withUnsafeBufferPointer { all in
                let source = UnsafeBufferPointer(rebasing: all.prefix(count))
                switch target.encoding {
                case .pcm16: destination.copyMemory(from: UnsafeRawBufferPointer(source))
                case .mulaw: _ = G711.encodeMulaw(source, into: destination)
                case .alaw: _ = G711.encodeAlaw(source, into: destination)
                case .l16, .g722, .opus: break
                }
            }
            return byteCount
        }
    }
}
