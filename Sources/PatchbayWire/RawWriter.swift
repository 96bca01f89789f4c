/// Fills memory that was reserved for one message, front to back; for messages that are written 50 times a second.
///
/// Traps when the room is too small, which only a wrong reservation in this module can cause.
struct RawWriter {
    private let room: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    init(_ room: UnsafeMutableRawBufferPointer) { self.room = room }

    @inline(__always)
    mutating func append(_ text: StaticString) {
        append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    @inline(__always)
    mutating func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { append($0) }
    }

    @inline(__always)
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count <= room.count - count, "the reservation is too small")
        guard let from = bytes.baseAddress, let to = room.baseAddress else { return }
        (to + count).copyMemory(from: from, byteCount: bytes.count)
        count += bytes.count
    }

    mutating func append(base64 bytes: UnsafeRawBufferPointer) {
        count += Base64.encode(bytes, into: UnsafeMutableRawBufferPointer(rebasing: room[count...]))
    }

    /// Characters that the longest integer takes.
    static let integerWidth = 20

    mutating func append(_ value: Int) {
        if value < 0 { append("-") }
        var rest = value.magnitude
        var width = 1
        while rest >= 10 {
            rest /= 10
            width += 1
        }
        precondition(width <= room.count - count, "the reservation is too small")
        rest = value.magnitude
        for position in stride(from: count + width - 1, through: count, by: -1) {
            room[position] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        count += width
    }
}
