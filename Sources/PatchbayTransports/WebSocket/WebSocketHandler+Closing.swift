import NIOCore

/// The closing handshake (RFC 6455, section 7) and every way to miss it.
extension WebSocketHandler {
    /// Begins the handshake.
    func close(code: UInt16, reason: String) {
        guard case .open = state, let context else { return }
        isOwnerCalling = true
        defer { isOwnerCalling = false }
        state = .closing(WebSocketClose(code: code, reason: reason, initiatedLocally: true))
        stopTimers()
        writeGathered(flush: false)
        context.writeAndFlush(wrapOutboundOut(framer.closeFrame(code: code, reason: reason)), promise: nil)
        startCloseTimer()
        // A held read goes on, so that the answer can arrive.
        resumeReading()
    }

    /// The peer's close frame: the answer to ours, or the beginning of its own handshake.
    func receiveClose(code: UInt16?, reason: String) {
        guard let context else { return }
        switch state {
        case .open:
            writeGathered(flush: false)
            let written = context.eventLoop.makePromise(of: Void.self)
            context.writeAndFlush(wrapOutboundOut(framer.closeFrame(code: code, reason: reason)), promise: written)
            // Told before TCP is closed, whose end would count as the outcome otherwise.
            finish(WebSocketClose(code: code ?? 1005, reason: reason, initiatedLocally: false))
            startCloseTimer()
            if role == .server { closeChannel(after: written.futureResult) }
        case .closing(let close):
            finish(close)
            // The server closes TCP first; the client waits for that until the timer fires (section 7.1.1).
            if role == .server { context.close(promise: nil) }
        case .closed:
            break
        }
    }

    /// The peer broke a rule: say so, then let the bytes that are still on their way run out, because a reset would
    /// take the close frame with it.
    func fail(_ fault: WebSocketFault) {
        guard let context else { return }
        if case .open = state {
            writeGathered(flush: false)
            let frame = framer.closeFrame(code: fault.closeCode, reason: fault.message)
            context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
        }
        finish(
            WebSocketClose(code: fault.closeCode, reason: fault.message, initiatedLocally: true, error: fault))
        startCloseTimer()
        context.close(mode: .output, promise: nil)
    }

    /// Cuts the connection without a handshake.
    func abort(_ cause: WebSocketAbort, code: UInt16 = 1006) {
        guard let context else { return }
        finish(WebSocketClose(code: code, reason: cause.description, initiatedLocally: true, error: cause))
        context.close(promise: nil)
    }

    /// No more bytes will come. What came before is told before.
    func streamEnded() {
        if isOwnerCalling {
            afterOwner { self.finish(self.unfinishedClose(.peerVanished)) }
        } else {
            finish(unfinishedClose(.peerVanished))
        }
    }

    /// The outcome when the handshake was cut short.
    func unfinishedClose(_ cause: WebSocketAbort) -> WebSocketClose {
        if case .closing(var close) = state {
            close.error = socketError ?? cause
            return close
        }
        return WebSocketClose(code: 1006, initiatedLocally: false, error: socketError ?? cause)
    }

    /// Settles the outcome, and tells it once.
    func finish(_ close: WebSocketClose) {
        if case .closed = state { return }
        state = .closed
        stopTimers()
        let connection = connection
        if isOwnerCalling, context != nil {
            afterOwner { self.tell(close, of: connection) }
        } else {
            tell(close, of: connection)
        }
    }

    private func tell(_ close: WebSocketClose, of connection: WebSocketConnection?) {
        let listener = delegate
        delegate = nil
        if let listener, let connection {
            listener.webSocketDidClose(close, of: connection)
        } else {
            untoldClose = close
        }
        closePromise.succeed(close)
    }

    private func closeChannel(after written: EventLoopFuture<Void>) {
        let channel = context?.channel
        written.whenComplete { _ in channel?.close(promise: nil) }
    }

    /// Bounds the rest of the connection's life.
    private func startCloseTimer() {
        guard closeTimer == nil, let context else { return }
        closeTimer = context.eventLoop.assumeIsolated().scheduleTask(in: configuration.closeTimeout) { [weak self] in
            guard let self else { return }
            finish(unfinishedClose(.closeTimeout))
            self.context?.close(promise: nil)
        }
    }
}
