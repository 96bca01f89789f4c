import NIOCore
import PatchbayCore
import Testing

@testable import PatchbayTransports

@Suite struct WebSocketFramerTests {
    static let sizes = [0, 1, 2, 3, 4, 7, 8, 9, 125, 126, 127, 300, 65_535, 65_536, 70_001]

    static func payload(_ size: Int) -> [UInt8] { (0..<size).map { UInt8(32 + $0 % 90) } }

    /// What the framer writes, the other side's parser reads.
    @Test(arguments: [WebSocketRole.server, .client])
    func roundTrips(role: WebSocketRole) {
        var framer = WebSocketFramer(role: role)
        var batch = MessageBatch()
        for size in Self.sizes {
            batch.text { $0.writeBytes(Self.payload(size)) }
            batch.binary { $0.writeBytes(Self.payload(size).reversed()) }
        }
        framer.frame(&batch)
        let expected = Self.sizes.flatMap { size -> [WebSocketEvent] in
            [
                .text(ByteBuffer(bytes: Self.payload(size))),
                .binary(ByteBuffer(bytes: Self.payload(size).reversed())),
            ]
        }
        let peer: WebSocketRole = role == .server ? .client : .server
        #expect(parse([Array(batch.buffer.readableBytesView)], role: peer).events == expected)
    }

    @Test(arguments: sizes)
    func writesWhatTheStandardSays(size: Int) {
        var framer = WebSocketFramer(role: .server)
        var batch = MessageBatch()
        batch.text { $0.writeBytes(Self.payload(size)) }
        framer.frame(&batch)
        #expect(Array(batch.buffer.readableBytesView) == TestFrame(opcode: 1, payload: Self.payload(size)).bytes)
    }

    @Test func masksWithFreshKeys() {
        var framer = WebSocketFramer(role: .client)
        var frames: Set<[UInt8]> = []
        for _ in 0..<100 {
            var batch = MessageBatch()
            batch.text { $0.writeString("hello") }
            framer.frame(&batch)
            frames.insert(Array(batch.buffer.readableBytesView))
        }
        #expect(frames.count > 95)
    }

    @Test func cutsReasonsAtACharacter() throws {
        var framer = WebSocketFramer(role: .server)
        let reason = String(repeating: "é", count: 80)
        let frame = framer.closeFrame(code: 1008, reason: reason)
        let events = parse([Array(frame.readableBytesView)], role: .client).events
        #expect(events == [.close(code: 1008, reason: String(repeating: "é", count: 61))])
    }

    @Test(arguments: [nil, 0, 1004, 1005, 1006, 1015, 2000, 5000] as [UInt16?])
    func sendsNoForbiddenCode(code: UInt16?) {
        var framer = WebSocketFramer(role: .client)
        let frame = framer.closeFrame(code: code, reason: "unsaid")
        #expect(parse([Array(frame.readableBytesView)], role: .server).events == [.close(code: nil, reason: "")])
    }

    @Test func batchesKeepTheirStorage() {
        var framer = WebSocketFramer(role: .client)
        var batch = MessageBatch()
        #expect(batch.isEmpty)
        var addresses: Set<UInt> = []
        for _ in 0..<20 {
            batch.text { $0.writeBytes(Self.payload(300)) }
            #expect(!batch.isEmpty)
            #expect(batch.message(at: 0) == ByteBuffer(bytes: Self.payload(300)))
            framer.frame(&batch)
            batch.buffer.withVeryUnsafeBytes { _ = addresses.insert(UInt(bitPattern: $0.baseAddress)) }
            batch.clear()
            #expect(batch.isEmpty)
        }
        #expect(addresses.count == 1)
    }

    @Test func batchesThatSomebodyHoldsStartAnew() {
        var batch = MessageBatch(capacity: 512)
        batch.binary { $0.writeString("kept") }
        let kept = batch.message(at: 0)
        batch.clear()
        batch.binary { $0.writeString("next") }
        #expect(String(buffer: kept) == "kept")
        #expect(String(buffer: batch.message(at: 0)) == "next")
    }

    @Test func largeStorageIsGivenBack() {
        var batch = MessageBatch()
        batch.binary { $0.writeRepeatingByte(0, count: MessageBatch.retainedCapacity + 1) }
        batch.clear()
        #expect(batch.buffer.capacity == 0)
    }
}
