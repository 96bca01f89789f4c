public import NIOCore
import PatchbayAudio
public import PatchbayCore
public import PatchbayWire

/// The agent's side of one conversation over the open agent protocol.
public struct AgentSocketConversationSimulator: SimulatedConversation {
    /// What came and went in one conversation.
    public struct Statistics: SimulatedConversationStatistics {
        static let maximumKept = 1000

        public var messagesReceived = 0
        public var bytesReceived = 0
        public var close: SimulatedClose?
        public var start: AgentSocketStart?
        /// Bytes of the caller's sound, in the agent's input format.
        public var callerAudioBytes = 0
        public var agentAudioBytes = 0
        public var agentTurns = 0
        public var callerTurns = 0
        public var interruptions = 0
        /// All messages but sound and pings; the first thousand.
        public var messages: [AgentSocketClientMessage] = []
        /// Messages that could not be read.
        public var wrongMessages = 0
    }

    private static let lateAnswer = TimeSpan.seconds(4)

    enum Timer: Int, CaseIterable { case chunk, thinking, tools }

    /// What is being said.
    struct Speech {
        var rest: ByteBuffer
        var isFarewell: Bool
    }

    public private(set) var statistics = Statistics()
    let agent: AgentSocketSimulatedAgent
    /// The script's lines in the agent's language.
    let utterances: [String: SimulatedUtterance]
    var timers = SimulatorTimers<Timer>()
    var speech: Speech?
    var openTools: [String: String] = [:]
    var toolResults: [String] = []
    var hasToolFailed = false
    var nextReply = 0
    var callerTurns = 0
    private var ear: SimulatorEar
    /// Whether the pipeline says nothing of where the caller's speech begins and ends.
    private var hearsForItself = true
    private var hasStarted = false
    private var isOver = false
    private var audio = ByteBuffer()
    private var speechRequests = 0
    private var isFarewellRequested = false
    /// When everything sent so far will have been heard.
    private var playoutEnd = MediaTime.zero

    public init(_ agent: AgentSocketSimulatedAgent, utterances: [String: SimulatedUtterance] = [:]) {
        self.agent = agent
        self.utterances = utterances
        ear = SimulatorEar(
            format: agent.inputFormat.audioFormat, endOfTurnSilence: agent.timing.endOfTurnSilence)
    }

    public var deadline: MediaTime? { isOver ? nil : timers.next?.due }

    public mutating func open(at now: MediaTime, into output: inout SimulatorOutput) {
        if has(.soundBeforeReady) { sendSound(ByteBuffer(repeating: 0, count: 3200), at: now, into: &output) }
    }

    public mutating func receive(binary message: ByteBuffer, at now: MediaTime, into output: inout SimulatorOutput) {
        if !isOver { hear(message, at: now, into: &output) }
    }

    public mutating func receive(_ message: ByteBuffer, at now: MediaTime, into output: inout SimulatorOutput) {
        guard !isOver else { return }
        audio.clear()
        let decoded: AgentSocketClientMessage
        do throws(WireError) {
            decoded = try .decode(message, audio: &audio)
        } catch {
            statistics.wrongMessages += 1
            return
        }
        note(decoded)
        switch decoded {
        case .start(let start): begin(start, at: now, into: &output)
        case .audio: hear(audio, at: now, into: &output)
        case .speechStarted, .turnStarted:
            hearsForItself = false
            timers[.thinking] = nil
        case .speechStopped:
            hearsForItself = false
            // Where no stage judges turns, a pause is one.
            wait(until: now + .milliseconds(Int64(agent.timing.endOfTurnSilence)) + thinking)
        case .turnEnded:
            hearsForItself = false
            wait(until: now + thinking)
        case .interruption: interrupted(at: now, into: &output)
        case .toolResult(let id, _, let text, let isError):
            toolAnswered(id, text, isError: isError, at: now, into: &output)
        case .dtmf("#"): say(agent.script.goodbye ?? "Goodbye.", isFarewell: true, at: now, into: &output)
        case .ping(let id): if !has(.noPong) { send(.pong(id: id), into: &output) }
        case .end: if has(.closesBadly) { close(1011, "unexpected end", into: &output) }
        case .other: if has(.closesOnUnknown) { close(1002, "unknown message", into: &output) }
        case .callStarted, .text, .heard, .dtmf, .context, .pong: break
        }
    }

    public mutating func speechReady(
        _ request: SpeechRequest, _ audio: Result<ByteBuffer, PipelineError>, at now: MediaTime,
        into output: inout SimulatorOutput
    ) {
        guard !isOver, request.id == speechRequests else { return }
        switch audio {
        case .success(let sound):
            speak(
                SimulatedUtterance(text: request.text, audio: sound), isFarewell: isFarewellRequested, at: now,
                into: &output)
        case .failure(let error):
            send(.error(.init(code: "failed", message: error.message)), into: &output)
        }
    }

    public mutating func deadlineReached(at now: MediaTime, into output: inout SimulatorOutput) {
        while !isOver, let (timer, due) = timers.next, due <= now {
            timers[timer] = nil
            switch timer {
            case .chunk: sendChunk(at: due, into: &output)
            case .thinking: takeTurn(at: due, into: &output)
            case .tools: toolsTimedOut(at: due, into: &output)
            }
        }
    }

    public mutating func closed(code: UInt16, reason: String) {
        guard !isOver else { return }
        isOver = true
        statistics.close = SimulatedClose(code: code, reason: reason)
    }

    // MARK: The beginning and the end

    private mutating func begin(_ start: AgentSocketStart, at now: MediaTime, into output: inout SimulatorOutput) {
        guard !hasStarted else { return }
        hasStarted = true
        statistics.start = start
        guard !has(.neverReady) else { return }
        guard start.audio.inputs.contains(agent.inputFormat), start.audio.outputs.contains(agent.outputFormat) else {
            let message = "\(agent.inputFormat) and \(agent.outputFormat) are needed, and were not offered"
            send(.error(.init(code: "settingRefused", message: message)), into: &output)
            close(1000, "", into: &output)
            return
        }
        var choice = AgentSocketAudioChoice(form: agent.form, input: agent.inputFormat, output: agent.outputFormat)
        if has(.formatNotOffered) { choice.output = .init(.alaw, sampleRate: 48000) }
        send(.ready(choice, conversation: start.resume ?? "conversation-\(start.call.id)"), into: &output)
        if has(.readyTwice) { send(.ready(choice, conversation: nil), into: &output) }
        let greeting = agent.script.greeting
        if !greeting.isEmpty, start.history.isEmpty, start.resume == nil { say(greeting, at: now, into: &output) }
        if start.isAnswerAwaited, let reply = agent.script.replies.first { say(reply, at: now, into: &output) }
    }

    mutating func close(_ code: UInt16, _ reason: String, into output: inout SimulatorOutput) {
        closed(code: code, reason: reason)
        output.close = SimulatedClose(code: code, reason: reason)
    }

    // MARK: Hearing

    private mutating func hear(_ sound: ByteBuffer, at now: MediaTime, into output: inout SimulatorOutput) {
        statistics.callerAudioBytes += sound.readableBytes
        guard hearsForItself else { return }
        for edge in ear.hear(sound) {
            switch edge {
            case .speechStarted:
                timers[.thinking] = nil
                guard speech != nil || now < playoutEnd else { continue }
                stopSpeaking(at: now)
                send(.interruption(cause: "heard the caller"), into: &output)
            case .speechStopped: wait(until: now + thinking)
            }
        }
    }

    private mutating func wait(until time: MediaTime) {
        guard speech?.isFarewell != true, openTools.isEmpty else { return }
        timers[.thinking] = min(timers[.thinking] ?? time, time)
    }

    private mutating func interrupted(at now: MediaTime, into output: inout SimulatorOutput) {
        guard !has(.ignoresInterruptions) else { return }
        stopSpeaking(at: now)
        if !has(.noTurnEnd) { send(.turnEnded, into: &output) }
    }

    private mutating func stopSpeaking(at now: MediaTime) {
        statistics.interruptions += 1
        timers[.chunk] = nil
        speech = nil
        playoutEnd = now
    }

    // MARK: Speaking

    /// - Parameter isLine: Whether the text stands in the script, which may name files; others never do.
    mutating func say(
        _ text: String, isLine: Bool = true, isFarewell: Bool = false, at now: MediaTime,
        into output: inout SimulatorOutput
    ) {
        if isLine, let utterance = utterances[text] {
            speak(utterance, isFarewell: isFarewell, at: now, into: &output)
            return
        }
        speechRequests += 1
        isFarewellRequested = isFarewell
        output.speech = SpeechRequest(
            id: speechRequests, text: text, language: agent.language, format: agent.outputFormat.audioFormat)
    }

    private mutating func speak(
        _ utterance: SimulatedUtterance, isFarewell: Bool, at now: MediaTime, into output: inout SimulatorOutput
    ) {
        statistics.agentTurns += 1
        if has(.brokenJSON) { output.messages.text { $0.writeString(#"{"type":"text","text":"half"#) } }
        if has(.noType) { output.messages.text { $0.writeString(#"{"text":"whose?"}"#) } }
        if !utterance.text.isEmpty { send(.text(.init(utterance.text, speaker: .agent)), into: &output) }
        var sound = utterance.audio
        if has(.silentSound) {
            let silence = agent.outputFormat.audioFormat.encoding.silenceByte
            sound = ByteBuffer(repeating: silence, count: sound.readableBytes)
        }
        if has(.tooMuchSound) { sound = ByteBuffer(repeating: 1, count: AgentSocketLimits.messageBytes + 2) }
        speech = Speech(rest: sound, isFarewell: isFarewell)
        sendChunk(at: now, into: &output)
    }

    private mutating func sendChunk(at now: MediaTime, into output: inout SimulatorOutput) {
        guard var speech else { return }
        let format = agent.outputFormat
        let wanted = format.bytesPerSecond * Int(agent.timing.chunk.milliseconds) / 1000
        let whole = max(1, wanted / format.bytesPerSample) * format.bytesPerSample
        let size = has(.tooMuchSound) ? speech.rest.readableBytes : has(.oddBytes) ? whole + 1 : whole
        if let piece = speech.rest.readSlice(length: min(size, speech.rest.readableBytes)) {
            sendSound(piece, at: now, into: &output)
        }
        self.speech = speech
        guard speech.rest.readableBytes == 0 else {
            timers[.chunk] = now + (has(.stutters) ? .milliseconds(250) : agent.timing.pace)
            return
        }
        self.speech = nil
        if !has(.noTurnEnd) { send(.turnEnded, into: &output) }
        if speech.isFarewell { send(.hangUp(reason: "the script is over"), into: &output) }
    }

    private mutating func sendSound(_ sound: ByteBuffer, at now: MediaTime, into output: inout SimulatorOutput) {
        statistics.agentAudioBytes += sound.readableBytes
        let duration = agent.outputFormat.audioFormat.nanoseconds(byteCount: sound.readableBytes)
        playoutEnd = max(playoutEnd, now) + TimeSpan(nanoseconds: duration)
        switch agent.form {
        case .binary: output.messages.binary { $0.writeImmutableBuffer(sound) }
        case .base64:
            output.messages.text { buffer in
                sound.withUnsafeReadableBytes { AgentSocketAudio.write($0, into: &buffer) }
            }
        }
    }

    // MARK: Parts

    private var thinking: TimeSpan { has(.answersLate) ? Self.lateAnswer : agent.timing.thinking }

    func has(_ mistake: AgentSocketMistake) -> Bool { agent.mistakes.contains(mistake) }

    func send(_ message: AgentSocketServerMessage, into output: inout SimulatorOutput) {
        output.messages.text { message.write(into: &$0) }
    }

    mutating func countCallerTurn() { statistics.callerTurns += 1 }

    private mutating func note(_ message: AgentSocketClientMessage) {
        switch message {
        case .audio, .ping, .pong: break
        default: if statistics.messages.count < Statistics.maximumKept { statistics.messages.append(message) }
        }
    }
}
