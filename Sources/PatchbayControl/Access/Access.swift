import Foundation
import HTTPTypes
import Hummingbird
import PatchbayConfig

/// Decides who may ask what of the control plane.
struct Access: Sendable {
    typealias Right = AccessSettings.Right

    let options: ServerOptions
    let settings: ServerSettings
    let audit: AuditTrail
    private let jwt: JWTVerifier?
    /// What is wrong with the keys that were named; a server with such a fault does not start.
    let fault: String?
    private let clock: @Sendable () -> Date

    init(
        options: ServerOptions, settings: ServerSettings, audit: AuditTrail, clock: @escaping @Sendable () -> Date
    ) {
        self.options = options
        self.settings = settings
        self.audit = audit
        self.clock = clock
        do {
            jwt = try JWTVerifier(settings.access.jwt, secret: options.jwtSecret)
            fault = nil
        } catch {
            jwt = nil
            fault = error.description
        }
    }

    /// Lets local peers in, and others with a token that opens this; anybody to paths that were opened.
    ///
    /// A token that is shown is always looked at: on this machine too it opens no more than it opens elsewhere.
    ///
    /// - Parameters:
    ///   - key: What is asked, when it only tells something.
    ///   - right: What the token must open; without one, reading where something is only told, and changing the server
    ///     otherwise.
    @discardableResult
    func admit(
        _ request: Request, _ context: ControlContext, _ key: ServerSettings.PathKey? = nil, needing right: Right? = nil
    ) throws -> Principal {
        if let key, settings.publicPaths.contains(key), Self.token(of: request) == nil {
            return Principal(name: "public", rights: [.read])
        }
        let origin = request.origin(context, options)
        let isReading = key != nil || request.method == .get || request.method == .head
        return try admit(
            Self.token(of: request), asking: Self.question(request), origin, right ?? (isReading ? .read : .admin),
            isLocalEnough: true)
    }

    /// What costs money or moves a caller needs a token, from wherever it is asked.
    func admitSpending(
        _ request: Request, _ context: ControlContext, needing right: Right = .dial
    ) throws -> Principal {
        try admit(
            Self.token(of: request), asking: Self.question(request), request.origin(context, options), right,
            isLocalEnough: false)
    }

    /// Lets callers without a telephone in: local peers, others with a token that opens this, and anybody where the settings
    /// let everybody call.
    ///
    /// - Parameters:
    ///   - token: What is shown, in whichever way; `nil` for nothing.
    ///   - path: That of the socket.
    func admitCaller(
        showing token: Secret?, at path: String, from origin: RequestOrigin
    ) throws(HTTPError) -> Principal {
        if settings.browser.isOpen, token == nil { return Principal(name: "public", rights: [.talk]) }
        return try admit(token, asking: "GET \(path)", origin, .talk, isLocalEnough: true)
    }

    /// The same for what concerns all tenants: a token of one of them does not open it.
    @discardableResult
    func admitToWhole(
        _ request: Request, _ context: ControlContext, _ key: ServerSettings.PathKey? = nil, needing right: Right? = nil
    ) throws -> Principal {
        let principal = try admit(request, context, key, needing: right)
        guard principal.tenant == nil else {
            throw refusal(
                .forbidden, "this concerns all tenants; the token is one of \"\(principal.tenant ?? "")\"",
                Self.question(request), principal, request.origin(context, options))
        }
        return principal
    }

    private func admit(
        _ token: Secret?, asking question: String, _ origin: RequestOrigin, _ right: Right, isLocalEnough: Bool
    ) throws(HTTPError) -> Principal {
        guard let token else {
            if isLocalEnough, origin.isLocal { return .local }
            guard hasTokens else {
                throw refusal(
                    .forbidden,
                    isLocalEnough
                        ? "open to local peers only; set PATCHBAY_ADMIN_TOKEN to open it with a token"
                        : "this needs a token; set PATCHBAY_ADMIN_TOKEN", question, .stranger, origin)
            }
            throw refusal(.unauthorized, "a bearer token is needed", question, .stranger, origin)
        }
        let principal: Principal
        do {
            principal = try authenticate(token)
        } catch {
            throw refusal(.unauthorized, "the token is not accepted: \(error)", question, .stranger, origin)
        }
        guard principal.rights.contains(right) else {
            throw refusal(
                .forbidden, "the token lacks the right \"\(right.rawValue)\"", question, principal, origin)
        }
        return principal
    }

    /// What is asked, for the audit trail.
    private static func question(_ request: Request) -> String { "\(request.method.rawValue) \(request.uri.path)" }

    private var hasTokens: Bool { options.adminToken != nil || !settings.access.tokens.isEmpty || jwt != nil }

    /// Whom a token belongs to. Every token of the settings is compared, whichever fits.
    private func authenticate(_ token: Secret) throws(JWTVerifier.Refusal) -> Principal {
        var found: Principal?
        if let admin = options.adminToken, admin == token { found = Principal(name: "admin") }
        for entry in settings.access.tokens where entry.token == token {
            found = found ?? Principal(name: entry.name, tenant: entry.tenant, rights: entry.rights)
        }
        if let found { return found }
        guard let jwt else { throw .unknown }
        return try jwt.verify(token, at: clock())
    }

    private func refusal(
        _ status: HTTPResponse.Status, _ message: String, _ question: String, _ principal: Principal,
        _ origin: RequestOrigin
    ) -> HTTPError {
        audit.note("request.refused", question, by: principal, from: origin, outcome: message)
        // RFC 6750, section 3.
        let headers: HTTPFields = status == .unauthorized ? [.wwwAuthenticate: "Bearer realm=\"patchbay\""] : [:]
        return HTTPError(status, headers: headers, message: message)
    }

    /// Longest token that is looked at, in bytes.
    static let maximumTokenBytes = 8192

    /// What is shown in `Authorization`; `nil` where nothing is, or another scheme's credentials are.
    private static func token(of request: Request) -> Secret? { token(of: request.headers) }

    static func token(of headers: HTTPFields) -> Secret? {
        guard let header = headers[.authorization] else { return nil }
        let parts = header.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        // The names of schemes know no case (RFC 9110, section 11.1).
        guard let scheme = parts.first, scheme.lowercased() == "bearer" else { return nil }
        return token(parts.count == 2 ? parts[1] : "")
    }

    /// A token as it is compared: one that is too long is none of ours.
    static func token(_ text: Substring) -> Secret {
        Secret(text.utf8.count <= maximumTokenBytes ? String(text) : "")
    }
}
