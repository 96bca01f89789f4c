import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTesting

/// A carrier whose messages can be read aloud: `start`, `audio 7F 160`, `audio 7F 160 CHUNK TIMESTAMP`, `dtmf 5`, `mark 0:240`, `stop`.
struct PlainCarrier: CarrierSerializer {
    struct Malformed: Error, CustomStringConvertible {
        var description: String
    }

    func deserialize(_ message: ByteBuffer) throws -> CarrierEvent {
        let words = String(buffer: message).split(separator: " ").map(String.init)
        switch words.first {
        case "start": return .started(CallStart(callSid: "CA1", streamSid: "MZ1"), .telephony)
        case "audio":
            guard words.count >= 3, let byte = UInt8(words[1], radix: 16), let count = Int(words[2]) else { break }
            let chunk = words.count > 3 ? Int64(words[3]) : nil
            let timestamp = words.count > 4 ? Int64(words[4]) ?? 0 : 0
            return .audio(
                ByteBuffer(repeating: byte, count: count),
                CarrierPosition(timestampMilliseconds: timestamp, chunk: chunk))
        case "dtmf": return .dtmf(words[1].first ?? "?")
        case "mark":
            let parts = words[1].split(separator: ":")
            return .mark(PlaybackMark(generation: UInt32(parts[0]) ?? 0, offsetMilliseconds: Int64(parts[1]) ?? 0))
        case "stop": return .stopped
        default: break
        }
        throw Malformed(description: "cannot read \"\(words.joined(separator: " "))\"")
    }

    func audio(_ payload: ByteBuffer, into batch: inout MessageBatch) {
        let first = payload.readableBytesView.first ?? 0, last = payload.readableBytesView.last ?? 0
        batch.text {
            $0.writeString("audio \(String(first, radix: 16)) \(String(last, radix: 16)) \(payload.readableBytes)")
        }
    }

    func mark(_ mark: PlaybackMark, into batch: inout MessageBatch) {
        batch.text { $0.writeString("mark \(mark.generation):\(mark.offsetMilliseconds)") }
    }

    func clear(into batch: inout MessageBatch) { batch.text { $0.writeString("clear") } }
}

/// An agent that does what its messages say: `ready`, `audio 40 160`, `end`, `interrupt`, `hangup`, `fail`, `calls ID NAME`,
/// `reconnect`. Writes down what it is given.
struct PuppetAgent: AgentBackend {
    let type: String
    var format = AudioFormat.telephony
    var refuses = false

    init(_ type: String = "puppet", format: AudioFormat = .telephony, refuses: Bool = false) {
        self.type = type
        self.format = format
        self.refuses = refuses
    }

    func open(_ request: AgentRequest) throws(PipelineError) -> AgentSession {
        if refuses { throw PipelineError(.agentUnreachable, "refused", place: type) }
        return AgentSession(
            Conversation(format: format, request: request), endpoint: .webSocket { AgentTarget(url: "ws://puppet") })
    }

    private struct Conversation: AgentConversation {
        let format: AudioFormat
        let request: AgentRequest

        func opened(at now: MediaTime, into output: inout AgentOutput) {
            let history = request.history.map { "; \($0.speaker.rawValue): \($0.text)" }.joined()
            let used = request.toolUses.map { "; used \($0.name): \($0.answer ?? "?")" }.joined()
            output.messages.text { $0.writeString("hello\(history)\(used)\(request.isAnswerAwaited ? "; go on" : "")") }
        }

        func received(binary message: ByteBuffer, at now: MediaTime, into output: inout AgentOutput) {
            output.emit(.audio(message))
        }

        func toolAnswered(_ result: ToolResult, at now: MediaTime, into output: inout AgentOutput) {
            output.messages.text {
                $0.writeString("\(result.isError ? "error" : "answer") \(result.id): \(result.output)")
            }
        }

        func contextAdded(_ text: String, at now: MediaTime, into output: inout AgentOutput) {
            output.messages.text { $0.writeString("context: \(text)") }
        }

        func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput) {
            switch frame {
            case .audio(let audio): output.messages.text { $0.writeString("heard \(audio.payload.readableBytes)") }
            case .callStarted: output.messages.text { $0.writeString("started") }
            case .dtmf(let digit): output.messages.text { $0.writeString("key \(digit)") }
            case .interruption(let interruption): write("cut", interruption.heard, into: &output)
            case .heard(let heard): write("heard", heard, into: &output)
            default: break
            }
        }

        private func write(_ word: String, _ heard: Heard?, into output: inout AgentOutput) {
            let text = heard.map { " after \($0.duration.milliseconds) ms: \($0.text)" } ?? ""
            output.messages.text { $0.writeString(word + text) }
        }

        func received(_ message: ByteBuffer, at now: MediaTime, into output: inout AgentOutput) {
            let words = String(buffer: message).split(separator: " ").map(String.init)
            switch words.first {
            case "ready": output.emit(.ready(input: format, output: format))
            case "audio":
                output.emit(.audio(ByteBuffer(repeating: UInt8(words[1], radix: 16) ?? 0, count: Int(words[2]) ?? 0)))
            case "end": output.emit(.turnEnded)
            case "interrupt": output.emit(.interruption(cause: "told to"))
            case "hangup": output.emit(.hangup(EndReason(.agentHungUp)))
            case "fail": output.emit(.failed(PipelineError(.agentFailed, "told to")))
            case "fail-retryable": output.emit(.failed(PipelineError(.agentFailed, "told to", isRetryable: true)))
            case "fail-then-audio":
                output.emit(.failed(PipelineError(.agentFailed, "told to")))
                output.emit(.audio(ByteBuffer(repeating: 0x66, count: 1600)))
            case "says": output.emit(.text(TextFrame(words.dropFirst().joined(separator: " "), speaker: .agent)))
            case "transcribes":
                output.emit(.text(TextFrame(words.dropFirst().joined(separator: " "), speaker: .caller)))
            case "locks": output.emit(.interruptible(false))
            case "unlocks": output.emit(.interruptible(true))
            case "keys": output.emit(.dtmf(words[1]))
            case "calls": output.emit(.toolCall(ToolCall(id: words[1], name: words[2])))
            case "cancels": output.emit(.toolCallsCancelled(ids: Array(words.dropFirst())))
            case "reconnect": output.emit(.reconnect(cause: "told to"))
            case "transfers": output.emit(.transfer(to: words[1]))
            case "fails": output.emit(.failed(PipelineError(PipelineError.Code(words[1]), "told to")))
            default: output.emit(.fault("?"))
            }
        }

        func closed(code: UInt16, reason: String, at now: MediaTime, into output: inout AgentOutput) {
            output.emit(.failed(PipelineError(.agentFailed, "closed with \(code) \(reason)")))
        }
    }
}

/// A call of a plain carrier and puppets.
func makeHarness(
    backends: [any AgentBackend] = [PuppetAgent()], limits: CallLimits = CallLimits(), toAgent: [Stage] = [],
    toCaller: [Stage] = [], joint: AudioFormat = .telephony, observers: [any CallObserver] = [],
    taps: [any MediaTap] = [], announcement: ByteBuffer = ByteBuffer(), change: (inout CallPlan) -> Void = { _ in }
) throws(PipelineError) -> CallHarness {
    var plan = CallPlan(
        info: CallInfo(id: "call-1", callSid: "CA1", from: "+1", to: "+2", pipeline: "test"), limits: limits,
        carrier: PlainCarrier(), carrierFormat: .telephony, toAgent: Chain(.toAgent, toAgent), joint: joint,
        backends: backends, toCaller: Chain(.toCaller, toCaller), taps: taps,
        announcement: announcement)
    change(&plan)
    return try CallHarness(plan, observers: observers)
}

extension CallHarness {
    /// The agent is connected and ready, the stream has begun.
    mutating func begin() {
        agentConnected()
        agent("ready")
        carrier("start")
    }

    func carrierTexts(_ prefix: String = "") -> [String] {
        carrierMessages.map(\.text).filter { $0.hasPrefix(prefix) }
    }

    func agentTexts(_ prefix: String = "") -> [String] { agentMessages.map(\.text).filter { $0.hasPrefix(prefix) } }
}
