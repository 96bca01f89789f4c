import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Testing

@testable import PatchbayControl

/// What strangers may send before it is known who they are.
@Suite(.timeLimit(.minutes(1))) struct WebhookBodiesTests {
    private func limits(_ change: (inout WebhookBodies.Limits) -> Void = { _ in }) -> WebhookBodies {
        var limits = WebhookBodies.Limits(bodyBytes: 1000)
        (limits.largeBodyBytes, limits.bytes, limits.bytesPerAddress) = (100, 2000, 1500)
        change(&limits)
        return WebhookBodies(limits)
    }

    /// A body that is sent by hand.
    private struct Sender {
        let body: RequestBody
        private let source: AsyncStream<ByteBuffer>.Continuation

        init() {
            let (stream, source) = AsyncStream<ByteBuffer>.makeStream()
            self.source = source
            body = RequestBody(asyncSequence: stream)
        }

        func send(_ bytes: Int) { source.yield(ByteBuffer(repeating: 0x78, count: bytes)) }
        func end() { source.finish() }
    }

    private func body(_ bytes: Int) -> RequestBody {
        let sender = Sender()
        sender.send(bytes)
        sender.end()
        return sender.body
    }

    private func status(_ work: () async throws -> Int) async -> Int {
        do {
            return try await work()
        } catch {
            return (error as? HTTPError)?.status.code ?? 0
        }
    }

    @Test func aBodyIsRead() async {
        let bodies = limits()
        #expect(await status { try await bodies.read(body(1000), from: "a") { $0.readableBytes } } == 1000)
        #expect(await status { try await bodies.read(body(1001), from: "a") { $0.readableBytes } } == 413)
        #expect(await status { try await bodies.read(body(0), from: "a") { $0.readableBytes } } == 0)
    }

    @Test func allThatIsHeldIsLimited() async throws {
        let bodies = limits { $0.largeBodyBytes = 5000 }
        try await bodies.read(body(900), from: "a") { _ in
            #expect(
                await status { try await bodies.read(body(700), from: "a") { $0.readableBytes } } == 503, "an address")
            try await bodies.read(body(900), from: "b") { _ in
                #expect(await status { try await bodies.read(body(300), from: "c") { $0.readableBytes } } == 503, "all")
                #expect(await status { try await bodies.read(body(100), from: "c") { $0.readableBytes } } == 100)
            }
            #expect(await status { try await bodies.read(body(300), from: "c") { $0.readableBytes } } == 300)
        }
        #expect(await status { try await bodies.read(body(700), from: "a") { $0.readableBytes } } == 700)
    }

    @Test func largeBodiesOfOneAddressComeOneAfterTheOther() async throws {
        let bodies = limits()
        let stranger = Sender(), (events, source) = AsyncStream<String>.makeStream()
        try await withThrowingTaskGroup(of: Void.self) { group in
            // It has the one place of its address, and never ends.
            group.addTask {
                try await bodies.read(stranger.body, from: "stranger") { _ in _ = source.yield("stranger") }
            }
            stranger.send(101)
            group.addTask {
                let size = try await bodies.read(body(500), from: "vendor") { _ in
                    _ = source.yield("first begins")
                    // The second has to wait for this.
                    await Task.yield()
                    _ = source.yield("first ends")
                    return 500
                }
                #expect(size == 500)
            }
            var seen = events.makeAsyncIterator()
            #expect(await seen.next() == "first begins")
            #expect(await seen.next() == "first ends")
            group.addTask { try await bodies.read(body(500), from: "vendor") { _ in _ = source.yield("second") } }
            #expect(await seen.next() == "second", "a stranger keeps no other address waiting")
            group.addTask {
                try await bodies.read(body(500), from: "stranger") { _ in _ = source.yield("stranger's second") }
            }
            stranger.end()
            #expect(Set([await seen.next(), await seen.next()]) == ["stranger", "stranger's second"])
            try await group.waitForAll()
        }
    }

    @Test func nobodyTakesForEver() async {
        let bodies = limits { $0.time = .milliseconds(20) }
        let slow = Sender()
        slow.send(200)
        #expect(await status { try await bodies.read(slow.body, from: "a") { $0.readableBytes } } == 408)
        #expect(
            await status { try await bodies.read(body(200), from: "a") { $0.readableBytes } } == 200,
            "its place is free")
        // Neither does one that waits for a place.
        let tight = limits {
            $0.largeBodies = 1
            $0.time = .milliseconds(20)
        }
        let outcome = await status {
            try await tight.read(body(200), from: "a") { _ in
                await status { try await tight.read(body(200), from: "b") { $0.readableBytes } }
            }
        }
        #expect(outcome == 408)
        #expect(await status { try await tight.read(body(200), from: "b") { $0.readableBytes } } == 200)
    }
}
