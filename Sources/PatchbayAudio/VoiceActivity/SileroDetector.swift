import CPatchbayKernels

/// The Silero voice activity detector: a small recurrent network that scores windows of 32 ms with the probability of
/// speech.
///
/// Takes 8 and 16 kHz as they come. It knows speech from other sounds, so that it stays quiet where engines that
/// measure energy do not. The threshold its authors recommend is 0.5 to enter and 0.15 less to leave (`VADIterator` of
/// <https://github.com/snakers4/silero-vad>). The same samples give the same bits on every processor.
///
/// Allocates nothing after `init`; keeps 13 kB (19 kB at 16 kHz) besides the shared ``SileroModel``. Not `Sendable`: a
/// detector belongs to one stream.
public final class SileroDetector: VoiceActivityDetector {
    /// Rates that there are networks for, in Hz.
    public static let sampleRates = [8000, 16_000]

    public let sampleRate: Int
    public let windowLength: Int

    private let network: SileroNetwork
    private let isPortable: Bool
    /// Everything the network works on, one buffer behind the other.
    private let storage: UnsafeMutableBufferPointer<Float>
    private let samples, spectrum, magnitudes, frames1, frames2, frames3, joint, gates,
        cell: UnsafeMutablePointer<Float>

    /// - Parameter sampleRate: 8000 or 16000 Hz, as far as the model has both.
    /// - Throws: ``VoiceActivityError`` for other rates.
    public convenience init(_ model: SileroModel, sampleRate: Int) throws(VoiceActivityError) {
        self.init(try model.network(for: sampleRate), isPortable: false)
    }

    /// - Parameter isPortable: Leaves the processor's wide registers alone, for comparisons.
    init(_ network: SileroNetwork, isPortable: Bool) {
        self.network = network
        self.isPortable = isPortable
        sampleRate = network.sampleRate
        windowLength = network.window
        let sizes = [
            // The context, the window, and as much behind it as its mirror image has.
            network.window + 2 * network.context,
            4 * network.transform.outputs,
            // Four frames between two empty ones.
            6 * network.bins,
            // An empty frame, then four.
            5 * SileroNetwork.channels[0],
            2 * SileroNetwork.channels[1],
            SileroNetwork.channels[2],
            // What goes into the recurrent cell: the last convolution's output and the cell's own.
            2 * SileroNetwork.units,
            4 * SileroNetwork.units,
            SileroNetwork.units,
        ]
        storage = .allocate(capacity: sizes.reduce(0, +))
        storage.initialize(repeating: 0)
        var next = storage.baseAddress.unsafelyUnwrapped  // There is one: the sizes are not 0.
        func take(_ size: Int) -> UnsafeMutablePointer<Float> {
            defer { next += size }
            return next
        }
        samples = take(sizes[0])
        spectrum = take(sizes[1])
        magnitudes = take(sizes[2])
        frames1 = take(sizes[3])
        frames2 = take(sizes[4])
        frames3 = take(sizes[5])
        joint = take(sizes[6])
        gates = take(sizes[7])
        cell = take(sizes[8])
    }

    deinit { storage.deallocate() }

    public func score(_ window: UnsafeBufferPointer<Int16>) -> Double {
        let context = network.context
        let end = context + network.window
        for (index, sample) in window.enumerated() { samples[context + index] = Float(sample) * (1 / 32768) }
        for index in 0..<context { samples[end + index] = samples[end - 2 - index] }
        let probability = network.weights.withUnsafeBufferPointer { run($0) }
        // The end of this window is the context of the next.
        for index in 0..<context { samples[index] = samples[end - context + index] }
        return Double(probability)
    }

    public func reset() { storage.update(repeating: 0) }

    private func run(_ weights: UnsafeBufferPointer<Float>) -> Float {
        guard let weights = weights.baseAddress else { return 0 }
        let bins = network.bins
        let (channels0, channels1) = (SileroNetwork.channels[0], SileroNetwork.channels[1])
        let units = SileroNetwork.units

        apply(network.transform, weights, samples, every: network.frame / 2, to: spectrum, isRectified: false)
        for frame in 0..<4 {
            let real = spectrum + frame * network.transform.outputs
            patchbay_magnitudes(real, real + bins, bins, magnitudes + (1 + frame) * bins)
        }
        apply(network.convolution0, weights, magnitudes, every: bins, to: frames1 + channels0)
        apply(network.convolution1, weights, frames1, every: 2 * channels0, to: frames2)
        apply(network.convolution2, weights, frames2, every: 2 * channels1, to: frames3)
        apply(network.convolution3, weights, frames3, every: 0, to: joint)
        apply(network.recurrent, weights, joint, every: 0, to: gates, isRectified: false)
        patchbay_lstm(gates, units, cell, joint + units, isPortable)
        return patchbay_logistic_output(weights + network.output, network.outputBias, joint + units, units)
    }

    private func apply(
        _ layer: SileroNetwork.Layer, _ weights: UnsafePointer<Float>, _ input: UnsafeMutablePointer<Float>,
        every stride: Int, to output: UnsafeMutablePointer<Float>, isRectified: Bool = true
    ) {
        patchbay_affine(
            weights + layer.weights, weights + layer.bias, layer.outputs, layer.inputs, input, stride, layer.steps,
            output,
            layer.outputs, isRectified, isPortable)
    }
}
