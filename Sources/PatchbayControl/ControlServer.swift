import HTTPTypes
import Hummingbird
import HummingbirdCore
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
        let router = Router(context: ControlContext.self)
        switchboard.addRoutes(to: router)
        let options = switchboard.options
        var logger = switchboard.logger
        // Its own notices of every connection add nothing to ours.
        logger.logLevel = max(logger.logLevel, .warning)
        let started = started
        let application = Application(
            router: router,
            server: .patchbay(switchboard),
            configuration: ApplicationConfiguration(
                address: .hostname(options.host, port: options.port), serverName: "patchbay", backlog: 1024),
            onServerRunning: { channel in
                if let address = channel.localAddress { started(address) }
            },
            eventLoopGroupProvider: .shared(group), logger: logger)
        // The last service of a group is shut down first: calls drain while the port still answers.
        let services = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [.init(service: application), .init(service: CallDrain(switchboard))],
                logger: logger))
        try await services.run()
    }
}

/// Decides which WebSocket handshakes become carriers' streams.
struct StreamUpgrade: Sendable {
    let switchboard: Switchboard

    func channel(_ responder: @escaping HTTPChannelHandler.Responder) -> UpgradableChannel {
        UpgradableChannel(responder: responder, upgrader: upgrader)
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
        if isBrowser(path: path) { return BrowserAdmission(switchboard: switchboard).decide(channel, head, fields) }
        // A signature that is present and wrong is refused; without one the token alone decides.
        if let signature = head.headers.first(name: "X-Twilio-Signature"), !switchboard.options.skipsSignatures {
            let origin = RequestOrigin(
                peer: channel.remoteAddress?.ipAddress, authority: head.headers.first(name: "Host"), headers: fields,
                options: switchboard.options)
            guard let secret = switchboard.options.twilioAuthToken,
                TwilioSignature(secrets: [secret.reveal()]).verifyHandshake(
                    signature: signature, url: origin.webSocketURL(head.uri))
            else {
                switchboard.logger.warning("stream refused", metadata: ["reason": "X-Twilio-Signature does not fit"])
                return .refuse(.forbidden, "X-Twilio-Signature does not fit")
            }
        }
        return .accept { connection in StreamSocket(connection, switchboard) }
    }
}
