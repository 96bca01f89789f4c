import NIOCore
import NIOHTTP1

/// Answers one plain HTTP request, and closes the connection.
final class SimulatorHTTPHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let answer: (SimulatorRequest) -> SimulatorResponse
    private var request: SimulatorRequest?
    private var hasAnswered = false

    init(answer: @escaping (SimulatorRequest) -> SimulatorResponse) { self.answer = answer }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !hasAnswered else { return }
        switch unwrapInboundIn(data) {
        case .head(let head): request = SimulatorRequest(head, address: context.localAddress)
        case .body(let part):
            guard let size = request?.body.readableBytes,
                size + part.readableBytes <= SimulatorRequest.maximumBody
            else {
                send(SimulatorResponse(.payloadTooLarge, body: "{}"), context: context)
                return
            }
            request?.body.writeImmutableBuffer(part)
        case .end:
            guard let request else { return }
            send(answer(request), context: context)
        }
    }

    private func send(_ response: SimulatorResponse, context: ChannelHandlerContext) {
        hasAnswered = true
        let body = ByteBuffer(string: response.body)
        let head = HTTPResponseHead(
            version: .http1_1, status: response.status,
            headers: [
                "Content-Type": "application/json", "Content-Length": "\(body.readableBytes)", "Connection": "close",
            ])
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in channel.close(promise: nil) }
    }

    /// A request that is no HTTP.
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
