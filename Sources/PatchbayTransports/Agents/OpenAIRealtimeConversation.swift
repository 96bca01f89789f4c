import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire

/// The Realtime API's conversation as a value.
///
/// A session is created by the server, configured, and only then told what was said before or asked to greet. When it grows
/// old it is replaced by another at a quiet moment, since the API has no way to resume one.
///
/// https://platform.openai.com/docs/guides/realtime-conversations
struct OpenAIRealtimeConversation: AgentConversation {
    enum Phase: Equatable {
        /// Until the server has created the session.
        case connecting
        /// Until the server has taken our settings.
        case configuring
        case ready
        /// A new socket has been asked for.
        case leaving
        case over
    }

    /// Caller audio that is kept while no session can take it; the oldest is dropped beyond it.
    static let heldAudio = TimeSpan.seconds(5)
    /// Audio before the moment at which the pipeline heard the caller begin.
    static let preRoll = TimeSpan.milliseconds(500)
    /// The same where the caller speaks over the agent, which the pipeline takes longer to decide.
    static let interruptionPreRoll = TimeSpan.milliseconds(2000)
    /// How long a quiet moment is waited for once a session is old.
    static let recycleGrace = TimeSpan.seconds(4 * 60)
    /// How often it is looked for.
    static let recyclePoll = TimeSpan.seconds(1)
    /// Responses that may fail one after another before the agent is given up.
    static let maximumFailedResponses = 2

    let settings: OpenAIRealtimeSettings
    let format: OpenAIRealtimeAudioFormat
    let tools: [ToolDefinition]
    var phase = Phase.connecting
    var history: OpenAIHistory
    var spoken: OpenAISpokenTurns
    var responses = OpenAIResponseState()
    var calls = OpenAIFunctionCalls()
    /// Whether the agent has greeted, or need not.
    var hasGreeted: Bool
    /// The caller waits for it to go on where the history ends.
    private var owesWords: Bool
    /// Between the server's own edges, or the pipeline's where that finds the turns.
    var isCallerSpeaking = false
    /// The caller's turn ended while there was no session to answer it.
    private var turnAwaitsSession = false
    /// The call's word: there is sound of the agent's that has not been heard to its end.
    var isAudible = false
    /// The words so far of what is being said, by item.
    var partials = OpenAIPartialTexts()
    var lastFault: OpenAIRealtimeFault?
    /// When an answer that is due has stood still for too long.
    var stallDeadline: MediaTime?
    private var recycleDeadline: MediaTime?
    /// The latest time to replace the session.
    private var recycleLimit = MediaTime.zero
    private var decoder = OpenAIRealtimeServerDecoder()
    private var audio = ByteBuffer()
    /// Caller audio that waits for a session, or for the caller's turn to begin.
    private var held: OpenAIHeldAudio

    init(_ settings: OpenAIRealtimeSettings, _ request: AgentRequest) {
        self.settings = settings
        format = OpenAIRealtimeAudioFormat(for: request.joint)
        tools = request.tools
        history = OpenAIHistory(request.history)
        if let note = request.toolUses.note { history.append(.system, note) }
        hasGreeted = !request.history.isEmpty || !settings.greets
        owesWords = request.isAnswerAwaited
        spoken = OpenAISpokenTurns(format)
        held = OpenAIHeldAudio(bytesPerSecond: format.bytesPerSecond)
    }

    var deadline: MediaTime? {
        guard let stallDeadline else { return recycleDeadline }
        return recycleDeadline.map { min($0, stallDeadline) } ?? stallDeadline
    }

    mutating func opened(at now: MediaTime, into output: inout AgentOutput) {
        // Whatever belonged to a former session is gone with it.
        phase = .connecting
        responses = OpenAIResponseState()
        calls.sessionBegan()
        spoken.reset()
        lastFault = nil
        // The pipeline still knows whether the caller speaks; a new server does not.
        if !settings.takesTurns { isCallerSpeaking = false }
        stallDeadline = nil
        recycleDeadline = now + settings.reconnectAfter
        recycleLimit = now + settings.reconnectAfter + Self.recycleGrace
    }

    // MARK: From the caller

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput) {
        switch frame {
        case .audio(let audio): hear(audio.payload, into: &output)
        case .interruption(let interruption): cut(interruption.heard?.duration, at: now, into: &output)
        case .heard(let heard):
            if heard.isComplete {
                spoken.heard(heard.duration)
            } else {
                // The answer to an interruption of our own asking. The server has cancelled its response already, unless the
                // pipeline takes the turns.
                cut(heard.duration, cancels: settings.takesTurns, at: now, into: &output)
            }
        case .dtmf(let digit):
            // The protocol has no message for keys towards the model; as context it can at least act on them.
            add(context: "The caller pressed the key \(digit).", into: &output)
        case .agentStartedSpeaking: isAudible = true
        case .agentStoppedSpeaking: isAudible = false
        case .userTurnStarted where settings.takesTurns: callerBegan(into: &output)
        case .speechStarted where settings.takesTurns:
            if isAudible || !spoken.isEmpty { output.emit(.interruption(cause: "the caller spoke")) }
            callerBegan(into: &output)
        case .speechStopped where settings.takesTurns: callerEnded(at: now, into: &output)
        // The call's own conclusion from a transcript or an answer is no news to the agent.
        case .userTurnEnded(let end) where settings.takesTurns && end.cause == .silence:
            callerEnded(at: now, into: &output)
        default: break
        }
    }

    private mutating func hear(_ payload: ByteBuffer, into output: inout AgentOutput) {
        guard phase == .ready, !settings.takesTurns || isCallerSpeaking else {
            let kept = phase == .ready ? Self.interruptionPreRoll : Self.heldAudio
            held.append(payload, keeping: kept)
            return
        }
        output.messages.text { buffer in
            payload.withUnsafeReadableBytes { OpenAIRealtimeWriter.appendAudio($0, into: &buffer) }
        }
    }

    private mutating func sendHeldAudio(_ span: TimeSpan, into output: inout AgentOutput) {
        guard let payload = held.take(span) else { return }
        output.messages.text { buffer in
            payload.withUnsafeReadableBytes { OpenAIRealtimeWriter.appendAudio($0, into: &buffer) }
        }
    }

    /// The pipeline heard the caller begin: from here on their audio goes out, from a little before.
    private mutating func callerBegan(into output: inout AgentOutput) {
        guard !isCallerSpeaking else { return }
        isCallerSpeaking = true
        guard phase == .ready else { return }
        let isOver = isAudible || responses.wasJustCut
        responses.wasJustCut = false
        sendHeldAudio(isOver ? Self.interruptionPreRoll : Self.preRoll, into: &output)
    }

    /// The pipeline heard the caller end: the model answers.
    private mutating func callerEnded(at now: MediaTime, into output: inout AgentOutput) {
        guard isCallerSpeaking else { return }
        isCallerSpeaking = false
        guard phase == .ready else {
            turnAwaitsSession = true
            return
        }
        answerTurn(at: now, into: &output)
    }

    private mutating func answerTurn(at now: MediaTime, into output: inout AgentOutput) {
        send(.commitAudio, into: &output)
        requestResponse(at: now, into: &output)
    }

    mutating func toolAnswered(_ result: ToolResult, at now: MediaTime, into output: inout AgentOutput) {
        calls.answered(result)
        sendToolOutputs(at: now, into: &output)
    }

    mutating func contextAdded(_ text: String, at now: MediaTime, into output: inout AgentOutput) {
        add(context: text, into: &output)
    }

    private mutating func add(context: String, into output: inout AgentOutput) {
        history.append(.system, context)
        // Without a session the history tells it to the next one.
        guard phase == .ready else { return }
        send(.createItem(.text(.system, context), previousItemID: nil), into: &output)
    }

    // MARK: From the agent

    mutating func received(_ message: ByteBuffer, at now: MediaTime, into output: inout AgentOutput) {
        guard phase != .leaving, phase != .over else { return }
        audio.empty(keepingCapacity: 64 * 1024)
        let event: OpenAIRealtimeServerEvent
        do {
            event = try decoder.decode(message, audio: &audio)
        } catch {
            output.emit(.fault("\(error)"))
            return
        }
        if case .audioDelta(let place, let byteCount) = event {
            speak(place, byteCount, audio, into: &output)
        } else {
            handle(event, at: now, into: &output)
        }
        watch(at: now)
    }

    private mutating func speak(
        _ place: OpenAIRealtimeServerEvent.Place, _ byteCount: Int, _ audio: ByteBuffer, into output: inout AgentOutput
    ) {
        // Sound of a response that was cut is stale; sound before the formats are known could only be noise.
        guard phase == .ready, byteCount > 0, !responses.isCut(place.responseID) else { return }
        if spoken.audioCame(place, byteCount: byteCount) { history.begin(place.itemID, .assistant) }
        output.emit(.audio(audio))
    }

    /// The session is there and takes our settings: from here on it is a conversation.
    mutating func begin(_ session: OpenAIRealtimeSession, at now: MediaTime, into output: inout AgentOutput) {
        // A server that names no format it has taken is believed to have taken ours.
        let input = session.inputFormat ?? format
        let given = session.outputFormat ?? format
        phase = .ready
        spoken.format = given
        if let id = session.id { output.emit(.conversationStarted(id: id)) }
        output.emit(.ready(input: AudioFormat(input), output: AudioFormat(given)))
        for item in history.items { send(.createItem(item, previousItemID: nil), into: &output) }
        if held.bytesPerSecond != input.bytesPerSecond {
            held = OpenAIHeldAudio(bytesPerSecond: input.bytesPerSecond)
        }
        if !settings.takesTurns || isCallerSpeaking || turnAwaitsSession {
            sendHeldAudio(Self.heldAudio, into: &output)
        }
        if turnAwaitsSession, !isCallerSpeaking { answerTurn(at: now, into: &output) }
        turnAwaitsSession = false
        if !hasGreeted {
            hasGreeted = true
            requestResponse(instructions: settings.greetingInstructions, at: now, into: &output)
        } else if owesWords {
            requestResponse(at: now, into: &output)
        }
        owesWords = false
        sendToolOutputs(at: now, into: &output)
    }

    mutating func closed(code: UInt16, reason: String, at now: MediaTime, into output: inout AgentOutput) {
        guard phase != .leaving, phase != .over else { return }
        let close = OpenAIRealtimeClose(code: Int(code), reason: reason)
        if phase == .ready, close.meaning == .sessionExpired {
            reconnect("the session has reached its longest duration", into: &output)
            return
        }
        if phase == .ready, close.isOrderly {
            end(into: &output, with: .hangup(EndReason(.agentHungUp, close.description)))
            return
        }
        var words = close.description
        if let lastFault { words += "; it had said: \(lastFault)" }
        if phase != .ready { words = "closed before the session began: " + words }
        var error = PipelineError(close.meaning ?? .serverFailed, words)
        error.isRetryable = close.isRetryable
        end(into: &output, with: .failed(error))
    }

    mutating func deadlineReached(at now: MediaTime, into output: inout AgentOutput) {
        if let due = stallDeadline, due <= now {
            let seconds = settings.patience.milliseconds / 1000
            let error = PipelineError(
                .agentTimeout, "an answer was due and nothing came for \(seconds) s",
                place: OpenAIRealtimeSettings.place, isRetryable: true)
            end(into: &output, with: .failed(error))
            return
        }
        guard let due = recycleDeadline, due <= now else { return }
        recycleDeadline = now + Self.recyclePoll
        guard phase == .ready, isQuiet || now >= recycleLimit else { return }
        reconnect("the session is \(settings.reconnectAfter.milliseconds / 60_000) minutes old", into: &output)
    }

    private var isQuiet: Bool {
        !responses.isBusy && spoken.isEmpty && !isAudible && !isCallerSpeaking && calls.isEmpty
    }

    mutating func reconnect(_ cause: String, into output: inout AgentOutput) {
        phase = .leaving
        stallDeadline = nil
        recycleDeadline = nil
        output.emit(.reconnect(cause: cause))
    }

    mutating func end(into output: inout AgentOutput, with event: AgentEvent) {
        phase = .over
        stallDeadline = nil
        recycleDeadline = nil
        output.emit(event)
    }

    /// While an answer is due, something has to come.
    mutating func watch(at now: MediaTime) {
        stallDeadline = phase == .ready && responses.isBusy ? now + settings.patience : nil
    }

    /// - Parameter eventID: Comes back in an error; tells what was refused.
    func send(_ event: OpenAIRealtimeClientEvent, eventID: String? = nil, into output: inout AgentOutput) {
        output.messages.text { event.write(eventID: eventID, dialect: settings.dialect, into: &$0) }
    }
}

extension PipelineError {
    /// What a fault of the API is to the call.
    init(_ meaning: OpenAIRealtimeFault.Meaning, _ message: String) {
        let (code, isRetryable): (Code, Bool) =
            switch meaning {
            case .unauthorized: (.agentUnauthorized, false)
            case .unknownModel: (.agentUnknown, false)
            case .quotaExceeded: (.agentQuota, false)
            case .rateLimited: (.agentQuota, true)
            case .invalidRequest: (.agentSettingRefused, false)
            case .sessionExpired, .serverFailed, .nothingToDo, .responseActive: (.agentFailed, true)
            }
        self.init(code, message, place: OpenAIRealtimeSettings.place, isRetryable: isRetryable)
        if let remedy = OpenAIRealtimeSettings.remedy(code) { self.message += "; \(remedy)" }
    }
}
