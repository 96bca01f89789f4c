public import PatchbayConfig
public import PatchbayCore

/// What a server is told from outside: by flags, the environment or an `.env` file.
public struct ServerOptions: Sendable {
    /// Address to listen on. Only loopback is served by default.
    public var host = "127.0.0.1"
    /// Port to listen on; 0 lets the system choose.
    public var port = 8080
    /// Where the world reaches this server, for instance `https://voice.example.com`.
    public var publicURL: String?
    /// Peers whose `X-Forwarded-*` headers are believed, as addresses. Loopback always is.
    public var trustedProxies: Set<String> = []
    public var twilioAccountSid: String?
    public var twilioAuthToken: Secret?
    /// Origin of Twilio's REST API.
    public var twilioBaseURL = "https://api.twilio.com"
    /// What opens the admin paths to peers beyond loopback.
    public var adminToken: Secret?
    /// Accepts webhooks without a valid signature. For work at the desk only.
    public var skipsSignatures = false
    /// Longest wait for running calls at shutdown; `server.json` decides when absent.
    public var drainTimeout: TimeSpan?
    /// Validity of a stream's token; `server.json` decides when absent.
    public var streamTokenLifetime: TimeSpan?

    /// Writes down what the sockets of every call carry; for work on faults.
    public var wireLog: WireLog?

    public init() {}

    static func isLoopback(_ address: String) -> Bool {
        address == "::1" || address.hasPrefix("127.") || address == "localhost"
    }
}
