public import NIOCore
import PatchbayAudio
public import PatchbayCore
import PatchbayWire

/// The server's side of one Realtime session: what OpenAI would say, and when.
///
/// Turns are found by energy, words are claimed by a script and spoken by a synthesizer; everything else follows OpenAI's
/// reference of events (platform.openai.com/docs/api-reference/realtime-server-events). One instruction is obeyed, so that
/// greetings can be tested: "Say exactly this and nothing else: …".
public struct OpenAIConversationSimulator: SimulatedConversation {
    enum Timer: Int, CaseIterable { case expiry, thinking, chunk, transcript, idle }

    /// Conversation items that are kept; the oldest are forgotten first.
    static let maximumItems = 1000

    public private(set) var statistics: Statistics
    let model: OpenAISimulatedModel
    var session: OpenAIRealtimeSession
    var timers = SimulatorTimers<Timer>()
    var items: [Item] = []
    var response: Response?
    /// What the last response could not know: turns of the caller and outputs of functions.
    var unansweredOutputs: [String] = []
    var userTurns = 0
    var nextReply = 0
    var hasGreeted = false
    /// Turns whose words are still to be written down.
    var untranscribed: [(itemID: String, turn: Int)] = []
    var calledTools: Set<Int> = []
    /// The caller's turn, from its first sound.
    var turnItem: String?
    var ear: SimulatorEar?
    let utterances: @Sendable (OpenAIRealtimeAudioFormat) -> [String: SimulatedUtterance]
    private var audio = ByteBuffer()
    /// Audio of this session, and of what has not been committed, in bytes of the input format.
    var heardMilliseconds = 0.0
    var uncommittedBytes = 0
    private var lastNumber = 0
    private var lastSpeech = 0
    private var isOver = false
    private let sessionID: String

    /// - Parameters:
    ///   - name: Of the model, as it was asked for.
    ///   - utterances: Sound for the lines of the script in a format, by line. Other texts are asked for in the output.
    init(
        _ model: OpenAISimulatedModel, name: String, sessionID: String,
        utterances: @escaping @Sendable (OpenAIRealtimeAudioFormat) -> [String: SimulatedUtterance]
    ) {
        self.model = model
        self.sessionID = sessionID
        self.utterances = utterances
        statistics = Statistics(model: name)
        session = Self.defaults(name, sessionID)
        listen()
    }

    private static func defaults(_ name: String, _ id: String) -> OpenAIRealtimeSession {
        var session = OpenAIRealtimeSession()
        session.id = id
        session.type = "realtime"
        session.model = name
        session.expiresAt = 0
        session.outputModalities = ["audio"]
        session.instructions = "Be helpful."
        session.inputFormat = .pcm24k
        session.outputFormat = .pcm24k
        session.noiseReduction = .off
        session.transcription = .off
        var detection = OpenAIRealtimeSession.TurnDetection(.server)
        detection.threshold = 0.5
        detection.prefixPaddingMs = 300
        detection.silenceMs = 500
        detection.createsResponse = true
        detection.interruptsResponse = true
        session.turnDetection = .on(detection)
        session.voice = "alloy"
        session.speed = 1
        session.tools = []
        session.toolChoice = "auto"
        session.maxOutputTokens = .infinite
        return session
    }

    public var deadline: MediaTime? { timers.next?.due }

    public mutating func open(at now: MediaTime, into output: inout SimulatorOutput) {
        timers[.expiry] = now + model.timing.maximumDuration
        send(.sessionCreated(session), into: &output)
        guard model.names.isEmpty || model.names.contains(session.model ?? "") else {
            let name = session.model ?? ""
            let message = "The model `\(name.prefix(100))` does not exist or you do not have access to it."
            refuse(.init(code: "model_not_found", message: message), into: &output)
            end(code: 4000, reason: "invalid_request_error.model_not_found", into: &output)
            return
        }
        send(.conversationCreated(id: "conv_" + sessionID), into: &output)
    }

    public mutating func receive(_ message: ByteBuffer, at now: MediaTime, into output: inout SimulatorOutput) {
        guard !isOver else { return }
        audio.clear()
        let event: OpenAIRealtimeClientEvent
        let eventID: String?
        do throws(OpenAIRealtimeFault) {
            (event, eventID) = try OpenAIRealtimeClientEvent.decode(message, audio: &audio)
        } catch {
            refuse(error, into: &output)
            return
        }
        statistics.count(event)
        do throws(OpenAIRealtimeFault) {
            try perform(event, at: now, into: &output)
        } catch {
            var fault = error
            fault.eventID = eventID
            refuse(fault, into: &output)
        }
    }

    private mutating func perform(
        _ event: OpenAIRealtimeClientEvent, at now: MediaTime, into output: inout SimulatorOutput
    ) throws(OpenAIRealtimeFault) {
        switch event {
        case .sessionUpdate(let change): try update(change, into: &output)
        case .appendAudio: hear(audio, at: now, into: &output)
        case .commitAudio: try commit(at: now, into: &output)
        case .clearAudio:
            uncommittedBytes = 0
            ear?.reset()
            turnItem = nil
            send(.audioCleared, into: &output)
        case .createItem(let item, let previous): try create(item, after: previous, into: &output)
        case .truncateItem(let id, let contentIndex, let end):
            try truncate(id, contentIndex, end, into: &output)
        case .deleteItem(let id):
            guard let index = items.firstIndex(where: { $0.id == id }) else { throw .unknownItem(id, "delete") }
            items.remove(at: index)
            statistics.deletions.append(id)
            send(.itemDeleted(id: id), into: &output)
        case .retrieveItem(let id):
            guard let item = items.first(where: { $0.id == id }) else { throw .unknownItem(id, "retrieve") }
            send(.itemRetrieved(item.wire), into: &output)
        case .createResponse(let options): try createResponse(options, at: now, into: &output)
        case .cancelResponse(let id):
            guard response != nil, id == nil || id == response?.id else {
                throw OpenAIRealtimeFault(
                    code: "response_cancel_not_active", message: "Cancellation failed: no active response found")
            }
            cancelResponse("client_cancelled", at: now, into: &output)
        case .clearOutputAudio:
            throw OpenAIRealtimeFault(
                code: "invalid_value", message: "output_audio_buffer.clear is for WebRTC and SIP.", param: "type")
        case .other(let type):
            throw OpenAIRealtimeFault(
                code: "invalid_value", message: "Invalid value: '\(type.prefix(100))'.", param: "type")
        }
    }

    private mutating func update(
        _ change: OpenAIRealtimeSession, into output: inout SimulatorOutput
    ) throws(OpenAIRealtimeFault) {
        if let voice = change.voice, voice != session.voice, statistics.audioBytes > 0 {
            throw OpenAIRealtimeFault(
                code: "cannot_update_voice",
                message: "Cannot update a conversation's voice if assistant audio is present.",
                param: "session.audio.output.voice")
        }
        let former = (session.inputFormat, session.turnDetection)
        session.apply(change)
        statistics.session = session
        if former.0 != session.inputFormat || former.1 != session.turnDetection { listen() }
        send(.sessionUpdated(session), into: &output)
    }

    private mutating func listen() {
        guard case .on(let detection)? = session.turnDetection else {
            ear = nil
            return
        }
        let silence = detection.kind == .server ? detection.silenceMs ?? 500 : 700
        ear = SimulatorEar(
            format: AudioFormat(simulated: session.inputFormat ?? .pcm24k), endOfTurnSilence: max(50, silence))
    }

    public mutating func deadlineReached(at now: MediaTime, into output: inout SimulatorOutput) {
        while let (timer, due) = timers.next, due <= now {
            timers[timer] = nil
            switch timer {
            case .expiry:
                let minutes = Int(model.timing.maximumDuration.milliseconds / 60_000)
                let message = "Your session hit the maximum duration of \(minutes) minutes."
                refuse(.init(code: "session_expired", message: message), into: &output)
                end(code: 1001, reason: message, into: &output)
            case .thinking: speak(at: due, into: &output)
            case .chunk: sendChunk(at: due, into: &output)
            case .transcript: transcribe(at: due, into: &output)
            case .idle: idleTimedOut(at: due, into: &output)
            }
        }
    }

    public mutating func speechReady(
        _ request: SpeechRequest, _ audio: Result<ByteBuffer, PipelineError>, at now: MediaTime,
        into output: inout SimulatorOutput
    ) {
        guard request.id == lastSpeech, response?.isPreparing == true else { return }
        switch audio {
        case .success(let audio): begin(SimulatedUtterance(text: request.text, audio: audio), at: now, into: &output)
        case .failure(let error):
            finishResponse(
                "failed", fault: .init(type: "server_error", message: error.message), at: now, into: &output)
        }
    }

    public mutating func closed(code: UInt16, reason: String) {
        isOver = true
        timers.clear()
        if statistics.close == nil { statistics.close = SimulatedClose(code: code, reason: reason) }
    }

    // MARK: What goes out

    /// `item_1`, `resp_2`, …: unique in the session.
    mutating func name(_ prefix: String) -> String {
        lastNumber += 1
        return "\(prefix)_\(lastNumber)"
    }

    mutating func requestSpeech(_ text: String, into output: inout SimulatorOutput) {
        lastSpeech += 1
        output.speech = SpeechRequest(
            id: lastSpeech, text: text, language: model.language,
            format: AudioFormat(simulated: session.outputFormat ?? .pcm24k))
    }

    mutating func send(_ event: OpenAIRealtimeServerEvent, into output: inout SimulatorOutput) {
        let id = name("event")
        output.messages.text { event.write(eventID: id, into: &$0) }
    }

    mutating func send(
        audio: ByteBuffer, at place: OpenAIRealtimeServerEvent.Place, into output: inout SimulatorOutput
    ) {
        statistics.audioBytes += audio.readableBytes
        let id = name("event")
        output.messages.text { message in
            audio.withUnsafeReadableBytes {
                OpenAIRealtimeWriter.audioDelta($0, eventID: id, at: place, into: &message)
            }
        }
    }

    mutating func refuse(_ fault: OpenAIRealtimeFault, into output: inout SimulatorOutput) {
        statistics.note(fault)
        send(.error(fault), into: &output)
    }

    private mutating func end(code: UInt16, reason: String, into output: inout SimulatorOutput) {
        let close = SimulatedClose(code: code, reason: reason)
        statistics.close = close
        closed(code: code, reason: reason)
        output.close = close
    }

    mutating func record(_ change: (inout Statistics) -> Void) { change(&statistics) }
}

extension AudioFormat {
    init(simulated format: OpenAIRealtimeAudioFormat) {
        switch format {
        case .pcm(let rate): self = .pcm(rate)
        case .pcmu: self = .telephony
        case .pcma: self.init(.alaw, sampleRate: 8000)
        }
    }
}
