import HTTPTypes
import Hummingbird
import PatchbayConfig

/// Who asks, and whose things they see.
struct Principal: Sendable, Hashable {
    /// For the audit trail: `local`, or the name of a token.
    var name: String
    /// The one tenant whose things it sees; `nil` sees all.
    var tenant: String?

    static let local = Principal(name: "local")

    func sees(_ tenant: String?) -> Bool { self.tenant == nil || self.tenant == tenant }
}

/// Decides who may ask what of the control plane.
struct Access: Sendable {
    let options: ServerOptions
    let settings: ServerSettings

    /// Lets local peers in, and others with a token; anybody to paths that were opened.
    ///
    /// - Parameter key: What is asked, when it only tells something.
    @discardableResult
    func admit(_ request: Request, _ context: ControlContext, _ key: ServerSettings.PathKey? = nil) throws -> Principal
    {
        if let key, settings.publicPaths.contains(key) { return Principal(name: "public") }
        if request.origin(context, options).isLocal { return .local }
        guard let token = options.adminToken else {
            throw HTTPError(
                .forbidden, message: "open to local peers only; set PATCHBAY_ADMIN_TOKEN to open it with a token")
        }
        let header = request.headers[.authorization] ?? ""
        guard header.hasPrefix("Bearer "), Secret(String(header.dropFirst(7))) == token else {
            throw HTTPError(.unauthorized, headers: [.wwwAuthenticate: "Bearer"], message: "a bearer token is needed")
        }
        return Principal(name: "admin")
    }

    /// What costs money or moves a caller needs a token, from wherever it is asked.
    func admitSpending(_ request: Request, _ context: ControlContext) throws -> Principal {
        guard let token = options.adminToken else {
            throw HTTPError(.forbidden, message: "this needs a token; set PATCHBAY_ADMIN_TOKEN")
        }
        let header = request.headers[.authorization] ?? ""
        guard header.hasPrefix("Bearer "), Secret(String(header.dropFirst(7))) == token else {
            throw HTTPError(.unauthorized, headers: [.wwwAuthenticate: "Bearer"], message: "a bearer token is needed")
        }
        return Principal(name: "admin")
    }
}
