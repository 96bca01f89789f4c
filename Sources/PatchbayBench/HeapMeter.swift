import CPatchbayBench
import Glibc

/// What one instance of something takes from the heap.
enum HeapMeter {
    /// The mean of eight, after a first that pays for what all of them share; `nil` where the allocator does not say.
    ///
    /// Counts what the allocator hands out, rounded up as it rounds, so the smallest object takes 32 bytes.
    ///
    /// - Parameter make: Makes an instance and lets it work until it has taken all that it will.
    static func bytes(perInstance make: () throws -> AnyObject) rethrows -> Int? {
        guard patchbay_heap_in_use() > 0 else { return nil }
        var kept: [AnyObject] = [try make()]
        kept.reserveCapacity(16)
        // glibc keeps up to seven freed blocks of each small size for the thread and counts them as in use. Emptied first,
        // they cannot pass for new memory.
        var reserve: [UnsafeMutableRawPointer?] = []
        reserve.reserveCapacity(1024)
        for size in stride(from: 24, through: 1032, by: 16) {
            for _ in 0..<8 { reserve.append(malloc(size)) }
        }
        defer { for block in reserve { free(block) } }
        let before = patchbay_heap_in_use()
        for _ in 0..<8 { kept.append(try make()) }
        let after = patchbay_heap_in_use()
        return withExtendedLifetime(kept) { after > before ? (after - before) / 8 : 0 }
    }
}
