import CPatchbayBench
import PatchbayAudio

extension ResamplerContender {
    /// The SoX resampler, in its stream form and the qualities that its users choose.
    static let soxr: [ResamplerContender] = [("LQ", 1), ("MQ", 2), ("HQ", 4), ("VHQ", 6)].map { name, recipe in
        ResamplerContender("soxr \(name)") { try SoxrResampler(recipe: UInt(recipe), from: $0, to: $1) }
    }
}

private struct SoxrLibrary {
    typealias Create =
        @convention(c) (
            Double, Double, UInt32, UnsafeMutablePointer<UnsafePointer<CChar>?>?,
            UnsafePointer<patchbay_soxr_io_spec>?, UnsafePointer<patchbay_soxr_quality_spec>?, UnsafeRawPointer?
        ) -> OpaquePointer?
    typealias Process =
        @convention(c) (
            OpaquePointer, UnsafePointer<Int16>?, Int, UnsafeMutablePointer<Int>?, UnsafeMutablePointer<Int16>?, Int,
            UnsafeMutablePointer<Int>?
        ) -> UnsafePointer<CChar>?
    typealias Quality = @convention(c) (UInt, UInt) -> patchbay_soxr_quality_spec

    let create: Create
    let process: Process
    let quality: Quality
    let delay: @convention(c) (OpaquePointer) -> Double
    let delete: @convention(c) (OpaquePointer) -> Void

    init() throws {
        let library = try DynamicLibrary("libsoxr.so.0", package: "libsoxr0")
        create = try library.function("soxr_create", as: Create.self)
        process = try library.function("soxr_process", as: Process.self)
        quality = try library.function("soxr_quality_spec", as: Quality.self)
        delay = try library.function("soxr_delay", as: (@convention(c) (OpaquePointer) -> Double).self)
        delete = try library.function("soxr_delete", as: (@convention(c) (OpaquePointer) -> Void).self)
    }
}

private final class SoxrResampler: StreamConverter {
    private let library: SoxrLibrary
    private let state: OpaquePointer
    private let outputRate: Double

    init(recipe: UInt, from inputRate: Int, to outputRate: Int) throws {
        library = try SoxrLibrary()
        self.outputRate = Double(outputRate)
        // SOXR_INT16_I both ways; it dithers, as it does for everyone who does not forbid it.
        var format = patchbay_soxr_io_spec(input_type: 3, output_type: 3, scale: 1, error: nil, flags: 0)
        var quality = library.quality(recipe, 0)
        var reason: UnsafePointer<CChar>?
        guard
            let state = library.create(Double(inputRate), Double(outputRate), 1, &reason, &format, &quality, nil)
        else { throw ContenderError(message: reason.map { String(cString: $0) } ?? "soxr_create failed") }
        self.state = state
    }

    deinit { library.delete(state) }

    /// Its own word for what it holds at this moment, which swings with its blocks.
    var reportedDelay: Double? { library.delay(state) / outputRate * 1000 }

    func process(_ input: UnsafeBufferPointer<Int16>, into output: UnsafeMutableBufferPointer<Int16>) -> Int {
        var taken = 0
        var written = 0
        while true {
            var used = 0
            var produced = 0
            let failure = library.process(
                state, input.baseAddress.map { $0 + taken }, input.count - taken, &used,
                output.baseAddress.map { $0 + written }, output.count - written, &produced)
            taken += used
            written += produced
            if failure != nil || taken == input.count || (used == 0 && produced == 0) { return written }
        }
    }
}
