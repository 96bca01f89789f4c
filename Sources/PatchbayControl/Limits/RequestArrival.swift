import NIOCore
import NIOHTTP1
import PatchbayConfig

/// Bounds how long a request takes to arrive, and how long its head is, on a connection that speaks HTTP.
///
/// Nothing else does: a body is read as long as its bytes come, however slowly, and so is the head of a second request. The
/// clock runs from a request's first byte to its end; one that takes long must bring bytes at a least rate, so that a large
/// body has time and a slow one has not.
final class RequestArrival {
    private let channel: any Channel
    private let patience: TimeAmount
    private var timer: Scheduled<Void>?
    private var begun = NIODeadline.now()
    private var received = 0

    /// On the channel's loop, when its first request has begun to arrive.
    init(_ channel: any Channel, _ limits: ServerSettings.Limits) throws {
        self.channel = channel
        patience = .seconds(Int64(limits.requestSeconds))
        let operations = channel.pipeline.syncOperations
        try operations.addHandler(ByteMeter(self), position: .first)
        try operations.addHandler(RequestWatch(self, limits))
        bytesArrived(0)
    }

    fileprivate func bytesArrived(_ count: Int) {
        if timer == nil {
            begun = .now()
            received = 0
            schedule(patience)
        }
        received += count
    }

    fileprivate func ended() {
        timer?.cancel()
        timer = nil
    }

    private func schedule(_ delay: TimeAmount) {
        timer = channel.eventLoop.assumeIsolated().scheduleTask(in: delay) { self.check() }
    }

    private func check() {
        let bonus = TimeAmount.seconds(Int64(received / ServerSettings.Limits.minimumBytesPerSecond))
        let left = (begun + patience + bonus) - .now()
        guard left <= .zero else { return schedule(left) }
        timer = nil
        RateLimiter.count("requestSeconds")
        channel.close(promise: nil)
    }
}

/// Sees the bytes of a connection.
private final class ByteMeter: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let arrival: RequestArrival

    init(_ arrival: RequestArrival) { self.arrival = arrival }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        arrival.bytesArrived(unwrapInboundIn(data).readableBytes)
        context.fireChannelRead(data)
    }

    func handlerRemoved(context: ChannelHandlerContext) { arrival.ended() }
}

/// Sees where requests begin and end, and refuses heads that are too long (RFC 6585, section 5).
private final class RequestWatch: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let arrival: RequestArrival
    private let limits: ServerSettings.Limits
    private var isRefused = false

    init(_ arrival: RequestArrival, _ limits: ServerSettings.Limits) {
        self.arrival = arrival
        self.limits = limits
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isRefused else { return }
        switch unwrapInboundIn(data) {
        case .head(let head) where !head.fits(limits): refuse(context)
        case .head, .body: context.fireChannelRead(data)
        case .end:
            arrival.ended()
            context.fireChannelRead(data)
        }
    }

    private func refuse(_ context: ChannelHandlerContext) {
        isRefused = true
        RateLimiter.count("maximumHeaderBytes")
        let headers: HTTPHeaders = ["Connection": "close", "Content-Length": "0"]
        let status = HTTPResponseStatus.requestHeaderFieldsTooLarge
        context.write(
            wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: status, headers: headers))), promise: nil)
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in channel.close(promise: nil) }
    }
}

extension HTTPRequestHead {
    /// Whether its head is as short as it must be.
    func fits(_ limits: ServerSettings.Limits) -> Bool {
        guard headers.count <= limits.maximumHeaders else { return false }
        var bytes = uri.utf8.count
        // With ": " and the end of the line.
        for (name, value) in headers { bytes += name.utf8.count + value.utf8.count + 4 }
        return bytes <= limits.maximumHeaderBytes
    }
}
