/// Cuts a run of bytes, appended in pieces of any size, into packets of one exact size.
///
/// Append what arrives, then take packets until there is none:
///
/// ```swift
/// packetizer.append(bytes)
/// while packetizer.takePacket(into: packet) { send(packet) }
/// ```
///
/// Bytes are neither lost nor reordered. The storage grows to the largest backlog and is then reused, so the steady
/// state allocates nothing; each byte is copied in once, out once, and moved at most once on average in between.
public struct Packetizer: Sendable {
    /// Bytes of every packet.
    public let packetBytes: Int
    private var storage: [UInt8] = []
    /// Index in `storage` of the oldest byte not yet taken.
    private var head = 0

    /// Makes an empty packetizer.
    ///
    /// - Parameter packetBytes: Bytes of every packet, 1 or more; `AudioFormat.bytesPerPacket` for a format's own
    ///   packets.
    public init(packetBytes: Int) {
        precondition(packetBytes > 0, "a packet has at least one byte")
        self.packetBytes = packetBytes
        storage.reserveCapacity(4 * packetBytes)
    }

    /// Bytes appended and not yet taken.
    public var pendingBytes: Int { storage.count - head }

    /// Whole packets that can be taken now.
    public var pendingPackets: Int { pendingBytes / packetBytes }

    /// Appends bytes after those that are pending.
    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        makeRoom(for: bytes.count)
        storage.append(contentsOf: bytes)
    }

    /// Takes the oldest whole packet.
    ///
    /// - Parameter destination: Where the packet's `packetBytes` bytes go; bytes behind them are left alone.
    /// - Returns: Whether a packet was written; `false` if less than a packet is pending or `destination` is too small
    ///   to hold one.
    public mutating func takePacket(into destination: UnsafeMutableRawBufferPointer) -> Bool {
        guard pendingBytes >= packetBytes, destination.count >= packetBytes else { return false }
        storage.withUnsafeBytes {
            destination.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[head..<head + packetBytes]))
        }
        head += packetBytes
        if head == storage.count { reset() }
        return true
    }

    /// Fills an incomplete last packet, so that everything pending can be taken as whole packets.
    ///
    /// - Parameter padding: The byte to fill with, `AudioFormat.Encoding.silenceByte` for audio.
    /// - Returns: How many bytes were added: 0 if what is pending divides into packets.
    @discardableResult
    public mutating func flush(padding: UInt8) -> Int {
        let rest = pendingBytes % packetBytes
        guard rest > 0 else { return 0 }
        makeRoom(for: packetBytes - rest)
        storage.append(contentsOf: repeatElement(padding, count: packetBytes - rest))
        return packetBytes - rest
    }

    /// Drops everything pending and keeps the storage.
    public mutating func reset() {
        storage.removeAll(keepingCapacity: true)
        head = 0
    }

    /// Moves the pending bytes to the front if that avoids growing. Only when at least half of the storage has been
    /// taken: otherwise a long backlog would be moved for every small append.
    private mutating func makeRoom(for count: Int) {
        guard storage.count + count > storage.capacity, head >= storage.count - head else { return }
        storage.removeSubrange(0..<head)
        head = 0
    }
}
