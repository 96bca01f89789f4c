import CSampleRate

extension ResamplerContender {
    /// libsamplerate's five, called as its manual says, with its own conversion from and to 16 bits.
    static let libsamplerate: [ResamplerContender] = [
        ("best", SRC_SINC_BEST_QUALITY), ("medium", SRC_SINC_MEDIUM_QUALITY), ("fastest", SRC_SINC_FASTEST),
        ("linear", SRC_LINEAR), ("zero-order hold", SRC_ZERO_ORDER_HOLD),
    ].map { name, type in
        let type = Int32(type)
        return ResamplerContender("libsamplerate \(name)") { try LibsamplerateResampler(type, from: $0, to: $1) }
    }
}

private final class LibsamplerateResampler: StreamConverter {
    private let state: OpaquePointer
    private let ratio: Double
    private var input: [Float]
    private var output: [Float]

    init(_ type: Int32, from inputRate: Int, to outputRate: Int) throws {
        var code: Int32 = 0
        guard let state = src_new(type, 1, &code) else {
            throw ContenderError(message: src_strerror(code).map { String(cString: $0) } ?? "error \(code)")
        }
        self.state = state
        ratio = Double(outputRate) / Double(inputRate)
        input = Array(repeating: 0, count: inputRate / 50)
        output = Array(repeating: 0, count: outputRate / 50 + 64)
    }

    deinit { src_delete(state) }

    /// It has no function that tells.
    var reportedDelay: Double? { nil }

    func process(_ samples: UnsafeBufferPointer<Int16>, into destination: UnsafeMutableBufferPointer<Int16>) -> Int {
        let count = min(samples.count, input.count)
        src_short_to_float_array(samples.baseAddress, &input, Int32(count))
        var taken = 0
        var written = 0
        while true {
            var used = 0
            var produced = 0
            let failed = input.withUnsafeBufferPointer { input in
                output.withUnsafeMutableBufferPointer { output in
                    var data = SRC_DATA()
                    data.data_in = input.baseAddress.map { $0 + taken }
                    data.input_frames = count - taken
                    data.data_out = output.baseAddress
                    data.output_frames = output.count
                    data.src_ratio = ratio
                    defer { (used, produced) = (data.input_frames_used, data.output_frames_gen) }
                    return src_process(state, &data) != 0
                }
            }
            if failed { return written }
            taken += used
            produced = min(produced, destination.count - written)
            if produced > 0, let target = destination.baseAddress {
                src_float_to_short_array(output, target + written, Int32(produced))
                written += produced
            }
            if taken == count || (used == 0 && produced == 0) { return written }
        }
    }
}

/// Why a contender cannot take part.
struct ContenderError: Error, CustomStringConvertible {
    var message: String
    var description: String { message }
}
