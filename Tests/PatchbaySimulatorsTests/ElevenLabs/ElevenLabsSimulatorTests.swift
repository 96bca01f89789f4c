import AsyncHTTPClient
import Foundation
import NIOCore
import NIOPosix
import PatchbayAudio
import PatchbayCore
import PatchbayTransports
import PatchbayWire
import Synchronization
import Testing

@testable import PatchbaySimulators

/// Over real sockets. Speech is a WAV file, so that no test needs a speech synthesizer.
@Suite(.timeLimit(.minutes(1))) struct ElevenLabsSimulatorTests {
    /// Half a second of quiet samples, in a file that is removed when the test is done.
    final class Tone: Sendable {
        let path: String
        let samples: [Int16]

        init() throws {
            samples = (0..<8000).map { Int16($0 % 100) }
            path = FileManager.default.temporaryDirectory.path + "/patchbay-tone-\(UUID().uuidString).wav"
            let file = WAVFile(samples: samples, sampleRate: 16000)
            try file.write(to: path)
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    static func agent(_ tone: Tone, id: String? = nil, isPrivate: Bool = false) -> ElevenLabsSimulatedAgent {
        let script = SimulatedAgentScript(
            greeting: tone.path, replies: [tone.path], goodbye: tone.path, toolReply: "", toolFailureReply: "")
        return ElevenLabsSimulatedAgent(id: id, isPrivate: isPrivate, script: script)
    }

    static func get(_ path: String, port: Int, key: String? = nil) async throws -> (Int, String) {
        var request = HTTPClientRequest(url: "http://127.0.0.1:\(port)\(path)")
        if let key { request.headers.add(name: "xi-api-key", value: key) }
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(10))
        return (Int(response.status.code), String(buffer: try await response.body.collect(upTo: 1 << 16)))
    }

    static func started(_ configuration: ElevenLabsSimulator.Configuration) async throws -> (ElevenLabsSimulator, Int) {
        let simulator = ElevenLabsSimulator(configuration)
        return (simulator, try #require(try await simulator.start().port))
    }

    @Test func holdsAConversation() async throws {
        let tone = try Tone()
        let (simulator, port) = try await Self.started(.init(agents: [Self.agent(tone)], keptAudioBytes: 1 << 16))
        let client = try await Client.connect("ws://127.0.0.1:\(port)/v1/convai/conversation?agent_id=any")
        #expect(client.connection.subprotocol == nil)
        guard case .conversationInitiationMetadata(let metadata) = try await client.next() else {
            Issue.record("metadata is not first")
            return
        }
        client.send(.initiation(ElevenLabsInitiation(userId: "crm-42")))
        #expect(try await client.collect { $0.audioBytes == 16000 }.responses.count == 1)
        let greeting = client.audio.withLock { $0 }
        #expect(greeting == WAVFile(samples: tone.samples, sampleRate: 16000).data)

        let sent = (0..<50).map { index in [UInt8](repeating: UInt8(index), count: 640) }
        for chunk in sent { client.send(audio: chunk) }
        client.send(.userMessage("hello"))
        #expect(try await client.collect { $0.audioBytes == 16000 }.transcripts == ["hello"])
        client.send(.userMessage("goodbye"))
        _ = try await client.collect { heard in
            heard.contains { if case .agentToolResponse = $0 { true } else { false } }
        }
        let close = try await client.connection.closeFuture.get()
        #expect(close.code == 1000 && !close.initiatedLocally)

        await simulator.stop()
        #expect(await simulator.statistics().conversations.first?.close == .init(code: 1000))
        #expect(metadata.conversationId.hasPrefix("conv_"))
    }

    @Test func countsAndKeepsTheCallersBytes() async throws {
        let tone = try Tone()
        let (simulator, port) = try await Self.started(.init(agents: [Self.agent(tone)], keptAudioBytes: 1 << 16))
        let client = try await Client.connect("ws://127.0.0.1:\(port)/v1/convai/conversation?agent_id=any")
        let sent = (0..<50).map { index in [UInt8](repeating: UInt8(index), count: 640) }
        for chunk in sent { client.send(audio: chunk) }
        client.connection.close(code: 1000, reason: "User ended conversation")
        _ = try await client.connection.closeFuture.get()
        let statistics = await simulator.statistics()
        #expect(statistics.startedConversations == 1 && statistics.messagesReceived == 50)
        let conversation = try #require(statistics.conversations.first)
        #expect(Array(conversation.userAudio.readableBytesView) == sent.flatMap(\.self))
        #expect(conversation.agentId == "any" && conversation.userAudioBytes == 32_000)
        await simulator.stop()
    }

    @Test func givesOutSignedURLs() async throws {
        let tone = try Tone()
        let (simulator, port) = try await Self.started(
            .init(apiKey: "secret", agents: [Self.agent(tone, id: "agent 1", isPrivate: true)]))
        let path = "/v1/convai/conversation/get-signed-url?agent_id=agent%201"
        let refused = try await Self.get(path, port: port)
        #expect(refused == (401, #"{"detail":{"message":"Invalid API key","status":"invalid_api_key"}}"#))
        #expect(try await Self.get(path, port: port, key: "wrong").0 == 401)
        #expect(try await Self.get("\(path)2", port: port, key: "secret").0 == 404)
        #expect(try await Self.get("/v1/convai/conversation/get-signed-url", port: port, key: "secret").0 == 422)
        #expect(try await Self.get("/v1/elsewhere", port: port, key: "secret").0 == 404)
        #expect(try await Self.get(path.replacing("-", with: "_"), port: port, key: "secret").0 == 200)

        let (status, body) = try await Self.get(path, port: port, key: "secret")
        #expect(status == 200)
        let url = try #require(try JSONDecoder().decode([String: String].self, from: Data(body.utf8))["signed_url"])
        let start = "ws://127.0.0.1:\(port)/v1/convai/conversation?agent_id=agent+1&conversation_signature=cvtkn_"
        #expect(url.hasPrefix(start))

        let bare = "ws://127.0.0.1:\(port)/v1/convai/conversation?agent_id=agent%201"
        #expect(await Client.refusal(of: bare) == 403)
        let client = try await Client.connect(url + "&source=test", subprotocols: ["convai", "bearer.x"])
        #expect(client.connection.subprotocol == "convai")
        #expect(await Client.refusal(of: url) == 403)
        #expect(await Client.refusal(of: bare + "2") == 404)
        #expect(await Client.refusal(of: "ws://127.0.0.1:\(port)/elsewhere") == 404)
        #expect(await Client.refusal(of: "ws://127.0.0.1:\(port)/v1/convai/conversation") == 400)
        let statistics = await simulator.statistics()
        #expect(statistics.signedURLs == 2 && statistics.refusedConversations == 5)
        #expect(statistics.startedConversations == 1 && statistics.runningConversations == 1)

        await simulator.stop()
        #expect(try await client.connection.closeFuture.get().code == 1001)
    }

    @Test func cutsTheConnection() async throws {
        let tone = try Tone()
        var agent = Self.agent(tone)
        agent.faults.connection.closeWith = .init(code: 1006, after: .milliseconds(50))
        let (simulator, port) = try await Self.started(.init(agents: [agent]))
        let client = try await Client.connect("ws://127.0.0.1:\(port)/v1/convai/conversation?agent_id=any")
        #expect(try await client.connection.closeFuture.get().code == 1006)
        await simulator.stop()
    }

    @Test func sendsTheErrorBeforeItCloses() async throws {
        let tone = try Tone()
        var agent = Self.agent(tone)
        agent.allowedOverrides = []
        let (simulator, port) = try await Self.started(.init(agents: [agent]))
        let client = try await Client.connect("ws://127.0.0.1:\(port)/v1/convai/conversation?agent_id=any")
        client.send(.initiation(ElevenLabsInitiation(firstMessage: "Hi")))
        #expect(try await client.collect { !$0.errorTypes.isEmpty }.errorTypes == ["override_error"])
        #expect(try await client.connection.closeFuture.get().code == 1008)
        await simulator.stop()
    }

    @Test func takesOnePortOnlyOnce() async throws {
        let tone = try Tone()
        let (simulator, port) = try await Self.started(.init(agents: [Self.agent(tone)]))
        await #expect(throws: (any Error).self) {
            try await ElevenLabsSimulator(.init(port: port, agents: [Self.agent(tone)])).start()
        }
        await #expect(throws: ChannelError.self) { try await simulator.start() }
        await simulator.stop()
        await simulator.stop()
        let again = ElevenLabsSimulator(.init(port: port, agents: [Self.agent(tone)]))
        #expect(try await again.start().port == port)
        await again.stop()
    }

    @Test func saysWhichFileIsMissing() async throws {
        let agent = ElevenLabsSimulatedAgent(script: SimulatedAgentScript(greeting: "/nowhere/greeting.wav"))
        let error = await #expect(throws: PipelineError.self) {
            try await ElevenLabsSimulator(.init(agents: [agent])).start()
        }
        #expect(error?.description.contains("/nowhere/greeting.wav") == true)
    }
}

/// A client of a real socket.
private final class Client: WebSocketDelegate {
    let connection: WebSocketConnection
    let audio = Mutex<[UInt8]>([])
    private let stream: AsyncStream<ElevenLabsServerMessage>
    private let continuation: AsyncStream<ElevenLabsServerMessage>.Continuation

    private init(_ connection: WebSocketConnection) {
        self.connection = connection
        (stream, continuation) = AsyncStream.makeStream()
    }

    struct Ended: Error {}

    static func connect(_ url: String, subprotocols: [String] = []) async throws -> Client {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let client = try await WebSocketClient.makeConnection(
            to: WebSocketTarget(url, subprotocols: subprotocols), on: loop
        ).map { connection in
            let client = Client(connection)
            connection.setDelegate(client)
            return client
        }.get()
        return client
    }

    /// The HTTP status that a handshake is refused with.
    static func refusal(of url: String) async -> Int? {
        do {
            try await connect(url).connection.close()
            return nil
        } catch {
            return (error as? WebSocketConnectError)?.status.map { Int($0) }
        }
    }

    func send(_ message: ElevenLabsClientMessage) { send { message.write(into: &$0) } }

    func send(audio: [UInt8]) {
        send { buffer in audio.withUnsafeBytes { ElevenLabsWriter.userAudioChunk($0, into: &buffer) } }
    }

    private func send(_ write: @escaping @Sendable (inout ByteBuffer) -> Void) {
        connection.eventLoop.execute { [connection] in
            var batch = MessageBatch()
            batch.text(write)
            let _: Bool = connection.send(&batch)
        }
    }

    func next() async throws -> ElevenLabsServerMessage {
        for await message in stream { return message }
        throw Ended()
    }

    /// Waits until what came since the call is enough; without pings.
    func collect(
        until isEnough: ([ElevenLabsServerMessage]) -> Bool
    ) async throws -> [ElevenLabsServerMessage] {
        var heard: [ElevenLabsServerMessage] = []
        while !isEnough(heard) {
            let message = try await next()
            if case .ping = message { continue }
            heard.append(message)
        }
        return heard
    }

    func webSocketDidReceive(text: ByteBuffer, from connection: WebSocketConnection) {
        var bytes = ByteBuffer()
        guard let message = try? ElevenLabsServerMessage.decode(text, audio: &bytes) else { return }
        audio.withLock { $0 += bytes.readableBytesView }
        continuation.yield(message)
    }

    func webSocketDidClose(_ close: WebSocketClose, of connection: WebSocketConnection) { continuation.finish() }
}
