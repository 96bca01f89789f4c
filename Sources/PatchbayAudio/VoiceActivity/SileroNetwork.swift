import CPatchbayKernels

/// One of the networks of a Silero model, its weights packed for the kernels.
///
/// A window goes through: short-time Fourier transform as a convolution (4 frames), magnitudes, four convolutions over
/// three frames with ReLU (128, 64, 64, 128 channels; the second and third halve the frames), an LSTM cell of 128, and a
/// logistic output.
struct SileroNetwork: Sendable {
    let sampleRate: Int
    /// Samples of one frame of the transform.
    let frame: Int
    /// Frequencies of the transform.
    let bins: Int

    private(set) var weights: [Float] = []
    let transform, convolution0, convolution1, convolution2, convolution3, recurrent: Layer
    private(set) var output = 0
    private(set) var outputBias: Float = 0

    static let units = 128
    static let channels = [128, 64, 64, 128]

    /// Samples of one window: 32 ms.
    var window: Int { 2 * frame }
    /// Samples of the window before that are seen again.
    var context: Int { frame / 4 }

    /// The common parts of the names of all tensors.
    static let tensorNames =
        ["stft.forward_basis_buffer"]
        + (0..<4).flatMap { ["encoder.\($0).reparam_conv.weight", "encoder.\($0).reparam_conv.bias"] }
        + ["decoder.rnn.weight_ih", "decoder.rnn.weight_hh", "decoder.rnn.bias_ih", "decoder.rnn.bias_hh"]
        + ["decoder.decoder.2.weight", "decoder.decoder.2.bias"]

    /// A product of a matrix with vectors: where its parts lie in ``weights``.
    struct Layer: Sendable {
        /// Vectors at once.
        var steps: Int
        var inputs: Int
        /// Rounded up to what the kernel takes.
        var outputs: Int
        var weights = 0
        var bias = 0
    }

    init(_ tensors: [String: ONNXTensor], _ bytes: [UInt8]) throws(VoiceActivityError) {
        let source = Tensors(tensors: tensors, bytes: bytes)
        // The transform's size tells the two networks apart.
        let basis = try source.tensor("stft.forward_basis_buffer")
        switch basis.shape {
        case [130, 1, 128]: (sampleRate, frame, bins) = (8000, 128, 65)
        case [258, 1, 256]: (sampleRate, frame, bins) = (16_000, 256, 129)
        default:
            throw VoiceActivityError(
                .wrongShape, at: basis.data.lowerBound,
                "\"\(basis.name)\" has the shape \(basis.shape); Silero VAD has [130, 1, 128] for 8 kHz and [258, 1, 256] "
                    + "for 16 kHz")
        }
        var packed: [Float] = []
        func pack(
            steps: Int, inputs: Int, outputs: Int, bias: (Int) -> Float = { _ in 0 }, _ weight: (Int, Int) -> Float
        ) -> Layer {
            let panel = patchbay_affine_panel(steps)
            var layer = Layer(steps: steps, inputs: inputs, outputs: (outputs + panel - 1) / panel * panel)
            layer.weights = packed.count
            for first in stride(from: 0, to: layer.outputs, by: panel) {
                for input in 0..<inputs {
                    for output in first..<first + panel { packed.append(output < outputs ? weight(output, input) : 0) }
                }
            }
            layer.bias = packed.count
            for output in 0..<layer.outputs { packed.append(output < outputs ? bias(output) : 0) }
            return layer
        }
        /// Frames lie one behind the other, so the inputs of `taps` frames are one vector.
        func convolution(_ index: Int, inputs: Int, steps: Int, taps: Range<Int>) throws(VoiceActivityError) -> Layer {
            let outputs = SileroNetwork.channels[index]
            let weight = try source.values("encoder.\(index).reparam_conv.weight", [outputs, inputs, 3])
            let bias = try source.values("encoder.\(index).reparam_conv.bias", [outputs])
            return pack(steps: steps, inputs: inputs * taps.count, outputs: outputs, bias: { bias[$0] }) {
                weight[($0 * inputs + $1 % inputs) * 3 + taps.lowerBound + $1 / inputs]
            }
        }
        let units = SileroNetwork.units
        let frame = frame
        let waves = try source.values("stft.forward_basis_buffer", [2 * bins, 1, frame])
        transform = pack(steps: 4, inputs: frame, outputs: 2 * bins) { waves[$0 * frame + $1] }
        convolution0 = try convolution(0, inputs: bins, steps: 4, taps: 0..<3)
        convolution1 = try convolution(1, inputs: 128, steps: 2, taps: 0..<3)
        // Of the frames around theirs these two only ever see the ones that are not padding.
        convolution2 = try convolution(2, inputs: 64, steps: 1, taps: 1..<3)
        convolution3 = try convolution(3, inputs: 64, steps: 1, taps: 1..<2)
        let fromInput = try source.values("decoder.rnn.weight_ih", [4 * units, units])
        let fromHidden = try source.values("decoder.rnn.weight_hh", [4 * units, units])
        let inputBias = try source.values("decoder.rnn.bias_ih", [4 * units])
        let hiddenBias = try source.values("decoder.rnn.bias_hh", [4 * units])
        recurrent = pack(
            steps: 1, inputs: 2 * units, outputs: 4 * units, bias: { inputBias[$0] + hiddenBias[$0] },
            { $1 < units ? fromInput[$0 * units + $1] : fromHidden[$0 * units + $1 - units] })
        output = packed.count
        packed += try source.values("decoder.decoder.2.weight", [1, units, 1])
        outputBias = try source.values("decoder.decoder.2.bias", [1])[0]
        weights = packed
    }

    /// The tensors of one network, looked up by the common part of their names.
    private struct Tensors {
        var tensors: [String: ONNXTensor]
        var bytes: [UInt8]

        func tensor(_ name: String) throws(VoiceActivityError) -> ONNXTensor {
            if let tensor = tensors[name] { return tensor }
            let found = tensors.values.map(\.name).min().map { ", though it has \"\($0)\"" } ?? ""
            throw VoiceActivityError(
                .missingTensor,
                "not a model of Silero VAD version 5 or 6: it has no tensor \"\(name)\"\(found); `patchbay model silero` "
                    + "gets the right file")
        }

        /// The weights of a tensor that has to have this shape.
        func values(_ name: String, _ shape: [Int]) throws(VoiceActivityError) -> [Float] {
            let tensor = try tensor(name)
            guard tensor.shape == shape else {
                throw VoiceActivityError(
                    .wrongShape, at: tensor.data.lowerBound,
                    "\"\(tensor.name)\" has the shape \(tensor.shape), but \(shape) is needed; use silero_vad.onnx of "
                        + "version 5 or 6")
            }
            var values: [Float] = []
            values.reserveCapacity(tensor.data.count / 4)
            bytes.withUnsafeBytes { bytes in
                for offset in stride(from: tensor.data.lowerBound, to: tensor.data.upperBound, by: 4) {
                    let bits = bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
                    values.append(Float(bitPattern: UInt32(littleEndian: bits)))
                }
            }
            if let index = values.firstIndex(where: { !$0.isFinite }) {
                throw VoiceActivityError(
                    .invalidWeights, at: tensor.data.lowerBound + 4 * index,
                    "weight \(index) of \"\(tensor.name)\" is \(values[index]); get the model again")
            }
            return values
        }
    }
}
