import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire

/// ElevenLabs' conversation protocol as a value.
///
/// https://elevenlabs.io/docs/agents-platform/api-reference/agents-platform/websocket
struct ElevenLabsConversation: AgentConversation {
    /// What a conversation waits for.
    struct Timing {
        /// Without any message, not even a ping, for this long the agent is given up.
        var patience = TimeSpan.seconds(20)
        /// A tool that has not answered by then has failed: the agent waits this long and no longer.
        var tool = TimeSpan.seconds(19)
    }

    /// Calls of tools that are open at once; more are refused.
    static let maximumTools = 32
    /// How long an agent that has ended the call may still speak.
    private static let farewell = TimeSpan.seconds(3)
    /// A carrier that sends nothing for this long is muted, and silence is sent in its place. The agent hears the end of a
    /// turn in silence, and hangs up when nothing comes for a minute.
    private static let muted = TimeSpan.milliseconds(500)
    /// How often, and how much: the vendor's clients send 25 to 250 ms at a time.
    private static let silenceInterval = TimeSpan.milliseconds(100)
    /// More often than this the agent is not told that the caller is there.
    private static let activityInterval = TimeSpan.seconds(2)

    private var initiation: ElevenLabsInitiation
    private let history: String?
    private var asksForWords: Bool
    /// The first message is kept from being said by an override that nobody said is allowed.
    private var overridesUnasked: Bool
    private let timing: Timing
    /// Whether a client tool of that name is taken for a transfer; not where the pipeline has such a tool.
    private let transfers: Bool
    private var isReady = false
    private var hasSpoken = false
    private var isOver = false
    private var saidGoodbye = false
    private var audio = ByteBuffer()
    private var silence = ByteBuffer()
    /// Audio with a smaller event id belongs to a turn that was cut.
    private var cut = Int.min
    private var lastAudioId = 0
    private var lastFault: ElevenLabsServerMessage.Fault?
    private var timers = Timers()
    private var lastActivity: MediaTime?
    /// Calls of tools whose answers the agent waits for, with the time when it stops to.
    private var pendingTools: [String: MediaTime] = [:]

    private struct Timers {
        var patience: MediaTime?
        var farewell: MediaTime?
        var silence: MediaTime?
        var tools: MediaTime?

        /// Asked every 20 ms; allocates nothing.
        var next: MediaTime? { earlier(earlier(patience, farewell), earlier(silence, tools)) }

        private func earlier(_ one: MediaTime?, _ other: MediaTime?) -> MediaTime? {
            guard let one, let other else { return one ?? other }
            return min(one, other)
        }
    }

    /// - Parameters:
    ///   - history: What was said before; see ``ElevenLabsHistory``.
    ///   - overridesUnasked: Whether the first message is overridden without knowing that it may be. When the agent refuses,
    ///     it is dialled again and begins as it does at the vendor.
    ///   - asksForWords: Whether the caller waits for the agent to go on where the history ends.
    ///   - tools: Names of the pipeline's own tools.
    init(
        _ initiation: ElevenLabsInitiation, history: String? = nil, overridesUnasked: Bool = false,
        asksForWords: Bool = false, tools: [String] = [], timing: Timing = Timing()
    ) {
        self.initiation = initiation
        self.overridesUnasked = overridesUnasked
        transfers = !tools.contains(ElevenLabsTransfer.tool)
        self.history = history
        self.asksForWords = asksForWords
        self.timing = timing
    }

    var deadline: MediaTime? { timers.next }

    mutating func opened(at now: MediaTime, into output: inout AgentOutput) {
        output.messages.text { ElevenLabsClientMessage.initiation(initiation).write(into: &$0) }
        timers.patience = now + timing.patience
    }

    // MARK: From the caller

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput) {
        guard !isOver else { return }
        switch frame {
        case .audio(let audio):
            guard isReady else { return }
            timers.silence = now + Self.muted
            output.messages.text { buffer in
                audio.payload.withUnsafeReadableBytes { ElevenLabsWriter.userAudioChunk($0, into: &buffer) }
            }
        case .dtmf(let digit):
            // The protocol has no message for keys; as context the agent can at least act on them.
            if isReady { send(.contextualUpdate("The caller pressed the key \(digit)."), into: &output) }
        case .speechStarted:
            tellOfActivity(at: now, into: &output)
        case .interruption:
            // We cut the turn ourselves: what still comes of it is as stale as if the agent had.
            cut = max(cut, lastAudioId + 1)
        case .callEnded:
            end()
        default:
            break
        }
    }

    /// The caller begins to speak: the agent must not prod before it has heard so itself.
    private mutating func tellOfActivity(at now: MediaTime, into output: inout AgentOutput) {
        guard isReady, lastActivity.map({ now - $0 >= Self.activityInterval }) ?? true else { return }
        lastActivity = now
        send(.userActivity, into: &output)
    }

    mutating func contextAdded(_ text: String, at now: MediaTime, into output: inout AgentOutput) {
        if isReady, !isOver { send(.contextualUpdate(text), into: &output) }
    }

    mutating func toolAnswered(_ result: ToolResult, at now: MediaTime, into output: inout AgentOutput) {
        guard !isOver else { return }
        forget(tool: result.id)
        // Where the agent does not wait for it, an answer does no harm.
        answer(result.id, result.output, isError: result.isError, into: &output)
    }

    // MARK: From the agent

    mutating func received(_ message: ByteBuffer, at now: MediaTime, into output: inout AgentOutput) {
        guard !isOver else { return }
        if !saidGoodbye { timers.patience = now + timing.patience }
        audio.empty(keepingCapacity: 64 * 1024)
        let decoded: ElevenLabsServerMessage
        var alignment: ElevenLabsAlignment?
        do throws(WireError) {
            decoded = try ElevenLabsServerMessage.decode(message, audio: &audio, alignment: &alignment)
        } catch {
            output.emit(.fault("\(error)"))
            return
        }
        switch decoded {
        case .audio(let eventId, let byteCount):
            if let eventId {
                guard eventId >= cut else { return }
                lastAudioId = max(lastAudioId, eventId)
            }
            // Sound before the formats are known could only be noise.
            guard isReady, byteCount > 0 else { return }
            if let alignment {
                output.emit(
                    .spoken(characters: alignment.characters, in: .milliseconds(Int64(alignment.milliseconds))))
            }
            hasSpoken = true
            output.emit(.audio(audio))
        case .ping(let eventId, _):
            output.messages.text { ElevenLabsWriter.pong(eventId: eventId, into: &$0) }
        case .interruption(let eventId):
            // The interruption carries an id of its own. The next reply has been seen to share it: equal ids are kept.
            cut = max(cut, eventId ?? (lastAudioId + 1))
            output.emit(.interruption(cause: "the agent heard the caller"))
        case .conversationInitiationMetadata(let metadata):
            begin(metadata, at: now, into: &output)
        case .agentResponse(let text, _):
            output.emit(.text(TextFrame(text, speaker: .agent)))
        case .agentResponseCorrection(_, let corrected, _):
            output.emit(.text(TextFrame(corrected, speaker: .agent, isCorrection: true)))
        case .userTranscript(let text, _):
            // What it was told in the caller's place comes back as theirs.
            guard text != ElevenLabsHistory.goOn else { return }
            output.emit(.text(TextFrame(text, speaker: .caller)))
        case .tentativeUserTranscript(let text, _):
            output.emit(.text(TextFrame(text, speaker: .caller, isFinal: false)))
        case .agentResponseComplete:
            output.emit(.turnEnded)
        case .clientToolCall(let call):
            run(call, at: now, into: &output)
        case .agentToolResponse(let use), .agentToolResponseFullPayload(let use, _, _):
            if use.name == "end_call", use.isError != true {
                // Its last words may still come; then the line is ours to close, whether or not the agent closes it.
                saidGoodbye = true
                timers.patience = nil
                timers.farewell = now + Self.farewell
            }
        case .error(let fault), .clientError(let fault):
            lastFault = fault
            output.emit(.fault("the agent reports: \(fault.message.prefix(Self.maximumWords))"))
        case .queueStatus(let status):
            if status == "timed_out" { fail(ElevenLabsFailure.queueTimedOut, into: &output) }
        case .agentToolRequest, .agentChatResponsePart, .agentResponseMetadata, .vadScore, .mcpToolCall,
            .mcpConnectionStatus, .contextUsage, .asrInitiationMetadata, .guardrailTriggered,
            .internalTentativeAgentResponse, .internalTurnProbability, .agentTyping, .dtmfRequest, .other:
            break
        }
    }

    mutating func closed(code: UInt16, reason: String, at now: MediaTime, into output: inout AgentOutput) {
        guard !isOver else { return }
        let close = ElevenLabsClose(code: Int(code), reason: reason)
        if isReady, close.meaning == .ended || saidGoodbye {
            end()
            output.emit(.hangup(EndReason(.agentHungUp, close.description)))
            return
        }
        let failure = ElevenLabsFailure.closed(close, after: lastFault, isReady: isReady)
        // The agent may have begun the conversation before it looked at what it was sent.
        guard overridesUnasked, !hasSpoken, failure.code == .agentSettingRefused else {
            fail(failure, into: &output)
            return
        }
        overridesUnasked = false
        initiation.firstMessage = nil
        // It speaks anyhow.
        asksForWords = false
        isReady = false
        lastFault = nil
        timers = Timers()
        pendingTools = [:]
        output.emit(.reconnect(cause: "the agent does not allow its first message to be left out"))
    }

    mutating func deadlineReached(at now: MediaTime, into output: inout AgentOutput) {
        guard !isOver else { return }
        if let due = timers.silence, due <= now { sendSilence(at: now, into: &output) }
        if let due = timers.tools, due <= now { giveUpTools(at: now, into: &output) }
        if let due = timers.farewell, due <= now {
            end()
            output.emit(.hangup(EndReason(.agentHungUp, "the agent ended the call")))
        } else if let due = timers.patience, due <= now {
            fail(ElevenLabsFailure.silent(for: timing.patience), into: &output)
        }
    }

    // MARK: Tools

    private mutating func run(
        _ call: ElevenLabsServerMessage.ToolCall, at now: MediaTime, into output: inout AgentOutput
    ) {
        guard isReady, pendingTools[call.id] == nil else {
            output.emit(
                .fault("a call of the tool \"\(call.name.prefix(100))\" with a used id, or before the beginning"))
            return
        }
        if call.name == ElevenLabsTransfer.tool, transfers {
            transfer(call, into: &output)
            return
        }
        guard pendingTools.count < Self.maximumTools else {
            // Silence would stall the agent for its whole time-out.
            answer(call.id, "Too many tools at once; try again.", isError: true, into: &output)
            output.emit(.fault("a call of the tool \"\(call.name.prefix(100))\" beyond \(Self.maximumTools) at once"))
            return
        }
        if call.expectsResponse {
            let due = now + timing.tool
            pendingTools[call.id] = due
            timers.tools = timers.tools ?? due
        }
        output.emit(.toolCall(PatchbayCore.ToolCall(id: call.id, name: call.name, arguments: call.parameters)))
    }

    private func transfer(_ call: ElevenLabsServerMessage.ToolCall, into output: inout AgentOutput) {
        guard let number = ElevenLabsTransfer.number(in: call.parameters) else {
            let words = "transfer_number has to be a number in international form, such as +442071838750."
            answer(call.id, words, isError: true, into: &output)
            output.emit(.fault("the agent wants a transfer to something that is no number (E.164)"))
            return
        }
        answer(call.id, "The caller is being transferred.", isError: false, into: &output)
        output.emit(.transfer(to: number.description))
    }

    private mutating func giveUpTools(at now: MediaTime, into output: inout AgentOutput) {
        let late = pendingTools.filter { $0.value <= now }.keys.sorted()
        for id in late {
            forget(tool: id)
            answer(
                id, "The tool did not answer in time.", isError: true, errorType: "client_timeout", into: &output)
        }
        if !late.isEmpty { output.emit(.toolCallsCancelled(ids: late)) }
        timers.tools = pendingTools.values.min()
    }

    private mutating func forget(tool id: String) {
        if pendingTools.removeValue(forKey: id) != nil { timers.tools = pendingTools.values.min() }
    }

    private func answer(
        _ id: String, _ text: String, isError: Bool, errorType: String? = nil, into output: inout AgentOutput
    ) {
        send(
            .clientToolResult(.init(toolCallId: id, result: text, isError: isError, errorType: errorType)),
            into: &output)
    }

    // MARK: Inside

    private static let place = "agent elevenlabs"
    /// How much of a vendor's words an error repeats.
    static let maximumWords = 300

    private func send(_ message: ElevenLabsClientMessage, into output: inout AgentOutput) {
        output.messages.text { message.write(into: &$0) }
    }

    private mutating func begin(
        _ metadata: ElevenLabsServerMessage.ConversationMetadata, at now: MediaTime, into output: inout AgentOutput
    ) {
        guard !isReady else { return }
        let input: AudioFormat, format: AudioFormat
        do throws(WireError) {
            input = try AudioFormat(ElevenLabsAudioFormat(metadata.userInputFormat))
            format = try AudioFormat(ElevenLabsAudioFormat(metadata.agentOutputFormat))
        } catch {
            fail(
                PipelineError(
                    .unsupportedFormat, "the agent announced a format we do not know", place: Self.place, cause: error),
                into: &output)
            return
        }
        isReady = true
        silence = ByteBuffer(
            repeating: input.encoding.silenceByte,
            count: input.byteCount(milliseconds: Int(Self.silenceInterval.milliseconds)))
        timers.silence = now + Self.muted
        if let history { send(.contextualUpdate(history, contextId: "conversation_so_far"), into: &output) }
        output.emit(.conversationStarted(id: metadata.conversationId))
        output.emit(.ready(input: input, output: format))
        if asksForWords { send(.userMessage(ElevenLabsHistory.goOn), into: &output) }
    }

    private mutating func sendSilence(at now: MediaTime, into output: inout AgentOutput) {
        timers.silence = now + Self.silenceInterval
        output.messages.text { buffer in
            silence.withUnsafeReadableBytes { ElevenLabsWriter.userAudioChunk($0, into: &buffer) }
        }
    }

    private mutating func fail(_ error: PipelineError, into output: inout AgentOutput) {
        end()
        output.emit(.failed(error))
    }

    private mutating func end() {
        isOver = true
        timers = Timers()
        pendingTools = [:]
    }
}

extension AudioFormat {
    init(_ format: ElevenLabsAudioFormat) {
        self.init(format.codec == .ulaw ? .mulaw : .pcm16, sampleRate: format.sampleRate)
    }
}
