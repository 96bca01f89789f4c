import HTTPTypes

/// Where a request really came from, and by which address the world sees this server.
///
/// Headers that a proxy sets are believed only from loopback and from proxies that were named.
struct RequestOrigin: Sendable {
    /// Address of the TCP peer.
    var peer: String
    /// Whether the request was forwarded for somebody else.
    var isForwarded: Bool
    /// `https` or `http`.
    var scheme: String
    /// Host with port, as the caller of the URL wrote it.
    var authority: String

    init(peer: String?, authority: String?, headers: HTTPFields, options: ServerOptions) {
        self.peer = peer ?? ""
        let forwardedFor = HTTPField.Name("X-Forwarded-For").flatMap { headers[$0] }
        isForwarded = forwardedFor != nil
        scheme = "http"
        self.authority = authority ?? "localhost"
        if ServerOptions.isLoopback(self.peer) || options.trustedProxies.contains(self.peer) {
            if let forwarded = Self.first("X-Forwarded-Proto", headers), ["http", "https"].contains(forwarded.lowercased()) {
                scheme = forwarded.lowercased()
            }
            if let forwarded = Self.first("X-Forwarded-Host", headers) { self.authority = forwarded }
        }
        if let publicURL = options.publicURL, let separator = publicURL.range(of: "://") {
            scheme = publicURL[..<separator.lowerBound].lowercased()
            self.authority = String(publicURL[separator.upperBound...])
            while self.authority.hasSuffix("/") { self.authority.removeLast() }
        }
    }

    /// Only a loopback peer that speaks for itself. One that forwards for somebody is not loopback.
    var isLocal: Bool { ServerOptions.isLoopback(peer) && !isForwarded }

    /// The public address of a path, for webhooks.
    func url(_ path: String) -> String { "\(scheme)://\(authority)\(path)" }

    /// The public address of a path, for WebSockets.
    func webSocketURL(_ path: String) -> String { "\(scheme == "https" ? "wss" : "ws")://\(authority)\(path)" }

    private static func first(_ name: String, _ headers: HTTPFields) -> String? {
        guard let field = HTTPField.Name(name), let value = headers[field] else { return nil }
        let item = value.split(separator: ",").first.map { $0.trimmingPrefix { $0 == " " } } ?? ""
        return item.isEmpty ? nil : String(item)
    }
}
