import HTTPTypes
import Hummingbird
import Patchbay

/// Lets in who has the token of the backend, and says nothing to others.
struct BearerGate: RouterMiddleware {
    typealias Context = ControlContext

    let token: Secret

    func handle(
        _ request: Request, context: ControlContext, next: (Request, ControlContext) async throws -> Response
    ) async throws -> Response {
        guard Self.holds(token, request) else {
            throw Refusal(.unauthorized, "a bearer token is needed: Authorization: Bearer TOKEN")
        }
        return try await next(request, context)
    }

    /// Compares in a time that tells nothing about the token.
    static func holds(_ token: Secret, _ request: Request) -> Bool {
        let header = request.headers[.authorization] ?? ""
        guard header.lowercased().hasPrefix("bearer ") else { return false }
        return Secret(header.dropFirst(7).description.trimmed) == token
    }
}
