import HTTPTypes
import Hummingbird
import Metrics
import PatchbayConfig
import PatchbayCore

/// Counts and times the requests of one route.
///
/// A route is named by the key of its path in the settings, whatever path a deployment gives it: `voice`, `calls/{id}`.
struct RouteMeters: Sendable {
    /// Webhooks of others, which are also counted by what came of them.
    private static let webhooks: Set<ServerSettings.PathKey> = [
        .voice, .next, .status, .error, .connect, .machine, .postCall, .initiation,
    ]
    /// Requests to a path that is not there.
    static let unknown = "unknown"

    let route: String
    private let method: String
    private let webhook: ServerSettings.PathKey?
    private let duration: Recorder

    init(_ path: RouterPath, _ method: HTTPRequest.Method, _ settings: ServerSettings) {
        let (key, rest) = Self.key(of: path.description, settings)
        self.init(route: key.map { $0.rawValue + rest } ?? path.description, method.rawValue, key)
    }

    init(route: String, _ method: String, _ key: ServerSettings.PathKey? = nil) {
        self.route = route
        self.method = method
        webhook = key.flatMap { Self.webhooks.contains($0) ? $0 : nil }
        duration = Recorder(label: ServerMetrics.requestDuration, dimensions: [("route", route)])
    }

    /// The key whose path leads there, with what stands behind it: parameters in braces.
    static func key(of path: String, _ settings: ServerSettings) -> (key: ServerSettings.PathKey?, rest: String) {
        let parts = path.split(separator: "/")
        var found: (key: ServerSettings.PathKey, count: Int)?
        for key in ServerSettings.PathKey.allCases {
            for candidate in settings.paths(key) {
                let own = candidate.split(separator: "/")
                guard parts.starts(with: own), own.count > (found?.count ?? -1) else { continue }
                // The root is where everything begins.
                if own.isEmpty, !parts.isEmpty { continue }
                found = (key, own.count)
            }
        }
        let rest = parts.dropFirst(found?.count ?? 0).map { part in
            part.first == ":" ? "/{\(part.dropFirst())}" : "/\(part)"
        }
        return (found?.key, rest.joined())
    }

    func measure(_ respond: () async throws -> Response) async throws -> Response {
        let start = ContinuousClock.now
        do {
            let response = try await respond()
            enter(response.status, since: start)
            return response
        } catch {
            enter((error as? any HTTPResponseError)?.status ?? .internalServerError, since: start)
            throw error
        }
    }

    private func enter(_ status: HTTPResponse.Status, since start: ContinuousClock.Instant) {
        let (seconds, attoseconds) = (ContinuousClock.now - start).components
        duration.record(Double(seconds) + Double(attoseconds) / 1e18)
        Counter(
            label: ServerMetrics.requests,
            dimensions: [("method", method), ("route", route), ("status", "\(status.code)")]
        ).increment()
        guard let webhook else { return }
        let result = status.code < 400 ? "ok" : status.code < 500 ? "refused" : "failed"
        Counter(
            label: ServerMetrics.webhooks, dimensions: [("result", result), ("webhook", webhook.rawValue)]
        ).increment()
    }
}
