import PatchbayAudio

extension ResamplerContender {
    /// The Speex resampler: what its header recommends for telephony (3) and for desktops (5), and its best (10).
    static let speexdsp: [ResamplerContender] = [3, 5, 10].map { quality in
        ResamplerContender("speexdsp q\(quality)") { try SpeexResampler(quality, from: $0, to: $1) }
    }
}

private struct SpeexLibrary {
    typealias Create =
        @convention(c) (UInt32, UInt32, UInt32, Int32, UnsafeMutablePointer<Int32>?) -> OpaquePointer?
    typealias Process =
        @convention(c) (
            OpaquePointer, UInt32, UnsafePointer<Int16>?, UnsafeMutablePointer<UInt32>, UnsafeMutablePointer<Int16>?,
            UnsafeMutablePointer<UInt32>
        ) -> Int32

    let create: Create
    let process: Process
    let latency: @convention(c) (OpaquePointer) -> Int32
    let destroy: @convention(c) (OpaquePointer) -> Void

    init() throws {
        let library = try DynamicLibrary("libspeexdsp.so.1", package: "libspeexdsp1")
        create = try library.function("speex_resampler_init", as: Create.self)
        process = try library.function("speex_resampler_process_int", as: Process.self)
        latency = try library.function(
            "speex_resampler_get_input_latency", as: (@convention(c) (OpaquePointer) -> Int32).self)
        destroy = try library.function("speex_resampler_destroy", as: (@convention(c) (OpaquePointer) -> Void).self)
    }
}

private final class SpeexResampler: StreamConverter {
    private let library: SpeexLibrary
    private let state: OpaquePointer
    private let inputRate: Double

    init(_ quality: Int, from inputRate: Int, to outputRate: Int) throws {
        library = try SpeexLibrary()
        self.inputRate = Double(inputRate)
        var code: Int32 = 0
        guard let state = library.create(1, UInt32(inputRate), UInt32(outputRate), Int32(quality), &code) else {
            throw ContenderError(message: "speex_resampler_init failed with \(code)")
        }
        self.state = state
    }

    deinit { library.destroy(state) }

    var reportedDelay: Double? { Double(library.latency(state)) / inputRate * 1000 }

    func process(_ input: UnsafeBufferPointer<Int16>, into output: UnsafeMutableBufferPointer<Int16>) -> Int {
        var taken = 0
        var written = 0
        while true {
            var used = UInt32(input.count - taken)
            var produced = UInt32(output.count - written)
            let code = library.process(
                state, 0, input.baseAddress.map { $0 + taken }, &used, output.baseAddress.map { $0 + written },
                &produced)
            taken += Int(used)
            written += Int(produced)
            if code != 0 || taken == input.count || (used == 0 && produced == 0) { return written }
        }
    }
}
