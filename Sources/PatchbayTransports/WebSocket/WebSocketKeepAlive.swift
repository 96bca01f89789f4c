import NIOCore

/// Pings a quiet peer and cuts it off when it stays quiet. Belongs to one handler and its event loop.
final class WebSocketKeepAlive {
    private let interval: TimeAmount
    private let pongTimeout: TimeAmount
    private let eventLoop: any EventLoop
    private weak var handler: WebSocketHandler?
    private var timer: Scheduled<Void>?
    private var hasHeard = false

    init(interval: TimeAmount, pongTimeout: TimeAmount, eventLoop: any EventLoop, handler: WebSocketHandler) {
        self.interval = interval
        self.pongTimeout = pongTimeout
        self.eventLoop = eventLoop
        self.handler = handler
        waitForInterval()
    }

    /// Any byte shows that the peer lives.
    func didReceive() { hasHeard = true }

    func stop() {
        timer?.cancel()
        timer = nil
    }

    private func waitForInterval() {
        timer = eventLoop.assumeIsolated().scheduleTask(in: interval) { [weak self] in
            guard let self else { return }
            hasHeard = false
            handler?.sendPing()
            waitForPong()
        }
    }

    private func waitForPong() {
        timer = eventLoop.assumeIsolated().scheduleTask(in: pongTimeout) { [weak self] in
            guard let self else { return }
            if hasHeard {
                waitForInterval()
            } else {
                handler?.abort(.pongTimeout)
            }
        }
    }
}
