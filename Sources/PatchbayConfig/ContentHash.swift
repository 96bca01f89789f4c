/// Twelve hexadecimal digits of FNV-1a with 64 bits (the algorithm of Fowler, Noll and Vo, draft-eastlake-fnv).
///
/// Tells one version of a text from another; no protection against anybody who wants two texts to look the same.
func contentHash(_ bytes: [UInt8]) -> String {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
    let digits = String(hash, radix: 16)
    return String((String(repeating: "0", count: 16 - digits.count) + digits).prefix(12))
}
