import Glibc
@testable import PatchbayAudio

/// Writes just enough of an ONNX file to hold tensors.
enum ONNXWriter {
    struct Tensor {
        var name: String
        var shape: [Int]
        var values: [Float]
        var type: UInt64 = 1
        var usesFloatData = false
    }

    static func varint(_ value: UInt64) -> [UInt8] {
        var rest = value
        var bytes: [UInt8] = []
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    static func field(_ number: UInt64, _ content: [UInt8]) -> [UInt8] {
        varint(number << 3 | 2) + varint(UInt64(content.count)) + content
    }

    static func field(_ number: UInt64, value: UInt64) -> [UInt8] { varint(number << 3) + varint(value) }

    static func field(_ number: UInt64, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }

    static func tensor(_ tensor: Tensor) -> [UInt8] {
        let data = tensor.values.withUnsafeBytes { Array($0) }
        return tensor.shape.flatMap { field(1, value: UInt64($0)) } + field(2, value: tensor.type)
            + field(8, tensor.name) + field(tensor.usesFloatData ? 4 : 9, data)
    }

    /// A graph with one constant for each tensor.
    static func constants(_ tensors: [Tensor]) -> [UInt8] {
        tensors.flatMap { field(1, field(4, "Constant") + field(5, field(1, "value") + field(5, tensor($0)))) }
    }

    /// A graph with initializers.
    static func initializers(_ tensors: [Tensor]) -> [UInt8] { tensors.flatMap { field(5, tensor($0)) } }

    /// A graph with one `If` of two branches.
    static func branches(_ one: [UInt8], _ other: [UInt8]) -> [UInt8] {
        field(
            1,
            field(4, "If") + field(5, field(1, "then_branch") + field(6, one))
                + field(5, field(1, "else_branch") + field(6, other)))
    }

    static func model(_ graph: [UInt8]) -> [UInt8] { field(1, value: 8) + field(2, "test") + field(7, graph) }
}

/// Made-up weights in the shapes of the Silero network for one rate.
struct SileroWeights {
    var rate: Int
    var tensors: [ONNXWriter.Tensor]

    init(rate: Int, seed: UInt64) {
        self.rate = rate
        var generator = SeededGenerator(seed: seed)
        let (frame, bins) = rate == 8000 ? (128, 65) : (256, 129)
        func random(_ name: String, _ shape: [Int], scale: Float) -> ONNXWriter.Tensor {
            let values = (0..<shape.reduce(1, *)).map { _ in
                (Float(generator.next() >> 40) / Float(1 << 24) * 2 - 1) * scale
            }
            return ONNXWriter.Tensor(name: name, shape: shape, values: values)
        }
        tensors = [random("stft.forward_basis_buffer", [2 * bins, 1, frame], scale: 0.5)]
        for (index, (outputs, inputs)) in [(128, bins), (64, 128), (64, 64), (128, 64)].enumerated() {
            let scale = 2 / Float(3 * inputs).squareRoot()
            tensors.append(random("encoder.\(index).reparam_conv.weight", [outputs, inputs, 3], scale: scale))
            tensors.append(random("encoder.\(index).reparam_conv.bias", [outputs], scale: 0.3))
        }
        tensors.append(random("decoder.rnn.weight_ih", [512, 128], scale: 0.25))
        tensors.append(random("decoder.rnn.weight_hh", [512, 128], scale: 0.25))
        tensors.append(random("decoder.rnn.bias_ih", [512], scale: 0.5))
        tensors.append(random("decoder.rnn.bias_hh", [512], scale: 0.5))
        tensors.append(random("decoder.decoder.2.weight", [1, 128, 1], scale: 0.7))
        tensors.append(random("decoder.decoder.2.bias", [1], scale: 0.5))
    }

    func values(_ name: String) -> [Float] { tensors.first { $0.name == name }?.values ?? [] }

    /// The tensors with something in front of their names.
    func prefixed(_ prefix: String) -> [ONNXWriter.Tensor] {
        tensors.map { tensor in
            var tensor = tensor
            tensor.name = prefix + tensor.name
            return tensor
        }
    }
}

/// The network written out plainly, in double precision and one sum at a time, to compare with.
struct SileroReference {
    let weights: SileroWeights
    private var context: [Double]
    private var hidden = [Double](repeating: 0, count: 128)
    private var cell = [Double](repeating: 0, count: 128)

    init(_ weights: SileroWeights) {
        self.weights = weights
        context = [Double](repeating: 0, count: weights.rate == 8000 ? 32 : 64)
    }

    mutating func score(_ window: [Int16]) -> Double {
        let size = context.count * 4
        let bins = size / 2 + 1
        var input = context + window.map { Double($0) / 32768 }
        context = Array(input.suffix(context.count))
        input += input.dropLast().suffix(context.count).reversed()
        let basis = weights.values("stft.forward_basis_buffer")
        /// By frame, then by channel.
        var frames = (0..<4).map { (frame: Int) -> [Double] in
            func sum(_ row: Int) -> Double {
                var sum = 0.0
                for sample in 0..<size { sum += Double(basis[row * size + sample]) * input[frame * size / 2 + sample] }
                return sum
            }
            return (0..<bins).map { (bin: Int) -> Double in hypot(sum(bin), sum(bins + bin)) }
        }
        for (layer, stride) in [1, 2, 2, 1].enumerated() {
            let weight = weights.values("encoder.\(layer).reparam_conv.weight")
            let bias = weights.values("encoder.\(layer).reparam_conv.bias")
            let inputs = frames[0].count
            frames = Swift.stride(from: 0, to: frames.count, by: stride).map { (centre: Int) -> [Double] in
                bias.indices.map { (output: Int) -> Double in
                    var sum = Double(bias[output])
                    for tap in 0..<3 where frames.indices.contains(centre + tap - 1) {
                        for channel in 0..<inputs {
                            sum +=
                                Double(weight[(output * inputs + channel) * 3 + tap])
                                * frames[centre + tap - 1][channel]
                        }
                    }
                    return max(0, sum)
                }
            }
        }
        let (inputWeights, hiddenWeights) = (
            weights.values("decoder.rnn.weight_ih"), weights.values("decoder.rnn.weight_hh")
        )
        let (inputBias, hiddenBias) = (weights.values("decoder.rnn.bias_ih"), weights.values("decoder.rnn.bias_hh"))
        let gates = (0..<512).map { (row: Int) -> Double in
            var sum = Double(inputBias[row]) + Double(hiddenBias[row])
            for unit in 0..<128 {
                sum += Double(inputWeights[row * 128 + unit]) * frames[0][unit]
                sum += Double(hiddenWeights[row * 128 + unit]) * hidden[unit]
            }
            return sum
        }
        func logistic(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
        for unit in 0..<128 {
            cell[unit] =
                logistic(gates[128 + unit]) * cell[unit] + logistic(gates[unit]) * tanh(gates[256 + unit])
            hidden[unit] = logistic(gates[384 + unit]) * tanh(cell[unit])
        }
        let output = weights.values("decoder.decoder.2.weight")
        var sum = Double(weights.values("decoder.decoder.2.bias")[0])
        for unit in 0..<128 { sum += Double(output[unit]) * max(0, hidden[unit]) }
        return logistic(sum)
    }
}
