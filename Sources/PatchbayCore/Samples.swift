public import NIOCore

extension ByteBuffer {
    /// Empties the buffer and keeps its storage up to `limit` bytes.
    public mutating func empty(keepingCapacity limit: Int) {
        if capacity > limit { self = ByteBuffer() } else { clear() }
    }

    /// Gives the readable bytes as 16-bit samples, copied into `samples`, which keeps its storage from call to call.
    public func withUnsafeSamples<Result>(
        copyingInto samples: inout [Int16], _ body: (UnsafeBufferPointer<Int16>) -> Result
    ) -> Result {
        let count = readableBytes / 2
        if samples.count < count { samples.append(contentsOf: repeatElement(0, count: count - samples.count)) }
        withUnsafeReadableBytes { bytes in
            samples.withUnsafeMutableBytes {
                $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes.prefix(count * 2)))
            }
        }
        return samples.withUnsafeBufferPointer { body(UnsafeBufferPointer(rebasing: $0.prefix(count))) }
    }
}
