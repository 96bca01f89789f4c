/// The address by which the world reaches a server: carriers are told it, and sign it.
public struct PublicURL: Sendable, Equatable, CustomStringConvertible {
    /// What is wrong with a text, to follow the name of the setting.
    public struct Fault: Error, Sendable, CustomStringConvertible {
        public let description: String
    }

    /// Hosts that carriers' streams may reach without TLS: a simulated carrier is on this machine.
    private static let loopback = ["127.0.0.1", "localhost", "[::1]"]

    /// `https`, or `http` for a host of this machine.
    public let scheme: String
    /// The host, with the port where one was written.
    public let authority: String
    /// What a proxy takes off every path before it asks this server, such as `/voice`; mostly empty.
    public let prefix: String

    /// Without a slash at its end.
    public var description: String { "\(scheme)://\(authority)\(prefix)" }

    /// Reads `https://HOST`, with a port and a path where there are any.
    ///
    /// - Throws: ``Fault`` in words that say what to write.
    public init(_ text: String) throws(Fault) {
        func fault(_ words: String) -> Fault { Fault(description: "is \"\(text.prefix(200))\"; \(words)") }
        guard let separator = text.range(of: "://") else {
            throw fault("it begins with https://, for instance https://voice.example.com")
        }
        scheme = text[..<separator.lowerBound].lowercased()
        guard ["https", "http"].contains(scheme) else {
            throw fault("it begins with https://, as webhooks do; streams find their own scheme")
        }
        let rest = text[separator.upperBound...]
        guard rest.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), !rest.contains(where: { "?#@\"<>\\".contains($0) })
        else { throw fault("allowed are a host, a port and a path, in ASCII, without user name, query and fragment") }
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        authority = String(rest[..<slash])
        var prefix = rest[slash...]
        while prefix.last == "/" { prefix.removeLast() }
        self.prefix = String(prefix)
        guard let host = Self.host(authority) else {
            throw fault("after \(scheme):// stands a host, with a port of 1 to 65535 where it needs one")
        }
        guard scheme == "https" || Self.loopback.contains(host.lowercased()) else {
            throw fault("carriers stream by TLS only: write https:// (http:// is for this machine, 127.0.0.1)")
        }
    }

    /// The host of an authority (RFC 3986, section 3.2), `nil` when there is none or the port makes no sense.
    private static func host(_ authority: String) -> String? {
        var host = authority[...]
        if let colon = authority.lastIndex(of: ":"), authority[colon...].firstIndex(of: "]") == nil {
            host = authority[..<colon]
            let port = authority[colon...].dropFirst()
            guard port.allSatisfy({ $0.isASCII && $0.isNumber }), let number = Int(port), (1...65_535).contains(number)
            else { return nil }
        }
        if host.first == "[" {
            return host.last == "]" && NetworkAddress(host.dropFirst().dropLast())?.bytes.count == 16
                ? String(host) : nil
        }
        let isName = host.utf8.allSatisfy {
            (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                || [UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_")].contains($0)
        }
        return !host.isEmpty && isName ? String(host) : nil
    }
}
