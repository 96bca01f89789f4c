public import PatchbayConfig
public import PatchbayCore

/// What a server is told from outside: by flags, the environment or an `.env` file.
public struct ServerOptions: Sendable {
    /// Address to listen on. Only loopback is served by default.
    public var host = "127.0.0.1"
    /// Port to listen on; 0 lets the system choose.
    public var port = 8080
    /// Where the world reaches this server, for instance `https://voice.example.com`.
    public var publicURL: String? { didSet { publicAddress = publicURL.flatMap { try? PublicURL($0) } } }
    /// The same, read; `nil` also for what cannot be read, with which no server starts: see ``fault``.
    public private(set) var publicAddress: PublicURL?
    /// Peers whose `X-Forwarded-*` headers are believed, as addresses or networks (`10.0.0.0/8`). Loopback always is.
    public var trustedProxies: Set<String> = [] {
        didSet { proxies = trustedProxies.compactMap(AddressRange.init) }
    }
    private var proxies: [AddressRange] = []
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

    /// What is wrong with these options, in words; `nil` when nothing is. A server with such a fault does not start.
    public var fault: String? {
        do throws(PublicURL.Fault) {
            if let publicURL { _ = try PublicURL(publicURL) }
        } catch {
            return "PUBLIC_URL (or APP_BASE_URL, API_URL) \(error)"
        }
        return trustedProxies.sorted().lazy.compactMap(Self.fault(ofProxy:)).first
    }

    /// What is wrong with a proxy's address, `nil` when nothing is.
    public static func fault(ofProxy text: String) -> String? {
        guard AddressRange(text) == nil else { return nil }
        return "\"\(text.prefix(64))\" is no address of a proxy; write 192.0.2.1, 2001:db8::1 or a network, 10.0.0.0/8"
    }

    /// Whether what a peer says in `X-Forwarded-*` is believed.
    func believes(_ peer: String) -> Bool {
        guard let address = NetworkAddress(peer) else { return false }
        return address.isLoopback || proxies.contains { $0.contains(address) }
    }

    static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || NetworkAddress(host)?.isLoopback == true
    }
}
