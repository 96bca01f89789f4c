import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire

@testable import PatchbaySimulators
@testable import PatchbayTransports

/// Our agent and the simulated service, joined by their messages, on a clock that only moves when it is told to.
///
/// A socket takes no time; another one is opened as long after a reconnection was asked for as ``dialling`` says.
struct GeminiCall {
    /// How long every line of the script sounds.
    static let lineMilliseconds = 1000

    var agent: GeminiConversation
    var service: FaultyConversation<GeminiConversationSimulator>
    private(set) var now = MediaTime(milliseconds: 5000)
    private(set) var events: [(event: AgentEvent, at: MediaTime)] = []
    /// Numbers of all connections that are over.
    private(set) var finished: [GeminiConversationSimulator.Statistics] = []
    var dialling = TimeSpan.milliseconds(300)
    private let model: GeminiSimulatedModel
    private let catalogue: GeminiSimulatedCatalogue
    private var toAgent = SimulatorOutput()
    private var fromAgent = AgentOutput()
    private var dialDue: MediaTime?
    private var isOpen = false
    private var connections = 0
    private var phase = 0

    init(
        _ model: GeminiSimulatedModel = GeminiSimulatedModel(), name: String = "models/gemini-2.5-flash",
        firstMessage: String? = nil, tools: [ToolDefinition] = [], _ change: (inout GeminiSetup) -> Void = { _ in }
    ) {
        self.model = model
        var setup = GeminiSetup(model: name)
        (setup.transcribesInput, setup.transcribesOutput, setup.isResumable) = (true, true, true)
        change(&setup)
        agent = GeminiConversation(GeminiOptions(setup: setup, firstMessage: firstMessage), tools: tools)
        var utterances: [String: SimulatedUtterance] = [:]
        for line in model.script.fixedLines {
            let sound = ByteBuffer(repeating: 7, count: 48 * Self.lineMilliseconds)
            utterances[line] = SimulatedUtterance(text: line, audio: sound)
        }
        catalogue = GeminiSimulatedCatalogue(models: [.init(model: model, utterances: utterances)], handleMark: "mark")
        service = FaultyConversation(
            GeminiConversationSimulator(catalogue, sessionId: "0"), faults: model.faults.connection)
        dialDue = now
        dial()
    }

    // MARK: The caller

    /// A loud tone, in packets of 20 ms, in real time.
    mutating func speak(milliseconds: Int) { stream(milliseconds, amplitude: 8000) }
    mutating func beSilent(milliseconds: Int) { stream(milliseconds, amplitude: 0) }

    private mutating func stream(_ milliseconds: Int, amplitude: Int16) {
        for _ in 0..<milliseconds / 20 {
            var sound = ByteBuffer()
            for _ in 0..<320 {
                phase += 1
                sound.writeInteger(phase / 20 % 2 == 0 ? amplitude : -amplitude, endianness: .little)
            }
            frame(.audio(AudioFrame(sound, format: .pcm(16_000))))
            advance(milliseconds: 20)
        }
    }

    mutating func frame(_ frame: Frame) {
        agent.receive(frame, at: now, into: &fromAgent)
        exchange()
    }

    mutating func answer(_ call: ToolCall, _ output: String) {
        agent.toolAnswered(ToolResult(call, output: output), at: now, into: &fromAgent)
        exchange()
    }

    mutating func speechMade() {
        guard let request = toAgent.speech else { return }
        toAgent.speech = nil
        let sound = ByteBuffer(repeating: 7, count: 48 * Self.lineMilliseconds)
        service.speechReady(request, .success(sound), at: now, into: &toAgent)
        exchange()
    }

    // MARK: Time

    mutating func advance(milliseconds: Int) {
        let end = now + .milliseconds(Int64(milliseconds))
        while let due = [agent.deadline, isOpen ? service.deadline : nil, dialDue].compactMap(\.self).min(), due <= end
        {
            now = max(now, due)
            if let dialDue, dialDue <= now { dial() }
            if let due = service.deadline, due <= now, isOpen { service.deadlineReached(at: now, into: &toAgent) }
            if let due = agent.deadline, due <= now { agent.deadlineReached(at: now, into: &fromAgent) }
            exchange()
        }
        now = end
    }

    // MARK: Between the two

    private mutating func dial() {
        dialDue = nil
        if isOpen {
            service.closed(code: 1000, reason: "")
            finished.append(service.statistics)
        }
        if connections > 0 {
            toAgent = SimulatorOutput()
            service = FaultyConversation(
                GeminiConversationSimulator(catalogue, sessionId: "\(connections)"), faults: SimulatorFaults())
        }
        connections += 1
        isOpen = true
        service.open(at: now, into: &toAgent)
        agent.opened(at: now, into: &fromAgent)
        exchange()
    }

    private mutating func exchange() {
        while true {
            for event in fromAgent.takeEvents() {
                events.append((event, now))
                if case .reconnect = event { dialDue = now + dialling }
            }
            if !fromAgent.messages.isEmpty {
                let messages = fromAgent.messages.messages.indices.map { fromAgent.messages.message(at: $0) }
                fromAgent.messages.clear()
                for message in messages where isOpen { service.receive(.text, message, at: now, into: &toAgent) }
            } else if !toAgent.messages.isEmpty {
                let messages = toAgent.messages.messages.indices.map { toAgent.messages.message(at: $0) }
                toAgent.messages.clear()
                for message in messages { agent.received(binary: message, at: now, into: &fromAgent) }
            } else if let close = toAgent.close, isOpen {
                toAgent.close = nil
                isOpen = false
                finished.append(service.statistics)
                // The call does not tell of a socket whose successor is being dialled.
                if dialDue == nil {
                    agent.closed(code: close.code, reason: close.reason, at: now, into: &fromAgent)
                }
            } else if fromAgent.takeEventsIsEmpty {
                return
            }
        }
    }

    // MARK: What came

    var heardMilliseconds: Int {
        events.reduce(0) { sum, entry in
            if case .audio(let sound) = entry.event { sum + sound.readableBytes / 48 } else { sum }
        }
    }

    func texts(of speaker: TextFrame.Speaker) -> String {
        events.reduce("") { words, entry in
            guard case .text(let text) = entry.event, text.speaker == speaker, text.isFinal else { return words }
            return words + (words.isEmpty || text.text.hasPrefix(" ") ? "" : "|") + text.text
        }
    }

    var toolCalls: [ToolCall] { events.compactMap { if case .toolCall(let call) = $0.event { call } else { nil } } }
    var failure: PipelineError? {
        events.compactMap { if case .failed(let error) = $0.event { error } else { nil } }.first
    }
    func count(_ matches: (AgentEvent) -> Bool) -> Int { events.count { matches($0.event) } }
    var faults: Int { count { if case .fault = $0 { true } else { false } } }
    var reconnections: Int { count { if case .reconnect = $0 { true } else { false } } }
    var interruptions: Int { count { if case .interruption = $0 { true } else { false } } }
    var cancellations: Int { count { if case .toolCallsCancelled = $0 { true } else { false } } }
    var turnEnds: Int { count { if case .turnEnded = $0 { true } else { false } } }
}

extension AgentOutput {
    /// The scratch of events is private to its module; taking none of none tells that there is none.
    fileprivate var takeEventsIsEmpty: Bool {
        var copy = self
        return copy.takeEvents().isEmpty
    }
}
