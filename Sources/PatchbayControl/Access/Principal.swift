import PatchbayConfig

/// Who asks, whose things they see, and what they may do.
struct Principal: Sendable, Hashable {
    typealias Right = AccessSettings.Right

    /// For the audit trail: `local`, the name of a token, the subject of a JWT.
    var name: String
    /// The one tenant whose things it sees; `nil` sees all.
    var tenant: String?
    var rights = Set(Right.allCases)

    /// A program on this machine that shows no token.
    static let local = Principal(name: "local")
    /// Whoever signs webhooks and streams.
    static let carrier = Principal(name: "carrier")
    /// The agents' vendor, that signs its webhooks.
    static let vendor = Principal(name: "vendor")
    /// Whoever was let in nowhere.
    static let stranger = Principal(name: "stranger", rights: [])

    func sees(_ tenant: String?) -> Bool { self.tenant == nil || self.tenant == tenant }
}
