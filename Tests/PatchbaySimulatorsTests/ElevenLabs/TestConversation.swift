import NIOCore
import PatchbayCore
import PatchbayWire

@testable import PatchbaySimulators

/// A client of a simulated conversation, on a clock that only moves when it is told to.
struct TestConversation {
    struct Heard: Equatable {
        var message: ElevenLabsServerMessage
        var at: MediaTime
    }

    /// How long every line of the script sounds.
    static let lineMilliseconds = 1000

    var simulator: FaultyConversation<ElevenLabsConversationSimulator>
    private(set) var now = MediaTime(milliseconds: 5000)
    private(set) var heard: [Heard] = []
    private(set) var malformed: [String] = []
    private(set) var messageSizes: [Int] = []
    private(set) var alignments: [ElevenLabsAlignment] = []
    private(set) var speech: [SpeechRequest] = []
    private(set) var close: SimulatedClose?
    private let agent: ElevenLabsSimulatedAgent
    private var output = SimulatorOutput()
    private var phase = 0

    init(_ agent: ElevenLabsSimulatedAgent = ElevenLabsSimulatedAgent(), keptAudioBytes: Int = 0) {
        self.agent = agent
        let bytes = agent.outputFormat.bytesPerSecond * Self.lineMilliseconds / 1000
        var utterances: [String: SimulatedUtterance] = [:]
        for line in agent.script.fixedLines {
            utterances[line] = SimulatedUtterance(text: line, audio: ByteBuffer(repeating: 7, count: bytes))
        }
        let conversation = ElevenLabsConversationSimulator(
            agent, agentId: "agent_1", conversationId: "conv_1", utterances: utterances, keptAudioBytes: keptAudioBytes)
        simulator = FaultyConversation(conversation, faults: agent.faults.connection)
    }

    // MARK: What the client does

    mutating func open(sending initiation: ElevenLabsInitiation? = nil) {
        simulator.open(at: now, into: &output)
        take()
        if let initiation { send(.initiation(initiation)) }
    }

    mutating func send(_ message: ElevenLabsClientMessage) {
        var text = ByteBuffer()
        message.write(into: &text)
        receive(text)
    }

    mutating func send(text: String) { receive(ByteBuffer(string: text)) }

    private mutating func receive(_ text: ByteBuffer) {
        simulator.receive(.text, text, at: now, into: &output)
        take()
    }

    /// A loud tone, in packets of 20 ms, in real time.
    mutating func speak(milliseconds: Int) { stream(milliseconds, amplitude: 8000) }

    mutating func beSilent(milliseconds: Int) { stream(milliseconds, amplitude: 0) }

    private mutating func stream(_ milliseconds: Int, amplitude: Int16) {
        for _ in 0..<milliseconds / 20 {
            let samples = (0..<agent.inputFormat.sampleRate / 50).map { _ -> Int16 in
                phase += 1
                return phase / 20 % 2 == 0 ? amplitude : -amplitude
            }
            var audio = ByteBuffer()
            for sample in samples {
                if agent.inputFormat.codec == .ulaw {
                    audio.writeInteger(G711Code.mulaw(sample))
                } else {
                    audio.writeInteger(sample, endianness: .little)
                }
            }
            var text = ByteBuffer()
            audio.withUnsafeReadableBytes { ElevenLabsWriter.userAudioChunk($0, into: &text) }
            receive(text)
            advance(milliseconds: 20)
        }
    }

    mutating func answerSpeech(_ result: Result<ByteBuffer, PipelineError>) {
        guard let request = speech.last else { return }
        simulator.speechReady(request, result, at: now, into: &output)
        take()
    }

    // MARK: Time

    mutating func advance(milliseconds: Int) {
        let end = now + .milliseconds(Int64(milliseconds))
        while let deadline = simulator.deadline, deadline <= end {
            now = max(now, deadline)
            simulator.deadlineReached(at: now, into: &output)
            take()
        }
        now = end
    }

    // MARK: What came

    private mutating func take() {
        for index in output.messages.messages.indices {
            let text = output.messages.message(at: index)
            messageSizes.append(text.readableBytes)
            var audio = ByteBuffer()
            var alignment: ElevenLabsAlignment?
            if let message = try? ElevenLabsServerMessage.decode(text, audio: &audio, alignment: &alignment) {
                if let alignment { alignments.append(alignment) }
                heard.append(Heard(message: message, at: now))
            } else {
                malformed.append(String(buffer: text))
            }
        }
        output.messages.clear()
        if let request = output.speech { speech.append(request) }
        if let request = output.close { close = request }
        output.speech = nil
        output.close = nil
    }

    /// Gives what was heard since the last call, without pings.
    mutating func takeHeard() -> [ElevenLabsServerMessage] {
        defer { heard = [] }
        return heard.map(\.message).filter { if case .ping = $0 { false } else { true } }
    }
}

private enum G711Code {
    /// Only what the test streams: a loud positive, a loud negative sample, silence.
    static func mulaw(_ sample: Int16) -> UInt8 { sample > 0 ? 0x9F : sample < 0 ? 0x1F : 0xFF }
}

extension [ElevenLabsServerMessage] {
    var audioIds: [Int] { compactMap { if case .audio(let id, _) = $0 { id } else { nil } } }
    var audioBytes: Int { reduce(0) { if case .audio(_, let count) = $1 { $0 + count } else { $0 } } }
    var responses: [String] { compactMap { if case .agentResponse(let text, _) = $0 { text } else { nil } } }
    var transcripts: [String] { compactMap { if case .userTranscript(let text, _) = $0 { text } else { nil } } }
    var interruptions: [Int] {
        compactMap { if case .interruption(let id) = $0 { id } else { nil } }
    }
    var toolCalls: [ElevenLabsServerMessage.ToolCall] {
        compactMap { if case .clientToolCall(let call) = $0 { call } else { nil } }
    }
    var errorTypes: [String] { compactMap { if case .error(let fault) = $0 { fault.type } else { nil } } }
}
