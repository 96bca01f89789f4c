public import AsyncHTTPClient
import HTTPTypes
public import Hummingbird
public import HummingbirdCore
public import Logging
public import NIOCore
import NIOPosix
public import NIOSSL
public import PatchbayConfig
public import PatchbayCore
public import PatchbayStore
public import PatchbayTransports
public import ServiceLifecycle

extension Switchboard {
    /// A switchboard for a service that has a server of its own.
    ///
    /// - Parameters:
    ///   - eventLoop: Where all calls live; one that the process shares when absent. The service's server must accept its
    ///     connections there too, see ``HummingbirdCore/HTTPServerBuilder/patchbay(_:)``.
    ///   - source: Where the pipelines are read again when a reload is asked for; see ``PipelineStore``.
    ///   - options: Host and port in it are not used.
    ///   - tls: For agents behind `wss:`; made here when absent.
    ///   - httpClient: Completes calls over Twilio's REST API, when the options hold the credentials for it.
    ///   - records: What is remembered beyond this process; in memory, and no longer than the process, when absent.
    ///   - observers: Makes additional watchers for each call.
    ///   - tools: What the agents of a call may call beside the tools of its pipeline.
    ///   - context: Finds out about callers, in place of the pipelines' own `context`.
    /// - Throws: When the machine's certificates cannot be read.
    public convenience init(
        _ pipelines: PipelineSet, source: PipelineSource? = nil, on eventLoop: (any EventLoop)? = nil,
        settings: ServerSettings = ServerSettings(), options: ServerOptions = ServerOptions(),
        tls: NIOSSLContext? = nil, httpClient: HTTPClient = .prompt, records: (any Store)? = nil,
        logger: Logger, observers: @escaping @Sendable (CallInfo) -> [any CallObserver] = { _ in [] },
        tools: @escaping @Sendable (CallInfo) -> [Tool] = { _ in [] },
        context: ContextProvider? = nil
    ) throws {
        self.init(
            pipelines: pipelines, source: source, settings: settings, options: options,
            mediaLoop: MediaLoop(eventLoop ?? MultiThreadedEventLoopGroup.singleton.next()),
            dialer: WebSocketAgentDialer(tls: try tls ?? WebSocketTLS.makeContext()),
            carrierREST: TwilioREST(httpClient, options), records: try records ?? SQLiteStore(), logger: logger,
            observers: observers, tools: tools, context: context)
    }

    /// Adds webhooks and operators' paths to a router of the host's own, at the paths of the settings.
    ///
    /// The host's middleware runs before them, as before its own routes. Leave the bodies of webhooks unread: their
    /// signatures are checked over them. A group may be given for middleware that only these paths have; a path of the group's
    /// own would lead away from what the settings say, and from what TwiML points to.
    ///
    /// - Parameter router: Its context has to know the peer's address, which decides about signatures behind proxies and
    ///   about operators' paths: a context that conforms to `RemoteAddressRequestContext`, or ``ControlContext``.
    public func addRoutes<Routes: RouterMethods>(to router: Routes) where Routes.Context: RemoteAddressRequestContext {
        let routes = HostedRoutes(router, settings)
        _ = routes.add(middleware: RequestLimit(switchboard: self))
        TwilioRoutes(switchboard: self).add(to: routes)
        AdminRoutes(switchboard: self).add(to: routes)
        OutboundRoutes(switchboard: self).add(to: routes)
        ElevenLabsRoutes(switchboard: self).add(to: routes)
        WebhookRoutes(switchboard: self).add(to: routes)
        TenantRoutes(switchboard: self).add(to: routes)
        NumberRoutes(switchboard: self).add(to: routes)
        AuditRoutes(switchboard: self).add(to: routes)
        OpenAPIRoutes(switchboard: self).add(to: routes)
    }
}

/// Takes over what a process before this one has left, keeps the records in order, and waits for running calls when a group
/// of services shuts down.
///
/// Name it behind the server in the group: services shut down in reverse order, and calls end while the port still answers.
public struct CallDrain: Service {
    private let switchboard: Switchboard

    public init(_ switchboard: Switchboard) { self.switchboard = switchboard }

    /// Waits for the group's shutdown, then for the calls; see ``Switchboard/drain(timeout:)``.
    ///
    /// - Throws: ``StartFailure`` when the options or the keys that `access` names cannot be used.
    public func run() async throws {
        try switchboard.checkStart()
        let isOrderly = await withTaskGroup(of: Void.self) { group -> Bool in
            group.addTask { await switchboard.keepRecords() }
            defer { group.cancelAll() }
            // Cancelled when another service of the group fails: a port that cannot be opened.
            do {
                try await gracefulShutdown()
                return true
            } catch {
                return false
            }
        }
        await switchboard.drain(wasServing: isOrderly)
    }
}

extension Switchboard {
    /// With such options or keys nothing could be trusted, or nobody could get in.
    func checkStart() throws(StartFailure) {
        if let fault = options.fault { throw StartFailure(description: fault) }
        if let fault = access.fault { throw StartFailure(description: "access: \(fault)") }
    }
}

extension HTTPServerBuilder {
    /// A server whose connections become carriers' streams at the switchboard's stream paths, and speak HTTP/1.1 otherwise.
    ///
    /// A frame never crosses a thread, so calls and connections share one event loop; streams on any other are refused:
    ///
    /// ```swift
    /// let app = Application(
    ///     router: router, server: .patchbay(switchboard),
    ///     eventLoopGroupProvider: .shared(switchboard.mediaLoop.eventLoop))
    /// ```
    ///
    /// It can be wrapped in TLS as any other: `.tls(.patchbay(switchboard), tlsConfiguration: …)`.
    public static func patchbay(_ switchboard: Switchboard) -> HTTPServerBuilder {
        HTTPServerBuilder { responder in StreamUpgrade(switchboard: switchboard).channel(responder) }
    }

    /// The same beside a protocol of the host's own, for instance its WebSockets.
    ///
    /// The first line of a connection decides: the switchboard's stream paths are served here, everything else as `other`
    /// says. Costs nothing after that line.
    ///
    /// - Parameter other: Makes what speaks on all other connections: `HTTP1WebSocketUpgradeChannel` of HummingbirdWebSocket,
    ///   or any other child channel.
    public static func patchbay(
        _ switchboard: Switchboard,
        beside other:
            @escaping @Sendable (@escaping HTTPChannelHandler.Responder) throws -> any ServerChildChannel
    ) -> HTTPServerBuilder {
        HTTPServerBuilder { responder in
            let upgrade = StreamUpgrade(switchboard: switchboard)
            return beside(try other(responder), upgrade, responder)
        }
    }

    private static func beside(
        _ other: some ServerChildChannel, _ upgrade: StreamUpgrade, _ responder: @escaping HTTPChannelHandler.Responder
    ) -> any ServerChildChannel {
        HostingChannel(streams: upgrade.channel(responder), other: other, isStream: { upgrade.isStream(path: $0) })
    }
}

/// Puts routes that know a ``ControlContext`` into a router whose context is the host's, and counts their requests.
final class HostedRoutes<Host: RouterMethods>: RouterMethods where Host.Context: RemoteAddressRequestContext {
    typealias Context = ControlContext

    private let host: Host
    private let settings: ServerSettings
    private var middlewares: [any MiddlewareProtocol<Request, Response, ControlContext>] = []

    init(_ host: Host, _ settings: ServerSettings) {
        self.host = host
        self.settings = settings
    }

    func on<Responder: HTTPResponder>(
        _ path: RouterPath, method: HTTPRequest.Method, responder: Responder
    ) -> Self where Responder.Context == ControlContext {
        var respond: @Sendable (Request, ControlContext) async throws -> Response = responder.respond
        for middleware in middlewares.reversed() {
            let next = respond
            respond = { try await middleware.handle($0, context: $1, next: next) }
        }
        let chain = respond
        let meters = RouteMeters(path, method, settings)
        host.on(path, method: method) { request, context in
            try await meters.measure {
                try await TracedRequest.respond(request) {
                    try await ErrorWords.giving { try await chain(request, ControlContext(hosting: context)) }
                }
            }
        }
        return self
    }

    func add(middleware: any MiddlewareProtocol<Request, Response, ControlContext>) -> Self {
        middlewares.append(middleware)
        return self
    }
}
