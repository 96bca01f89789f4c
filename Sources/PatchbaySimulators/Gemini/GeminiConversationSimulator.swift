public import NIOCore
import PatchbayAudio
public import PatchbayCore
import PatchbayWire

/// The server's side of one connection to Gemini Live: what the service would say, and when (ai.google.dev/api/live).
public struct GeminiConversationSimulator: SimulatedConversation {
    public typealias Output = SimulatorOutput

    enum Phase: Equatable {
        case awaitingSetup
        case listening
        case thinking
        /// The answer's sound is being made.
        case preparing(request: Int)
        /// Sound is being sent.
        case speaking
        /// All of it was sent, and is being played.
        case playing
        case awaitingTools
        case ended
    }

    enum Timer: Int, CaseIterable {
        case chunk, playout, thinking, update, goAway, abort
    }

    static let outputFormat = AudioFormat.pcm(24_000)

    public internal(set) var statistics: Statistics
    let catalogue: GeminiSimulatedCatalogue
    /// How this connection ends as soon as the client has spoken.
    var refusal: SimulatedClose?
    var phase = Phase.awaitingSetup
    var timers = SimulatorTimers<Timer>()
    var setup = GeminiSetup(model: "")
    var loaded: GeminiSimulatedCatalogue.LoadedModel?
    var progress = GeminiSimulatedProgress()
    var ear: SimulatorEar?
    /// Between `activityStart` and `activityEnd`.
    var isActivityOpen = false
    /// What of the caller's words has not been told yet.
    var transcript: [Substring] = []
    var speech: Speech?
    var playoutEnd = MediaTime.zero
    /// Names of the tools whose answers are awaited, by call id.
    var outstandingTools: [String: String] = [:]
    var toolResults: [String] = []
    var hasToolFailed = false
    var lastCall = 0
    /// Whether the answer that is thought about is the greeting.
    var isGreetingDue = false
    var isFirstAudio = true
    private var lastSpeechRequest = 0
    private var userAudio = ByteBuffer()
    private let keptAudioBytes: Int

    init(_ catalogue: GeminiSimulatedCatalogue, sessionId: String, keptAudioBytes: Int = 0) {
        self.catalogue = catalogue
        self.keptAudioBytes = keptAudioBytes
        statistics = Statistics(sessionId: sessionId)
    }

    /// A conversation without a server around it, for tests.
    ///
    /// - Parameter utterances: Sound for the lines of the script, by line. Other texts are asked for in the output.
    public init(_ model: GeminiSimulatedModel, utterances: [String: SimulatedUtterance] = [:], keptAudioBytes: Int = 0)
    {
        self.init(
            GeminiSimulatedCatalogue(models: [.init(model: model, utterances: utterances)], handleMark: "handle"),
            sessionId: "session", keptAudioBytes: keptAudioBytes)
    }

    public var deadline: MediaTime? { timers.next?.due }
    var model: GeminiSimulatedModel { loaded?.model ?? GeminiSimulatedModel() }

    // MARK: What happens

    public mutating func open(at now: MediaTime, into output: inout Output) {
        if let after = catalogue.models.first?.model.timing.goAwayAfter { timers[.goAway] = now + after }
    }

    public mutating func receive(binary message: ByteBuffer, at now: MediaTime, into output: inout Output) {
        receive(message, at: now, into: &output)
    }

    public mutating func receive(_ message: ByteBuffer, at now: MediaTime, into output: inout Output) {
        guard phase != .ended else { return }
        if let refusal {
            end(refusal.code, refusal.reason, into: &output)
            return
        }
        userAudio.clear()
        let decoded: GeminiClientMessage
        do throws(WireError) {
            decoded = try .decode(message, audio: &userAudio)
        } catch {
            end(1007, "Invalid JSON payload received. \(error.message)", into: &output)
            return
        }
        count(decoded)
        if case .setup(let setup) = decoded, phase == .awaitingSetup {
            begin(setup, at: now, into: &output)
            return
        }
        guard phase != .awaitingSetup else {
            end(1007, "setup must be the first message", into: &output)
            return
        }
        switch decoded {
        case .setup: end(1007, "setup must be the first message and only the first", into: &output)
        case .audio(_, let sampleRate): hear(userAudio, sampleRate: sampleRate, at: now, into: &output)
        case .audioStreamEnd: audioPaused(at: now, into: &output)
        case .activityStart, .activityEnd: marked(decoded == .activityStart, at: now, into: &output)
        case .text(let text): userWrote(text, wantsAnswer: true, at: now, into: &output)
        case .content(let turns, let isComplete):
            userWrote(turns.last?.text ?? "", wantsAnswer: isComplete, at: now, into: &output)
        case .toolResponses(let responses): toolsAnswered(responses, at: now, into: &output)
        case .video: break
        case .other(let fields):
            let name = fields.first ?? ""
            end(1007, "Invalid JSON payload received. Unknown name \"\(name)\": Cannot find field.", into: &output)
        }
    }

    public mutating func speechReady(
        _ request: SpeechRequest, _ audio: Result<ByteBuffer, PipelineError>, at now: MediaTime,
        into output: inout Output
    ) {
        guard phase == .preparing(request: request.id) else { return }
        switch audio {
        case .success(let audio): speak(SimulatedUtterance(text: request.text, audio: audio), at: now, into: &output)
        case .failure: end(1011, "Internal error encountered.", into: &output)
        }
    }

    public mutating func deadlineReached(at now: MediaTime, into output: inout Output) {
        while let (timer, due) = timers.next, due <= now {
            timers[timer] = nil
            switch timer {
            case .chunk: sendChunk(at: due, into: &output)
            case .playout: endTurn(at: due, into: &output)
            case .thinking: takeTurn(at: due, into: &output)
            case .update: offerHandle(into: &output)
            case .goAway:
                let left = model.timing.goAwayTimeLeft
                timers[.abort] = due + left
                send(into: &output) { $0.goAway = .init(timeLeftMs: Int(left.milliseconds)) }
            case .abort: end(1006, "", into: &output)
            }
        }
    }

    public mutating func closed(code: UInt16, reason: String) {
        guard phase != .ended else { return }
        phase = .ended
        timers.clear()
        statistics.close = SimulatedClose(code: code, reason: reason)
    }

    // MARK: The beginning

    private mutating func begin(_ setup: GeminiSetup, at now: MediaTime, into output: inout Output) {
        if let (code, reason) = problem(of: setup) {
            end(code, reason, into: &output)
            return
        }
        self.setup = setup
        loaded = catalogue.model(setup.model)
        if let handle = setup.resumptionHandle {
            guard !model.faults.forgetsHandles,
                let resumed = GeminiSimulatedProgress(handle: handle, mark: catalogue.handleMark)
            else {
                end(1008, "BidiGenerateContent session not found", into: &output)
                return
            }
            progress = resumed
            statistics.isResumed = true
        }
        statistics.setup = setup
        phase = .listening
        send(into: &output) { $0.setupComplete = .init(sessionId: statistics.sessionId) }
        offerHandle(into: &output)
    }

    private func problem(of setup: GeminiSetup) -> (UInt16, String)? {
        if let field = setup.otherFields.first {
            return (1007, "Invalid JSON payload received. Unknown name \"\(field)\" at 'setup': Cannot find field.")
        }
        guard let loaded = catalogue.model(setup.model) else {
            return (
                1008, "\(setup.model) is not found for API version v1beta, or is not supported for bidiGenerateContent."
            )
        }
        if loaded.model.faults.hasNoQuota {
            return (1011, "You exceeded your current quota, please check your plan and billing details.")
        }
        guard setup.model.contains("/"), setup.responseModalities == ["AUDIO"] else {
            return (1007, "Request contains an invalid argument.")
        }
        return nil
    }

    // MARK: What goes out

    /// As binary messages, which is how the service sends its JSON.
    func send(into output: inout Output, _ change: (inout GeminiServerMessage) -> Void) {
        var message = GeminiServerMessage()
        change(&message)
        output.messages.binary { message.write(into: &$0) }
    }

    func sendContent(into output: inout Output, _ change: (inout GeminiServerMessage.Content) -> Void) {
        var content = GeminiServerMessage.Content()
        change(&content)
        send(into: &output) { $0.content = content }
    }

    /// The conversation can be resumed from here.
    mutating func offerHandle(into output: inout Output) {
        guard setup.isResumable, !model.faults.isNotResumable else { return }
        progress.revision += 1
        let handle = progress.handle(mark: catalogue.handleMark)
        send(into: &output) { $0.resumption = .init(handle: handle, isResumable: true) }
    }

    /// The conversation cannot be resumed from here.
    mutating func withdrawHandle(into output: inout Output) {
        timers[.update] = nil
        guard setup.isResumable, !model.faults.isNotResumable else { return }
        send(into: &output) { $0.resumption = .init(handle: nil, isResumable: false) }
    }

    mutating func nextSpeechRequest() -> Int {
        lastSpeechRequest += 1
        return lastSpeechRequest
    }

    mutating func end(_ code: UInt16, _ reason: String, into output: inout Output) {
        closed(code: code, reason: reason)
        output.close = SimulatedClose(code: code, reason: reason)
    }

    private mutating func count(_ message: GeminiClientMessage) {
        guard case .audio(let byteCount, _) = message else {
            if statistics.messages.count < Statistics.maximumMessages { statistics.messages.append(message) }
            return
        }
        statistics.userAudioBytes += byteCount
        let room = keptAudioBytes - statistics.userAudio.readableBytes
        if room > 0, let kept = userAudio.getSlice(at: userAudio.readerIndex, length: min(room, byteCount)) {
            statistics.userAudio.writeImmutableBuffer(kept)
        }
    }
}
