import NIOCore
import PatchbayCore
import Synchronization
import Testing

@testable import PatchbayTransports

@Suite(.timeLimit(.minutes(1))) struct WebSocketServerTests {
    static func masked(_ frames: TestFrame...) -> [UInt8] { frames.flatMap { $0.sent(to: .server).bytes } }

    @Test func answersPingsAndEchoes() async throws {
        let delegate = TestDelegate(echoes: true)
        let server = try await TestServer.start(delegate: delegate)
        let (peer, rest) = try await RawPeer.upgraded(port: server.port)
        try await peer.write(Self.masked(.text("one"), .ping([7, 8]), .binary([1, 2])))
        #expect(
            try await peer.events(3, after: rest) == [
                .text(ByteBuffer(string: "one")), .pong(ByteBuffer(bytes: [7, 8])), .binary(ByteBuffer(bytes: [1, 2])),
            ])
        try await peer.channel.close().get()
        try await server.stop()
    }

    @Test func deliversWhatCameWithTheRequest() async throws {
        let delegate = TestDelegate()
        let server = try await TestServer.start(delegate: delegate)
        let (peer, _) = try await RawPeer.upgraded(port: server.port, with: Self.masked(.text("early"), .text("bird")))
        #expect(try await delegate.inbox.next() == .text("early"))
        #expect(try await delegate.inbox.next() == .text("bird"))
        try await peer.channel.close().get()
        #expect(
            try await delegate.inbox.next()
                == .closed(1006, "", locally: false, error: "\(WebSocketAbort.peerVanished)"))
        try await server.stop()
    }

    @Test func holdsEverythingUntilThereIsADelegate() async throws {
        let server = try await TestServer.start { _ in .accept(makeDelegate: { _ in nil }) }
        let (peer, _) = try await RawPeer.upgraded(port: server.port, with: Self.masked(.text("early")))
        try await peer.write(Self.masked(.text("later"), .close(1000, "done")))
        let connection = try await server.nextConnection()
        let delegate = TestDelegate()
        try await connection.eventLoop.submit { connection.setDelegate(delegate) }.get()
        #expect(try await delegate.inbox.next() == .text("early"))
        #expect(try await delegate.inbox.next() == .text("later"))
        #expect(try await delegate.inbox.next() == .closed(1000, "done", locally: false, error: nil))
        #expect(try await connection.closeFuture.bounded().code == 1000)
        try await server.stop()
    }

    @Test func tellsALateDelegateOfTheEnd() async throws {
        let server = try await TestServer.start { _ in .accept(makeDelegate: { _ in nil }) }
        let (_, _) = try await RawPeer.upgraded(port: server.port)
        let connection = try await server.nextConnection()
        connection.channel.close(promise: nil)
        #expect(try await connection.closeFuture.bounded().code == 1006)
        let delegate = TestDelegate()
        try await connection.channel.closeFuture.bounded()
        try await connection.eventLoop.submit { connection.setDelegate(delegate) }.get()
        #expect(
            try await delegate.inbox.next()
                == .closed(1006, "", locally: false, error: "\(WebSocketAbort.peerVanished)"))
        try await server.stop()
    }

    /// One read, one write, one flush.
    @Test func gathersWhatOneReadCauses() async throws {
        let counter = WriteCounter()
        let delegate = TestDelegate(echoes: true, notesReads: true)
        let server = try await TestServer.start(counter: counter, delegate: delegate)
        let (peer, rest) = try await RawPeer.upgraded(port: server.port)
        #expect(rest.isEmpty)
        let before = counter.counts.withLock { $0 }
        try await peer.write(Self.masked(.text("a"), .text("b"), .ping(), .text("c")))
        #expect(try await peer.events(4).count == 4)
        let after = counter.counts.withLock { $0 }
        #expect(after.writes - before.writes == 1)
        #expect(after.flushes - before.flushes == 1)
        #expect(
            try await [delegate.inbox.next(), delegate.inbox.next(), delegate.inbox.next()]
                == [.text("a"), .text("b"), .text("c")])
        #expect(try await delegate.inbox.next() == .readFinished)
        try await peer.channel.close().get()
        try await server.stop()
    }

    /// A batch is one write, and its storage is free again as soon as the socket took it.
    @Test func sendsABatchWithOneWriteAndKeepsItsStorage() async throws {
        let counter = WriteCounter()
        let server = try await TestServer.start(counter: counter, delegate: TestDelegate())
        let (peer, rest) = try await RawPeer.upgraded(port: server.port)
        let connection = try await server.nextConnection()
        let before = counter.counts.withLock { $0 }
        let capacity = try await connection.eventLoop.submit {
            var batch = MessageBatch()
            batch.text { $0.writeString("first") }
            batch.text { $0.writeString(String(repeating: "x", count: 300)) }
            batch.binary { $0.writeBytes([1, 2, 3]) }
            #expect(connection.send(&batch))
            #expect(batch.isEmpty)
            #expect(connection.pendingBytes == 0)
            return batch.buffer.capacity
        }.get()
        #expect(capacity > 0, "the storage was given up")
        let after = counter.counts.withLock { $0 }
        #expect((after.writes - before.writes, after.flushes - before.flushes) == (1, 1))
        #expect(try await peer.events(3, after: rest).count == 3)
        let statistics = try await connection.eventLoop.submit { connection.statistics }.get()
        #expect(statistics.messagesSent == 3)
        #expect(statistics.bytesSent == 2 + 5 + 4 + 300 + 2 + 3)
        try await peer.channel.close().get()
        try await server.stop()
    }

    struct Breach: Sendable, CustomTestStringConvertible {
        var name: String
        var bytes: [UInt8]
        var code: UInt16
        var testDescription: String { name }
    }
    static let breaches = [
        Breach(name: "unmasked frame", bytes: TestFrame.text("a").bytes, code: 1002),
        Breach(name: "reserved bits", bytes: masked(TestFrame(opcode: 1, reserved: 4)), code: 1002),
        Breach(name: "bad UTF-8", bytes: masked(TestFrame(opcode: 1, payload: [0xC0])), code: 1007),
        Breach(name: "1 MiB and one byte", bytes: masked(.binary([UInt8](repeating: 1, count: 1_048_577))), code: 1009),
        Breach(name: "close code 1005", bytes: masked(.close(1005)), code: 1002),
    ]

    /// The peer reads our close frame with the right code, and then the end of the connection, however much it still
    /// sends.
    @Test(arguments: breaches, [true, false])
    func saysWhatIsWrong(_ breach: Breach, allowsHalfClosure: Bool) async throws {
        let delegate = TestDelegate()
        let server = try await TestServer.start(allowsHalfClosure: allowsHalfClosure, delegate: delegate)
        let (peer, rest) = try await RawPeer.upgraded(port: server.port)
        peer.channel.writeAndFlush(ByteBuffer(bytes: breach.bytes), promise: nil)
        let result = parse([rest + (try await peer.readToEnd())], role: .client)
        guard case .close(let code, _)? = result.events.first else {
            Issue.record("no close frame: \(result)")
            return
        }
        #expect(code == breach.code)
        guard case .closed(let told, _, let locally, let error) = try await delegate.inbox.next() else {
            Issue.record("something else was told")
            return
        }
        #expect(told == breach.code)
        #expect(locally)
        #expect(error != nil)
        let connection = try await server.nextConnection()
        try await connection.channel.closeFuture.bounded()
        #expect(delegate.inbox.waiting.isEmpty)
        try await server.stop()
    }

    @Test func takesExactlyOneMebibyte() async throws {
        let delegate = TestDelegate()
        let server = try await TestServer.start(delegate: delegate)
        let (peer, _) = try await RawPeer.upgraded(port: server.port)
        let payload = [UInt8](repeating: 0x5A, count: 1_048_576)
        try await peer.write(Self.masked(.binary(payload)))
        #expect(try await delegate.inbox.next() == .binary(payload))
        try await peer.channel.close().get()
        try await server.stop()
    }

    @Test(
        arguments: [
            (TestFrame.close(1000, "bye"), 1000, "bye", 1000), (.close(4321), 4321, "", 4321),
            (.close(), 1005, "", nil),
        ]
            as [(TestFrame, UInt16, String, UInt16?)])
    func answersCloseAndEndsTCP(frame: TestFrame, code: UInt16, reason: String, echoed: UInt16?) async throws {
        let delegate = TestDelegate(echoes: true)
        let server = try await TestServer.start(delegate: delegate)
        let (peer, rest) = try await RawPeer.upgraded(port: server.port)
        try await peer.write(Self.masked(.text("last"), frame, .text("unheard")))
        let result = parse([rest + (try await peer.readToEnd())], role: .client)
        #expect(result.events == [.text(ByteBuffer(string: "last")), .close(code: echoed, reason: reason)])
        #expect(try await delegate.inbox.next() == .text("last"))
        #expect(try await delegate.inbox.next() == .closed(code, reason, locally: false, error: nil))
        let connection = try await server.nextConnection()
        try await connection.channel.closeFuture.bounded()
        #expect(delegate.inbox.waiting.isEmpty)
        try await server.stop()
    }

    @Test func closesInOrder() async throws {
        let delegate = TestDelegate()
        let server = try await TestServer.start(delegate: delegate)
        let (peer, rest) = try await RawPeer.upgraded(port: server.port)
        let connection = try await server.nextConnection()
        connection.close(code: 1001, reason: "shutting down")
        connection.close(code: 1011, reason: "too late")
        #expect(try await peer.events(1, after: rest) == [.close(code: 1001, reason: "shutting down")])
        try await peer.write(Self.masked(.text("unheard"), .ping(), .close(1001)))
        #expect(try await peer.readToEnd().isEmpty)
        #expect(try await delegate.inbox.next() == .closed(1001, "shutting down", locally: true, error: nil))
        let close = try await connection.closeFuture.bounded()
        #expect(close.code == 1001 && close.initiatedLocally && close.error == nil)
        let sent = try await connection.eventLoop.submit { connection.send(text: "too late") }.get()
        #expect(!sent)
        #expect(delegate.inbox.waiting.isEmpty)
        try await server.stop()
    }

    @Test func cutsOffAPeerThatDoesNotAnswerClose() async throws {
        let delegate = TestDelegate()
        var configuration = WebSocketConfiguration.server
        configuration.closeTimeout = .milliseconds(30)
        let server = try await TestServer.start(configuration: configuration, delegate: delegate)
        let (peer, _) = try await RawPeer.upgraded(port: server.port)
        try await server.nextConnection().close(code: 1000, reason: "bye")
        #expect(
            try await delegate.inbox.next()
                == .closed(1000, "bye", locally: true, error: "\(WebSocketAbort.closeTimeout)"))
        _ = try await peer.readToEnd()
        try await server.stop()
    }

    @Test(arguments: [true, false])
    func noticesAPeerThatVanishes(allowsHalfClosure: Bool) async throws {
        let delegate = TestDelegate()
        let server = try await TestServer.start(allowsHalfClosure: allowsHalfClosure, delegate: delegate)
        let (peer, _) = try await RawPeer.upgraded(port: server.port)
        try await peer.channel.close().get()
        #expect(
            try await delegate.inbox.next()
                == .closed(1006, "", locally: false, error: "\(WebSocketAbort.peerVanished)"))
        try await server.nextConnection().channel.closeFuture.bounded()
        try await server.stop()
    }

    @Test func pingsAndCutsOffSilence() async throws {
        let delegate = TestDelegate()
        var configuration = WebSocketConfiguration.server
        configuration.pingInterval = .milliseconds(20)
        configuration.pongTimeout = .milliseconds(1_500)
        let server = try await TestServer.start(configuration: configuration, delegate: delegate)
        let (peer, rest) = try await RawPeer.upgraded(port: server.port)
        #expect(try await peer.events(1, after: rest) == [.ping(ByteBuffer())])
        try await peer.write(Self.masked(.pong()))
        // Answered once, so a second ping follows; that one stays unanswered.
        #expect(try await peer.events(1) == [.ping(ByteBuffer())])
        guard case .closed(1006, _, locally: true, let error) = try await delegate.inbox.next() else {
            Issue.record("not cut off")
            return
        }
        #expect(error == "\(WebSocketAbort.pongTimeout)")
        try await server.stop()
    }

    @Test func refusesBinaryByDefault() async throws {
        let delegate = TextOnlyDelegate()
        let server = try await TestServer.start(delegate: delegate)
        let (peer, rest) = try await RawPeer.upgraded(port: server.port)
        try await peer.write(Self.masked(.binary([1])))
        guard case .close(1003, _)? = try await peer.events(1, after: rest).first else {
            Issue.record("no 1003")
            return
        }
        try await peer.channel.close().get()
        try await server.stop()
    }
}
