import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Patchbay
import PatchbaySimulators
import PatchbayWire
import ServiceLifecycle
import Testing

/// A whole server on a free port of this machine, for one test.
struct TestServer: Sendable {
    static let secret = "test-auth-token"
    /// Opens everything.
    static let adminToken = "test-admin-token"
    /// What is shown where a token is needed.
    static let admin = [("Authorization", "Bearer \(adminToken)")]
    let port: Int
    let switchboard: Switchboard
    var origin: String { "http://127.0.0.1:\(port)" }

    /// Starts a server with the given documents, runs `body`, drains and stops.
    static func run<Result: Sendable>(
        _ documents: String..., options: @Sendable (inout ServerOptions) -> Void = { _ in },
        environment: [String: String] = [:], settings: String? = nil, source: PipelineSource? = nil,
        records: (any Store)? = nil, context: ContextProvider? = nil,
        clock: @escaping @Sendable () -> Date = { Date() },
        _ body: @Sendable (TestServer) async throws -> Result
    ) async throws -> Result {
        let sources = documents.enumerated().map { SourceText(file: "Pipelines/\($0.offset).json", $0.element) }
        let (set, diagnostics) = PipelineSet.load(
            sources: sources, registry: try .standard(), environment: environment)
        let pipelines = try #require(set, "\(diagnostics.rendered())")
        var server = ServerOptions()
        server.port = 0
        server.twilioAuthToken = Secret(secret)
        server.adminToken = Secret(adminToken)
        server.drainTimeout = .milliseconds(200)
        options(&server)
        let (ports, portSource) = AsyncStream<Int>.makeStream()
        let patchbay = PatchbayServer(
            pipelines: pipelines, source: source,
            settings: settings.map {
                ServerSettings.load(SourceText(file: "server.json", $0), environment: environment).settings
            }
                ?? ServerSettings(),
            options: server, tls: try WebSocketTLS.makeContext(), httpClient: .shared,
            records: try records ?? SQLiteStore(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, clock: clock, context: context,
            started: { address in
                portSource.yield(address.port ?? 0)
                portSource.finish()
            })
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: patchbay)], logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let port = try #require(await ports.first { _ in true })
            let outcome: Swift.Result<Result, any Error>
            do {
                outcome = .success(try await body(TestServer(port: port, switchboard: patchbay.switchboard)))
            } catch {
                outcome = .failure(error)
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            return try outcome.get()
        }
    }

    /// Makes a call to `number`.
    func call(
        _ number: String, _ steps: [PhoneStep] = [], limit: Int = 5000,
        configure: (inout Phone.Options) -> Void = { _ in }
    ) async throws -> Phone.Report {
        var options = Phone.Options(voiceURL: origin + "/twilio/voice")
        options.statusURL = origin + "/twilio/status"
        options.to = number
        options.authToken = Self.secret
        options.steps = steps
        options.maximumMilliseconds = limit
        configure(&options)
        return try await Phone(httpClient: .shared, on: MultiThreadedEventLoopGroup.singleton.next()).call(options)
    }

    struct Answer {
        var status: Int
        var body: String
        /// Why a request was refused.
        var words: String { (json["error"] as? [String: Any])?["message"] as? String ?? "" }
        var json: [String: Any] { (try? JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any]) ?? [:] }
    }

    func get(_ path: String, headers: [(String, String)] = []) async throws -> Answer {
        try await execute(.GET, path, headers: headers, body: nil)
    }

    func delete(_ path: String, headers: [(String, String)] = []) async throws -> Answer {
        try await execute(.DELETE, path, headers: headers, body: nil)
    }

    func post(_ path: String, headers: [(String, String)] = [], body: String = "") async throws -> Answer {
        try await execute(.POST, path, headers: headers, body: body)
    }

    /// Posts a webhook as Twilio does.
    func webhook(_ path: String, _ form: FormFields, signed: Bool = true, secret: String = Self.secret) async throws
        -> Answer
    {
        var headers = [("Content-Type", "application/x-www-form-urlencoded")]
        if signed, let signature = TwilioSignature(secrets: [secret]).sign(url: origin + path, form: form) {
            headers.append(("X-Twilio-Signature", signature))
        }
        return try await post(path, headers: headers, body: form.encoded)
    }

    func execute(
        _ method: HTTPMethod, _ path: String, headers: [(String, String)], body: String?
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: origin + path)
        request.method = method
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        if let body { request.body = .bytes(ByteBuffer(string: body)) }
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(10))
        return Answer(
            status: Int(response.status.code), body: String(buffer: try await response.body.collect(upTo: 1 << 20)))
    }

    /// Asks until a condition holds; fails after fifteen seconds.
    func wait(_ what: String, until condition: () async throws -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(15)
        while try await !condition() {
            guard ContinuousClock.now < deadline else {
                Issue.record("waited 15 s for \(what)")
                return
            }
            await Task.yield()
        }
    }
}

/// Waits as a service does that never answers, until nobody waits for it any more.
func waitUntilCancelled() async {
    let (never, end) = AsyncStream<Void>.makeStream()
    for await _ in never {}
    end.finish()
}

let echoDocument = #"{"name": "echo", "numbers": ["+15550100001"], "transport": "twilio", "stages": ["echo"]}"#
