import Synchronization

/// A bounded queue of byte records from one thread to one other, without locks and, once made, without allocation.
///
/// The writing thread copies a record in and publishes it; the reading thread sees whole records only. When there is no
/// room a record is refused, never waited for.
final class RecordingRing: Sendable {
    /// What a record tells.
    enum Kind: UInt32 {
        case skip, caller, agent, cut, pause, resume
    }

    /// Position (8 bytes), kind and length (4 each). Records begin at multiples of it, so a header never wraps.
    static let headerBytes = 16
    /// Room that audio leaves to commands: 256 of them.
    static let reservedBytes = 4096

    /// Bytes it holds, headers included.
    let capacity: Int
    // Safe to share: the writer touches only bytes of [written, consumed + capacity), the reader only bytes of
    // [consumed, written). The writer moves `written` with a releasing store after it has filled the bytes, the reader
    // moves `consumed` with one after it has used them, and each loads the other's counter with acquiring order before it
    // touches anything; so the two stretches never overlap and every byte is seen as it was written. Each counter has
    // one thread that stores it: the call's event loop and whoever drains, of whom `RecordingWriter` admits one at a
    // time. The memory is freed when neither side holds the ring any more.
    nonisolated(unsafe) private let storage: UnsafeMutableRawPointer
    /// Bytes ever published and ever given back; their difference is what waits.
    private let written = Atomic(0)
    private let consumed = Atomic(0)

    /// - Parameter capacity: At least twice the reserve for commands; rounded up to whole headers.
    init(capacity: Int) {
        let wanted = max(capacity, 2 * Self.reservedBytes)
        self.capacity = (wanted + Self.headerBytes - 1) / Self.headerBytes * Self.headerBytes
        storage = .allocate(byteCount: self.capacity, alignment: Self.headerBytes)
    }

    deinit { storage.deallocate() }

    /// Adds a record. From the writing thread only.
    ///
    /// - Returns: False when there is no room for it.
    func write(_ kind: Kind, at position: Int64, _ payload: UnsafeRawBufferPointer) -> Bool {
        let reserve = kind == .caller || kind == .agent ? Self.reservedBytes : 0
        let size = Self.headerBytes + (payload.count + Self.headerBytes - 1) / Self.headerBytes * Self.headerBytes
        let head = written.load(ordering: .relaxed)
        let used = head - consumed.load(ordering: .acquiring)
        var offset = head % capacity
        // A payload is kept in one piece: the end of the storage is passed over when it is too short.
        let skipped = capacity - offset < size ? capacity - offset : 0
        guard used + skipped + size + reserve <= capacity, payload.count <= UInt32.max else { return false }
        if skipped > 0 {
            writeHeader(.skip, 0, skipped - Self.headerBytes, at: offset)
            offset = 0
        }
        writeHeader(kind, position, payload.count, at: offset)
        if let source = payload.baseAddress {
            (storage + offset + Self.headerBytes).copyMemory(from: source, byteCount: payload.count)
        }
        written.store(head + skipped + size, ordering: .releasing)
        return true
    }

    /// Gives every record that waits to `body`, in order. From the reading thread only.
    ///
    /// - Parameter body: Must not keep the payload, whose place is written again afterwards.
    func drain(_ body: (Kind, _ position: Int64, _ payload: UnsafeRawBufferPointer) -> Void) {
        let end = written.load(ordering: .acquiring)
        var tail = consumed.load(ordering: .relaxed)
        while tail < end {
            let record = storage + tail % capacity
            let length = Int(record.load(fromByteOffset: 12, as: UInt32.self))
            if let kind = Kind(rawValue: record.load(fromByteOffset: 8, as: UInt32.self)), kind != .skip {
                body(
                    kind, record.load(as: Int64.self),
                    UnsafeRawBufferPointer(start: record + Self.headerBytes, count: length))
            }
            tail += Self.headerBytes + (length + Self.headerBytes - 1) / Self.headerBytes * Self.headerBytes
            consumed.store(tail, ordering: .releasing)
        }
    }

    private func writeHeader(_ kind: Kind, _ position: Int64, _ length: Int, at offset: Int) {
        storage.storeBytes(of: position, toByteOffset: offset, as: Int64.self)
        storage.storeBytes(of: kind.rawValue, toByteOffset: offset + 8, as: UInt32.self)
        storage.storeBytes(of: UInt32(truncatingIfNeeded: length), toByteOffset: offset + 12, as: UInt32.self)
    }
}
