public import NIOCore
public import PatchbayCore
import PatchbayWire

/// The agent's side of one conversation: what ElevenLabs' server would say, and when.
///
/// The rules are those of ElevenLabs' Agents WebSocket reference
/// (elevenlabs.io/docs/agents-platform/api-reference/agents-platform/websocket).
public struct ElevenLabsConversationSimulator: SimulatedConversation {
    public typealias Output = SimulatorOutput

    enum Phase: Equatable {
        case awaitingMetadata
        case awaitingInitiation
        /// The agent wants to say something whose sound is being made.
        case preparing(request: Int, isFarewell: Bool)
        /// Audio is being sent. What was sent may play long after.
        case speaking
        case listening
        case thinking
        case awaitingTools
        case ended
    }

    enum Timer: Int, CaseIterable {
        case queue, initiation, chunk, thinking, tools, audioGap, ping, input, duration, quota
    }

    public let conversationId: String
    public private(set) var statistics: Statistics

    let agent: ElevenLabsSimulatedAgent
    /// The script's lines in the agent's language.
    let utterances: [String: SimulatedUtterance]
    var phase = Phase.awaitingMetadata
    var timers = SimulatorTimers<Timer>()
    var language: String
    var isTextOnly = false
    var ear: SimulatorEar
    var speech: Speech?
    /// When everything sent so far will have been heard, if the client plays at once.
    var playoutEnd = MediaTime.zero
    var userTurns = 0
    var nextReply = 0
    var toolCalls = 0
    /// Names of the tools whose results are awaited, by call id.
    var outstandingTools: [String: String] = [:]
    var toolResults: [String] = []
    var hasToolFailed = false
    /// The event id of what the caller is saying.
    var utteranceEventId: Int?
    /// An interruption's id that the next reply will share.
    var sharedEventId: Int?
    /// Whether the faults that befall the first audio are still to come.
    var isFirstAudio = true

    private var lastEventId = 0
    private var lastSpeechRequest = 0
    private var lastPing = (id: 0, sent: MediaTime.zero)
    private var roundTrip: Int?
    private var firstInitiation: ElevenLabsInitiation?
    private var hasFirstMessage = false
    private var userAudio = ByteBuffer()
    private let keptAudioBytes: Int

    /// - Parameters:
    ///   - agentId: As the client asked for it.
    ///   - utterances: Sound for the lines of the script, by line. Other texts are asked for in the output.
    ///   - keptAudioBytes: How much of the caller's audio ``Statistics/userAudio`` keeps.
    public init(
        _ agent: ElevenLabsSimulatedAgent, agentId: String, conversationId: String,
        utterances: [String: SimulatedUtterance] = [:], keptAudioBytes: Int = 0
    ) {
        self.agent = agent
        self.conversationId = conversationId
        self.utterances = utterances
        self.keptAudioBytes = keptAudioBytes
        language = agent.language
        ear = SimulatorEar(
            format: agent.inputFormat.audioFormat, endOfTurnSilence: Int(agent.timing.endOfTurnSilence.milliseconds))
        statistics = Statistics(agentId: agentId, conversationId: conversationId)
    }

    public var deadline: MediaTime? { timers.next?.due }

    // MARK: What happens

    public mutating func open(at now: MediaTime, into output: inout Output) {
        timers[.duration] = now + agent.timing.maximumDuration
        timers[.input] = now + agent.timing.inputTimeout
        switch agent.faults.queue {
        case .admits(let wait), .timesOut(let wait):
            timers[.queue] = now + wait
            send(.queueStatus("waiting"), into: &output)
        case nil: sendMetadata(at: now, into: &output)
        }
    }

    public mutating func receive(_ message: ByteBuffer, at now: MediaTime, into output: inout Output) {
        guard phase != .ended else { return }
        userAudio.clear()
        let decoded: ElevenLabsClientMessage
        do throws(WireError) {
            decoded = try .decode(message, audio: &userAudio)
        } catch {
            fail(1008, "invalid_message", error.message, into: &output)
            return
        }
        count(decoded)
        if case .pong(let id) = decoded {
            if id == lastPing.id { roundTrip = Int((now - lastPing.sent).milliseconds) }
            return
        }
        timers[.input] = now + agent.timing.inputTimeout
        if !hasFirstMessage {
            hasFirstMessage = true
            if case .initiation(let initiation) = decoded { firstInitiation = initiation }
            if phase == .awaitingInitiation { begin(at: now, into: &output) }
        }
        switch decoded {
        case .userAudioChunk: hear(userAudio, at: now, into: &output)
        case .userMessage(let text?), .multimodalMessage(let text?, _): userWrote(text, at: now, into: &output)
        case .clientToolResult(let result): toolAnswered(result, at: now, into: &output)
        // The rest is counted, and answered by nothing; an initiation that comes late included.
        default: break
        }
    }

    public mutating func speechReady(
        _ request: SpeechRequest, _ audio: Result<ByteBuffer, PipelineError>, at now: MediaTime,
        into output: inout Output
    ) {
        guard case .preparing(request.id, let isFarewell) = phase else { return }
        switch audio {
        case .success(let audio):
            speak(SimulatedUtterance(text: request.text, audio: audio), isFarewell: isFarewell, at: now, into: &output)
        case .failure(let error):
            fail(1008, "value_error", "\"\(request.language)\" cannot be spoken: \(error.message)", into: &output)
        }
    }

    public mutating func deadlineReached(at now: MediaTime, into output: inout Output) {
        while let (timer, due) = timers.next, due <= now {
            timers[timer] = nil
            fire(timer, at: due, into: &output)
        }
    }

    public mutating func closed(code: UInt16, reason: String) {
        guard phase != .ended else { return }
        phase = .ended
        timers.clear()
        statistics.close = SimulatedClose(code: code, reason: reason)
    }

    private mutating func fire(_ timer: Timer, at now: MediaTime, into output: inout Output) {
        switch timer {
        case .queue: leaveQueue(at: now, into: &output)
        case .initiation: begin(at: now, into: &output)
        case .chunk: sendChunk(at: now, into: &output)
        case .thinking: takeTurn(at: now, into: &output)
        case .tools: toolsTimedOut(at: now, into: &output)
        case .audioGap: audioStopped(at: now, into: &output)
        case .ping: ping(at: now, into: &output)
        case .quota: exceedQuota(into: &output)
        case .input:
            let seconds = agent.timing.inputTimeout.seconds
            fail(1002, "transport_receive_timeout", "nothing was received for \(seconds) s", into: &output)
        case .duration:
            let seconds = agent.timing.maximumDuration.seconds
            fail(1000, "max_duration_exceeded", "the conversation lasted \(seconds) s", into: &output)
        }
    }

    // MARK: The beginning

    private mutating func leaveQueue(at now: MediaTime, into output: inout Output) {
        guard case .admits = agent.faults.queue else {
            send(.queueStatus("timed_out"), into: &output)
            end(code: 3008, reason: "too many concurrent connections", into: &output)
            return
        }
        send(.queueStatus("admitted"), into: &output)
        sendMetadata(at: now, into: &output)
    }

    /// As it has been seen of the vendor's server: an error without `error_event`, then 1002.
    private mutating func exceedQuota(into output: inout Output) {
        let reason = "This request exceeds your quota limit."
        output.messages.text {
            $0.writeString(#"{"type":"error","message":"received 1002 (protocol error) \#(reason)"}"#)
        }
        end(code: 1002, reason: reason, into: &output)
    }

    private mutating func sendMetadata(at now: MediaTime, into output: inout Output) {
        phase = .awaitingInitiation
        send(
            .conversationInitiationMetadata(
                .init(
                    conversationId: conversationId, agentOutputFormat: agent.outputFormat.description,
                    userInputFormat: agent.inputFormat.description)),
            into: &output)
        ping(at: now, into: &output)
        if agent.faults.exceedsQuota { timers[.quota] = now + .milliseconds(500) }
        if hasFirstMessage {
            begin(at: now, into: &output)
        } else {
            timers[.initiation] = now + agent.timing.initiationTimeout
        }
    }

    private mutating func ping(at now: MediaTime, into output: inout Output) {
        guard agent.clientEvents.contains(.ping) else { return }
        lastPing = (lastPing.id + 1, now)
        timers[.ping] = now + max(.milliseconds(1), agent.timing.pingInterval)
        send(.ping(eventId: lastPing.id, pingMs: roundTrip), into: &output)
    }

    /// The client has introduced itself, or did not care to.
    private mutating func begin(at now: MediaTime, into output: inout Output) {
        timers[.initiation] = nil
        let initiation = firstInitiation ?? ElevenLabsInitiation()
        if let forbidden = initiation.overridePaths.first(where: { !agent.allowedOverrides.contains($0) }) {
            let message = "Override of \"\(forbidden)\" is not allowed by the agent's settings."
            fail(1008, "override_error", message, into: &output)
            return
        }
        let missing = agent.requiredVariables.filter { initiation.dynamicVariables[$0] == nil }
        guard missing.isEmpty else {
            let names = missing.joined(separator: ", ")
            fail(1008, "missing_dynamic_variable", "Missing required dynamic variables: \(names)", into: &output)
            return
        }
        language = initiation.language ?? language
        isTextOnly = initiation.textOnly ?? false
        phase = .listening
        let written = initiation.firstMessage ?? agent.script.greeting
        let greeting = filled(written, initiation.dynamicVariables)
        let isLine = initiation.firstMessage == nil && greeting == written
        if !greeting.isEmpty { say(greeting, isLine: isLine, at: now, into: &output) }
    }

    // MARK: What goes out

    /// One counter for the whole conversation; it never decreases.
    mutating func nextEventId() -> Int {
        if let sharedEventId { return sharedEventId }
        lastEventId += 1
        return lastEventId
    }

    mutating func nextSpeechRequest() -> Int {
        lastSpeechRequest += 1
        return lastSpeechRequest
    }

    func send(_ message: ElevenLabsServerMessage, into output: inout Output) {
        output.messages.text { message.write(into: &$0) }
    }

    func send(
        _ message: ElevenLabsServerMessage, as event: ElevenLabsSimulatedAgent.ClientEvent, into output: inout Output
    ) {
        if agent.clientEvents.contains(event) { send(message, into: &output) }
    }

    mutating func fail(_ code: UInt16, _ type: String, _ message: String, into output: inout Output) {
        send(.error(.init(code: Int(code), type: type, message: message, reason: message)), into: &output)
        end(code: code, reason: message, into: &output)
    }

    mutating func end(code: UInt16, reason: String, into output: inout Output) {
        let close = SimulatedClose(code: code, reason: reason)
        phase = .ended
        timers.clear()
        statistics.close = close
        output.close = close
    }

    private mutating func count(_ message: ElevenLabsClientMessage) {
        switch message {
        case .userAudioChunk(let byteCount):
            statistics.audioChunks += 1
            statistics.userAudioBytes += byteCount
            let room = keptAudioBytes - statistics.userAudio.readableBytes
            if room > 0, let kept = userAudio.getSlice(at: userAudio.readerIndex, length: min(room, byteCount)) {
                statistics.userAudio.writeImmutableBuffer(kept)
            }
        case .pong: statistics.pongs += 1
        case .initiation(let initiation): statistics.initiation = statistics.initiation ?? initiation
        default:
            guard statistics.otherMessages.count < Statistics.maximumOtherMessages else { return }
            statistics.otherMessages.append(message)
        }
    }

    mutating func countAgentTurn() { statistics.agentTurns += 1 }
    mutating func countUserTurn() { statistics.userTurns += 1 }
    mutating func countInterruption() { statistics.interruptions += 1 }
    mutating func countAudio(_ byteCount: Int) { statistics.agentAudioBytes += byteCount }
}

extension ElevenLabsInitiation {
    /// What of the agent's settings the client wants otherwise, as paths.
    fileprivate var overridePaths: [String] {
        let common = [
            ("agent.prompt.prompt", prompt != nil), ("agent.first_message", firstMessage != nil),
            ("agent.language", language != nil), ("tts.voice_id", voiceId != nil),
            ("conversation.text_only", textOnly != nil),
        ]
        return common.filter(\.1).map(\.0) + otherOverrides
    }
}
