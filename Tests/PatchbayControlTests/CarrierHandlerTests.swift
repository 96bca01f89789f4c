import Logging
import NIOCore
import NIOPosix
import Patchbay
import Testing

/// What a channel may pile up while its call is being taken.
@Suite struct CarrierHandlerTests {
    /// Gives so many empty messages on when something comes, and says whether the channel is still open then.
    private final class Flood: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias InboundOut = ByteBuffer

        private let count: Int
        private let isOpen: EventLoopPromise<Bool>

        init(_ count: Int, _ isOpen: EventLoopPromise<Bool>) {
            self.count = count
            self.isOpen = isOpen
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            for _ in 0..<count { context.fireChannelRead(wrapInboundOut(ByteBuffer())) }
            isOpen.succeed(context.channel.isActive)
        }
    }

    @Test(arguments: [(4000, true), (5000, false)]) func emptyMessagesDoNotPileUp(count: Int, stays: Bool) async throws
    {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let isOpen = loop.makePromise(of: Bool.self)
        let (never, end) = AsyncStream<Void>.makeStream()
        let server = try await ServerBootstrap(group: loop).childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                let handler = CarrierHandler(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }) { _ in
                    for await _ in never {}
                    throw CancellationError()
                }
                try channel.pipeline.syncOperations.addHandlers(Flood(count, isOpen), handler)
            }
        }.bind(host: "127.0.0.1", port: 0).get()
        let client = try await ClientBootstrap(group: loop).connect(to: try #require(server.localAddress)).get()
        // The server may close before the write is reported.
        try? await client.writeAndFlush(ByteBuffer(string: "x"))
        #expect(try await isOpen.futureResult.get() == stays)
        end.finish()
        try? await client.close()
        try await server.close()
    }
}
