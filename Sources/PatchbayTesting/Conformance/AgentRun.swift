import NIOCore
import PatchbayAudio
import PatchbayCore
import Synchronization

/// A carrier without a protocol: the first byte says what a message is.
struct PuppetCarrier: CarrierSerializer {
    enum Kind: UInt8 { case start, audio, stop, mark, clear }

    let format: AudioFormat

    struct Unreadable: Error {}

    static func message(_ kind: Kind, _ payload: ByteBuffer = ByteBuffer(), at milliseconds: Int64 = 0) -> ByteBuffer {
        var message = ByteBuffer(integer: kind.rawValue)
        if kind == .audio { message.writeInteger(milliseconds) }
        message.writeImmutableBuffer(payload)
        return message
    }

    func deserialize(_ message: ByteBuffer) throws -> CarrierEvent {
        var message = message
        switch message.readInteger(as: UInt8.self).flatMap(Kind.init(rawValue:)) {
        case .start: return .started(CallStart(callSid: "CA1", streamSid: "MZ1"), format)
        case .audio:
            guard let time = message.readInteger(as: Int64.self) else { throw Unreadable() }
            return .audio(message, CarrierPosition(timestampMilliseconds: time, chunk: nil))
        case .stop: return .stopped
        case .mark, .clear, nil: throw Unreadable()
        }
    }

    func audio(_ payload: ByteBuffer, into batch: inout MessageBatch) {
        batch.binary { buffer in
            buffer.writeInteger(Kind.audio.rawValue)
            buffer.writeImmutableBuffer(payload)
        }
    }

    func mark(_ mark: PlaybackMark, into batch: inout MessageBatch) {
        batch.binary { $0.writeInteger(Kind.mark.rawValue) }
    }

    func clear(into batch: inout MessageBatch) { batch.binary { $0.writeInteger(Kind.clear.rawValue) } }
}

/// Keeps what happened to a call as a whole.
private final class CallNotes: CallObserver {
    let events = Mutex<[CallEvent]>([])
    func observe(_ frame: Frame, at joint: Joint, time: MediaTime) {}
    func observe(_ event: CallEvent, time: MediaTime) { events.withLock { $0.append(event) } }
}

/// One call on a virtual clock between a puppet carrier and a peer that plays the agent's vendor.
struct AgentRun {
    /// A peer and a conversation that answer each other without end are stopped here.
    static let mostAnswers = 10_000

    private(set) var call: CallCore
    private(set) var now = MediaTime(milliseconds: 1000)
    var peer: any AgentPeer
    let format: AudioFormat
    let witness: AgentWitness

    /// What the peer understood, in order.
    private(set) var heard: [AgentPeerHeard] = []
    /// Messages that went to the peer.
    private(set) var sentMessages: [AgentPeerMessage] = []
    private(set) var sentCount = 0
    /// Sound that went to the carrier since the call began, or was last told to forget.
    private(set) var played: [UInt8] = []
    private(set) var clears = 0
    private(set) var toolCalls: [(call: ToolCall, link: Int)] = []
    private(set) var cancelledTools: [String] = []
    private(set) var redials = 0
    private(set) var end: EndReason?
    /// Everything the caller has said.
    private(set) var spoken: [UInt8] = []
    private(set) var isChattering = false

    /// Whether an agent that is dialled is there at once.
    var connectsAtOnce = true
    /// What the vendor says waits for ``release()``.
    var isHolding = false
    /// What the vendor says is lost.
    var isMute = false
    /// Whether the caller speaks.
    var isCallerSpeaking = true
    /// Whether sound and messages are kept; a long run keeps nothing.
    var isKeeping = true

    private var output = CallOutput()
    private let notes: CallNotes
    private var link = 0
    /// The socket that was asked for and is not open yet.
    private var dialled: Int?
    private var held: [AgentPeerMessage] = []
    private var random: SeededGenerator

    init(
        _ backend: ExaminedBackend, peer: any AgentPeer, format: AudioFormat, tools: [ToolDefinition], seed: UInt64
    ) throws(PipelineError) {
        self.peer = peer
        self.format = format
        witness = backend.witness
        random = SeededGenerator(seed: seed)
        notes = CallNotes()
        var limits = CallLimits()
        limits.maximumDuration = .seconds(1 << 20)
        limits.idle = .seconds(1 << 20)
        limits.agentReady = .seconds(30)
        let plan = CallPlan(
            info: CallInfo(id: "call-1", callSid: "CA1", from: "+1", to: "+2", pipeline: "conformance"), limits: limits,
            carrier: PuppetCarrier(format: format), carrierFormat: format, toAgent: Chain(.toAgent, []), joint: format,
            backends: [backend], toCaller: Chain(.toCaller, []), tools: tools)
        call = try CallCore(plan, at: now, observers: [notes], into: &output)
    }

    var events: [CallEvent] { notes.events.withLock { $0 } }

    /// The first failure that the call was told of.
    var failure: PipelineError? {
        for case .agentFailed(let error) in events { return error }
        return nil
    }

    var isReady: Bool { events.contains { if case .agentReady = $0 { true } else { false } } }

    /// Sound that the peer heard.
    var heardSound: [UInt8] {
        heard.flatMap { (heard: AgentPeerHeard) -> [UInt8] in
            if case .audio(let sound) = heard { Array(sound.readableBytesView) } else { [] }
        }
    }

    // MARK: What happens

    /// The stream begins, and the agent is dialled.
    mutating func start() {
        call.carrierReceived(PuppetCarrier.message(.start), at: now, into: &output)
        settle()
    }

    /// The agent that was dialled last is there.
    mutating func connect() {
        guard let dialled else { return }
        link = dialled
        self.dialled = nil
        call.agentConnected(link: link, at: now, into: &output)
        say(peer.opened())
        settle()
    }

    /// The vendor says something.
    mutating func say(_ messages: [AgentPeerMessage]) {
        guard !isMute else { return }
        guard !isHolding else { return held += messages }
        for message in messages { deliver(message) }
    }

    /// A message comes, whatever the vendor is told to hold.
    mutating func deliver(_ message: AgentPeerMessage) {
        if message.isBinary {
            call.agentReceived(binary: message.payload, link: link, at: now, into: &output)
        } else {
            call.agentReceived(message.payload, link: link, at: now, into: &output)
        }
        settle()
    }

    /// What was held comes.
    mutating func release() {
        isHolding = false
        let messages = held
        held = []
        say(messages)
    }

    /// The vendor does something.
    ///
    /// - Returns: False when its protocol has no way to.
    @discardableResult
    mutating func act(_ act: AgentPeerAct) -> Bool {
        guard let messages = peer.messages(for: act) else { return false }
        say(messages)
        return true
    }

    mutating func close(code: UInt16, reason: String = "") {
        call.agentClosed(code: code, reason: reason, link: link, at: now, into: &output)
        settle()
    }

    /// A stage of the pipeline cuts the agent's turn.
    mutating func interrupt() {
        let frame = Frame.interruption(Interruption(generation: 0, cause: "a stage said so"))
        call.deliver([frame], behind: Joint(.toAgent, 0), at: now, into: &output)
        settle()
    }

    mutating func answer(_ call: ToolCall, _ text: String, isError: Bool = false) {
        let result = ToolResult(call, output: text, isError: isError)
        self.call.toolAnswered(result, link: link, at: now, into: &output)
        settle()
    }

    @discardableResult
    mutating func addContext(_ text: String) -> Bool {
        defer { settle() }
        return call.addContext(text, at: now, into: &output)
    }

    mutating func hangUp() {
        call.carrierReceived(PuppetCarrier.message(.stop), at: now, into: &output)
        settle()
    }

    /// Lets time pass in ticks, with a packet of the caller before each, until it is over or something has come.
    mutating func pass(_ milliseconds: Int64, step: Int64 = 20, until hasCome: (Self) -> Bool = { _ in false }) {
        let end = now + .milliseconds(milliseconds)
        while now < end, self.end == nil, !hasCome(self) {
            if isCallerSpeaking {
                let sound = sound(format.bytesPerPacket)
                let time = isKeeping ? Int64(spoken.count) * 1000 / Int64(max(1, format.bytesPerSecond)) : 0
                if isKeeping { spoken += sound }
                call.carrierReceived(
                    PuppetCarrier.message(.audio, ByteBuffer(bytes: sound), at: time), at: now, into: &output)
            }
            now = min(end, now + .milliseconds(step))
            call.tick(at: now, into: &output)
            settle()
        }
    }

    /// Bytes that are no silence in any encoding and differ from all others.
    mutating func sound(_ count: Int) -> [UInt8] {
        // Not one random number a byte: that alone would be half the time of a test.
        var state = random.next()
        return [UInt8](unsafeUninitializedCapacity: count) { bytes, initialized in
            for index in 0..<count {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                bytes[index] = 0x11 + UInt8(truncatingIfNeeded: state >> 33) & 0x3F
            }
            initialized = count
        }
    }

    mutating func sound(milliseconds: Int, _ format: AudioFormat) -> [UInt8] {
        sound(format.byteCount(milliseconds: milliseconds))
    }

    mutating func forgetPlayed() { played = [] }

    // MARK: Inside

    /// Hands around what the call and the peer have for each other until both are silent.
    private mutating func settle() {
        var rounds = 0
        while true {
            collectCarrier()
            perform()
            guard !output.agent.messages.isEmpty else { return }
            rounds += 1
            guard rounds < Self.mostAnswers else {
                isChattering = true
                output.agent.messages.clear()
                return
            }
            let messages = output.agent.messages.messages.indices.map { index in
                AgentPeerMessage(
                    output.agent.messages.message(at: index),
                    isBinary: output.agent.messages.messages[index].kind == .binary)
            }
            output.agent.messages.clear()
            sentCount += messages.count
            if isKeeping { sentMessages += messages }
            for message in messages {
                let (heard, answers) = peer.received(message)
                self.heard += isKeeping ? heard : heard.filter(\.isWrong)
                guard !isMute else { continue }
                if isHolding {
                    held += answers
                } else {
                    for answer in answers {
                        if answer.isBinary {
                            call.agentReceived(binary: answer.payload, link: link, at: now, into: &output)
                        } else {
                            call.agentReceived(answer.payload, link: link, at: now, into: &output)
                        }
                    }
                }
            }
        }
    }

    private mutating func collectCarrier() {
        for index in output.carrier.messages.indices {
            var message = output.carrier.message(at: index)
            switch message.readInteger(as: UInt8.self).flatMap(PuppetCarrier.Kind.init(rawValue:)) {
            case .audio: if isKeeping { played += message.readableBytesView }
            case .clear:
                clears += 1
                played = []
            default: break
            }
        }
        output.carrier.clear()
    }

    private mutating func perform() {
        for action in output.takeActions() {
            switch action {
            case .dialAgent(let link, _):
                dialled = link
                if connectsAtOnce { connect() }
            case .redialAgent(let link, _):
                redials += 1
                dialled = link
            case .runTool(let call, let link): toolCalls.append((call, link))
            case .cancelTools(let ids): cancelledTools += ids
            case .finished(let reason): end = reason
            case .closeAgent, .closeCarrier: break
            }
        }
    }
}

extension AgentPeerHeard {
    var isWrong: Bool { if case .wrong = self { true } else { false } }
}
