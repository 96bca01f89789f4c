import NIOCore

/// Where to connect, and what to say there.
///
/// Its description leaves out the query and the headers: both may hold secrets.
public struct WebSocketTarget: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// `ws://host[:port][/path][?query]` or `wss://…`. Path and query are sent exactly as given, so they are
    /// percent-encoded already.
    public var url: String
    /// Sent with the handshake, beside those that the handshake itself needs.
    public var headers: [(String, String)]
    /// Offered to the server, the preferred one first.
    public var subprotocols: [String]

    public init(_ url: String, headers: [(String, String)] = [], subprotocols: [String] = []) {
        self.url = url
        self.headers = headers
        self.subprotocols = subprotocols
    }

    public var description: String {
        guard let address = try? WebSocketAddress(url) else { return "an invalid WebSocket address" }
        let path = address.requestTarget.prefix { $0 != "?" }
        return "\(address.isSecure ? "wss" : "ws")://\(address.hostHeader)\(path)"
    }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["address": description]) }
}

/// The parts of a `ws:` or `wss:` address (RFC 6455, section 3).
struct WebSocketAddress: Hashable, Sendable {
    var isSecure: Bool
    /// Without the brackets of an IPv6 address.
    var host: String
    var port: Int
    /// Path and query, as they stand in the request line. Never empty.
    var requestTarget: String

    /// `host:port` for people.
    var place: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// The `Host` header: the port only when it is not the scheme's own.
    var hostHeader: String {
        port == (isSecure ? 443 : 80) ? (host.contains(":") ? "[\(host)]" : host) : place
    }

    /// The name for SNI and for checking the certificate. An IP address has none; it is compared with the certificate's
    /// addresses instead.
    var serverName: String? { (try? SocketAddress(ipAddress: host, port: port)) == nil ? host : nil }

    /// Never repeats the address in an error: its query may be a signature.
    init(_ url: String) throws(WebSocketConnectError) {
        func invalid(_ message: String) -> WebSocketConnectError { WebSocketConnectError(.invalidTarget, message) }

        guard url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw invalid(
                "the address holds blanks, control characters or non-ASCII; percent-encode the path, and use "
                    + "the xn-- form of the host")
        }
        var rest = Substring(url)
        if let secure = Self.strip("wss://", from: rest) {
            (isSecure, rest) = (true, secure)
        } else if let plain = Self.strip("ws://", from: rest) {
            (isSecure, rest) = (false, plain)
        } else {
            throw invalid("the address must begin with ws:// or wss://")
        }
        guard !rest.contains("#") else { throw invalid("the address of a WebSocket has no fragment (#…)") }

        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        let target = rest[authority.endIndex...]
        requestTarget = target.first == "/" ? String(target) : "/" + target
        guard !authority.contains("@") else {
            throw invalid("the address holds a user name; send credentials in a header")
        }
        let portText: Substring
        if authority.first == "[" {
            guard let end = authority.firstIndex(of: "]") else { throw invalid("the IPv6 address lacks its \"]\"") }
            host = String(authority[authority.index(after: authority.startIndex)..<end])
            portText = authority[authority.index(after: end)...]
            guard (try? SocketAddress(ipAddress: host, port: 0)) != nil else {
                throw invalid("no IPv6 address between the brackets")
            }
        } else {
            host = String(authority.prefix { $0 != ":" })
            portText = authority.dropFirst(host.count)
            guard !host.isEmpty, host.utf8.allSatisfy(Self.isHostByte) else {
                throw invalid("the address has no valid host")
            }
        }
        if portText.isEmpty {
            port = isSecure ? 443 : 80
        } else {
            guard portText.first == ":", let number = UInt16(portText.dropFirst()), number > 0 else {
                throw invalid("the port is not a number from 1 to 65535")
            }
            port = Int(number)
        }
    }

    private static func strip(_ scheme: String, from text: Substring) -> Substring? {
        text.prefix(scheme.count).lowercased() == scheme ? text.dropFirst(scheme.count) : nil
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
