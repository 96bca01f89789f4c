import AsyncHTTPClient
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import Patchbay
import PatchbaySimulators
import ServiceLifecycle
import Testing

/// What the hotel's own routes know of a request.
struct HotelContext: RequestContext, RemoteAddressRequestContext {
    var coreContext: CoreRequestContextStorage
    let remoteAddress: SocketAddress?

    init(source: Source) {
        coreContext = .init(source: source)
        remoteAddress = source.channel.remoteAddress
    }
}

/// Middleware of the hotel's own.
struct Letterhead: RouterMiddleware {
    func handle(
        _ request: Request, context: HotelContext, next: (Request, HotelContext) async throws -> Response
    ) async throws -> Response {
        var response = try await next(request, context)
        response.headers[.server] = "Grand Hotel"
        return response
    }
}

/// A service with a router, middleware and a server of its own, which also answers calls.
func makeHotel(
    _ switchboard: Switchboard, server: HTTPServerBuilder, group: any EventLoopGroup, logger: Logger,
    started: @escaping @Sendable (Int) -> Void
) -> ServiceGroup {
    let router = Router(context: HotelContext.self)
    router.add(middleware: Letterhead())
    router.get("rooms/:number") { _, context in "room \(context.parameters.get("number") ?? "") is ready" }
    switchboard.addRoutes(to: router)
    let application = Application(
        router: router, server: server, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
        onServerRunning: { started($0.localAddress?.port ?? 0) }, eventLoopGroupProvider: .shared(group), logger: logger
    )
    return ServiceGroup(services: [application, CallDrain(switchboard)], logger: logger)
}

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A hotel on a free port of this machine, for one test.
struct Hotel: Sendable {
    static let secret = "hotel-auth-token"
    let port: Int
    let switchboard: Switchboard
    let services: ServiceGroup
    var origin: String { "http://127.0.0.1:\(port)" }

    static func run<Result: Sendable>(
        _ pipelines: PipelineDocument..., options: ServerOptions = ServerOptions(), group: (any EventLoopGroup)? = nil,
        records: (any Store)? = nil, server: (Switchboard) -> HTTPServerBuilder = { .patchbay($0) },
        _ body: @Sendable (Hotel) async throws -> Result
    ) async throws -> Result {
        var options = options
        options.twilioAuthToken = Secret(secret)
        options.drainTimeout = options.drainTimeout ?? .milliseconds(200)
        let switchboard = try Switchboard(
            PipelineSet(documents: pipelines), options: options, records: records, logger: quiet)
        let (ports, source) = AsyncStream<Int>.makeStream()
        let services = makeHotel(
            switchboard, server: server(switchboard), group: group ?? switchboard.mediaLoop.eventLoop, logger: quiet
        ) {
            source.yield($0)
            source.finish()
        }
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await services.run() }
            let port = try #require(await ports.first { _ in true })
            let outcome: Swift.Result<Result, any Error>
            do {
                outcome = .success(
                    try await body(Hotel(port: port, switchboard: switchboard, services: services)))
            } catch {
                outcome = .failure(error)
            }
            await services.triggerGracefulShutdown()
            try await tasks.waitForAll()
            return try outcome.get()
        }
    }

    func call(_ number: String, _ steps: [PhoneStep]) async throws -> Phone.Report {
        var options = Phone.Options(voiceURL: origin + "/twilio/voice")
        options.to = number
        options.authToken = Self.secret
        options.steps = steps
        options.maximumMilliseconds = 5000
        return try await Phone(httpClient: .shared, on: MultiThreadedEventLoopGroup.singleton.next()).call(options)
    }

    func get(_ path: String) async throws -> (status: Int, server: String?, body: String) {
        let response = try await HTTPClient.shared.execute(HTTPClientRequest(url: origin + path), timeout: .seconds(10))
        return (
            Int(response.status.code), response.headers.first(name: "Server"),
            String(buffer: try await response.body.collect(upTo: 1 << 16))
        )
    }
}

func echoDesk(_ name: String = "desk", numbers: [NumberClaim] = ["+15550100001"]) throws -> PipelineDocument {
    try PipelineDocument(name, numbers: numbers, transport: TwilioTransport()) { EchoAgent() }
}

func eventually(_ what: String, _ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(15)
    while try await !condition() {
        guard ContinuousClock.now < deadline else {
            Issue.record("waited 15 s for \(what)")
            return
        }
        await Task.yield()
    }
}
