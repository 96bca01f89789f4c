/// Something that takes a stream of 16-bit mono samples and gives one: a resampler, or a codec's two ends together.
public protocol StreamConverter: AnyObject {
    /// The delay that it claims at this moment, in milliseconds; `nil` if it has no word for it.
    var reportedDelay: Double? { get }

    /// Converts a block, all of which is consumed.
    /// - Returns: How many samples were written into `output`, which has room for everything.
    func process(_ input: UnsafeBufferPointer<Int16>, into output: UnsafeMutableBufferPointer<Int16>) -> Int
}

/// What a converter gives for a signal that is fed to it as a call would: 20 ms, one after the other.
struct StreamRun {
    private(set) var output: [Int16] = []
    /// How far the count of samples was behind at most, after the first packets, in seconds: audio the converter had been
    /// given and had not given back.
    private(set) var heldBack = 0.0
    /// The longest delay that the converter claimed after the first packets, in milliseconds.
    private(set) var reportedDelay: Double?

    /// - Parameter settling: Packets that do not count: filters fill.
    init(
        _ converter: any StreamConverter, _ input: [Int16], from inputRate: Int, to outputRate: Int, settling: Int = 15
    ) {
        let packet = inputRate / 50
        // A converter that gives in bursts gives what it held back before; half a second is more than any holds.
        let room = [Int16](repeating: 0, count: outputRate / 2 + outputRate / 25)
        var buffer = room
        output.reserveCapacity(input.count * outputRate / max(1, inputRate) + room.count)
        var index = 0
        var start = 0
        while start + packet <= input.count {
            let written = input.withUnsafeBufferPointer { input in
                buffer.withUnsafeMutableBufferPointer {
                    converter.process(UnsafeBufferPointer(rebasing: input[start..<start + packet]), into: $0)
                }
            }
            output.append(contentsOf: buffer[..<written])
            start += packet
            index += 1
            guard index > settling else { continue }
            heldBack = max(heldBack, Double(start) / Double(inputRate) - Double(output.count) / Double(outputRate))
            if let reported = converter.reportedDelay { reportedDelay = max(reportedDelay ?? reported, reported) }
        }
    }
}
