import AsyncHTTPClient
import Foundation
import Hummingbird
import HummingbirdCore
import NIOCore
import NIOEmbedded
import NIOPosix
import PatchbaySimulators
import PatchbayTesting
import Synchronization
import Testing

@testable import Patchbay
@testable import PatchbayControl

/// Patchbay inside somebody else's server, over real sockets.
@Suite(.serialized) struct HostingTests {
    private let spoken = Tone(440).samples(count: 4000, sampleRate: 8000).map { G711.encodeMulaw($0) }
    private var steps: [PhoneStep] {
        [PhoneStep(.after(milliseconds: 100), .speak(spoken)), PhoneStep(.after(milliseconds: 300), .hangUp)]
    }

    private func expectEcho(_ report: Phone.Report) throws {
        let line = try #require(report.streams.first)
        let heard = Array(line.receivedAudio.drop { $0 == 0xFF }.prefix(spoken.count - 320))
        #expect(heard.count == spoken.count - 320)
        #expect(heard == Array(spoken.drop { $0 == 0xFF }.prefix(heard.count)), "µ-law passes through untouched")
    }

    @Test func aHostWithItsOwnRouteAndMiddlewareAnswersAWholeCall() async throws {
        try await Hotel.run(try echoDesk()) { (hotel: Hotel) async throws in
            try expectEcho(try await hotel.call("+15550100001", steps))
            let room = try await hotel.get("/rooms/12")
            #expect(room.body == "room 12 is ready" && room.server == "Grand Hotel")
            let health = try await hotel.get("/health")
            #expect(health.status == 200 && health.server == "Grand Hotel", "the host's middleware sees our paths")
            // Operators' paths are open to this machine: the peer's address came through the host's context.
            #expect(try await hotel.get("/calls").body.contains(#""pipeline":"desk""#))
            #expect(try await hotel.get("/calls/nobody").status == 404)
            #expect(try await hotel.get("/elsewhere").status == 404)
        }
    }

    @Test func aHostTakesOverWhatWasBeforeWithoutKnowing() async throws {
        let records = try SQLiteStore()
        try await records.put(
            kind: "tenant", id: "a", body: #"{"name": "A", "pipeline": "desk", "numbers": ["+15550100002"]}"#,
            version: nil, by: "test", at: Date())
        var session = VoiceSession(id: "s1", customerPhone: "+15550200001", pipeline: "desk", createdAt: Date())
        session.status = "ringing"
        _ = try await records.insert(session)
        try await Hotel.run(try echoDesk(), records: records) { (hotel: Hotel) async throws in
            try await eventually("the tenants of the store") { !hotel.switchboard.tenants.snapshot.tenants.isEmpty }
            try await eventually("the calls of before") {
                hotel.switchboard.outbound.state.withLock { $0.limits.inFlight } == 1
            }
        }
    }

    @Test func middlewareOfTheInsideRunsBehindTheHosts() async throws {
        struct Mark: RouterMiddleware {
            func handle(
                _ request: Request, context: ControlContext, next: (Request, ControlContext) async throws -> Response
            ) async throws -> Response {
                var response = try await next(request, context)
                response.headers[.server] = (response.headers[.server] ?? "") + "+"
                return response
            }
        }
        let router = Router(context: HotelContext.self)
        let routes = HostedRoutes(router, ServerSettings())
        routes.get("before") { _, _ in "1" }
        _ = routes.add(middleware: Mark()).add(middleware: Mark())
        routes.get("after/:name") { _, context in context.parameters.get("name") ?? "" }
        let responder = router.buildResponder()
        let channel = NIOAsyncTestingChannel()
        for (path, marks, body) in [("/before", nil, "1"), ("/after/x", "++", "x")] as [(String, String?, String)] {
            let request = Request(
                head: .init(method: .get, scheme: "http", authority: "localhost", path: path),
                body: .init(buffer: ByteBuffer()))
            let context = HotelContext(source: ApplicationRequestContextSource(channel: channel, logger: quiet))
            let response = try await responder.respond(to: request, context: context)
            #expect(response.headers[.server] == marks && response.body.contentLength == body.utf8.count)
        }
        _ = try await channel.finish()
    }

    @Test func aStreamOnAnotherEventLoopIsRefused() async throws {
        let other = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        try await Hotel.run(try echoDesk(), group: other) { (hotel: Hotel) async throws in
            let failure = await #expect(throws: Phone.Failure.self) { try await hotel.call("+15550100001", steps) }
            #expect(failure?.description.contains("500") == true)
        }
        try await other.shutdownGracefully()
    }

    @Test func aCallBeginsBesideTheHostsOwnWebSockets() async throws {
        let chat: @Sendable (@escaping HTTPChannelHandler.Responder) throws -> any ServerChildChannel = { responder in
            UpgradableChannel(
                responder: responder,
                upgrader: WebSocketServerUpgrader { channel, head in
                    channel.eventLoop.makeSucceededFuture(
                        head.uri == "/chat" ? .accept { _ in Parrot() } : .refuse(.notFound, "no chat here"))
                } upgraded: { _ in
                    .webSocket
                })
        }
        try await Hotel.run(try echoDesk(), server: { .patchbay($0, beside: chat) }) { (hotel: Hotel) async throws in
            let loop = MultiThreadedEventLoopGroup.singleton.next()
            let answers = Answers()
            let connection = try await WebSocketClient.connect(
                to: WebSocketTarget("ws://127.0.0.1:\(hotel.port)/chat"), on: loop, delegate: answers)
            try await loop.submit {
                var batch = MessageBatch()
                batch.text { $0.writeString("a room with a view") }
                connection.send(&batch)
            }.get()
            try expectEcho(try await hotel.call("+15550100001", steps))
            try await eventually("the chat's answer") { answers.texts.withLock { $0 } == ["a room with a view"] }
            await #expect(throws: WebSocketConnectError.self) {
                _ = try await WebSocketClient.connect(
                    to: WebSocketTarget("ws://127.0.0.1:\(hotel.port)/nowhere"), on: loop, delegate: Answers())
            }
            #expect(try await hotel.get("/rooms/7").body == "room 7 is ready")
            connection.close()
        }
    }

    @Test func theFirstLineMayComeInPieces() async throws {
        try await Hotel.run(
            try echoDesk(),
            server: { switchboard in
                .patchbay(switchboard, beside: { HTTP1Channel(responder: $0) })
            }
        ) { (hotel: Hotel) async throws in
            for pieces in [
                ["GET /rooms/", "9 HTTP/1.1\r", "\nHost: a\r\nConnection: close\r\n\r\n"], ["BREW\r\n\r\n"],
            ] {
                let answer = try await sendRaw(pieces, port: hotel.port)
                #expect(answer.contains(pieces.count == 3 ? "room 9 is ready" : "400"))
            }
        }
    }

    private func sendRaw(_ pieces: [String], port: Int) async throws -> String {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            for piece in pieces { try await outbound.write(ByteBuffer(string: piece)) }
            var answer = ""
            for try await part in inbound { answer += String(buffer: part) }
            return answer
        }
    }

    @Test(arguments: [false, true]) func aConnectionThatAsksNothingDoesNotHoldTheShutdown(isBeside: Bool) async throws {
        let started = ContinuousClock.now
        try await Hotel.run(
            try echoDesk(),
            server: { switchboard in
                isBeside
                    ? .patchbay(switchboard, beside: { HTTP1Channel(responder: $0) }) : .patchbay(switchboard)
            }
        ) { (hotel: Hotel) async throws in
            _ = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(host: "127.0.0.1", port: hotel.port).get()
            #expect(try await hotel.get("/health").status == 200)
        }
        #expect(ContinuousClock.now - started < .seconds(10))
    }

    @Test func aRunningCallOutlivesTheShutdown() async throws {
        var options = ServerOptions()
        options.drainTimeout = .seconds(10)
        try await Hotel.run(try echoDesk(), options: options) { (hotel: Hotel) async throws in
            async let report = hotel.call("+15550100001", steps)
            try await eventually("the call") { hotel.switchboard.registry.activeCount == 1 }
            await hotel.services.triggerGracefulShutdown()
            try await eventually("the drain") { try await hotel.get("/ready").status == 503 }
            try expectEcho(try await report)
        }
    }
}

/// A WebSocket of the host's own: says everything back.
private final class Parrot: WebSocketDelegate {
    func webSocketDidReceive(text: ByteBuffer, from connection: WebSocketConnection) {
        var batch = MessageBatch()
        batch.text { $0.writeImmutableBuffer(text) }
        connection.send(&batch)
    }

    func webSocketDidClose(_ close: WebSocketClose, of connection: WebSocketConnection) {}
}

private final class Answers: WebSocketDelegate {
    let texts = Mutex<[String]>([])

    func webSocketDidReceive(text: ByteBuffer, from connection: WebSocketConnection) {
        texts.withLock { $0.append(String(buffer: text)) }
    }

    func webSocketDidClose(_ close: WebSocketClose, of connection: WebSocketConnection) {}
}
