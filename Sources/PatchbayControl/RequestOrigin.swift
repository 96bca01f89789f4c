import HTTPTypes

/// Where a request really came from, and by which address the world sees this server.
///
/// Headers that a proxy sets are believed only from loopback and from proxies that were named.
struct RequestOrigin: Sendable {
    /// Address of the TCP peer.
    var peer: String
    /// Who really asked, as far as a proxy that is believed says so; else the peer.
    var client: String
    /// Whether the request was forwarded for somebody else.
    var isForwarded: Bool
    /// `https` or `http`.
    var scheme: String
    /// Host with port, as the caller of the URL wrote it.
    var authority: String
    /// What stands before the paths of this server in the address that the world asks.
    private var prefix = ""
    /// Host with port, as this request names it.
    private let host: String
    /// Whether a page of somebody else's had a browser send it.
    private let isCrossSite: Bool

    init(peer: String?, authority: String?, headers: HTTPFields, options: ServerOptions) {
        self.peer = Self.plain(peer ?? "")
        client = self.peer
        isForwarded = Self.forwarding.contains { headers.contains($0) }
        host = authority ?? ""
        isCrossSite = Self.isCrossSite(headers, host: authority ?? "")
        scheme = options.tls == nil ? "http" : "https"
        self.authority = authority ?? "localhost"
        if options.believes(self.peer) {
            if let forwarded = Self.first("X-Forwarded-Proto", headers),
                ["http", "https"].contains(forwarded.lowercased())
            {
                scheme = forwarded.lowercased()
            }
            if let forwarded = Self.first("X-Forwarded-Host", headers) { self.authority = forwarded }
            client = Self.forwardedClient(headers, options) ?? self.peer
        }
        if let address = options.publicAddress {
            (scheme, self.authority, prefix) = (address.scheme, address.authority, address.prefix)
        }
    }

    /// An address without the prefix that an IPv4 peer has on a dual-stack socket.
    static func plain(_ address: String) -> String {
        address.hasPrefix("::ffff:") ? String(address.dropFirst(7)) : address
    }

    /// Only a loopback peer that speaks for itself, to a loopback name: one that forwards for somebody is not local, nor is a
    /// browser that was tricked into resolving a stranger's name to this machine, or that a stranger's page tells to ask.
    var isLocal: Bool {
        var name = host[...]
        if let port = name.lastIndex(of: ":"), !name.hasSuffix("]") { name = name[..<port] }
        let isLocalName = ServerOptions.isLoopback(String(name)) || name == "[::1]"
        return ServerOptions.isLoopback(peer) && !isForwarded && isLocalName && !isCrossSite
    }

    /// A POST without a body needs no leave of the server's, so a browser sends it for any page, and says for which (Fetch,
    /// "Origin header"; Fetch Metadata, section 2.4). What is not a browser says neither.
    private static func isCrossSite(_ headers: HTTPFields, host: String) -> Bool {
        if let field = HTTPField.Name("Sec-Fetch-Site"), let site = headers[field],
            site != "none", site != "same-origin"
        {
            return true
        }
        guard let field = HTTPField.Name("Origin"), let origin = headers[field] else { return false }
        let own = host.lowercased()
        return origin.lowercased() != "http://\(own)" && origin.lowercased() != "https://\(own)"
    }

    private static let forwarding = [
        "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Forwarded",
    ].compactMap { HTTPField.Name($0) }

    /// The public address of a path, for webhooks.
    func url(_ path: String) -> String { "\(scheme)://\(authority)\(prefix)\(path)" }

    /// The public address of a path, for WebSockets.
    func webSocketURL(_ path: String) -> String {
        "\(scheme == "https" ? "wss" : "ws")://\(authority)\(prefix)\(path)"
    }

    /// The last address of `X-Forwarded-For` that is no proxy of ours: those before it are what the client itself may have
    /// written. Else what the proxy says in `X-Real-IP`.
    private static func forwardedClient(_ headers: HTTPFields, _ options: ServerOptions) -> String? {
        let hops = HTTPField.Name("X-Forwarded-For").map { headers[values: $0] } ?? []
        for hop in hops.flatMap({ $0.split(separator: ",") }).reversed() {
            let text = hop.drop { $0 == " " || $0 == "\t" }.prefix { $0 != " " && $0 != "\t" }
            guard let address = NetworkAddress.hop(text) else { return nil }
            if !options.believes(address) { return address }
        }
        return first("X-Real-IP", headers).flatMap { NetworkAddress.hop($0[...]) }
    }

    private static func first(_ name: String, _ headers: HTTPFields) -> String? {
        guard let field = HTTPField.Name(name), let value = headers[field] else { return nil }
        let item = value.split(separator: ",").first.map { $0.trimmingPrefix { $0 == " " } } ?? ""
        return item.isEmpty ? nil : String(item)
    }
}
