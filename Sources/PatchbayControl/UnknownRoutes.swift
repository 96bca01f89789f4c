import HTTPTypes
import Hummingbird
import NIOCore
import PatchbayConfig
import PatchbayStore

/// Gives words to what the machinery says with a status alone.
enum ErrorWords {
    /// Answers, or says why not: a body that is too long (413), a store that does not answer (503).
    static func giving(_ respond: () async throws -> Response) async throws -> Response {
        do {
            return try await respond()
        } catch let error as NIOTooManyBytesError {
            let most = error.maxBytes.map { "; at most \($0) bytes are read here" } ?? ""
            throw HTTPError(.contentTooLarge, message: "the body is too long\(most)")
        } catch let error as StoreError {
            throw HTTPError(.serviceUnavailable, message: error.message)
        }
    }
}

/// Answers and counts requests that no route takes: middleware that is added behind all routes sees nothing else.
///
/// Only a server of our own has it: elsewhere such requests may be the host's.
struct UnknownRoutes: RouterMiddleware {
    typealias Context = ControlContext

    private let routes: [(path: [Substring], method: HTTPRequest.Method)]
    private let sockets: [String]
    /// Where to look.
    private let remedy: String
    private let meters = RouteMeters(route: RouteMeters.unknown, "any")

    /// - Parameters:
    ///   - routes: All that there are: their paths, with parameters in braces.
    ///   - settings: Name the paths of WebSockets.
    init(_ routes: [(path: String, method: HTTPRequest.Method)], _ settings: ServerSettings) {
        self.routes = routes.map { ($0.path.split(separator: "/"), $0.method) }
        sockets = settings.paths(.stream) + settings.paths(.browser)
        remedy = settings.paths(.openapi).first.map { "; GET \($0) lists what there is" } ?? ""
    }

    func handle(
        _ request: Request, context: ControlContext, next: (Request, ControlContext) async throws -> Response
    ) async throws -> Response {
        try await meters.measure { throw error(request.method, request.uri.path) }
    }

    private func error(_ method: HTTPRequest.Method, _ path: String) -> HTTPError {
        let shown = String(path.prefix(200))
        let allowed = methods(at: path)
        // An answer to HEAD has no body (RFC 9110, section 9.3.2).
        func answer(_ status: HTTPResponse.Status, _ headers: HTTPFields, _ words: String) -> HTTPError {
            method == .head ? HTTPError(status, headers: headers) : HTTPError(status, headers: headers, message: words)
        }
        if !allowed.isEmpty {
            let names = allowed.joined(separator: ", ")
            return answer(.methodNotAllowed, [.allow: names], "\(shown) takes \(names), not \(method.rawValue)")
        }
        if sockets.contains(path) {
            // RFC 9110, section 15.5.22.
            return answer(
                .upgradeRequired, [.upgrade: "websocket"], "\(shown) is a WebSocket: ask with Upgrade: websocket")
        }
        return answer(.notFound, [:], "there is nothing at \(shown)\(remedy)")
    }

    /// What a path is asked with, in alphabetical order.
    private func methods(at path: String) -> [String] {
        let parts = path.split(separator: "/")
        let fitting = routes.filter { route in
            route.path.count == parts.count
                && zip(route.path, parts).allSatisfy { $0.first == "{" || $0 == $1 }
        }
        return Set(fitting.map(\.method.rawValue)).sorted()
    }
}
