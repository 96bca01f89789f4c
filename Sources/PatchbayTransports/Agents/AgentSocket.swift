public import NIOCore
public import NIOSSL
public import PatchbayCore

/// Dials agents over WebSockets, each on its call's own event loop.
public struct WebSocketAgentDialer: AgentDialer {
    private let tls: NIOSSLContext
    private let timeout: TimeAmount

    /// - Parameters:
    ///   - tls: Made once and shared; see ``WebSocketTLS/makeContext(caFile:)``.
    ///   - timeout: For name, TCP, TLS and handshake together.
    public init(tls: NIOSSLContext, timeout: TimeAmount = .seconds(10)) {
        self.tls = tls
        self.timeout = timeout
    }

    /// - Returns: Fails with ``PipelineError``; an HTTP status in place of the handshake gives it its code.
    public func dial(_ target: AgentTarget, on loop: any EventLoop) -> EventLoopFuture<any AgentConnection> {
        var configuration = WebSocketConfiguration.client
        configuration.maximumMessageBytes = target.maximumMessageBytes
        return WebSocketClient.makeConnection(
            to: WebSocketTarget(target.url, headers: target.headers), on: loop, tls: tls, timeout: timeout,
            configuration: configuration
        ).map { $0 as any AgentConnection }.flatMapErrorThrowing { error in
            throw PipelineError(dialling: target, error)
        }
    }
}

extension PipelineError {
    /// Why an agent's WebSocket could not be opened. Never quotes the answer's body: it may repeat what was sent.
    init(dialling target: AgentTarget, _ error: any Error) {
        guard let error = error as? WebSocketConnectError else {
            self.init(.agentUnreachable, "\(error)", place: target.place, isRetryable: true)
            return
        }
        if target.isSigned, error.status == 401 || error.status == 403 {
            let words = "\(error.message): the signed URL was not taken, it may be too old; the next try has a new one"
            self.init(.agentUnreachable, words, place: target.place, isRetryable: true)
            return
        }
        let (code, isRetryable): (Code, Bool) =
            switch error.status {
            case 401, 403: (.agentUnauthorized, false)
            case 404, 410: (.agentUnknown, false)
            case 429: (.agentQuota, true)
            case .some(let status): (.agentUnreachable, status >= 500)
            case nil: (.agentUnreachable, error.code != .invalidTarget && error.code != .tlsFailed)
            }
        self.init(code, error.message, place: target.place, isRetryable: isRetryable)
        // What a certificate or an address lacks, the message says itself; and a vendor that answers has been reached.
        let isTold = error.code == .invalidTarget || error.code == .tlsFailed
        let isAnswered = code == .agentUnreachable && error.status != nil
        if !isTold, !isAnswered, let remedy = target.remedy(code) { message += "; \(remedy)" }
    }
}

extension WebSocketConnection: AgentConnection {
    public func deliver(to call: Call, link: Int) { setDelegate(AgentSocket(call, link: link)) }
}

/// Hands an agent's messages to its call.
private final class AgentSocket: WebSocketDelegate {
    private let call: Call
    private let link: Int

    init(_ call: Call, link: Int) {
        self.call = call
        self.link = link
    }

    func webSocketDidReceive(text: ByteBuffer, from connection: WebSocketConnection) {
        call.agentReceived(text, link: link)
    }

    func webSocketDidReceive(binary: ByteBuffer, from connection: WebSocketConnection) {
        call.agentReceived(binary: binary, link: link)
    }

    func webSocketDidClose(_ close: WebSocketClose, of connection: WebSocketConnection) {
        call.agentClosed(code: close.code, reason: close.reason, link: link)
    }
}
