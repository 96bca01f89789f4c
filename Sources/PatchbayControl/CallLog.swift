import Logging
import PatchbayCore
import Synchronization

/// Writes down what happens to one call: for the log an operator reads, and for `/calls/{id}`.
///
/// Faults are logged the first time and then only counted, so that a broken peer cannot fill a disk.
final class CallLog: CallObserver {
    /// Events kept for `/calls/{id}`; the oldest go first.
    static let eventLimit = 500
    /// Characters kept of what an event says; a vendor's texts can be long.
    static let detailLimit = 500

    struct Entry: Sendable {
        var milliseconds: Int64
        var event: String
        var detail: String
    }

    private struct State {
        var entries: [Entry] = []
        var begin: MediaTime?
        var streamSid = ""
        var loggedFaults: Set<String> = []
    }

    private let logger: Logger
    private let state = Mutex(State())

    init(logger: Logger) { self.logger = logger }

    var entries: [Entry] { state.withLock { $0.entries } }
    var streamSid: String { state.withLock { $0.streamSid } }

    // Frames pass too often to be written down.
    func observe(_ frame: Frame, at joint: Joint, time: MediaTime) {
        guard joint.index == 0 else { return }
        switch frame {
        case .dtmf(let digit): enter("dtmf", "\(digit)", time)
        case .text(let text): if text.isFinal { enter("\(text.speaker.rawValue) said", text.text, time) }
        default: break
        }
    }

    func observe(_ event: CallEvent, time: MediaTime) {
        switch event {
        case .streamStarted(let start):
            state.withLock { $0.streamSid = start.streamSid }
            logger.info("stream connected", metadata: ["streamSid": "\(start.streamSid)"])
            enter("stream connected", start.streamSid, time)
        case .agentConnecting(let backend):
            enter("connecting to agent", backend, time)
        case .agentReady(let backend, let input, let output):
            logger.info(
                "connected to agent", metadata: ["backend": "\(backend)", "takes": "\(input)", "gives": "\(output)"])
            enter("connected to agent", "\(backend), takes \(input), gives \(output)", time)
        case .conversationStarted(let id):
            logger.info("agent conversation started", metadata: ["conversation": "\(id)"])
            enter("agent conversation started", id, time)
        case .agentAudible(let generation):
            enter("agent audible", "turn \(generation)", time)
        case .interrupted(let cause, let heard):
            logger.info("interruption", metadata: ["cause": "\(cause)", "heardMs": "\(heard.duration.milliseconds)"])
            enter("interruption", "\(cause); heard \(heard.duration.milliseconds) ms: \(heard.text)", time)
        case .turnHeard(let heard):
            enter("turn heard", "\(heard.duration.milliseconds) ms: \(heard.text)", time)
        case .playbackPaused(let heard):
            enter("playback paused", "heard \(heard.milliseconds) ms", time)
        case .playbackResumed:
            enter("playback resumed", "the caller did not go on", time)
        case .recording(let command):
            logger.info("recording", metadata: ["command": "\(command.rawValue)"])
            enter("recording", command.rawValue, time)
        case .utteranceSent:
            enter("utterance sent", "", time)
        case .agentFailed(let error):
            logger.error("agent failed", metadata: ["error": "\(error)"])
            enter("agent failed", "\(error)", time)
        case .agentChanged(let from, let to):
            logger.notice("agent changed", metadata: ["from": "\(from)", "to": "\(to)"])
            enter("agent changed", "\(from) → \(to)", time)
        case .bridged(let silence):
            enter("bridge", "after \(silence.milliseconds) ms of silence", time)
        case .agentTookOver(let backend, let silence):
            logger.notice(
                "agent took over", metadata: ["backend": "\(backend)", "silenceMs": "\(silence.milliseconds)"])
            enter("agent took over", "\(backend), after \(silence.milliseconds) ms of silence", time)
        case .agentReconnecting(let backend, let cause):
            logger.info("agent reconnecting", metadata: ["backend": "\(backend)", "cause": "\(cause)"])
            enter("agent reconnecting", "\(backend): \(cause)", time)
        case .toolCalled(let call):
            logger.info("tool called", metadata: ["tool": "\(call.name)"])
            enter("tool called", "\(call.name) \(call.arguments)", time)
        case .toolAnswered(let result, let span):
            logger.info(
                "tool answered",
                metadata: [
                    "tool": "\(result.name)", "ms": "\(span.milliseconds)",
                    "outcome": "\(result.isError ? "error" : "ok")",
                ])
            enter("tool answered", "\(result.name) after \(span.milliseconds) ms: \(result.output)", time)
        case .transferring(let number):
            logger.notice("transferring", metadata: ["to": "\(number)"])
            enter("transferring", number, time)
        case .stageFailed(let error):
            if isNew("\(error)") {
                logger.error("stage failed", metadata: ["error": "\(error)"])
                enter("stage failed", "\(error)", time)
            }
        case .fault(let peer, let message):
            if isNew(peer + message) {
                logger.warning("message dropped", metadata: ["peer": "\(peer)", "reason": "\(message)"])
                enter("message dropped", "\(peer): \(message)", time)
            }
        case .hangingUp(let reason):
            enter("hanging up", reason.description, time)
        case .ended(let reason):
            let level: Logger.Level = reason.isFailure ? .error : .info
            logger.log(level: level, "call ended", metadata: ["reason": "\(reason)"])
            enter("call ended", reason.description, time)
        }
    }

    private func isNew(_ fault: String) -> Bool {
        state.withLock { $0.loggedFaults.count < 20 && $0.loggedFaults.insert(fault).inserted }
    }

    private func enter(_ event: String, _ detail: String, _ time: MediaTime) {
        state.withLock { state in
            let begin = state.begin ?? time
            state.begin = begin
            if state.entries.count >= Self.eventLimit { state.entries.removeFirst() }
            state.entries.append(
                Entry(
                    milliseconds: (time - begin).milliseconds, event: event,
                    detail: String(detail.prefix(Self.detailLimit))))
        }
    }
}
