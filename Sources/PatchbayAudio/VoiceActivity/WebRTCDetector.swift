/// The voice activity detector of WebRTC: Gaussian mixtures over the energies of six bands up to 4 kHz.
///
/// It runs in libwebrtc-audio-processing, which exports the detector's C functions (their declarations:
/// `common_audio/vad/include/webrtc_vad.h` of WebRTC). The score is 1 for a window with voice and 0 for one without. A few
/// microseconds a window. It tells sound from quiet well and speech from other sounds badly: noise that changes, music and
/// keyboards are voice to it, and its own hangover of 60 to 150 ms prolongs each of them.
public final class WebRTCDetector: VoiceActivityDetector {
    /// Rates that are taken, in Hz. All are judged at 8 kHz inside.
    public static let sampleRates = [8000, 16_000, 32_000, 48_000]
    /// How strict it is: 0 lets most pass as speech, 3 least.
    public static let modes = 0...3

    public let sampleRate: Int
    public let windowLength: Int
    /// How strict it is.
    public let mode: Int

    private let library: Functions
    private let instance: OpaquePointer

    /// - Parameters:
    ///   - sampleRate: One of ``sampleRates``.
    ///   - mode: One of ``modes``.
    ///   - windowMilliseconds: 10, 20 or 30.
    /// - Throws: ``VoiceActivityError`` for other values, and when the library is missing.
    public init(sampleRate: Int, mode: Int, windowMilliseconds: Int = 20) throws(VoiceActivityError) {
        guard WebRTCDetector.sampleRates.contains(sampleRate) else {
            throw VoiceActivityError(
                .unsupportedSampleRate,
                "the webrtc engine takes 8000, 16000, 32000 and 48000 Hz, not \(sampleRate); resample before it")
        }
        guard WebRTCDetector.modes.contains(mode) else {
            throw VoiceActivityError(.invalidSetting, "the webrtc engine has modes 0 to 3, not \(mode)")
        }
        guard [10, 20, 30].contains(windowMilliseconds) else {
            throw VoiceActivityError(
                .invalidSetting, "the webrtc engine has windows of 10, 20 and 30 ms, not \(windowMilliseconds)")
        }
        let library: Functions
        do {
            library = try WebRTCDetector.functions.get()
        } catch {
            throw VoiceActivityError(.unavailable, "the webrtc engine \(error.message)")
        }
        guard let instance = library.create() else {
            throw VoiceActivityError(.unavailable, "the webrtc engine found no memory to start")
        }
        self.library = library
        self.instance = instance
        self.sampleRate = sampleRate
        self.mode = mode
        windowLength = sampleRate * windowMilliseconds / 1000
        reset()
    }

    deinit { library.free(instance) }

    public func score(_ window: UnsafeBufferPointer<Int16>) -> Double {
        // It refuses (-1) only lengths and rates that `init` has refused.
        library.process(instance, Int32(sampleRate), window.baseAddress, window.count) == 1 ? 1 : 0
    }

    public func reset() {
        // Both fail only for a missing instance and a mode that `init` has refused.
        _ = library.initialize(instance)
        _ = library.setMode(instance, Int32(mode))
    }

    /// Whether the library is there; the error says what to install.
    public static func checkAvailability() throws(VoiceActivityError) {
        do { _ = try functions.get() } catch {
            throw VoiceActivityError(.unavailable, "the webrtc engine \(error.message)")
        }
    }

    private struct Functions: Sendable {
        let create: @convention(c) @Sendable () -> OpaquePointer?
        let free: @convention(c) @Sendable (OpaquePointer?) -> Void
        let initialize: @convention(c) @Sendable (OpaquePointer?) -> Int32
        let setMode: @convention(c) @Sendable (OpaquePointer?, Int32) -> Int32
        let process: @convention(c) @Sendable (OpaquePointer?, Int32, UnsafePointer<Int16>?, Int) -> Int32

        init() throws(DynamicLibraryError) {
            let library = try DynamicLibrary("libwebrtc_audio_processing.so.1", package: "libwebrtc-audio-processing1")
            create = try library.function(
                "WebRtcVad_Create", as: (@convention(c) @Sendable () -> OpaquePointer?).self)
            free = try library.function(
                "WebRtcVad_Free", as: (@convention(c) @Sendable (OpaquePointer?) -> Void).self)
            initialize = try library.function(
                "WebRtcVad_Init", as: (@convention(c) @Sendable (OpaquePointer?) -> Int32).self)
            setMode = try library.function(
                "WebRtcVad_set_mode", as: (@convention(c) @Sendable (OpaquePointer?, Int32) -> Int32).self)
            process = try library.function(
                "WebRtcVad_Process",
                as: (@convention(c) @Sendable (OpaquePointer?, Int32, UnsafePointer<Int16>?, Int) -> Int32).self)
        }
    }

    /// Looked for once, when the first detector is made.
    private static let functions: Result<Functions, DynamicLibraryError> = {
        do throws(DynamicLibraryError) { return .success(try Functions()) } catch { return .failure(error) }
    }()
}
