import NIOCore
import PatchbayCore

/// RFC 6455 on a channel of bare bytes: parses what comes in, answers pings and closes, hands messages to the delegate.
///
/// It stands directly on the byte stream (or on TLS), and no handler follows it. Lives on the channel's event loop.
final class WebSocketHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    enum State {
        case open
        /// Our close frame is out; its meaning, and the peer's answer is awaited.
        case closing(WebSocketClose)
        /// The outcome has been told. What still comes in is discarded.
        case closed
    }

    /// Sends during one read are gathered up to this size, then written.
    private static let gatherLimit = 16 * 1024

    let role: WebSocketRole
    let configuration: WebSocketConfiguration
    let closePromise: EventLoopPromise<WebSocketClose>
    var closeFuture: EventLoopFuture<WebSocketClose> { closePromise.futureResult }
    /// Set right after both were made; nil again once the handler has left its channel.
    var connection: WebSocketConnection?

    var state = State.open
    var context: ChannelHandlerContext?
    var statistics = WebSocketStatistics()
    var framer: WebSocketFramer
    /// The error that the socket or TLS reported last.
    var socketError: (any Error)?
    var closeTimer: Scheduled<Void>?
    var delegate: (any WebSocketDelegate)?
    /// The outcome, while nobody is there to hear it.
    var untoldClose: WebSocketClose?

    private var parser: WebSocketParser
    private var keepAlive: WebSocketKeepAlive?
    /// Between a channelRead and its channelReadComplete.
    private var isReading = false
    private var isDelivering = false
    private var isReadHeld = false
    /// Our owner is inside one of our methods. It may hold its own state exclusively then, a batch for instance, so what a
    /// failing write or a full buffer has to tell it waits for the loop's next turn. So does what NIO reads out of a
    /// socket whose write has failed, before it closes it.
    var isOwnerCalling = false
    /// Frames of this read that are not written yet.
    private var gathered = ByteBuffer()
    private var needsFlush = false
    /// What the delegate knows of the socket.
    private var toldWritable = true
    /// The answer to the latest ping, while the socket takes no bytes. Answering the latest is enough (RFC 6455,
    /// section 5.5.3), and it bounds what a peer can make us hold.
    private var heldPong: ByteBuffer?

    init(role: WebSocketRole, configuration: WebSocketConfiguration, eventLoop: any EventLoop) {
        self.role = role
        self.configuration = configuration
        self.parser = WebSocketParser(role: role, maximumMessageBytes: configuration.maximumMessageBytes)
        self.framer = WebSocketFramer(role: role)
        self.closePromise = eventLoop.makePromise()
    }

    // MARK: Receiving

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if let interval = configuration.pingInterval {
            keepAlive = WebSocketKeepAlive(
                interval: interval, pongTimeout: configuration.pongTimeout, eventLoop: context.eventLoop, handler: self)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        finish(unfinishedClose(.peerVanished))
        closeTimer?.cancel()
        closeTimer = nil
        self.context = nil
        connection = nil
    }

    func read(context: ChannelHandlerContext) {
        // Nothing is read for a connection that nobody listens to: TCP then holds the peer back.
        if delegate == nil, case .open = state {
            isReadHeld = true
        } else {
            context.read()
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isReading = true
        if case .closed = state { return }
        keepAlive?.didReceive()
        parser.append(unwrapInboundIn(data))
        guard !isOwnerCalling else { return afterOwner { self.deliver() } }
        deliver()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if isOwnerCalling {
            afterOwner { self.tellReadIsFinished() }
        } else {
            tellReadIsFinished()
        }
        isReading = false
        writeGathered(flush: true)
        context.fireChannelReadComplete()
    }

    private func tellReadIsFinished() {
        if case .open = state, let delegate, let connection { delegate.webSocketDidFinishReading(from: connection) }
    }

    /// Runs something in the loop's next turn, when our owner has left us.
    func afterOwner(_ body: @escaping () -> Void) {
        context?.eventLoop.assumeIsolated().execute(body)
    }

    private func deliver() {
        guard !isDelivering else { return }
        isDelivering = true
        defer { isDelivering = false }
        do {
            while isListening, let event = try parser.next() { receive(event) }
        } catch {
            fail(error)
        }
    }

    private var isListening: Bool {
        switch state {
        case .open: delegate != nil
        case .closing: true
        case .closed: false
        }
    }

    private func receive(_ event: WebSocketEvent) {
        switch (event, state) {
        case (.close(let code, let reason), _):
            receiveClose(code: code, reason: reason)
        case (.text(let payload), .open):
            countReceived(payload)
            if let delegate, let connection { delegate.webSocketDidReceive(text: payload, from: connection) }
        case (.binary(let payload), .open):
            countReceived(payload)
            if let delegate, let connection { delegate.webSocketDidReceive(binary: payload, from: connection) }
        case (.ping(let payload), .open):
            answerPing(payload)
        case (.pong, _), (.text, _), (.binary, _), (.ping, _):
            break
        }
    }

    private func countReceived(_ payload: ByteBuffer) {
        statistics.messagesReceived += 1
        statistics.bytesReceived += payload.readableBytes
    }

    private func answerPing(_ payload: ByteBuffer) {
        let pong = framer.controlFrame(.pong, payload)
        if context?.channel.isWritable == true {
            write(pong)
        } else {
            heldPong = pong
        }
    }

    func setDelegate(_ delegate: any WebSocketDelegate, of connection: WebSocketConnection) {
        if let close = untoldClose {
            untoldClose = nil
            delegate.webSocketDidClose(close, of: connection)
            return
        }
        guard case .open = state else { return }
        self.delegate = delegate
        deliver()
        if !isReading { writeGathered(flush: true) }
        resumeReading()
    }

    func resumeReading() {
        guard isReadHeld else { return }
        isReadHeld = false
        context?.read()
    }

    // MARK: Sending

    /// Bytes that were handed to the channel and not yet taken by the kernel.
    var pendingBytes: Int {
        guard let context else { return 0 }
        let inChannel = try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)
        return (inChannel ?? 0) + gathered.readableBytes
    }

    func send(_ batch: inout MessageBatch) -> Bool {
        guard case .open = state, let context, !batch.isEmpty else {
            batch.clear()
            return false
        }
        isOwnerCalling = true
        defer { isOwnerCalling = false }
        if !context.channel.isWritable, pendingBytes > configuration.maximumPendingBytes {
            statistics.refusedBatches += 1
            batch.clear()
            abort(.sendQueueFull(pendingBytes: pendingBytes), code: 1013)
            return false
        }
        statistics.messagesSent += batch.messages.count
        framer.frame(&batch)
        statistics.bytesSent += batch.buffer.readableBytes
        write(batch.buffer)
        batch.clear()
        return true
    }

    /// Writes whole frames: at once, or together with the others of this read.
    func write(_ frames: ByteBuffer) {
        guard let context else { return }
        guard isReading || isDelivering else {
            context.writeAndFlush(wrapOutboundOut(frames), promise: nil)
            return
        }
        if gathered.readableBytes + frames.readableBytes > Self.gatherLimit { writeGathered(flush: false) }
        if frames.readableBytes > Self.gatherLimit {
            context.write(wrapOutboundOut(frames), promise: nil)
        } else {
            gathered.writeImmutableBuffer(frames)
        }
        needsFlush = true
    }

    func writeGathered(flush: Bool) {
        guard let context else { return }
        if gathered.readableBytes > 0 {
            context.write(wrapOutboundOut(gathered), promise: nil)
        }
        if flush, needsFlush {
            needsFlush = false
            context.flush()
        }
        if gathered.writerIndex > 0, gathered.modifyIfUniquelyOwned({ $0.clear() }) == nil { gathered = ByteBuffer() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, let pong = heldPong, case .open = state {
            heldPong = nil
            write(pong)
        }
        if isOwnerCalling {
            afterOwner { self.tellWritability() }
        } else {
            tellWritability()
        }
        context.fireChannelWritabilityChanged()
    }

    private func tellWritability() {
        guard case .open = state, let context, let delegate, let connection else { return }
        // A large write that the kernel takes at once goes over the mark and back: no news.
        let isWritable = context.channel.isWritable
        guard isWritable != toldWritable else { return }
        toldWritable = isWritable
        delegate.webSocketDidBecomeWritable(isWritable, on: connection)
    }

    func sendPing() {
        guard case .open = state else { return }
        write(framer.controlFrame(.ping, ByteBuffer()))
    }

    // MARK: Ends

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent {
            // Servers may allow half-closure; a WebSocket has no use for it.
            streamEnded()
            context.close(promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        streamEnded()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        socketError = error
        streamEnded()
        context.close(promise: nil)
    }

    func stopTimers() {
        keepAlive?.stop()
        keepAlive = nil
    }
}
