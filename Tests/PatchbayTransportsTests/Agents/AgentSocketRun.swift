import Logging
import NIOCore
import NIOPosix
import PatchbayAudio
import PatchbayCore
import PatchbayTesting
import Synchronization

@testable import PatchbayTransports

/// A call over real sockets: a peer that plays an agent's vendor behind a WebSocket server, our dialer, and a carrier that
/// writes down what it is sent.
///
/// ```swift
/// let failures = try await AgentSocketRun.check(peer: { ElevenLabsPeer() }) { port in try backend(port) }
/// ```
final class AgentSocketRun: Sendable {
    private struct State {
        var peer: any AgentPeer
        var heard: [AgentPeerHeard] = []
        var connection: WebSocketConnection?
    }

    private let state: Mutex<State>
    private let heard = Inbox<AgentPeerHeard>()
    let carrier = SpyCarrier()
    private let notes = CallNotes()

    /// The caller waits for the steps of this test, which wait for a thread while other tests compute. Neither their silence
    /// nor sound that is late by the clock of the stream is what is looked at here.
    private static var limits: CallLimits {
        var limits = CallLimits()
        limits.idle = .seconds(60)
        limits.callerLateness = .seconds(60)
        limits.agentReady = .seconds(60)
        return limits
    }

    private init(_ peer: any AgentPeer) { state = Mutex(State(peer: peer)) }

    /// Puts a backend through one call.
    ///
    /// - Parameter makeBackend: Makes a backend; what it dials is led to the given port of this machine, whatever its URL is.
    /// - Returns: What does not hold, in words.
    static func check(
        peer: () -> any AgentPeer,
        makeBackend: (_ port: Int) throws -> any AgentBackend
    ) async throws -> [String] {
        let run = AgentSocketRun(peer())
        let server = try await TestServer.start { _ in
            .accept(makeDelegate: { connection in
                run.opened(connection)
                return PeerDelegate(run)
            })
        }
        let backend = try makeBackend(server.port)
        var findings: [String] = []
        do {
            findings = try await run.converse(backend, port: server.port)
        } catch {
            findings = ["the call came to no end: \(error); \(run.notes.text)"]
        }
        try await server.stop()
        return findings
    }

    private func converse(
        _ backend: any AgentBackend, port: Int
    ) async throws -> [String] {
        let formats = state.withLock { $0.peer.formats }
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let ended = loop.makePromise(of: EndReason.self)
        let dialer = RedirectingDialer(try WebSocketAgentDialer(tls: WebSocketTLS.makeContext()), port: port)
        let call = Call(
            info: CallInfo(id: "call-1", callSid: "CA1", from: "+1", to: "+2", pipeline: "conformance"),
            on: MediaLoop(loop), dialer: dialer, logger: Logger(label: "conformance") { _ in SwiftLogNoOpLogHandler() }
        ) { _, reason in ended.succeed(reason) }
        let tool = ToolDefinition("look_up_order", description: "Where an order is.")
        let tools = EchoTool(definitions: [tool])
        let joint = formats.output
        try await call.start(observers: [notes], tools: tools) { () throws(PipelineError) in
            CallPlan(
                info: call.info, limits: Self.limits, carrier: BareCarrier(format: joint), carrierFormat: joint,
                toAgent: Chain(.toAgent, []),
                joint: joint, backends: [backend], toCaller: Chain(.toCaller, []), tools: [tool])
        }
        let carrier = carrier
        try await loop.submit {
            _ = call.attach(carrier: carrier)
            call.carrierReceived(ByteBuffer(string: "start"))
        }.get()
        try await notes.wait { if case .agentReady = $0 { true } else { false } }

        var findings: [String] = []
        // The caller.
        let said = ByteBuffer(bytes: (0..<joint.byteCount(milliseconds: 400)).map { UInt8(0x21 + $0 % 64) })
        var rest = said
        while let packet = rest.readSlice(length: min(joint.bytesPerPacket, rest.readableBytes)),
            packet.readableBytes > 0
        {
            loop.execute { call.carrierReceived(packet) }
        }
        let expected = formats.input.byteCount(milliseconds: 300)
        var heardBytes = 0
        while heardBytes < expected {
            if case .audio(let sound) = try await heard.next() { heardBytes += sound.readableBytes }
        }
        // The agent.
        let spoken = [UInt8]((0..<joint.byteCount(milliseconds: 400)).map { UInt8(0x31 + $0 % 61) })
        var pieces = spoken[...]
        while !pieces.isEmpty {
            act(.audio(ByteBuffer(bytes: pieces.prefix(1001))))
            pieces = pieces.dropFirst(1001)
        }
        act(.turnEnded)
        let played = try await carrier.sound(spoken.count)
        if played != spoken { findings.append("the agent's sound is another one at the carrier") }
        // A tool.
        if act(.toolCall(ToolCall(id: "call_1", name: tool.name, arguments: #"{"order":17}"#))) {
            var result: ToolResult?
            while result == nil {
                if case .toolResult(let answer) = try await heard.next() { result = answer }
            }
            if result?.output.contains("17") != true {
                findings.append("a tool's answer became \(String(describing: result))")
            }
        }
        // A goodbye, by a message or by closing; where the protocol has none, the caller's.
        let saysGoodbye = act(.goodbye)
        if saysGoodbye {
            let connection = state.withLock { $0.connection }
            connection?.eventLoop.scheduleTask(in: .milliseconds(100)) { connection?.close(code: 1000) }
        } else {
            loop.execute { call.carrierReceived(ByteBuffer(string: "stop")) }
        }
        let end = try await ended.futureResult.bounded()
        if end.kind != (saysGoodbye ? .agentHungUp : .callerHungUp) {
            findings.append("after a goodbye the call ended as \(end)")
        }
        let wrong = state.withLock { $0.heard }.compactMap { if case .wrong(let what) = $0 { what } else { nil } }
        return findings + wrong.map { "the vendor would refuse a message: \($0)" }
    }

    // MARK: The peer

    @discardableResult
    private func act(_ act: AgentPeerAct) -> Bool {
        let (messages, connection) = state.withLock { ($0.peer.messages(for: act), $0.connection) }
        guard let messages, let connection else { return false }
        connection.eventLoop.execute { Self.send(messages, connection) }
        return true
    }

    fileprivate func opened(_ connection: WebSocketConnection) {
        let messages = state.withLock { state in
            state.connection = connection
            return state.peer.opened()
        }
        Self.send(messages, connection)
    }

    fileprivate func received(_ message: AgentPeerMessage, _ connection: WebSocketConnection) {
        let answers = state.withLock { state in
            let (heard, answers) = state.peer.received(message)
            state.heard += heard
            for heard in heard { self.heard.put(heard) }
            return answers
        }
        Self.send(answers, connection)
    }

    private static func send(_ messages: [AgentPeerMessage], _ connection: WebSocketConnection) {
        guard !messages.isEmpty else { return }
        var batch = MessageBatch()
        for message in messages {
            if message.isBinary {
                batch.binary { $0.writeImmutableBuffer(message.payload) }
            } else {
                batch.text { $0.writeImmutableBuffer(message.payload) }
            }
        }
        connection.send(&batch)
    }
}

/// The vendor's end of the socket.
private final class PeerDelegate: WebSocketDelegate {
    let run: AgentSocketRun

    init(_ run: AgentSocketRun) { self.run = run }

    func webSocketDidReceive(text: ByteBuffer, from connection: WebSocketConnection) {
        run.received(AgentPeerMessage(text), connection)
    }

    func webSocketDidReceive(binary: ByteBuffer, from connection: WebSocketConnection) {
        run.received(AgentPeerMessage(binary, isBinary: true), connection)
    }

    func webSocketDidClose(_ close: WebSocketClose, of connection: WebSocketConnection) {}
}

/// Dials every target at a port of this machine, with its path and headers.
private struct RedirectingDialer: AgentDialer {
    let inner: WebSocketAgentDialer
    let port: Int

    init(_ inner: WebSocketAgentDialer, port: Int) {
        self.inner = inner
        self.port = port
    }

    func dial(_ target: AgentTarget, on loop: any EventLoop) -> EventLoopFuture<any AgentConnection> {
        var target = target
        let rest = target.url.split(separator: "://", maxSplits: 1).last ?? ""
        let path = rest.firstIndex { $0 == "/" || $0 == "?" }.map { String(rest[$0...]) } ?? "/"
        target.url = "ws://127.0.0.1:\(port)\(path)"
        return inner.dial(target, on: loop)
    }
}

/// Answers with its arguments.
private struct EchoTool: ToolRunner {
    let definitions: [ToolDefinition]
    func run(_ call: ToolCall, for info: CallInfo) async -> ToolResult { ToolResult(call, output: call.arguments) }
}

/// Bare bytes, between `start` and `stop`.
private struct BareCarrier: CarrierSerializer {
    let format: AudioFormat
    private var time: Int64 = 0

    init(format: AudioFormat) { self.format = format }

    mutating func deserialize(_ message: ByteBuffer) -> CarrierEvent {
        if message == ByteBuffer(string: "start") {
            return .started(CallStart(callSid: "CA1", streamSid: "MZ1"), format)
        }
        if message == ByteBuffer(string: "stop") { return .stopped }
        defer { time += 20 }
        return .audio(message, CarrierPosition(timestampMilliseconds: time, chunk: nil))
    }

    func audio(_ payload: ByteBuffer, into batch: inout MessageBatch) {
        batch.binary { $0.writeImmutableBuffer(payload) }
    }

    func mark(_ mark: PlaybackMark, into batch: inout MessageBatch) { batch.text { $0.writeString("mark") } }
    func clear(into batch: inout MessageBatch) { batch.text { $0.writeString("clear") } }
}

/// Keeps the sound that it is sent.
final class SpyCarrier: MessageSocket {
    private let packets = Inbox<[UInt8]>()

    func send(_ batch: inout MessageBatch) -> Bool {
        for index in batch.messages.indices where batch.messages[index].kind == .binary {
            packets.put(Array(batch.message(at: index).readableBytesView))
        }
        batch.clear()
        return true
    }

    func close(code: UInt16, reason: String) {}

    /// The next `count` bytes of sound.
    func sound(_ count: Int) async throws -> [UInt8] {
        var sound: [UInt8] = []
        while sound.count < count { sound += try await packets.next() }
        return Array(sound.prefix(count))
    }
}

/// What happened to the call, waited for.
private final class CallNotes: CallObserver {
    private let events = Inbox<CallEvent>()
    private let all = Mutex<[String]>([])

    func observe(_ frame: Frame, at joint: Joint, time: MediaTime) {}
    func observe(_ event: CallEvent, time: MediaTime) {
        all.withLock { $0.append("\(event)") }
        events.put(event)
    }

    var text: String { all.withLock { $0.joined(separator: ", ") } }

    func wait(_ isMet: (CallEvent) -> Bool) async throws {
        while !isMet(try await events.next()) {}
    }
}
