#if canImport(Glibc)
    import Glibc
#endif

/// Masks or unmasks bytes in place, eight at a time (RFC 6455, section 5.3). `key` holds the four key bytes in memory
/// order.
func applyWebSocketMask(_ key: UInt32, to bytes: UnsafeMutableRawBufferPointer) {
    guard let start = bytes.baseAddress else { return }
    let count = bytes.count
    let wide = UInt64(key) | UInt64(key) << 32
    var offset = 0
    while offset &+ 8 <= count {
        let word = start.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        start.storeBytes(of: word ^ wide, toByteOffset: offset, as: UInt64.self)
        offset &+= 8
    }
    if offset &+ 4 <= count {
        let word = start.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
        start.storeBytes(of: word ^ key, toByteOffset: offset, as: UInt32.self)
        offset &+= 4
    }
    // All steps so far are multiples of the key's length, so the tail starts with the key's first byte in memory.
    var rest = UInt32(littleEndian: key)
    while offset < count {
        let byte = start.load(fromByteOffset: offset, as: UInt8.self)
        start.storeBytes(of: byte ^ UInt8(truncatingIfNeeded: rest), toByteOffset: offset, as: UInt8.self)
        rest >>= 8
        offset &+= 1
    }
}

/// Masking keys from the operating system's entropy, which RFC 6455, section 5.3, asks for.
///
/// One system call fetches 64 keys, and each key is used once.
struct WebSocketMaskKeys {
    private static let count = 64
    private var keys: [UInt32] = []

    mutating func next() -> UInt32 {
        if keys.isEmpty { refill() }
        return keys.removeLast()
    }

    private mutating func refill() {
        keys.append(contentsOf: repeatElement(0, count: Self.count))
        #if canImport(Glibc)
            // getentropy(3) gives at most 256 bytes, which is 64 keys.
            let status = keys.withUnsafeMutableBytes { getentropy($0.baseAddress, $0.count) }
            if status == 0 { return }
        #endif
        var generator = SystemRandomNumberGenerator()
        for index in keys.indices { keys[index] = generator.next() }
    }
}
