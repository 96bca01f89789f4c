/// Who may ask what of a server: `access` in `server.json`.
public struct AccessSettings: Sendable, Equatable {
    /// What a token opens.
    public enum Right: String, Sendable, CaseIterable {
        /// To see: calls and what was said in them, numbers, pipelines, metrics.
        case read
        /// To work on running calls: end, transfer, change the agent, pause a recording.
        case calls
        /// To have people called.
        case dial
        /// To call without a telephone. All that a page should be given, whose token its visitors can read.
        case talk
        /// To change the server: pipelines, tenants, numbers, records.
        case admin
    }

    /// A token that is the same for as long as the file is.
    public struct Token: Sendable, Equatable {
        /// What the audit trail calls whoever has it.
        public var name: String
        public var token: Secret
        /// The one tenant whose things it opens; `nil` opens all.
        public var tenant: String?
        public var rights: Set<Right>

        public init(name: String, token: Secret, tenant: String? = nil, rights: Set<Right> = [.read]) {
            self.name = name
            self.token = token
            self.tenant = tenant
            self.rights = rights
        }
    }

    /// JSON Web Tokens that somebody else signs (RFC 7519).
    public struct JWT: Sendable, Equatable {
        /// Signatures that are known: HMAC with SHA-256, and RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, section 3.1).
        public enum Algorithm: String, Sendable, CaseIterable {
            case hs256 = "HS256"
            case rs256 = "RS256"
        }

        /// Those that are accepted; `nil` stands for all that there is a key for.
        public var algorithms: Set<Algorithm>?
        /// The key of HS256.
        public var secret: Secret?
        /// A PEM file with the public key of RS256.
        public var publicKeyFile: String?
        /// A file with a set of public keys (RFC 7517, section 5).
        public var keySetFile: String?
        /// What `iss` must be.
        public var issuer: String?
        /// What `aud` must be, or hold.
        public var audience: String?
        /// The claim with the tenant; a token without it is refused. Without this setting a token opens all tenants, unless it
        /// has one of the claims `tenant`, `tenant_id` and `tenantId`.
        public var tenantClaim: String?
        /// What a token opens.
        public var rights: Set<Right> = [.read, .calls, .dial, .talk]
        /// The claim with the rights, of which it has at most ``rights``: words with spaces between them, or a list.
        public var rightsClaim: String?
        /// Whether a token that never expires is refused.
        public var requiresExpiry = false
        /// By how much clocks may differ, in seconds.
        public var leewaySeconds = 60

        public init() {}
    }

    public var tokens: [Token] = []
    public var jwt: JWT?

    public init() {}
}

extension AccessSettings {
    /// Longest list of tokens; each is compared with what a request shows.
    public static let maximumTokens = 1000

    /// What the audit trail calls those who show no token of the settings.
    static let reservedNames = ["admin", "carrier", "local", "public", "stranger"]

    /// Whether a token of this name could not be told from somebody else in the audit trail.
    static func isReserved(_ name: String) -> Bool { reservedNames.contains(name) || name.hasPrefix("jwt:") }

    private static let rightsNote = Right.allCases.map(\.rawValue).joined(separator: ", ")

    static let fields = [
        Field(
            "tokens",
            .objects([
                Field(
                    "name", .string, isRequired: true, example: #""dashboard""#,
                    "What the audit trail calls whoever has the token."),
                Field(
                    "token", .secret, isRequired: true, example: #"{ "env": "DASHBOARD_TOKEN" }"#,
                    "What is sent as Authorization: Bearer."),
                Field("tenant", .string, "The one tenant whose things it opens; without it, all."),
                Field(
                    "rights", .strings, example: #"["read", "calls"]"#,
                    "What it opens: \(rightsNote). Without it, read."),
            ]), "Tokens that stay the same."),
        Field(
            "jwt",
            .object([
                Field(
                    "algorithms", .strings, example: #"["RS256"]"#,
                    "Signatures that are accepted: HS256, RS256. Without it, those that there is a key for."),
                Field("secret", .secret, environmentDefault: "JWT_SECRET", "The key of HS256, 32 bytes or more."),
                Field(
                    "publicKeyFile", .string, isPath: true, example: #""keys/issuer.pem""#,
                    "PEM file with the public key of RS256."),
                Field(
                    "keySetFile", .string, isPath: true, example: #""keys/jwks.json""#,
                    "File with the public keys of RS256 as a JSON Web Key Set."),
                Field("issuer", .string, "What \"iss\" must be."),
                Field("audience", .string, "What \"aud\" must be, or hold."),
                Field(
                    "tenantClaim", .string, example: #""tenant_id""#,
                    "The claim with the tenant; a token without it is refused. Without this setting a token opens all, unless it "
                        + "has a claim \"tenant\", \"tenant_id\" or \"tenantId\"."),
                Field(
                    "rights", .strings, example: #"["read", "dial"]"#,
                    "What a token opens: \(rightsNote). Without it, all but admin."),
                Field(
                    "rightsClaim", .string, example: #""scope""#,
                    "The claim with the rights, of which a token has at most those above."),
                Field(
                    "requireExpiry", .boolean, default: false, "Whether a token that never expires is refused."),
                Field(
                    "leewaySeconds", .integer(0...300), default: 60, "By how much clocks may differ, in seconds."),
            ]), "JSON Web Tokens that somebody else signs."),
    ]

    init(_ settings: Settings) {
        for entry in settings.list("tokens").prefix(Self.maximumTokens) {
            guard let name = entry.string("name"), let token = entry.secret("token") else { continue }
            let rights = entry.strings("rights")
            tokens.append(
                Token(
                    name: name, token: token, tenant: entry.string("tenant"),
                    rights: rights.isEmpty ? [.read] : Set(rights.compactMap(Right.init))))
        }
        jwt = settings.object("jwt").map(JWT.init)
    }
}

extension AccessSettings.JWT {
    fileprivate init(_ settings: Settings) {
        let algorithms = settings.strings("algorithms").compactMap(Algorithm.init)
        self.algorithms = algorithms.isEmpty ? nil : Set(algorithms)
        secret = settings.secret("secret")
        publicKeyFile = settings.path("publicKeyFile")
        keySetFile = settings.path("keySetFile")
        issuer = settings.string("issuer")
        audience = settings.string("audience")
        tenantClaim = settings.string("tenantClaim")
        let words = settings.strings("rights")
        if !words.isEmpty { rights = Set(words.compactMap(AccessSettings.Right.init)) }
        rightsClaim = settings.string("rightsClaim")
        requiresExpiry = settings.bool("requireExpiry") ?? requiresExpiry
        leewaySeconds = settings.integer("leewaySeconds") ?? leewaySeconds
    }
}

extension Settings {
    /// The path of a file, which starts from the folder of the document.
    fileprivate func path(_ name: String) -> String? {
        string(name).map { $0.hasPrefix("/") ? $0 : "\(directory(of: name))/\($0)" }
    }
}

/// Reads `access`, with the checks that its fields cannot say.
struct AccessReader {
    let linter: Linter

    func read(_ members: [JSONMember]) -> AccessSettings? {
        guard let settings = linter.section("access", members, AccessSettings.fields) else { return nil }
        let errorsBefore = linter.errorCount
        let path = DocumentPath.root.key("access")
        guard case .object(let access)? = members["access"]?.content else { return nil }
        if case .array(let entries)? = access["tokens"]?.content { check(tokens: entries, path.key("tokens")) }
        if let node = access["jwt"], case .object(let jwt) = node.content { check(jwt: jwt, node, path.key("jwt")) }
        return linter.errorCount == errorsBefore ? AccessSettings(settings) : nil
    }

    private func check(tokens entries: [JSONNode], _ path: DocumentPath) {
        if entries.count > AccessSettings.maximumTokens, let last = entries.last {
            linter.report(
                .limitExceeded, last.headRange, path,
                "\(entries.count) tokens; at most \(AccessSettings.maximumTokens) are read",
                .init("use \"jwt\" for so many"))
        }
        var names: Set<String> = []
        for (index, entry) in entries.enumerated() {
            guard case .object(let token) = entry.content else { continue }
            let place = path.index(index)
            if case .string(let name)? = token["name"]?.content, let node = token["name"] {
                if name.isEmpty || name.utf8.count > 64 {
                    linter.report(.badName, node.range, place.key("name"), "a name has 1 to 64 bytes")
                } else if AccessSettings.isReserved(name) {
                    linter.report(
                        .badName, node.range, place.key("name"),
                        "\(quoted(name)) is what the audit trail calls somebody else",
                        .init(
                            "any other name but \(AccessSettings.reservedNames.joined(separator: ", ")) and jwt:… will do"
                        ))
                } else if !names.insert(name).inserted {
                    linter.report(
                        .duplicateName, node.range, place.key("name"), "another token is named \(quoted(name)) too",
                        .init("rename one of them"))
                }
            }
            check(words: token["rights"], place.key("rights"), AccessSettings.Right.allCases.map(\.rawValue), "right")
            if case .string("")? = token["tenant"]?.content, let node = token["tenant"] {
                linter.report(
                    .badName, node.range, place.key("tenant"), "\"tenant\" is empty",
                    .init("leave the key out for a token that opens all tenants"))
            }
        }
    }

    private func check(jwt: [JSONMember], _ node: JSONNode, _ path: DocumentPath) {
        check(words: jwt["rights"], path.key("rights"), AccessSettings.Right.allCases.map(\.rawValue), "right")
        let algorithms = AccessSettings.JWT.Algorithm.allCases.map(\.rawValue)
        check(words: jwt["algorithms"], path.key("algorithms"), algorithms, "algorithm")
        let hasPublicKey = jwt["publicKeyFile"] != nil || jwt["keySetFile"] != nil
        if case .array(let words)? = jwt["algorithms"]?.content, let list = jwt["algorithms"], !hasPublicKey,
            words.contains(where: { if case .string("RS256") = $0.content { true } else { false } })
        {
            linter.report(
                .missingField, list.headRange, path, "RS256 needs \"publicKeyFile\" or \"keySetFile\"",
                .init("add one of them, or leave RS256 out"))
        }
        guard linter.checksEnvironment, !hasPublicKey, jwt["secret"] == nil,
            linter.surroundings.value("JWT_SECRET") == nil
        else { return }
        linter.report(
            .missingCredential, node.headRange, path,
            "\"jwt\" has no key: JWT_SECRET is not set, and there is neither \"publicKeyFile\" nor \"keySetFile\"",
            .init("set that variable, or name a key"))
    }

    private func check(words node: JSONNode?, _ path: DocumentPath, _ allowed: [String], _ what: String) {
        guard let node, case .array(let elements) = node.content else { return }
        if elements.isEmpty {
            linter.report(
                .emptyList, node.headRange, path, "the list names no \(what)",
                .init("leave the key out for the default"))
        }
        for (index, element) in elements.enumerated() {
            guard case .string(let word) = element.content, !allowed.contains(word) else { continue }
            linter.report(
                .notAllowed, element.range, path.index(index), "there is no \(what) \(quoted(word))",
                .among(allowed, for: word, label: "allowed here"))
        }
    }
}
