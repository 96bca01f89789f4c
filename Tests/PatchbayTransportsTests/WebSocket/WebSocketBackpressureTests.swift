import NIOCore
import PatchbayCore
import Testing

@testable import PatchbayTransports

@Suite(.timeLimit(.minutes(1))) struct WebSocketBackpressureTests {
    @Test func boundsWhatWaitsForASlowPeer() async throws {
        let delegate = TestDelegate()
        let server = try await TestServer.start(delegate: delegate)
        let (peer, _) = try await RawPeer.upgraded(port: server.port, reads: false)
        let connection = try await server.nextConnection()
        let (most, statistics) = try await connection.eventLoop.submit {
            var batch = MessageBatch()
            var most = 0
            for _ in 0..<2_000 {
                batch.binary { $0.writeRepeatingByte(7, count: 32_768) }
                guard connection.send(&batch) else { break }
                most = max(most, connection.pendingBytes)
            }
            #expect(batch.isEmpty)
            return (most, connection.statistics)
        }.get()
        #expect(most > 1_048_576)
        #expect(most <= 1_048_576 + 32_768 + 14)
        #expect(statistics.refusedBatches == 1)
        guard case .closed(1013, _, locally: true, error: .some) = try await delegate.inbox.next() else {
            Issue.record("not closed with 1013")
            return
        }
        try await peer.channel.close().get()
        try await server.stop()
    }

    @Test func neverCallsBackFromInsideSend() async throws {
        let delegate = LockingDelegate()
        let server = try await TestServer.start(delegate: delegate)
        let (peer, _) = try await RawPeer.upgraded(port: server.port, reads: false)
        let connection = try await server.nextConnection()
        func send(while condition: @escaping @Sendable () -> Bool) async throws {
            try await connection.eventLoop.submit {
                delegate.batch.withLock { batch in
                    repeat {
                        batch.binary { $0.writeRepeatingByte(7, count: 65_536) }
                    } while connection.send(&batch) && condition()
                }
            }.get()
        }
        try await send { connection.channel.isWritable }
        #expect(try await delegate.inbox.next() == .writable(false))
        try await peer.channel.setOption(.autoRead, value: true).get()
        peer.channel.read()
        #expect(try await delegate.inbox.next() == .writable(true))
        try await peer.channel.setOption(.autoRead, value: false).get()
        // Full and over the limit in one turn of the loop: only the end is told.
        try await send { true }
        guard case .closed(1013, _, locally: true, _) = try await delegate.inbox.next() else {
            Issue.record("not closed with 1013")
            return
        }
        try await peer.channel.close().get()
        try await server.stop()
    }

    /// A socket that breaks under a write closes the channel inside `send` or `close`; the outcome is told afterwards.
    @Test(arguments: [true, false])
    func tellsABrokenWriteAfterwards(bySending: Bool) async throws {
        let delegate = LockingDelegate()
        let server = try await TestServer.start(delegate: delegate)
        let (peer, _) = try await RawPeer.upgraded(port: server.port)
        let connection = try await server.nextConnection()
        try await connection.eventLoop.submit {
            try connection.channel.pipeline.syncOperations.addHandler(BreakingSocket(), position: .first)
            delegate.batch.withLock { batch in
                if bySending {
                    batch.text { $0.writeString("anybody there?") }
                    connection.send(&batch)
                } else {
                    connection.close(code: 1001, reason: "going")
                }
                #expect(!connection.channel.isActive)
                #expect(delegate.inbox.waiting.isEmpty)
            }
        }.get()
        let told = try await delegate.inbox.next()
        #expect(
            told == .closed(1006, "", locally: false, error: nil) && bySending
                || told == .closed(1001, "going", locally: true, error: nil) && !bySending)
        _ = try await peer.readToEnd()
        try await server.stop()
    }

    /// What a peer said before it went away is heard, but not from inside the send that found it gone.
    @Test func deliversWhatWasReadByABrokenWriteAfterwards() async throws {
        let delegate = LockingDelegate()
        let server = try await TestServer.start(delegate: delegate)
        let (peer, _) = try await RawPeer.upgraded(port: server.port)
        let connection = try await server.nextConnection()
        let last = ByteBuffer(
            bytes: WebSocketServerTests.masked(.text("goodbye")) + WebSocketServerTests.masked(.text("and thanks")))
        try await connection.eventLoop.submit {
            try connection.channel.pipeline.syncOperations.addHandler(DrainingSocket(last), position: .first)
            delegate.batch.withLock { batch in
                batch.text { $0.writeString("anybody there?") }
                connection.send(&batch)
                #expect(!connection.channel.isActive)
                #expect(delegate.inbox.waiting.isEmpty)
            }
        }.get()
        #expect(try await delegate.inbox.next() == .text("goodbye"))
        #expect(try await delegate.inbox.next() == .text("and thanks"))
        #expect(try await delegate.inbox.next() == .closed(1006, "", locally: false, error: nil))
        _ = try await peer.readToEnd()
        try await server.stop()
    }

    /// Pings while we cannot write are answered once, for the latest.
    @Test func holdsOnePongAtMost() async throws {
        let delegate = TestDelegate()
        let server = try await TestServer.start(delegate: delegate)
        let (peer, _) = try await RawPeer.upgraded(port: server.port, reads: false)
        let connection = try await server.nextConnection()
        try await connection.eventLoop.submit {
            var batch = MessageBatch()
            while connection.channel.isWritable {
                batch.binary { $0.writeRepeatingByte(7, count: 65_536) }
                _ = connection.send(&batch)
            }
        }.get()
        for number in UInt8(0)..<200 { try await peer.write(WebSocketServerTests.masked(.ping([number]))) }
        try await peer.write(WebSocketServerTests.masked(.text("end")))
        #expect(try await delegate.inbox.next() == .text("end"))
        try await peer.channel.setOption(.autoRead, value: true).get()
        peer.channel.read()
        let events = try await peer.events(role: .client) { if case .pong = $0.last { true } else { false } }
        #expect(events.last == .pong(ByteBuffer(bytes: [199])))
        #expect(!events.dropLast().contains { if case .pong = $0 { true } else { false } })
        try await peer.write(WebSocketServerTests.masked(.close(1000)))
        #expect(parse([try await peer.readToEnd()], role: .client).events == [.close(code: 1000, reason: "")])
        try await server.stop()
    }
}
