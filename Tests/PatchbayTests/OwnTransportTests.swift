import NIOCore
import NIOPosix
import PatchbayTesting
import Synchronization
import Testing

@testable import Patchbay
@testable import PatchbayControl

/// Calls over transports that Patchbay does not know.
@Suite(.serialized) struct OwnTransportTests {
    private func makeSwitchboard() throws -> Switchboard {
        let door = try PipelineDocument("door", numbers: ["+15550100009"], transport: IntercomTransport()) {
            Transform("halved", taking: .linear) { Halved() }
            EchoAgent()
        }
        return try Switchboard(PipelineSet(documents: [door]), logger: quiet)
    }

    private func serve(_ switchboard: Switchboard) async throws -> any Channel {
        try await ServerBootstrap(group: switchboard.mediaLoop.eventLoop)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try addIntercom(to: channel, switchboard) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    private func connect(_ server: any Channel) async throws -> NIOAsyncChannel<ByteBuffer, ByteBuffer> {
        try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(
            host: "127.0.0.1", port: server.localAddress?.port ?? 0
        ) { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandlers(
                    ByteToMessageHandler(IntercomFraming()), MessageToByteHandler(IntercomFraming()))
                return try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
            }
        }
    }

    private func packet(_ index: Int, _ samples: ArraySlice<Int16>) -> ByteBuffer {
        var message = ByteBuffer(string: "a")
        message.writeInteger(Int64(index * 20))
        for sample in samples { message.writeInteger(sample, endianness: .little) }
        return message
    }

    @Test func theIntercomsMessagesConform() {
        let carrier = TransportConformance.Carrier(
            start: ByteBuffer(string: "s1"), format: .pcm(16000),
            media: { payload, milliseconds in
                var message = ByteBuffer(string: "a")
                message.writeInteger(milliseconds)
                message.writeImmutableBuffer(payload)
                return message
            }, dtmf: nil, mark: { $0 }, stop: ByteBuffer(string: "e"), noticesTruncation: false)
        let failures = TransportConformance.check(carrier) { IntercomSerializer() }
        #expect(failures.isEmpty, "\(failures)")
    }

    @Test func aCallOverPlainTCP() async throws {
        let switchboard = try makeSwitchboard()
        let server = try await serve(switchboard)
        let said = Tone(600).samples(count: 320 * 20, sampleRate: 16000)
        let client = try await connect(server)
        let heard = try await client.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: "s1"))
            for index in 0..<20 { try await outbound.write(packet(index, said[(index * 320)..<((index + 1) * 320)])) }
            var heard: [Int16] = []
            for try await message in inbound {
                var message = message
                guard message.readInteger(as: UInt8.self) == UInt8(ascii: "a") else { continue }
                while let sample: Int16 = message.readInteger(endianness: .little) { heard.append(sample) }
                if heard.count >= 320 * 10 { break }
            }
            #expect(switchboard.registry.running(callSid: "door-1")?.info.pipeline == "door")
            return heard
        }
        let expected = said.map { $0 / 2 }
        #expect(Array(heard.drop { $0 == 0 }.prefix(2000)) == Array(expected.drop { $0 == 0 }.prefix(2000)))
        try await eventually("the call's end") { switchboard.registry.activeCount == 0 }
        try await server.close()
    }

    /// NIO reads a socket out when a write to it fails, inside that write, which the call has made.
    @Test func whatAFailingWriteBringsComesAfterIt() async throws {
        let switchboard = try makeSwitchboard()
        let server = try await ServerBootstrap(group: switchboard.mediaLoop.eventLoop)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try addIntercom(to: channel, switchboard)
                    try channel.pipeline.syncOperations.addHandler(FailingWrite(), position: .first)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let client = try await connect(server)
        // What is still under way when the server closes may be answered by a reset.
        try? await client.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: "s1"))
            for index in 0..<20 {
                // The channel is closed as soon as the call says something.
                try? await outbound.write(packet(index, ArraySlice(repeating: 1000, count: 320)))
            }
            for try await _ in inbound {}
        }
        try await eventually("the call's end") {
            switchboard.registry.latest(callSid: "door-1")?.end?.kind == .callerHungUp
        }
        try await server.close()
    }

    @Test(arguments: ["s1 to nobody", "x", "e"])
    func whatIsNoCallIsClosed(first: String) async throws {
        // Nobody answers this number, so the first message decides nothing.
        let nobody = try PipelineDocument("other", numbers: ["+15550100008"], transport: IntercomTransport()) {
            EchoAgent()
        }
        let switchboard = try Switchboard(PipelineSet(documents: [nobody]), logger: quiet)
        let server = try await serve(switchboard)
        let client = try await connect(server)
        try await client.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: first))
            for try await _ in inbound { Issue.record("nothing was to be said") }
        }
        #expect(switchboard.registry.activeCount == 0)
        try await server.close()
    }

    @Test func aSecondChannelCannotTakeTheCall() async throws {
        let switchboard = try makeSwitchboard()
        let server = try await serve(switchboard)
        let first = try await connect(server)
        try await first.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: "s1"))
            let loop = switchboard.mediaLoop.eventLoop
            try await eventually("the stream") {
                guard let call = switchboard.registry.running(callSid: "door-1")?.call else { return false }
                return try await loop.submit { call.assumeIsolated { $0.status?.state } }.get() == .streaming
            }
            let second = try await connect(server)
            try await second.executeThenClose { inbound, outbound in
                try await outbound.write(ByteBuffer(string: "s1"))
                for try await _ in inbound { Issue.record("nothing was to be said") }
            }
            #expect(switchboard.registry.activeCount == 1, "the first goes on")
        }
        try await eventually("the call's end") { switchboard.registry.activeCount == 0 }
        try await server.close()
    }

    /// Without any socket: who holds the call's loop can be its carrier.
    @Test func aCallInMemory() async throws {
        let switchboard = try makeSwitchboard()
        let call = try await switchboard.takeCall("memory", from: "", to: "+15550100009")
        let speaker = Speaker()
        try await call.loop.submit {
            #expect(call.attach(carrier: speaker))
            call.carrierReceived(ByteBuffer(string: "smemory"))
            for index in 0..<10 { call.carrierReceived(packet(index, ArraySlice(repeating: 1000, count: 320))) }
        }.get()
        try await eventually("sound") { speaker.messages.withLock { $0.contains { $0.readableBytes > 600 } } }
        await call.hangUp(EndReason(.operatorHungUp))
        try await eventually("the close") { speaker.isClosed.withLock { $0 } }
        let refusal = await #expect(throws: CallRefusal.self) {
            _ = try await switchboard.takeCall("lost", from: "", to: "+4930")
        }
        #expect(refusal?.code == "unknown-number" && refusal?.words == "This number is not in service.")
    }
}

/// Does what NIO does when a write fails: reads out what the peer has sent, here its goodbye, and closes the channel.
private final class FailingWrite: ChannelOutboundHandler, Sendable {
    typealias OutboundIn = ByteBuffer

    func flush(context: ChannelHandlerContext) {
        context.fireChannelRead(NIOAny(ByteBuffer(bytes: [0, 1, UInt8(ascii: "e")])))
        context.fireChannelReadComplete()
        context.close(promise: nil)
    }
}

/// A carrier's socket that is none.
final class Speaker: MessageSocket {
    let messages = Mutex<[ByteBuffer]>([])
    let isClosed = Mutex(false)

    func send(_ batch: inout MessageBatch) -> Bool {
        let new = batch.messages.indices.map { batch.message(at: $0) }
        messages.withLock { $0 += new }
        batch.clear()
        return true
    }

    func close(code: UInt16, reason: String) { isClosed.withLock { $0 = true } }
}

/// Half as loud.
struct Halved: Processor {
    private var scratch: [Int16] = []

    init() {}

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        guard case .audio(var audio) = frame else { return output.emit(frame) }
        audio.payload = audio.payload.withUnsafeSamples(copyingInto: &scratch) { samples in
            var softer = ByteBuffer()
            for sample in samples { softer.writeInteger(sample / 2, endianness: .little) }
            return softer
        }
        output.emit(.audio(audio))
    }
}
