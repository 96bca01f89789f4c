import HTTPTypes
import Hummingbird

/// Answers 429 to an address that asks too often (RFC 6585, section 4).
struct RequestLimit: RouterMiddleware {
    let switchboard: Switchboard

    func handle(
        _ request: Request, context: ControlContext, next: (Request, ControlContext) async throws -> Response
    ) async throws -> Response {
        if let wait = switchboard.traffic.admit(request.origin(context, switchboard.options)) {
            throw HTTPError(
                .tooManyRequests, headers: [.retryAfter: String(Int(wait.rounded(.up)))],
                message: "too many requests from your address; ask again in \(Int(wait.rounded(.up))) s")
        }
        return try await next(request, context)
    }
}
