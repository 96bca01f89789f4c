import Foundation

/// An IP address, however it was written.
struct NetworkAddress: Hashable, Sendable {
    /// Longest text of an address, in bytes (`INET6_ADDRSTRLEN`).
    private static let maximumBytes = 45

    /// In network order: four bytes, or sixteen. One of IPv4 that comes by a socket for both families has four (RFC 4291,
    /// section 2.5.5.2).
    let bytes: [UInt8]

    /// - Returns: `nil` for what is no address.
    init?(_ text: some StringProtocol) {
        // Which interface leads to a link-local address (RFC 4007, section 11) is no part of it.
        let text = String(text.prefix { $0 != "%" })
        guard text.utf8.count <= Self.maximumBytes, !text.utf8.contains(0) else { return nil }
        var short = in_addr(), long = in6_addr()
        if inet_pton(AF_INET, text, &short) == 1 {
            bytes = withUnsafeBytes(of: short, Array.init)
        } else if inet_pton(AF_INET6, text, &long) == 1 {
            let all = withUnsafeBytes(of: long, Array.init)
            let isMapped = all.prefix(10).allSatisfy { $0 == 0 } && all[10...11].allSatisfy { $0 == 0xFF }
            bytes = isMapped ? Array(all.suffix(4)) : all
        } else {
            return nil
        }
    }

    /// Whether it is this machine.
    var isLoopback: Bool {
        bytes.count == 4 ? bytes.first == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
    }

    /// By what limits know whoever has an address: of IPv6 the network of 64 bits, for every customer of a provider has at
    /// least that many addresses (RFC 6177).
    ///
    /// - Returns: The text itself when it is no address.
    static func limitKey(of text: String) -> String {
        guard let address = NetworkAddress(text) else { return text }
        return (address.bytes.count == 4 ? address.bytes : Array(address.bytes.prefix(8))).map(String.init)
            .joined(separator: ".")
    }

    /// The address of a hop as proxies write it: alone, or with a port (`192.0.2.1:80`, `[2001:db8::1]:80`).
    ///
    /// - Returns: Without the port; `nil` for what is no address.
    static func hop(_ text: Substring) -> String? {
        var text = text
        if text.first == "[" {
            text = text.dropFirst().prefix { $0 != "]" }
        } else if let colon = text.firstIndex(of: ":"), text[colon...].dropFirst().firstIndex(of: ":") == nil {
            text = text[..<colon]
        }
        return NetworkAddress(text) == nil ? nil : String(text)
    }
}

/// An address, or all those that begin alike: `10.0.0.0/8` (RFC 4632, section 3.1).
struct AddressRange: Hashable, Sendable {
    private let bytes: [UInt8]
    /// Bits that have to be the same.
    private let length: Int

    /// - Returns: `nil` for what is neither an address nor a range.
    init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = NetworkAddress(first) else { return nil }
        bytes = address.bytes
        guard parts.count == 2 else {
            length = bytes.count * 8
            return
        }
        guard let length = Int(parts[1]), (0...bytes.count * 8).contains(length) else { return nil }
        self.length = length
    }

    func contains(_ address: NetworkAddress) -> Bool {
        guard address.bytes.count == bytes.count else { return false }
        return zip(bytes, address.bytes).enumerated().allSatisfy { index, pair in
            let rest = min(8, max(0, length - index * 8))
            return (pair.0 ^ pair.1) >> (8 - rest) == 0
        }
    }
}
