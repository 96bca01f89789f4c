import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
public import NIOCore
import NIOHTTP1
import NIOHTTPTypesHTTP1
import PatchbayConfig
import PatchbayCore
import PatchbayTransports
import PatchbayWire
public import ServiceLifecycle

/// The one port of a server: webhooks, media streams, and what operators ask.
public struct ControlServer: Service {
    private let switchboard: Switchboard
    private let group: any EventLoopGroup
    private let started: @Sendable (SocketAddress) -> Void

    /// - Parameters:
    ///   - group: Must be the group of the switchboard's media loop, so that carriers' sockets live on it.
    ///   - started: Told the address once connections are accepted.
    public init(
        _ switchboard: Switchboard, group: any EventLoopGroup,
        started: @escaping @Sendable (SocketAddress) -> Void = { _ in }
    ) {
        self.switchboard = switchboard
        self.group = group
        self.started = started
    }

    /// Serves until the surrounding service group shuts down; then drains before it closes the port.
    public func run() async throws {
        try switchboard.checkStart()
        let router = Router(context: ControlContext.self)
        switchboard.addRoutes(to: router)
        router.add(
            middleware: UnknownRoutes(
                router.routes.map { ($0.path.description, $0.method) }, switchboard.settings))
        let options = switchboard.options
        var server = HTTPServerBuilder.patchbay(switchboard)
        if let tls = options.tls { server = try .tls(server, tlsConfiguration: tls.configuration()) }
        var logger = switchboard.logger
        // Its own notices of every connection add nothing to ours.
        logger.logLevel = max(logger.logLevel, .warning)
        let started = started
        let application = Application(
            router: router,
            server: server,
            configuration: ApplicationConfiguration(
                address: .hostname(options.host, port: options.port), serverName: "patchbay", backlog: 1024),
            onServerRunning: { channel in
                if let address = channel.localAddress { started(address) }
            },
            eventLoopGroupProvider: .shared(group), logger: logger)
        // The last service of a group is shut down first: calls drain while the port still answers.
        let services = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [
                    .init(service: LoopProbe(switchboard.mediaLoop)), .init(service: application),
                    .init(service: CallDrain(switchboard)),
                ],
                logger: logger))
        try await services.run()
    }
}

/// Why a server does not start.
public struct StartFailure: Error, Sendable, CustomStringConvertible {
    /// What is wrong, and where.
    public var description: String
}

extension StartFailure {
    /// Why a port could not be opened; `nil` for any other error.
    public init?(_ error: any Error, listeningOn host: String, port: Int) {
        guard let error = error as? IOError else { return nil }
        let words = String(cString: strerror(error.errnoCode))
        self.init(
            description: "cannot listen on \(host):\(port): \(words); choose another --port, or end what uses it")
    }
}

/// Decides which WebSocket handshakes become carriers' streams.
struct StreamUpgrade: Sendable {
    let switchboard: Switchboard

    func channel(_ responder: @escaping HTTPChannelHandler.Responder) -> UpgradableChannel {
        UpgradableChannel(responder: responder, upgrader: upgrader, switchboard: switchboard)
    }

    /// Whether a path, without its query, is one of a carrier's stream.
    func isStream(path: String) -> Bool {
        switchboard.settings.paths(.stream).contains(path) || isBrowser(path: path)
    }
    private func isBrowser(path: String) -> Bool { switchboard.settings.paths(.browser).contains(path) }

    private var upgrader: WebSocketServerUpgrader<UpgradableChannel.Upgrade> {
        WebSocketServerUpgrader(
            accept: { channel, head in channel.eventLoop.makeSucceededFuture(decide(channel, head)) },
            upgraded: { _ in .webSocket })
    }

    private func decide(_ channel: any Channel, _ head: HTTPRequestHead) -> WebSocketAcceptance {
        let path = head.uri.split(separator: "?", maxSplits: 1).first.map(String.init) ?? head.uri
        guard head.fits(switchboard.settings.limits) else {
            RateLimiter.count("maximumHeaderBytes")
            return .refuse(.requestHeaderFieldsTooLarge, "the head of the request is too long")
        }
        guard isStream(path: path) else { return .refuse(.notFound, "there is no WebSocket at \(path)") }
        guard channel.eventLoop === switchboard.mediaLoop.eventLoop else {
            switchboard.logger.error(
                """
                stream refused: connections and calls are on different event loops; give the application \
                .shared(switchboard.mediaLoop.eventLoop) as its event loop group
                """)
            return .refuse(.internalServerError, "the server's event loop is not that of its calls")
        }
        var fields = HTTPFields()
        for (name, value) in head.headers {
            if let name = HTTPField.Name(name) { fields.append(HTTPField(name: name, value: value)) }
        }
        let origin = RequestOrigin(
            peer: channel.remoteAddress?.ipAddress, authority: head.headers.first(name: "Host"), headers: fields,
            options: switchboard.options)
        if let wait = switchboard.traffic.admit(origin) {
            return .refuse(
                .tooManyRequests, "too many requests from your address",
                headers: ["Retry-After": String(Int(wait.rounded(.up)))])
        }
        if isBrowser(path: path) { return BrowserAdmission(switchboard: switchboard).decide(head, fields, origin) }
        // A signature that is present and wrong is refused; without one the token alone decides.
        if head.headers.contains(name: "X-Twilio-Signature"), !switchboard.options.skipsSignatures {
            let url = origin.webSocketURL(head.uri)
            let fault = CarrierProof(switchboard.options, switchboard.settings).fault(of: fields, url: url) {
                $0.verifyHandshake(signature: $1, url: url)
            }
            if let fault {
                switchboard.logger.warning("stream refused", metadata: ["reason": "\(fault)"])
                switchboard.audit.note("stream.refused", path, by: .stranger, from: origin, outcome: fault)
                return .refuse(.forbidden, fault)
            }
        }
        return .accept { connection in StreamSocket(connection, switchboard, peer: origin.client) }
    }
}
