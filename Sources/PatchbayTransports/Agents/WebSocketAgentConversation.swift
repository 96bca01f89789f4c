import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire

/// Patchbay's side of the open agent protocol, as a value. The article "AgentProtocol" is its specification.
struct WebSocketAgentConversation: AgentConversation {
    /// Audio of a cut turn is dropped until the agent says that the turn is over, or has been silent for this long.
    static let cutGap = TimeSpan.milliseconds(500)
    /// Caller audio kept while a new socket is not ready yet.
    static let heldAudio = TimeSpan.seconds(5)
    static let place = "agent websocket"

    private var start: AgentSocketStart
    private let patience: TimeSpan
    private var form: AgentSocketAudioForm
    private var formats: (input: AgentSocketFormat, output: AgentSocketFormat)?
    private var isReady = false
    private var saidGoodbye = false
    private var isOver = false
    private var audio = ByteBuffer()
    private var held = ByteBuffer()
    /// The agent has begun a turn and not ended it.
    private var isTurnOpen = false
    /// The open turn was cut here, and what still comes of it is dropped.
    private var isCut = false
    private var lastAudio = MediaTime.zero
    /// `nil` until the socket is open.
    private var lastMessage: MediaTime?
    private var nextPing: MediaTime?
    private var pings = 0

    init(_ start: AgentSocketStart, patience: TimeSpan = .seconds(20)) {
        self.start = start
        self.patience = patience
        form = start.audio.form
    }

    mutating func opened(at now: MediaTime, into output: inout AgentOutput) {
        isReady = false
        isTurnOpen = false
        isCut = false
        lastMessage = now
        nextPing = nil
        send(.start(start), into: &output)
    }

    // MARK: From the caller

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput) {
        guard !isOver else { return }
        switch frame {
        case .audio(let audio): isReady ? send(audio.payload, into: &output) : hold(audio)
        case .callStarted: send(.callStarted, into: &output)
        case .speechStarted: send(.speechStarted, into: &output)
        case .speechStopped: send(.speechStopped, into: &output)
        case .userTurnStarted: send(.turnStarted, into: &output)
        case .userTurnEnded(let end):
            // What the agent found itself it need not be told.
            if end.cause == .silence { send(.turnEnded, into: &output) }
        case .text(let text):
            guard text.speaker == .caller else { return }
            send(
                .text(
                    .init(
                        text.text, speaker: .caller, isFinal: text.isFinal, isCorrection: text.isCorrection)),
                into: &output)
        case .dtmf(let key): send(.dtmf(String(key)), into: &output)
        case .interruption(let interruption):
            let heard = interruption.heard ?? Heard(text: "", duration: .zero, isComplete: false)
            send(.interruption(cause: interruption.cause, AgentSocketHeard(heard)), into: &output)
            // What still comes of the turn was sent before the agent could know.
            isCut = isTurnOpen
        case .heard(let heard): send(.heard(AgentSocketHeard(heard)), into: &output)
        case .callEnded(let reason):
            send(.end(reason: reason.kind.rawValue, detail: reason.detail), into: &output)
            finish()
        case .speechPaused, .speechResumed, .agentStartedSpeaking, .agentStoppedSpeaking, .bargeIn,
            .interruptible, .recording, .failure, .agentTurnStarted, .utteranceEnded, .hangup, .custom:
            break
        }
    }

    mutating func toolAnswered(_ result: ToolResult, at now: MediaTime, into output: inout AgentOutput) {
        guard !isOver else { return }
        send(
            .toolResult(id: result.id, name: result.name, output: result.output, isError: result.isError),
            into: &output)
    }

    mutating func contextAdded(_ text: String, at now: MediaTime, into output: inout AgentOutput) {
        if !isOver { send(.context(text), into: &output) }
    }

    // MARK: From the agent

    mutating func received(binary message: ByteBuffer, at now: MediaTime, into output: inout AgentOutput) {
        guard !isOver else { return }
        lastMessage = now
        heard(message, at: now, into: &output)
    }

    mutating func received(_ message: ByteBuffer, at now: MediaTime, into output: inout AgentOutput) {
        guard !isOver else { return }
        lastMessage = now
        audio.empty(keepingCapacity: 64 * 1024)
        let decoded: AgentSocketServerMessage
        do throws(WireError) {
            decoded = try .decode(message, audio: &audio)
        } catch {
            output.emit(.fault("a message of the agent was dropped: \(error)"))
            return
        }
        act(on: decoded, at: now, into: &output)
    }

    private mutating func act(
        on message: AgentSocketServerMessage, at now: MediaTime, into output: inout AgentOutput
    ) {
        switch message {
        case .audio: heard(audio, at: now, into: &output)
        case .ready(let choice, let conversation): begin(choice, conversation, at: now, into: &output)
        case .turnEnded:
            if !isCut { output.emit(.turnEnded) }
            isTurnOpen = false
            isCut = false
        case .text(let words):
            guard words.speaker == .caller || !isCut else { return }
            output.emit(
                .text(
                    TextFrame(
                        words.text, speaker: words.speaker == .caller ? .caller : .agent, isFinal: words.isFinal,
                        isCorrection: words.isCorrection)))
        case .interruption(let cause):
            isTurnOpen = false
            isCut = false
            output.emit(.interruption(cause: cause ?? "the agent heard the caller"))
        case .interruptible(let isAllowed): output.emit(.interruptible(isAllowed))
        case .dtmf(let digits): output.emit(.dtmf(digits))
        case .toolCall(let id, let name, let arguments):
            output.emit(.toolCall(ToolCall(id: id, name: name, arguments: arguments)))
        case .toolCancel(let ids): output.emit(.toolCallsCancelled(ids: ids))
        case .hangUp(let reason):
            saidGoodbye = true
            output.emit(.hangup(EndReason(.agentHungUp, reason ?? "the agent ended the call")))
        case .transfer(let address):
            saidGoodbye = true
            output.emit(.transfer(to: address))
        case .reconnect(let cause): output.emit(.reconnect(cause: cause ?? "the agent asked for it"))
        case .error(let fault): fail(PipelineError(fault, place: Self.place), into: &output)
        case .ping(let id): send(.pong(id: id), into: &output)
        case .pong, .other: break
        }
    }

    private mutating func begin(
        _ choice: AgentSocketAudioChoice, _ conversation: String?, at now: MediaTime, into output: inout AgentOutput
    ) {
        guard !isReady else {
            output.emit(.fault("the agent said ready a second time"))
            return
        }
        let offer = start.audio
        guard let input = choice.input ?? offer.inputs.first, let format = choice.output ?? offer.outputs.first,
            offer.inputs.contains(input), offer.outputs.contains(format)
        else {
            let strange = [
                choice.input.flatMap { offer.inputs.contains($0) ? nil : "\($0) for what it hears" },
                choice.output.flatMap { offer.outputs.contains($0) ? nil : "\($0) for what it says" },
            ].compactMap { $0 }.joined(separator: " and ")
            fail(
                PipelineError(
                    .unsupportedFormat,
                    "the agent chose \(strange), which was not offered; it has to choose from \"audio\" of the start message",
                    place: Self.place), into: &output)
            return
        }
        form = choice.form ?? offer.form
        isReady = true
        nextPing = now + pingInterval
        if let conversation, conversation != start.resume {
            start.resume = conversation
            start.isAnswerAwaited = false
            output.emit(.conversationStarted(id: conversation))
        }
        // After a reconnection what was said meanwhile goes out first, where it is in the format that is asked for.
        if let formats, formats.input == input, held.readableBytes > 0 { send(held, into: &output) }
        held = ByteBuffer()
        formats = (input, format)
        output.emit(.ready(input: AudioFormat(input), output: AudioFormat(format)))
    }

    private mutating func heard(_ sound: ByteBuffer, at now: MediaTime, into output: inout AgentOutput) {
        guard isReady else {
            output.emit(.fault("the agent sent sound before it was ready; it was dropped"))
            return
        }
        let pause = now - lastAudio
        lastAudio = now
        if isCut, pause < Self.cutGap { return }
        isCut = false
        isTurnOpen = true
        if sound.readableBytes > 0 { output.emit(.audio(sound)) }
    }

    mutating func closed(code: UInt16, reason: String, at now: MediaTime, into output: inout AgentOutput) {
        guard !isOver else { return }
        defer { finish() }
        if saidGoodbye { return }
        let words = reason.isEmpty ? "" : " \"\(reason.prefix(200))\""
        // 1005 is a close without a code, as a program that just ends its handler sends it.
        if isReady, code == 1000 || code == 1005 {
            output.emit(.hangup(EndReason(.agentHungUp, "the agent closed the socket: \(code)\(words)")))
            return
        }
        let beginning = isReady ? "" : "before it was ready "
        output.emit(
            .failed(
                PipelineError(
                    .agentFailed, "the agent closed the socket \(beginning)with \(code)\(words)", place: Self.place,
                    isRetryable: Self.retryable.contains(code))))
    }

    /// Going away, a lost connection, an internal error, a restart, too busy, a bad gateway (RFC 6455, section 7.4.1, and the
    /// registry of close codes at IANA).
    private static let retryable: Set<UInt16> = [1001, 1006, 1011, 1012, 1013, 1014]

    // MARK: Time

    private var pingInterval: TimeSpan { TimeSpan(nanoseconds: patience.nanoseconds / 4) }

    var deadline: MediaTime? {
        guard !isOver, !saidGoodbye, let lastMessage else { return nil }
        let end = lastMessage + patience
        return nextPing.map { min($0, end) } ?? end
    }

    mutating func deadlineReached(at now: MediaTime, into output: inout AgentOutput) {
        guard let deadline, now >= deadline, let lastMessage else { return }
        if now >= lastMessage + patience {
            let seconds = patience.milliseconds / 1000
            fail(
                PipelineError(
                    .agentTimeout, "nothing came from the agent for \(seconds) s, not even a pong", place: Self.place,
                    isRetryable: true), into: &output)
            return
        }
        pings += 1
        nextPing = now + pingInterval
        send(.ping(id: pings), into: &output)
    }

    // MARK: Parts

    private func send(_ message: AgentSocketClientMessage, into output: inout AgentOutput) {
        output.messages.text { message.write(into: &$0) }
    }

    private func send(_ sound: ByteBuffer, into output: inout AgentOutput) {
        switch form {
        case .binary: output.messages.binary { $0.writeImmutableBuffer(sound) }
        case .base64:
            output.messages.text { buffer in
                sound.withUnsafeReadableBytes { AgentSocketAudio.write($0, into: &buffer) }
            }
        }
    }

    private mutating func hold(_ audio: AudioFrame) {
        let limit = audio.format.byteCount(milliseconds: Int(Self.heldAudio.milliseconds))
        held.writeImmutableBuffer(audio.payload)
        let excess = held.readableBytes - limit
        if excess > 0 {
            held.moveReaderIndex(forwardBy: excess)
            held.discardReadBytes()
        }
    }

    private mutating func fail(_ error: PipelineError, into output: inout AgentOutput) {
        output.emit(.failed(error))
        finish()
    }

    private mutating func finish() {
        isOver = true
        held = ByteBuffer()
    }
}

extension AgentSocketHeard {
    fileprivate init(_ heard: Heard) {
        self.init(text: heard.text, milliseconds: Int(heard.duration.milliseconds), isComplete: heard.isComplete)
    }
}

extension WebSocketAgentConversation {
    /// What an operator can do about a failure.
    static func remedy(_ code: PipelineError.Code) -> String? {
        switch code {
        case .agentUnauthorized: "check token, or the headers that stand in for it"
        case .agentUnknown: "check url"
        case .agentQuota: "give the agent more room, or fewer calls"
        case .agentSettingRefused: "check variables, tools and formats against what the agent needs"
        case .agentUnreachable: "check that the agent runs, and url"
        default: nil
        }
    }
}

extension PipelineError {
    fileprivate init(_ fault: AgentSocketServerMessage.Fault, place: String) {
        let code: Code =
            switch fault.code {
            case "unauthorized": .agentUnauthorized
            case "unknownAgent": .agentUnknown
            case "quota": .agentQuota
            case "settingRefused": .agentSettingRefused
            default: .agentFailed
            }
        self.init(
            code, "the agent reports \(fault.code): \(fault.message)", place: place, isRetryable: fault.isRetryable)
        if let remedy = WebSocketAgentConversation.remedy(code) { message += "; \(remedy)" }
    }
}
