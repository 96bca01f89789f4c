/// Whether the bytes are well-formed UTF-8 as RFC 3629 defines it: no overlong form, no surrogate, nothing above
/// U+10FFFF.
///
/// Runs of ASCII cost an eighth of a step per byte.
func isValidUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let start = bytes.baseAddress else { return true }
    let count = bytes.count
    var offset = 0
    while offset < count {
        while offset &+ 8 <= count,
            start.loadUnaligned(fromByteOffset: offset, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
        {
            offset &+= 8
        }
        guard offset < count else { break }
        let lead = start.load(fromByteOffset: offset, as: UInt8.self)
        if lead < 0x80 {
            offset &+= 1
            continue
        }
        guard let length = lengthOfUTF8Scalar(lead: lead, at: offset, in: start, count: count) else { return false }
        offset &+= length
    }
    return true
}

/// Length of the multi-byte scalar at `offset`, or nil when it is ill-formed or cut off. The ranges of the second byte
/// are the table of RFC 3629, section 4.
private func lengthOfUTF8Scalar(lead: UInt8, at offset: Int, in start: UnsafeRawPointer, count: Int) -> Int? {
    let length: Int
    var second: ClosedRange<UInt8> = 0x80...0xBF
    switch lead {
    case 0xC2...0xDF: length = 2
    case 0xE0: (length, second) = (3, 0xA0...0xBF)
    case 0xED: (length, second) = (3, 0x80...0x9F)
    case 0xE1...0xEF: length = 3
    case 0xF0: (length, second) = (4, 0x90...0xBF)
    case 0xF4: (length, second) = (4, 0x80...0x8F)
    case 0xF1...0xF3: length = 4
    default: return nil
    }
    guard offset &+ length <= count else { return nil }
    guard second.contains(start.load(fromByteOffset: offset &+ 1, as: UInt8.self)) else { return nil }
    for index in 2..<max(length, 2) {
        guard start.load(fromByteOffset: offset &+ index, as: UInt8.self) & 0xC0 == 0x80 else { return nil }
    }
    return length
}
