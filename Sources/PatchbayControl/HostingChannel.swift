import HummingbirdCore
import Logging
import NIOCore
import NIOExtras

/// A connection whose first line decides who speaks on it: the switchboard, or a protocol of the host's own.
struct HostingChannel<Other: ServerChildChannel>: ServerChildChannel {
    enum Speaker: Sendable {
        case streams(UpgradableChannel.Value)
        case other(Other.Value)
    }

    struct Value: ServerChildChannelValue {
        let speaker: EventLoopFuture<Speaker>
        let channel: any Channel
    }

    let streams: UpgradableChannel
    let other: Other
    let isStream: @Sendable (_ path: String) -> Bool

    /// The speaker is found later: nothing is read from a connection before its set-up is over.
    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let promise = channel.eventLoop.makePromise(of: Speaker.self)
            let reader = FirstLineReader { path in
                let found: EventLoopFuture<Speaker> =
                    if let path, isStream(path) {
                        streams.setup(channel: channel, logger: logger).map { .streams($0) }
                    } else {
                        other.setup(channel: channel, logger: logger).map { .other($0) }
                    }
                found.cascade(to: promise)
                return found.map { _ in }
            } abandoned: {
                promise.fail(ChannelError.ioOnClosedChannel)
            }
            try channel.pipeline.syncOperations.addHandler(reader)
            return Value(speaker: promise.futureResult, channel: channel)
        }
    }

    func handle(value: Value, logger: Logger) async {
        switch try? await value.speaker.get() {
        case .streams(let value): await streams.handle(value: value, logger: logger)
        case .other(let value): await other.handle(value: value, logger: logger)
        case nil: break
        }
    }
}

/// Reads the first line of an HTTP/1.1 connection (RFC 9112, section 3), lets others put their handlers behind it, gives
/// them all that has come, and leaves.
private final class FirstLineReader: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// Longest first line that is read; what is longer goes to the host, which refuses it as it likes.
    private static let maximumBytes = 16 * 1024
    /// How long a connection may take to its first line.
    private static let patience = TimeAmount.seconds(15)

    private let decide: (_ path: String?) -> EventLoopFuture<Void>
    private let abandoned: () -> Void
    private var received = ByteBuffer()
    private var hasDecided = false
    private var timer: Scheduled<Void>?

    init(decide: @escaping (_ path: String?) -> EventLoopFuture<Void>, abandoned: @escaping () -> Void) {
        self.decide = decide
        self.abandoned = abandoned
    }

    func handlerAdded(context: ChannelHandlerContext) {
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: Self.patience) { context.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
        if !hasDecided { abandoned() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        received.writeBuffer(&bytes)
        guard !hasDecided else { return }
        let line = received.readableBytesView
        let end = line.firstIndex(of: UInt8(ascii: "\n"))
        guard end != nil || line.count > Self.maximumBytes else { return }
        hasDecided = true
        timer?.cancel()
        let path = end.flatMap { end in
            let words = line[..<end].split(separator: UInt8(ascii: " "), maxSplits: 2)
            return words.count == 3 ? String(decoding: words[1].prefix { $0 != UInt8(ascii: "?") }, as: UTF8.self) : nil
        }
        decide(path).assumeIsolated().whenComplete { result in
            guard case .success = result else { return context.close(promise: nil) }
            let received = self.received
            self.received = ByteBuffer()
            context.fireChannelRead(self.wrapInboundOut(received))
            context.fireChannelReadComplete()
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        }
    }

    /// The server stops, or the peer has left: nobody is there yet to close the connection.
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if !hasDecided, event is ChannelShouldQuiesceEvent || event as? ChannelEvent == .inputClosed {
            context.close(promise: nil)
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }
}
