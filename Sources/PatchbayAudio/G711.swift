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
/// 0xFF. All functions are total: no input traps.
public enum G711 {
    /// The sample a µ-law code stands for, from -32124 to 32124.
    public static func decodeMulaw(_ code: UInt8) -> Int16 { mulawSamples[Int(code)] }

    /// The µ-law code of a sample; samples beyond ±32635 take the outermost code.
    public static func encodeMulaw(_ sample: Int16) -> UInt8 { mulawCode(sample) }

    /// The sample an A-law code stands for, from -32256 to 32256; A-law has no zero, its silence 0xD5 is 8.
    public static func decodeAlaw(_ code: UInt8) -> Int16 { alawSamples[Int(code)] }

    /// The A-law code of a sample.
    public static func encodeAlaw(_ sample: Int16) -> UInt8 { alawCode(sample) }

    /// Decodes a run of µ-law codes. Allocates nothing.
    ///
    /// - Returns: How many samples were written: the smaller of the two counts.
    @discardableResult
    public static func decodeMulaw(
        _ source: UnsafeRawBufferPointer, into destination: UnsafeMutableBufferPointer<Int16>
    ) -> Int {
        decode(source, into: destination, table: mulawSamples)
    }

    /// Decodes a run of A-law codes. Allocates nothing.
    ///
    /// - Returns: How many samples were written: the smaller of the two counts.
    @discardableResult
    public static func decodeAlaw(
        _ source: UnsafeRawBufferPointer, into destination: UnsafeMutableBufferPointer<Int16>
    ) -> Int {
        decode(source, into: destination, table: alawSamples)
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
        for index in 0..<count {
            codes.storeBytes(of: mulawCode(samples[index]), toByteOffset: index, as: UInt8.self)
        }
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
        for index in 0..<count {
            codes.storeBytes(of: alawCode(samples[index]), toByteOffset: index, as: UInt8.self)
        }
        return count
    }
}

// MARK: - Kernels

extension G711 {
    // A segment and the four bits behind it are the exponent and the first four fraction bits of a floating-point
    // number, so converting the (small, hence exact) magnitude to Float finds both without a search. Unlike a count of
    // leading zeros or a table, the compiler turns this into vector instructions every x86-64 and arm64 machine has.

    // Everything but the conversion stays 16 bits wide, which doubles the work of one instruction.

    /// Exponent and upper four fraction bits of a non-negative magnitude, as one number: 16 times the exponent's bits
    /// (127 for the value 1) plus the fraction.
    @inline(__always)
    private static func exponentAndFraction(_ magnitude: Int16) -> Int16 {
        Int16(truncatingIfNeeded: Float(magnitude).bitPattern &>> 19)
    }

    @inline(__always)
    private static func mulawCode(_ sample: Int16) -> UInt8 {
        let sign = sample &>> 15
        let magnitude = min((sample ^ sign) &>> 2, 8191 - 33) &+ 33
        let code = exponentAndFraction(magnitude) &- ((127 + 5) << 4) &+ (sign & 0x80)
        return UInt8(truncatingIfNeeded: ~code)
    }

    @inline(__always)
    private static func alawCode(_ sample: Int16) -> UInt8 {
        let sign = sample &>> 15
        let magnitude = (sample ^ sign) &>> 4
        // Below 16, where the code is the magnitude itself, the distance to the code of 16 is added.
        let code = exponentAndFraction(max(magnitude, 16)) &- ((127 + 3) << 4) &+ min(magnitude &- 16, 0)
        return UInt8(truncatingIfNeeded: (code | (~sign & 0x80)) ^ 0x55)
    }

    private static func decode(
        _ source: UnsafeRawBufferPointer, into destination: UnsafeMutableBufferPointer<Int16>, table: [Int16]
    ) -> Int {
        let count = min(source.count, destination.count)
        guard count > 0, let codes = source.baseAddress, let samples = destination.baseAddress else { return 0 }
        table.withUnsafeBufferPointer { table in
            for index in 0..<count {
                samples[index] = table[Int(codes.load(fromByteOffset: index, as: UInt8.self))]
            }
        }
        return count
    }

    private static let mulawSamples: [Int16] = (0...255).map { code in
        let inverted = ~code
        let segment = (inverted >> 4) & 7
        let magnitude = ((2 * (inverted & 15) + 33) << segment) - 33
        return Int16((inverted & 0x80 != 0 ? -magnitude : magnitude) * 4)
    }

    private static let alawSamples: [Int16] = (0...255).map { code in
        let even = code ^ 0x55
        let segment = (even >> 4) & 7
        let step = 2 * (even & 15) + 1
        let magnitude = segment == 0 ? step : (step + 32) << (segment - 1)
        return Int16((even & 0x80 != 0 ? magnitude : -magnitude) * 8)
    }
}
