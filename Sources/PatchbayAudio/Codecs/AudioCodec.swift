/// Turns the payloads of one stream into linear samples.
///
/// Decoders that remember (G.722, Opus) want every payload once and in order. A decoder belongs to one stream and is not
/// `Sendable`. Decoding allocates nothing.
public protocol AudioDecoder: AnyObject {
    /// What the payloads are. The samples have its rate and channels.
    var format: AudioFormat { get }

    /// The delay that the decoder alone adds, in nanoseconds.
    var delayNanoseconds: Int64 { get }

    /// How many samples, all channels together, a payload holds; 0 for one that cannot be read.
    func sampleCount(of payload: UnsafeRawBufferPointer) -> Int

    /// Decodes one payload to interleaved samples. O(n).
    ///
    /// - Parameter samples: Room for ``sampleCount(of:)`` samples.
    /// - Returns: How many samples were written, all channels together.
    /// - Throws: ``CodecError/Code/corruptPayload``, after which the decoder goes on with the next payload;
    ///   ``CodecError/Code/insufficientRoom``.
    func decode(
        _ payload: UnsafeRawBufferPointer, into samples: UnsafeMutableBufferPointer<Int16>
    ) throws(CodecError) -> Int

    /// Gives something to play in place of a payload that was lost or cannot be read: what Opus makes of the sound before,
    /// silence in every other encoding.
    ///
    /// - Parameters:
    ///   - sampleFrames: How much is missing. Opus rounds it down to 2.5 ms and gives at most 120 ms.
    ///   - samples: Room for as many, for all channels; what has no room is not given.
    /// - Returns: How many samples were written, all channels together.
    func conceal(sampleFrames: Int, into samples: UnsafeMutableBufferPointer<Int16>) -> Int

    /// Forgets the sound so far.
    func reset()
}

/// Turns linear samples into the payloads of one stream.
///
/// Where a byte has a fixed duration, a run of any length becomes one payload; Opus makes packets of one length and keeps
/// what is left for the next run. An encoder belongs to one stream and is not `Sendable`. Encoding allocates nothing.
///
/// ```swift
/// var rest = samples[...]
/// while !rest.isEmpty {
///     let step = try encoder.encode(UnsafeBufferPointer(rebasing: rest), into: room)
///     if step.byteCount > 0 { send(room.prefix(step.byteCount)) }
///     rest = rest.dropFirst(step.sampleCount)
/// }
/// ```
public protocol AudioEncoder: AnyObject {
    /// What the payloads are. The samples have its rate and channels.
    var format: AudioFormat { get }

    /// The delay that the codec adds, in nanoseconds, with that of a decoder of the same kind where the two cannot be told
    /// apart (Opus). Does not include the time in which a packet fills.
    var delayNanoseconds: Int64 { get }

    /// Bytes that a payload made of so many samples (all channels together) can take.
    func maximumPayload(forSamples count: Int) -> Int

    /// Takes interleaved samples until they end or a payload is complete.
    ///
    /// - Parameters:
    ///   - samples: Any number; an incomplete last sample frame is ignored.
    ///   - payload: Room for ``maximumPayload(forSamples:)`` bytes.
    /// - Returns: How many samples were taken, and how many bytes were written: 0 while a packet fills.
    func encode(
        _ samples: UnsafeBufferPointer<Int16>, into payload: UnsafeMutableRawBufferPointer
    ) throws(CodecError) -> EncodedRun

    /// Gives out what is held back at the end of an utterance, one payload a call, until it writes nothing: the last
    /// packet filled up with silence, and as much silence as pushes the encoder's look-ahead out.
    ///
    /// - Parameter payload: Room for `maximumPayload(forSamples: 0)` bytes.
    /// - Returns: How many bytes were written.
    func flush(into payload: UnsafeMutableRawBufferPointer) throws(CodecError) -> Int

    /// Drops what is held back and forgets the sound so far.
    func reset()
}

/// What one call of ``AudioEncoder/encode(_:into:)`` did.
public struct EncodedRun: Hashable, Sendable {
    /// Samples taken, all channels together.
    public var sampleCount: Int
    /// Bytes of the payload that was written; 0 for none.
    public var byteCount: Int

    public init(sampleCount: Int, byteCount: Int) {
        self.sampleCount = sampleCount
        self.byteCount = byteCount
    }
}

/// Makes the codec of a format.
public enum AudioCodecs {
    /// A decoder for payloads of `format`.
    ///
    /// - Throws: ``CodecError/Code/unsupportedFormat`` for a rate or a number of channels that the encoding does not have,
    ///   ``CodecError/Code/unavailable`` where its library is missing (G.722: libspandsp).
    public static func decoder(for format: AudioFormat) throws(CodecError) -> any AudioDecoder {
        switch format.encoding {
        case .pcm16, .l16, .mulaw, .alaw: try PCMDecoder(format)
        case .g722: try G722Decoder(format)
        case .opus: try OpusDecoder(format)
        }
    }

    /// An encoder for payloads of `format`; in Opus, packets of its `packetMicroseconds`.
    ///
    /// - Parameter options: For Opus; the others have none.
    /// - Throws: As ``decoder(for:)``, and ``CodecError/Code/invalidOption``.
    public static func encoder(
        for format: AudioFormat, options: OpusOptions = OpusOptions()
    ) throws(CodecError) -> any AudioEncoder {
        switch format.encoding {
        case .pcm16, .l16, .mulaw, .alaw: try PCMEncoder(format)
        case .g722: try G722Encoder(format)
        case .opus: try OpusEncoder(format, options: options)
        }
    }
}
