import Logging
import PatchbayConfig
import PatchbayCore
import Synchronization

/// Writes down what happens to one call: for the log that an operator reads, and as events of its record.
///
/// Faults are logged the first time and then only counted, so that a broken peer cannot fill a disk.
final class CallLog: CallObserver {
    /// Faults that are told; later ones are only counted.
    private static let faultLimit = 20

    private let logger: Logger
    private let recorder: CallRecorder
    private let loggedFaults = Mutex<Set<String>>([])

    init(logger: Logger, recorder: CallRecorder) {
        self.logger = logger
        self.recorder = recorder
    }

    /// Who is going to answer, and what was known of the caller when they were chosen.
    func planned(_ plan: PipelinePlan, knowing context: [String: VariableValue]) {
        let now = MediaTime.now()
        if !context.isEmpty {
            let values = context.withSecretsWithheld.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
            enter("caller known", values.joined(separator: ", "), now)
        }
        let agents = plan.backends.map(\.label).joined(separator: ", then ")
        log(.info, "agent chosen", ["pipeline": "\(plan.pipeline)", "agent": "\(agents)"])
        enter("agent chosen", "\(agents) of \(plan.pipeline)", now)
    }

    // Frames pass too often to be written down.
    func observe(_ frame: Frame, at joint: Joint, time: MediaTime) {
        guard joint.index == 0 else { return }
        switch frame {
        case .dtmf(let digit): enter("dtmf", recorder.isPaused ? CallRecorder.withheld : "\(digit)", time)
        case .text(let text) where text.isFinal: enter("\(text.speaker.rawValue) said", shown(text.text), time)
        default: break
        }
    }

    func observe(_ event: CallEvent, time: MediaTime) {
        switch event {
        case .streamStarted(let start):
            log(.info, "stream connected", ["streamSid": "\(start.streamSid)"])
            enter("stream connected", start.streamSid, time)
        case .agentConnecting(let backend):
            enter("connecting to agent", backend, time)
        case .agentReady(let backend, let input, let output):
            log(.info, "connected to agent", ["backend": "\(backend)", "takes": "\(input)", "gives": "\(output)"])
            enter("connected to agent", "\(backend), takes \(input), gives \(output)", time)
        case .conversationStarted(let id):
            log(.info, "agent conversation started", ["conversation": "\(id)"])
            enter("agent conversation started", id, time)
        case .agentAudible(let generation):
            enter("agent audible", "turn \(generation)", time)
        case .interrupted(let cause, let heard):
            log(.info, "interruption", ["cause": "\(cause)", "heardMs": "\(heard.duration.milliseconds)"])
            enter("interruption", "\(cause); heard \(heard.duration.milliseconds) ms: \(shown(heard.text))", time)
        case .turnHeard(let heard):
            enter("turn heard", "\(heard.duration.milliseconds) ms: \(shown(heard.text))", time)
        case .playbackPaused(let heard):
            enter("playback paused", "heard \(heard.milliseconds) ms", time)
        case .playbackResumed:
            enter("playback resumed", "the caller did not go on", time)
        case .recording(let command):
            log(.info, "recording", ["command": "\(command.rawValue)"])
            enter("recording", command.rawValue, time)
        case .utteranceSent:
            enter("utterance sent", "", time)
        case .agentFailed(let error):
            log(.error, "agent failed", ["error": "\(error)"])
            enter("agent failed", "\(error)", time)
        case .agentChanged(let from, let to):
            log(.notice, "agent changed", ["from": "\(from)", "to": "\(to)"])
            enter("agent changed", "\(from) → \(to)", time)
        case .bridged(let silence):
            enter("bridge", "after \(silence.milliseconds) ms of silence", time)
        case .agentTookOver(let backend, let silence):
            log(.notice, "agent took over", ["backend": "\(backend)", "silenceMs": "\(silence.milliseconds)"])
            enter("agent took over", "\(backend), after \(silence.milliseconds) ms of silence", time)
        case .agentReconnecting(let backend, let cause):
            log(.info, "agent reconnecting", ["backend": "\(backend)", "cause": "\(cause)"])
            enter("agent reconnecting", "\(backend): \(cause)", time)
        case .toolCalled(let call):
            log(.info, "tool called", ["tool": "\(call.name)"])
            enter("tool called", "\(call.name) \(shown(call.arguments))", time)
        case .toolAnswered(let result, let span):
            log(
                .info, "tool answered",
                [
                    "tool": "\(result.name)", "ms": "\(span.milliseconds)",
                    "outcome": "\(result.isError ? "error" : "ok")",
                ])
            enter("tool answered", "\(result.name) after \(span.milliseconds) ms: \(shown(result.output))", time)
        case .transferring(let number):
            log(.notice, "transferring", ["to": "\(number)"])
            enter("transferring", number, time)
        case .stageFailed(let error):
            if isNew("\(error)") {
                log(.error, "stage failed", ["error": "\(error)"])
                enter("stage failed", "\(error)", time)
            }
        case .fault(let peer, let message):
            if isNew(peer + message) {
                log(.warning, "message dropped", ["peer": "\(peer)", "reason": "\(message)"])
                enter("message dropped", "\(peer): \(message)", time)
            }
        case .hangingUp(let reason):
            enter("hanging up", reason.description, time)
        case .ended(let reason):
            let level: Logger.Level = reason.isFailure ? .error : .info
            log(level, "call ended", ["reason": "\(reason)"])
            recorder.enter("call ended", reason.description, time, isLast: true)
        }
    }

    /// Words of an event or a text that the recorder has observed just before, unless recordings were paused.
    private func shown(_ words: String) -> String { recorder.isEventWithheld ? CallRecorder.withheld : words }

    private func isNew(_ fault: String) -> Bool {
        let fault = String(fault.prefix(CallRecorder.detailLimit))
        return loggedFaults.withLock { $0.count < Self.faultLimit && $0.insert(fault).inserted }
    }

    private func log(
        _ level: Logger.Level, _ message: Logger.Message, _ metadata: KeyValuePairs<String, String>
    ) {
        logger.log(
            level: level, message,
            metadata: Logger.Metadata(uniqueKeysWithValues: metadata.map { ($0.key, "\(Self.line($0.value))") }))
    }

    /// A text as a line of a log may have it: cut, and with nothing that would begin a line of its own or move a terminal's
    /// cursor. Agents, carriers and services write much of what is logged.
    static func line(_ text: String) -> String {
        let scalars = text.unicodeScalars
        var line = ""
        for scalar in scalars.prefix(CallRecorder.detailLimit) {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator:
                line += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
            default: line.unicodeScalars.append(scalar)
            }
        }
        return scalars.dropFirst(CallRecorder.detailLimit).isEmpty ? line : line + "…"
    }

    private func enter(_ event: String, _ detail: String, _ time: MediaTime) { recorder.enter(event, detail, time) }
}

extension PipelinePlan.Backend {
    /// Its type, and which of the vendor's agents or models it is: `elevenlabs agent_0123`.
    fileprivate var label: String {
        let which = settings.string("agentId") ?? settings.string("model")
        return [component.spec.type, which].compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: " ")
    }
}
