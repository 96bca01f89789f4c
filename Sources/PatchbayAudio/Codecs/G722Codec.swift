/// G.722 at 64 kbit/s to samples of 16 kHz, mono, by libspandsp.
///
/// The RTP clock of G.722 runs at 8 kHz for historical reasons (RFC 3551, section 4.5.2); the samples are 16 kHz all the
/// same. One byte holds two of them.
public final class G722Decoder: AudioDecoder {
    public let format: AudioFormat
    private let library: G722Library
    private let state: OpaquePointer

    /// Half of the 22 samples by which the two filter banks delay the sound (ITU-T G.722, clauses 3.1 and 4.4).
    public var delayNanoseconds: Int64 { G722Library.delayNanoseconds }

    /// - Throws: ``CodecError/Code/unsupportedFormat`` for anything but 16 kHz mono, ``CodecError/Code/unavailable`` where
    ///   libspandsp is missing.
    public convenience init(_ format: AudioFormat) throws(CodecError) {
        try self.init(format, library: .shared())
    }

    init(_ format: AudioFormat, library: G722Library) throws(CodecError) {
        try format.checkG722()
        guard let state = library.decoderInit(nil, G722Library.bitrate, 0) else { throw G722Library.outOfMemory }
        self.format = format
        self.library = library
        self.state = state
    }

    deinit { _ = library.decoderFree(state) }

    public func sampleCount(of payload: UnsafeRawBufferPointer) -> Int { 2 * payload.count }

    public func decode(
        _ payload: UnsafeRawBufferPointer, into samples: UnsafeMutableBufferPointer<Int16>
    ) throws(CodecError) -> Int {
        try checkRoom(samples.count, needed: 2 * payload.count, "samples")
        guard let count = Int32(exactly: payload.count), count > 0 else { return 0 }
        let codes = payload.baseAddress?.assumingMemoryBound(to: UInt8.self)
        return Int(library.decode(state, samples.baseAddress, codes, count))
    }

    public func conceal(sampleFrames: Int, into samples: UnsafeMutableBufferPointer<Int16>) -> Int {
        samples.writeSilence(sampleFrames: sampleFrames, channelCount: 1)
    }

    public func reset() { _ = library.decoderInit(state, G722Library.bitrate, 0) }
}

/// Samples of 16 kHz, mono, to G.722 at 64 kbit/s, by libspandsp. An odd sample waits for its neighbour.
public final class G722Encoder: AudioEncoder {
    public let format: AudioFormat
    private let library: G722Library
    private let state: OpaquePointer
    /// The sample that still lacks its neighbour.
    private var waiting: Int16?
    private var isUsed = false

    /// Half of the 22 samples by which the two filter banks delay the sound (ITU-T G.722, clauses 3.1 and 4.4).
    public var delayNanoseconds: Int64 { G722Library.delayNanoseconds }

    /// - Throws: ``CodecError/Code/unsupportedFormat`` for anything but 16 kHz mono, ``CodecError/Code/unavailable`` where
    ///   libspandsp is missing.
    public convenience init(_ format: AudioFormat) throws(CodecError) {
        try self.init(format, library: .shared())
    }

    init(_ format: AudioFormat, library: G722Library) throws(CodecError) {
        try format.checkG722()
        guard let state = library.encoderInit(nil, G722Library.bitrate, 0) else { throw G722Library.outOfMemory }
        self.format = format
        self.library = library
        self.state = state
    }

    deinit { _ = library.encoderFree(state) }

    public func maximumPayload(forSamples count: Int) -> Int { max(count / 2 + 1, G722Library.tail + 1) }

    public func encode(
        _ samples: UnsafeBufferPointer<Int16>, into payload: UnsafeMutableRawBufferPointer
    ) throws(CodecError) -> EncodedRun {
        try checkRoom(payload.count, needed: maximumPayload(forSamples: samples.count), "bytes")
        var rest = samples[...]
        var written = 0
        guard let first = rest.first else { return EncodedRun(sampleCount: 0, byteCount: 0) }
        isUsed = true
        if let former = waiting {
            written = encode(former, first, into: payload)
            waiting = nil
            rest = rest.dropFirst()
        }
        if rest.count % 2 == 1 { waiting = rest.popLast() }
        // The library reads samples in pairs, so it must never be given an odd number.
        if let count = Int32(exactly: rest.count), count > 0, let codes = payload.baseAddress {
            let run = UnsafeBufferPointer(rebasing: rest)
            let room = (codes + written).assumingMemoryBound(to: UInt8.self)
            written += Int(library.encode(state, room, run.baseAddress, count))
        }
        return EncodedRun(sampleCount: samples.count, byteCount: written)
    }

    public func flush(into payload: UnsafeMutableRawBufferPointer) throws(CodecError) -> Int {
        try checkRoom(payload.count, needed: maximumPayload(forSamples: 0), "bytes")
        guard isUsed else { return 0 }
        isUsed = false
        var written = 0
        if let former = waiting { written = encode(former, 0, into: payload) }
        waiting = nil
        for _ in 0..<G722Library.tail {
            written += encode(0, 0, into: UnsafeMutableRawBufferPointer(rebasing: payload[written...]))
        }
        return written
    }

    public func reset() {
        _ = library.encoderInit(state, G722Library.bitrate, 0)
        waiting = nil
        isUsed = false
    }

    private func encode(_ first: Int16, _ second: Int16, into payload: UnsafeMutableRawBufferPointer) -> Int {
        withUnsafeTemporaryAllocation(of: Int16.self, capacity: 2) { pair in
            pair.initializeElement(at: 0, to: first)
            pair.initializeElement(at: 1, to: second)
            let codes = payload.baseAddress?.assumingMemoryBound(to: UInt8.self)
            return Int(library.encode(state, codes, pair.baseAddress, 2))
        }
    }
}

/// The functions of libspandsp for G.722, as `spandsp/g722.h` of version 0.0.6 declares them.
struct G722Library: Sendable {
    static let bitrate: Int32 = 64_000
    /// 11 samples of 16 kHz.
    static let delayNanoseconds: Int64 = 687_500
    /// Bytes of silence that push both filter banks' 22 samples out.
    static let tail = 11
    static var outOfMemory: CodecError { CodecError(.unavailable, "libspandsp could not start a G.722 codec: no memory") }

    /// State (`NULL` allocates one), bit/s, options (0: samples of 16 kHz, unpacked codes). Gives the state.
    typealias Initializer = @convention(c) @Sendable (OpaquePointer?, Int32, Int32) -> OpaquePointer?
    typealias Free = @convention(c) @Sendable (OpaquePointer?) -> Int32
    /// State, codes to write, samples, number of samples. Gives the number of codes.
    typealias Encode =
        @convention(c) @Sendable (OpaquePointer?, UnsafeMutablePointer<UInt8>?, UnsafePointer<Int16>?, Int32) -> Int32
    /// State, samples to write, codes, number of codes. Gives the number of samples.
    typealias Decode =
        @convention(c) @Sendable (OpaquePointer?, UnsafeMutablePointer<Int16>?, UnsafePointer<UInt8>?, Int32) -> Int32

    let encoderInit: Initializer
    let encoderFree: Free
    let encode: Encode
    let decoderInit: Initializer
    let decoderFree: Free
    let decode: Decode

    init(_ soname: String = "libspandsp.so.2") throws(DynamicLibraryError) {
        let library = try DynamicLibrary(soname, package: "libspandsp2")
        encoderInit = try library.function("g722_encode_init", as: Initializer.self)
        encoderFree = try library.function("g722_encode_free", as: Free.self)
        encode = try library.function("g722_encode", as: Encode.self)
        decoderInit = try library.function("g722_decode_init", as: Initializer.self)
        decoderFree = try library.function("g722_decode_free", as: Free.self)
        decode = try library.function("g722_decode", as: Decode.self)
    }

    /// Looked for once in a process.
    private static let installed: Result<G722Library, DynamicLibraryError> = Result { () throws(DynamicLibraryError) in
        try G722Library()
    }

    static func shared() throws(CodecError) -> G722Library {
        switch installed {
        case .success(let library): return library
        case .failure(let error): throw CodecError(.unavailable, "G.722 \(error)")
        }
    }
}

extension AudioFormat {
    fileprivate func checkG722() throws(CodecError) {
        guard encoding == .g722, sampleRate == 16_000, channelCount == 1 else {
            throw CodecError(
                .unsupportedFormat, "no codec for \(self): G.722 is mono at 16000 Hz; resample or mix down first")
        }
    }
}
