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
    /// The number that calls come from.
    public var twilioPhoneNumber: String?
    /// The agent vendor's telephone number, for calls that are bridged there.
    public var agentPhoneNumber: String?
    /// What opens the admin paths to peers beyond loopback.
    public var adminToken: Secret?
    /// What ElevenLabs' webhooks are signed with; secrets of `server.json` are accepted too.
    public var elevenLabsWebhookSecret: Secret?
    /// The folder of the records, for files beside them; `nil` when nothing is kept on disk.
    public var dataDirectory: String?
    /// The key of JSON Web Tokens that are signed with HS256, where `server.json` names none.
    public var jwtSecret: Secret?
    /// Accepts webhooks without a valid signature. For work at the desk only.
    public var skipsSignatures = false
    /// Longest wait for running calls at shutdown; `server.json` decides when absent.
    public var drainTimeout: TimeSpan?
    /// Validity of a stream's token; `server.json` decides when absent.
    public var streamTokenLifetime: TimeSpan?

    /// The certificate for a port that speaks TLS itself; without one it speaks plain HTTP, for a proxy in front of it.
    public var tls: ServerTLS?

    /// Writes down what the sockets of every call carry; for work on faults.
    public var wireLog: WireLog?

    public init() {}

    static func isLoopback(_ address: String) -> Bool {
        address == "::1" || address.hasPrefix("127.") || address == "localhost"
    }
}
