/// Takes steady noise out of speech with SpeexDSP's preprocessor, a spectral suppressor (Ephraim and Malah's estimator).
///
/// Works in frames of 10 ms that overlap by one, which is the delay it adds; what does not fill a frame waits for more. The
/// library, `libspeexdsp.so.1`, is loaded when the first suppressor is made. Allocates nothing after `init`. Not `Sendable`:
/// a suppressor belongs to one stream. Mono.
public final class NoiseSuppressor {
    /// Rates that it takes, in Hz.
    public static let sampleRates = [8000, 16000]
    /// How much noise may be lowered, in dB.
    public static let suppressions = 1...60

    public let sampleRate: Int
    /// Samples of a frame: 10 ms.
    public let frameLength: Int
    private let library: SpeexDSP
    private let state: OpaquePointer
    private var frame: [Int16]
    private var filled = 0
    private var isUsed = false

    /// - Parameters:
    ///   - sampleRate: 8,000 or 16,000 Hz.
    ///   - suppression: How much noise is lowered at most, in dB, 1 to 60; the library's own default is 15.
    /// - Throws: `NoiseSuppressorError` for values out of range and without the library.
    public init(sampleRate: Int, suppression: Int = 15) throws(NoiseSuppressorError) {
        guard Self.sampleRates.contains(sampleRate) else {
            throw NoiseSuppressorError(
                .sampleRateOutOfRange, "cannot work at \(sampleRate) Hz: 8000 and 16000 are possible; resample first")
        }
        guard Self.suppressions.contains(suppression) else {
            throw NoiseSuppressorError(
                .suppressionOutOfRange, "cannot lower noise by \(suppression) dB: 1 to 60 are possible")
        }
        library = try Self.library()
        self.sampleRate = sampleRate
        frameLength = sampleRate / 100
        guard let state = library.make(Int32(frameLength), Int32(sampleRate)) else {
            throw NoiseSuppressorError(.unavailable, "libspeexdsp could not start, most likely for want of memory")
        }
        self.state = state
        frame = [Int16](repeating: 0, count: frameLength)
        var value: Int32 = 1
        _ = library.control(state, SpeexDSP.setDenoise, &value)
        value = -Int32(suppression)
        _ = library.control(state, SpeexDSP.setNoiseSuppress, &value)
    }

    deinit { library.destroy(state) }

    /// Why no suppressor can be made on this machine, or `nil`.
    public static var missingLibrary: NoiseSuppressorError? {
        do {
            _ = try library()
            return nil
        } catch {
            return error
        }
    }

    /// What it holds back, in nanoseconds: the overlap of 10 ms, and what waits for a frame to be full.
    public var delayNanoseconds: Int64 { Int64(frameLength + filled) * 1_000_000_000 / Int64(sampleRate) }

    /// The most samples that `process` writes for `count` samples.
    public func maximumOutput(forInput count: Int) -> Int { count + frameLength }

    /// Takes a block and gives the frames that have become complete.
    ///
    /// - Parameter destination: Room for `maximumOutput(forInput:)` samples. What does not fit is lost.
    /// - Returns: How many samples were written: as many as the block has when blocks are whole frames.
    public func process(
        _ samples: UnsafeBufferPointer<Int16>, into destination: UnsafeMutableBufferPointer<Int16>
    ) -> Int {
        var written = 0
        for sample in samples {
            frame[filled] = sample
            filled += 1
            if filled == frameLength { written += run(into: destination, at: written, count: frameLength) }
        }
        return written
    }

    /// Gives out what is held back, as if silence followed. What it knows of the noise is kept.
    ///
    /// - Parameter destination: Room for two frames; an empty one throws the tail away.
    public func flush(into destination: UnsafeMutableBufferPointer<Int16>) -> Int {
        guard isUsed else { return 0 }
        let rest = filled
        for index in filled..<frameLength { frame[index] = 0 }
        var written = run(into: destination, at: 0, count: frameLength)
        if rest > 0 {
            for index in frame.indices { frame[index] = 0 }
            written += run(into: destination, at: written, count: rest)
        }
        isUsed = false
        return written
    }

    /// Runs the full frame and writes its first `count` samples.
    private func run(into destination: UnsafeMutableBufferPointer<Int16>, at offset: Int, count: Int) -> Int {
        filled = 0
        isUsed = true
        return frame.withUnsafeMutableBufferPointer { frame in
            _ = library.run(state, frame.baseAddress)
            let count = max(0, min(count, destination.count - offset))
            for index in 0..<count { destination[offset + index] = frame[index] }
            return count
        }
    }

    private static func library() throws(NoiseSuppressorError) -> SpeexDSP {
        switch SpeexDSP.shared {
        case .success(let library): return library
        case .failure(let error): throw NoiseSuppressorError(.missingLibrary, error.message)
        }
    }
}

/// Why noise cannot be suppressed.
public struct NoiseSuppressorError: Error, Hashable, Sendable, CustomStringConvertible {
    public struct Code: Hashable, Sendable {
        /// The code in messages and logs, such as `missing-library`.
        public let name: String

        public static let sampleRateOutOfRange = Code(name: "sample-rate-out-of-range")
        public static let suppressionOutOfRange = Code(name: "suppression-out-of-range")
        /// The library is not installed.
        public static let missingLibrary = Code(name: "missing-library")
        /// The library could not start.
        public static let unavailable = Code(name: "noise-suppressor-unavailable")
    }

    public let code: Code
    /// What is wrong and what to do.
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(code.name): \(message)" }
}

/// The functions of `libspeexdsp.so.1` that are used here (speex/speex_preprocess.h). A C function captures nothing, so its
/// address may be shared.
private struct SpeexDSP: Sendable {
    let make: @Sendable @convention(c) (_ frameSize: Int32, _ sampleRate: Int32) -> OpaquePointer?
    let destroy: @Sendable @convention(c) (OpaquePointer) -> Void
    let run: @Sendable @convention(c) (OpaquePointer, UnsafeMutablePointer<Int16>?) -> Int32
    let control: @Sendable @convention(c) (OpaquePointer, _ request: Int32, UnsafeMutableRawPointer) -> Int32

    /// SPEEX_PREPROCESS_SET_DENOISE and SPEEX_PREPROCESS_SET_NOISE_SUPPRESS; both take a pointer to a 32-bit number.
    static let setDenoise: Int32 = 0
    static let setNoiseSuppress: Int32 = 18

    static let shared: Result<SpeexDSP, DynamicLibraryError> = {
        do throws(DynamicLibraryError) {
            return .success(try SpeexDSP(DynamicLibrary("libspeexdsp.so.1", package: "libspeexdsp1")))
        } catch {
            return .failure(error)
        }
    }()

    private init(_ library: DynamicLibrary) throws(DynamicLibraryError) {
        make = try library.function(
            "speex_preprocess_state_init", as: (@Sendable @convention(c) (Int32, Int32) -> OpaquePointer?).self)
        destroy = try library.function(
            "speex_preprocess_state_destroy", as: (@Sendable @convention(c) (OpaquePointer) -> Void).self)
        run = try library.function(
            "speex_preprocess_run",
            as: (@Sendable @convention(c) (OpaquePointer, UnsafeMutablePointer<Int16>?) -> Int32).self)
        control = try library.function(
            "speex_preprocess_ctl",
            as: (@Sendable @convention(c) (OpaquePointer, Int32, UnsafeMutableRawPointer) -> Int32).self)
    }
}
