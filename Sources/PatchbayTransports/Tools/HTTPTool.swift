public import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import PatchbayConfig
import PatchbayCore

extension HTTPClient {
    /// The client that tools' requests are made with, one for the process: follows no redirect, keeps connections for a minute.
    public static let tools: HTTPClient = {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.timeout.connect = .seconds(5)
        // A service that is down is told at once; a tool's own tries have their own pauses.
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 64
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()
}

/// Makes the HTTP requests of tools.
///
/// A request goes to the host that the pipeline names and to no other: arguments cannot reach it (see ``ToolAddress``), and a
/// redirect is followed only within the same scheme, host and port. An answer from 400 on is an error to the agent, with the
/// beginning of what the service says.
struct HTTPTool: Sendable {
    /// Redirects that are followed for one request.
    static let maximumRedirects = 3
    /// Characters that the agent gets of the body of an error.
    static let maximumErrorText = 1000
    /// Before the first further try; doubled for each one after it.
    static let firstPause = Duration.milliseconds(200)
    /// Longest wait that a service may ask for by `Retry-After`.
    static let maximumPause = Duration.seconds(10)

    private let client: HTTPClient
    private let logger: Logger

    init(_ client: HTTPClient, logger: Logger) {
        self.client = client
        self.logger = logger
    }

    /// - Parameter deadline: When the answer has to be there, all tries included.
    /// - Throws: ``ToolFailure`` in words for the agent; ``Deadline/Passed``; `CancellationError`.
    func perform(
        _ request: ToolRequest, _ arguments: ToolArguments, _ invocation: ToolInvocation,
        until deadline: ContinuousClock.Instant
    ) async throws -> String {
        if let fault = request.addressFault {
            logger.error(
                "tool is not set up correctly", metadata: ["tool": "\(invocation.tool)", "reason": "\(fault)"])
        }
        let (url, body) = try request.message(for: arguments)
        let message = try self.message(request, url, body, invocation)
        var pause = Self.firstPause
        for attempt in 0... {
            let start = ContinuousClock.now
            let isLast = attempt >= request.retries
            let outcome = try await attemptOnce(message, request, deadline)
            try Task.checkCancellation()
            var metadata: Logger.Metadata = [
                "tool": "\(invocation.tool)", "method": "\(request.method.rawValue)", "attempt": "\(attempt + 1)",
                "ms": "\((ContinuousClock.now - start).milliseconds)",
            ]
            switch outcome {
            case .answer(let status, let text, let wait):
                metadata["status"] = "\(status)"
                logger.info("tool request", metadata: metadata)
                guard status >= 400 else { return text }
                guard !isLast, [429, 502, 503, 504].contains(status) else { throw Self.failure(status, text) }
                pause = max(pause, min(wait ?? .zero, Self.maximumPause))
            case .refused(let failure):
                metadata["reason"] = "\(failure)"
                logger.warning("tool request", metadata: metadata)
                throw failure
            case .unreachable(let reason):
                metadata["reason"] = "\(reason)"
                logger.warning("tool request", metadata: metadata)
                guard ContinuousClock.now < deadline else { throw Deadline.Passed() }
                guard !isLast else { throw ToolFailure("The service cannot be reached just now.") }
            }
            // Nobody is helped by a try that cannot come to its end.
            guard ContinuousClock.now + pause < deadline else {
                throw ToolFailure("The service is not available just now.")
            }
            try await Task.sleep(for: pause)
            pause = pause * 2
        }
        throw ToolFailure("The service is not available just now.")
    }

    private enum Attempt {
        case answer(status: UInt, text: String, wait: Duration?)
        /// It answered with something that is no answer.
        case refused(ToolFailure)
        /// The kind of error; never its text, which may hold the address.
        case unreachable(String)
    }

    private static func failure(_ status: UInt, _ text: String) -> ToolFailure {
        let shown = text.count > maximumErrorText ? text.prefix(maximumErrorText) + "…" : text[...]
        let said = shown.allSatisfy(\.isWhitespace) ? "" : " It says: \(shown)"
        return ToolFailure("The service answered with status \(status).\(said)")
    }

    // MARK: One request

    private func message(
        _ request: ToolRequest, _ url: String, _ body: String?, _ invocation: ToolInvocation
    ) throws(ToolFailure) -> HTTPClientRequest {
        var message = HTTPClientRequest(url: url)
        message.method = HTTPMethod(rawValue: request.method.rawValue)
        for header in request.headers {
            let value = header.value.reveal()
            // A value with a line break would be two headers; what comes with the call may hold one.
            guard !value.utf8.contains(where: { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F }) else {
                logger.error(
                    "tool is not set up correctly",
                    metadata: ["tool": "\(invocation.tool)", "reason": "header \(header.name) has a control character"])
                throw ToolFailure("The tool is not set up correctly.")
            }
            message.headers.replaceOrAdd(name: header.name, value: value)
        }
        if let body {
            if !message.headers.contains(name: "Content-Type") {
                message.headers.add(name: "Content-Type", value: "application/json")
            }
            message.body = .bytes(ByteBuffer(string: body))
        }
        if !message.headers.contains(name: "Accept") {
            message.headers.add(name: "Accept", value: "application/json, */*")
        }
        if request.sendsIdempotencyKey {
            message.headers.add(name: "Idempotency-Key", value: invocation.key)
        }
        return message
    }

    private func attemptOnce(
        _ first: HTTPClientRequest, _ request: ToolRequest, _ deadline: ContinuousClock.Instant
    ) async throws(Deadline.Passed) -> Attempt {
        var message = first
        do {
            for _ in 0...Self.maximumRedirects {
                let rest = deadline - ContinuousClock.now
                guard rest > .zero else { throw Deadline.Passed() }
                let response = try await client.execute(message, timeout: .nanoseconds(rest.nanoseconds))
                let status = response.status.code
                guard (300..<400).contains(status), status != 304 else { return try await read(response, request) }
                guard let next = Self.redirected(message, status, response.headers.first(name: "Location"), request)
                else {
                    return .refused(ToolFailure("The service sends the request elsewhere, which is not allowed."))
                }
                message = next
            }
            return .refused(ToolFailure("The service sends the request in a circle."))
        } catch let error as HTTPClientError where error == .deadlineExceeded {
            // The client's clock and ours need not agree to the microsecond on which was first.
            throw Deadline.Passed()
        } catch {
            return .unreachable(
                "\(type(of: error))" + ((error as? HTTPClientError)?.shortDescription).map { ": \($0)" }.orEmpty)
        }
    }

    private func read(_ response: HTTPClientResponse, _ request: ToolRequest) async throws -> Attempt {
        let limit = request.responseLimit
        var body = ByteBuffer()
        let isAnswer = response.status.code < 400
        for try await var chunk in response.body {
            let room = limit - body.readableBytes
            if chunk.readableBytes > room {
                guard !isAnswer else {
                    return .refused(
                        ToolFailure("The answer has more than \(limit) bytes, too many to be read. Ask for less."))
                }
                // The beginning of an error says enough.
                if var piece = chunk.readSlice(length: max(0, room)) { body.writeBuffer(&piece) }
                break
            }
            body.writeBuffer(&chunk)
        }
        let text = SecretMask(request).text(String(buffer: body))
        let wait = response.headers.first(name: "Retry-After").flatMap(Int.init).map { Duration.seconds(max(0, $0)) }
        return .answer(status: response.status.code, text: text, wait: wait)
    }

    /// The request to the place that a redirect names (RFC 9110 §15.4), or `nil` when it may not be followed.
    private static func redirected(
        _ message: HTTPClientRequest, _ status: UInt, _ location: String?, _ request: ToolRequest
    ) -> HTTPClientRequest? {
        // The method of anything but a GET would have to change with 301, 302 and 303.
        guard let location, request.method == .get || status == 307 || status == 308,
            let base = URL(string: message.url), let target = URL(string: location, relativeTo: base)?.absoluteURL,
            origin(of: target) == origin(of: base), target.user == nil, target.password == nil
        else { return nil }
        var next = message
        next.url = target.absoluteString
        return next
    }

    private static func origin(of url: URL) -> String? {
        guard let scheme = url.scheme?.lowercased(), let host = url.host?.lowercased(), !host.isEmpty else {
            return nil
        }
        return "\(scheme)://\(host):\(url.port ?? (scheme == "https" ? 443 : 80))"
    }
}

/// Takes the credentials of a request out of what its service says: some services repeat what they were sent.
struct SecretMask {
    /// Shorter values would be found everywhere, and protect nothing.
    private static let minimumLength = 8
    /// Fields whose values are no secrets.
    private static let harmless: Set<String> = ["accept", "accept-language", "content-type", "user-agent"]

    private let secrets: [String]

    init(_ request: ToolRequest) {
        var secrets = Set(request.environmentValues.map { $0.reveal() })
        for header in request.headers where !Self.harmless.contains(header.name.lowercased()) {
            let value = header.value.reveal()
            secrets.insert(value)
            // A scheme is no secret; what follows it is.
            if let token = value.split(separator: " ").last { secrets.insert(String(token)) }
        }
        self.secrets = secrets.filter { $0.utf8.count >= Self.minimumLength }.sorted { $0.utf8.count > $1.utf8.count }
    }

    func text(_ text: String) -> String {
        secrets.reduce(text) { $0.contains($1) ? $0.replacing($1, with: "[secret]") : $0 }
    }
}

extension Duration {
    fileprivate var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }
    fileprivate var milliseconds: Int64 { nanoseconds / 1_000_000 }
}

extension String? {
    fileprivate var orEmpty: String { self ?? "" }
}
