import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire

/// Gemini Live's protocol as a value (ai.google.dev/api/live).
///
/// There is no message for how much of a turn was heard: the server goes by the time that it takes to play what it
/// sent. When the call cuts a turn by itself, the rest of that turn is dropped here until the server says that it is
/// over, and models that take `clientContent` in mid-conversation, which also stops them, are told the words that were
/// heard. Later models would answer such words, so they are left to hear the caller.
struct GeminiConversation: AgentConversation {
    enum Phase {
        /// The socket is not open yet.
        case connecting
        /// The setup has been sent, and is not accepted yet.
        case settingUp
        case ready
        /// Another socket is being opened for the same conversation.
        case reconnecting
        case over
    }

    /// The model's turn, as the server sees it.
    enum Turn {
        case none
        case generating
        /// All of it has been sent; the server believes that it is still being played.
        case generated
        /// Cut by the server.
        case interrupted
    }

    static let place = "agent gemini-live"
    static let inputFormat = AudioFormat.pcm(16_000)
    /// The rates at which sound of the model can be taken, in Hz. All models so far give the first.
    static let outputRates = [24_000, 16_000, 48_000, 8_000]
    /// Silence of the caller's line after which the server is told that it pauses
    /// (ai.google.dev/gemini-api/docs/live-guide#voice-activity-detection-vad).
    static let streamPause = TimeSpan.seconds(1)
    /// Silence after a fragment of the caller's words after which they count as complete; the server marks no end.
    static let transcriptPause = TimeSpan.milliseconds(500)
    /// Bytes after which words that have no end are taken to be complete.
    static let wordsLimit = 2_000

    let options: GeminiOptions
    let tools: [ToolDefinition]
    let history: [ConversationTurn]
    /// What agents before this one did by tools, in words.
    private let toolNote: String?

    var phase = Phase.connecting
    var turn = Turn.none
    /// The call has cut the turn: what still comes of it is not heard.
    var isCut = false
    /// Whether sound has come since the last interruption.
    var hasSpoken = false
    var outputRate = Self.outputRates[0]
    var isCallerSpeaking = false
    var pendingCalls: Set<String> = []
    /// Calls that were made over an earlier socket. The server does not know them any more.
    private let owesWords: Bool
    var orphanedCalls: Set<String> = []
    var notes = GeminiNotes()
    var resumption = GeminiResumption()
    var ear: GeminiCallerSound
    var unnamedCalls = 0
    /// What the model has said of its turn; the server sends fragments, cut anywhere.
    var agentWords = ""
    /// What the caller is saying.
    var callerWords = ""
    /// What the caller has said that the model has not begun to answer.
    var unanswered = ""
    /// What the last message brought.
    var audio = ByteBuffer()

    // When what is due.
    var textDue: MediaTime?
    var answerDue: MediaTime?

    /// - Parameter owesWords: Whether the caller waits for the model to go on where the history ends.
    init(
        _ options: GeminiOptions, tools: [ToolDefinition] = [], history: [ConversationTurn] = [],
        toolNote: String? = nil, owesWords: Bool = false
    ) {
        self.owesWords = owesWords
        self.options = options
        self.tools = tools
        self.history = history
        self.toolNote = toolNote
        ear = GeminiCallerSound(turnDetection: options.setup.turnDetection, preRoll: options.preRoll)
    }

    // MARK: The beginning

    mutating func opened(at now: MediaTime, into output: inout AgentOutput) {
        guard phase == .connecting || phase == .reconnecting else { return }
        let isFirst = phase == .connecting
        // The former socket may have gone on speaking until now.
        if !isFirst { forgetTurn(into: &output) }
        var setup = options.setup
        setup.tools = tools.map { GeminiTool($0.name, description: $0.description, parameters: $0.parameters) }
        setup.resumptionHandle = isFirst ? nil : resumption.handle
        setup.hasInitialHistory = isFirst && options.announcesHistory && !history.isEmpty
        phase = .settingUp
        send(.setup(setup), into: &output)
    }

    mutating func setupCompleted(
        _ setup: GeminiServerMessage.SetupComplete, at now: MediaTime, into output: inout AgentOutput
    ) {
        guard phase == .settingUp else { return }
        phase = .ready
        let isFirst = resumption.readySince == nil
        resumption.began(at: now)
        if isFirst, let id = setup.sessionId, !id.isEmpty { output.emit(.conversationStarted(id: id)) }
        output.emit(.ready(input: Self.inputFormat, output: .pcm(outputRate)))
        if isFirst { begin(at: now, into: &output) }
        ear.resume(at: now, into: &output.messages)
        sendNotes(at: now, into: &output)
    }

    /// Lets the model begin: with its first words, or where another agent left off if somebody waits on the line.
    private mutating func begin(at now: MediaTime, into output: inout AgentOutput) {
        guard history.isEmpty else {
            var turns = history.map { GeminiClientMessage.Turn($0.speaker == .caller ? .user : .model, $0.text) }
            // Before the last words, which the model may be asked to answer.
            if let toolNote { turns.insert(.init(.user, "(\(toolNote))"), at: turns.count - 1) }
            // The model speaks when the user's turn is complete; where the history is announced as such, at the first input.
            if owesWords, !options.announcesHistory, history.last?.speaker == .agent {
                turns.append(.init(.user, Self.takeOver))
            }
            send(.content(turns, isComplete: owesWords || options.announcesHistory), into: &output)
            guard owesWords else { return }
            if options.announcesHistory { send(.text(Self.takeOver), into: &output) }
            answerIsDue(at: now)
            return
        }
        guard let words = options.firstMessage, !words.isEmpty else { return }
        ask(Self.greeting(words), at: now, into: &output)
    }

    private static let takeOver = "(The line was interrupted for a moment. Go on where it stopped, without a greeting.)"

    private static func greeting(_ words: String) -> String {
        "(The call begins. Say exactly the following, in these words and nothing else, then listen.)\n\(words)"
    }

    // MARK: From the caller

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput) {
        guard phase != .over else { return }
        switch frame {
        case .audio(let frame):
            if ear.hear(frame.payload, isReady: phase == .ready, at: now, into: &output.messages) {
                output.emit(.fault("the caller's sound is dropped: the agent is away for too long"))
            }
        case .dtmf(let key): contextAdded("The caller pressed the key \(key).", at: now, into: &output)
        case .speechStarted, .userTurnStarted:
            isCallerSpeaking = true
            ear.speechStarted(isReady: phase == .ready, into: &output.messages)
        case .speechStopped: callerStopped(isTurn: false, at: now, into: &output)
        case .userTurnEnded(let end) where end.cause == .silence: callerStopped(isTurn: true, at: now, into: &output)
        case .interruption(let interruption): cut(interruption, into: &output)
        default: break
        }
    }

    /// The caller is silent. Only the end of a turn, not of a noise, is sure to deserve an answer.
    private mutating func callerStopped(isTurn: Bool, at now: MediaTime, into output: inout AgentOutput) {
        isCallerSpeaking = false
        let wasOpen = ear.speechStopped(isReady: phase == .ready, into: &output.messages)
        if isTurn || wasOpen, phase == .ready, turn != .generating { answerIsDue(at: now) }
    }

    private mutating func cut(_ interruption: Interruption, into output: inout AgentOutput) {
        hasSpoken = false
        guard turn == .generating || turn == .generated, !isCut else { return }
        isCut = true
        agentWords = ""
        guard options.takesContent, phase == .ready, let heard = interruption.heard else { return }
        let words = heard.text.isEmpty ? "nothing of it" : "only: \(heard.text.prefix(GeminiNotes.noteLimit))"
        send(
            .content([.init(.user, "(You were interrupted. Of your last words I heard \(words))")], isComplete: false),
            into: &output)
    }

    mutating func contextAdded(_ text: String, at now: MediaTime, into output: inout AgentOutput) {
        note(text, wantsAnswer: false, at: now, into: &output)
    }

    mutating func toolAnswered(_ result: ToolResult, at now: MediaTime, into output: inout AgentOutput) {
        guard phase != .over else { return }
        if orphanedCalls.remove(result.id) != nil {
            let manner = result.isError ? "failed" : "answered"
            note("(The function \(result.name) \(manner): \(result.output))", wantsAnswer: true, at: now, into: &output)
            return
        }
        guard pendingCalls.remove(result.id) != nil, phase == .ready else { return }
        let response = GeminiClientMessage.FunctionResponse(
            id: result.id.hasPrefix(Self.unnamed) ? nil : result.id, name: result.name, output: result.output,
            isError: result.isError)
        send(.toolResponses([response]), into: &output)
        // The model goes on by itself.
        if pendingCalls.isEmpty { answerIsDue(at: now) }
    }

    // MARK: From the model

    mutating func received(_ message: ByteBuffer, at now: MediaTime, into output: inout AgentOutput) {
        guard phase != .over else { return }
        audio.empty(keepingCapacity: 64 * 1024)
        let decoded: GeminiServerMessage
        do {
            decoded = try GeminiServerMessage.decode(message, audio: &audio)
        } catch {
            output.emit(.fault("\(error)"))
            return
        }
        if let setup = decoded.setupComplete { setupCompleted(setup, at: now, into: &output) }
        if let content = decoded.content { received(content, at: now, into: &output) }
        for call in decoded.functionCalls { called(call, into: &output) }
        if !decoded.cancelledCalls.isEmpty { cancelled(decoded.cancelledCalls, into: &output) }
        if let update = decoded.resumption { resumption.updated(update) }
        if let goAway = decoded.goAway {
            resumption.goAway(goAway, at: now)
            ear.awaitQuiet()
        }
        reconnectIfQuiet(at: now, into: &output)
    }

    // MARK: Time

    var deadline: MediaTime? {
        guard phase != .over else { return nil }
        let leave = phase == .ready ? resumption.deadline : nil
        return Self.earlier(Self.earlier(textDue, answerDue), Self.earlier(ear.pauseDue, leave))
    }

    private static func earlier(_ one: MediaTime?, _ other: MediaTime?) -> MediaTime? {
        guard let one, let other else { return one ?? other }
        return min(one, other)
    }

    mutating func deadlineReached(at now: MediaTime, into output: inout AgentOutput) {
        guard phase != .over else { return }
        if let due = textDue, due <= now {
            textDue = nil
            endCallerText(into: &output)
            if turn == .none { endAgentText(into: &output) }
        }
        ear.deadlineReached(at: now, isReady: phase == .ready, into: &output.messages)
        if let due = answerDue, due <= now, isCallerSpeaking {
            // Nobody answers while the caller goes on.
            answerIsDue(at: now)
        } else if let due = answerDue, due <= now {
            answerDue = nil
            fail(
                .agentTimeout, "no answer for \(options.patience.milliseconds / 1000) s", isRetryable: true,
                into: &output)
            return
        }
        reconnectIfQuiet(at: now, into: &output)
        resumption.looked(at: now)
    }

    /// Whether neither side is saying anything, nor has to.
    func isQuiet(at now: MediaTime) -> Bool {
        turn == .none && answerDue == nil && pendingCalls.isEmpty && callerWords.isEmpty && !isCallerSpeaking
            && ear.isQuiet(at: now)
    }

    mutating func answerIsDue(at now: MediaTime) { answerDue = now + options.patience }

    /// Leaves everything that belongs to the socket behind.
    mutating func forgetTurn(into output: inout AgentOutput) {
        endCallerText(into: &output)
        if turn == .generating, !isCut {
            endAgentText(into: &output)
            output.emit(.turnEnded)
        }
        agentWords = ""
        turn = .none
        isCut = false
        answerDue = nil
        orphanedCalls.formUnion(pendingCalls)
        pendingCalls = []
    }

    mutating func fail(
        _ code: PipelineError.Code, _ message: String, isRetryable: Bool, into output: inout AgentOutput
    ) {
        phase = .over
        let words = Self.remedy(code).map { "\(message); \($0)" } ?? message
        output.emit(.failed(PipelineError(code, words, place: Self.place, isRetryable: isRetryable)))
    }

    /// What an operator can do about a failure.
    static func remedy(_ code: PipelineError.Code) -> String? {
        switch code {
        case .agentUnauthorized: "check apiKey and its restrictions, or accessToken, which is valid for an hour or so"
        case .agentUnknown: "check model: it has to hold live conversations"
        case .agentQuota: "check the project's quota and billing"
        case .agentSettingRefused: "check model and settings: not every model takes all of them"
        case .agentUnreachable: "check the network, and baseUrl if it is set"
        default: nil
        }
    }

    func send(_ message: GeminiClientMessage, into output: inout AgentOutput) {
        output.messages.text { message.write(into: &$0) }
    }
}
