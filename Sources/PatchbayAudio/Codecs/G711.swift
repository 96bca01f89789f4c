import CPatchbayKernels

/// µ-law and A-law, the two logarithmic encodings of ITU-T G.711, to and from 16-bit linear samples.
///
/// Decoding is the same everywhere. Encoders in circulation differ by one step at some decision boundaries; these
/// follow the form of the ITU-T G.191 software tool library, which takes the magnitude of a negative sample as its
/// ones' complement (`~x`, not `-x`):
///
/// - µ-law: `m = ((x < 0 ? ~x : x) >> 2) + 33`, clipped to 8191; the segment is the index of m's highest set bit minus
///   5; the code is the complement of sign bit (set for negative), segment (3 bits) and the four bits of m after the
///   highest.
/// - A-law: `m = (x < 0 ? ~x : x) >> 4`; below 16 the segment is 0 and the four bits are m itself; above, the segment
///   is the index of m's highest set bit minus 3, followed by the four bits of m after the highest; the sign bit is set
///   for positive samples, and every second bit of the code is inverted (exclusive or with 0x55).
///
/// Decoding a code and encoding the result gives the code back, except for µ-law's negative zero 0x7F, which becomes
/// 0xFF. All functions are total: no input traps. A run of 160 takes about 20 ns where the processor has AVX2, 60 where
/// not, in the same bits.
public enum G711 {
    /// The sample a µ-law code stands for, from -32124 to 32124.
    public static func decodeMulaw(_ code: UInt8) -> Int16 { patchbay_mulaw_sample(code) }

    /// The µ-law code of a sample; samples beyond ±32635 take the outermost code.
    public static func encodeMulaw(_ sample: Int16) -> UInt8 { patchbay_mulaw_code(sample) }

    /// The sample an A-law code stands for, from -32256 to 32256; A-law has no zero, its silence 0xD5 is 8.
    public static func decodeAlaw(_ code: UInt8) -> Int16 { patchbay_alaw_sample(code) }

    /// The A-law code of a sample.
    public static func encodeAlaw(_ sample: Int16) -> UInt8 { patchbay_alaw_code(sample) }

    /// Decodes a run of µ-law codes. Allocates nothing.
    ///
    /// - Returns: How many samples were written: the smaller of the two counts.
    @discardableResult
    public static func decodeMulaw(
        _ source: UnsafeRawBufferPointer, into destination: UnsafeMutableBufferPointer<Int16>
    ) -> Int {
        let count = min(source.count, destination.count)
        guard count > 0, let codes = source.baseAddress, let samples = destination.baseAddress else { return 0 }
        patchbay_mulaw_decode(codes.assumingMemoryBound(to: UInt8.self), samples, count)
        return count
    }

    /// Decodes a run of A-law codes. Allocates nothing.
    ///
    /// - Returns: How many samples were written: the smaller of the two counts.
    @discardableResult
    public static func decodeAlaw(
        _ source: UnsafeRawBufferPointer, into destination: UnsafeMutableBufferPointer<Int16>
    ) -> Int {
        let count = min(source.count, destination.count)
        guard count > 0, let codes = source.baseAddress, let samples = destination.baseAddress else { return 0 }
        patchbay_alaw_decode(codes.assumingMemoryBound(to: UInt8.self), samples, count)
        return count
    }

    /// Encodes a run of samples as µ-law. Allocates nothing.
    ///
    /// - Returns: How many codes were written: the smaller of the two counts.
    @discardableResult
    public static func encodeMulaw(
        _ source: UnsafeBufferPointer<Int16>, into destination: UnsafeMutableRawBufferPointer
    ) -> Int {
        let count = min(source.count, destination.count)
        guard count > 0, let samples = source.baseAddress, let codes = destination.baseAddress else { return 0 }
        patchbay_mulaw_encode(samples, codes.assumingMemoryBound(to: UInt8.self), count)
        return count
    }

    /// Encodes a run of samples as A-law. Allocates nothing.
    ///
    /// - Returns: How many codes were written: the smaller of the two counts.
    @discardableResult
    public static func encodeAlaw(
        _ source: UnsafeBufferPointer<Int16>, into destination: UnsafeMutableRawBufferPointer
    ) -> Int {
        let count = min(source.count, destination.count)
        guard count > 0, let samples = source.baseAddress, let codes = destination.baseAddress else { return 0 }
        patchbay_alaw_encode(samples, codes.assumingMemoryBound(to: UInt8.self), count)
        return count
    }
}
