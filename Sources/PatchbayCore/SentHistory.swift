import NIOCore

/// The last audio handed to the carrier, so that what was thrown away unheard can be said again.
///
/// A ring that is allocated once; older bytes are overwritten.
struct SentHistory {
    private var ring: [UInt8]
    /// Bytes written since the stream began.
    private var written = 0

    init(capacity: Int) { ring = [UInt8](repeating: 0, count: max(1, capacity)) }

    mutating func append(_ payload: ByteBuffer) {
        payload.withUnsafeReadableBytes { bytes in
            // What does not fit would be overwritten anyway.
            let bytes = bytes.suffix(ring.count)
            ring.withUnsafeMutableBytes { ring in
                var source = UnsafeRawBufferPointer(rebasing: bytes)
                var position = written % ring.count
                while !source.isEmpty {
                    let count = min(source.count, ring.count - position)
                    UnsafeMutableRawBufferPointer(rebasing: ring[position..<position + count])
                        .copyMemory(from: UnsafeRawBufferPointer(rebasing: source.prefix(count)))
                    source = UnsafeRawBufferPointer(rebasing: source.dropFirst(count))
                    position = (position + count) % ring.count
                }
            }
            written += bytes.count
        }
    }

    /// The last `count` bytes, or as many of them as are kept.
    func last(_ count: Int) -> ByteBuffer {
        let count = max(0, min(count, ring.count, written))
        var buffer = ByteBuffer()
        buffer.reserveCapacity(count)
        for position in (written - count)..<written { buffer.writeInteger(ring[position % ring.count]) }
        return buffer
    }
}
