import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTesting
import PatchbayWire

/// An agent of one's own as a synchronous value, by the page "Agents of your own".
struct WebSocketAgentPeer: AgentPeer {
    var formats: (input: AudioFormat, output: AudioFormat)
    var form: AgentSocketAudioForm
    private let choice: AgentSocketAudioChoice
    private var audio = ByteBuffer()
    private var hasStarted = false

    init(
        input: AgentSocketFormat = .init(.pcm16, sampleRate: 16000),
        output: AgentSocketFormat = .init(.pcm16, sampleRate: 24000), form: AgentSocketAudioForm = .binary
    ) {
        formats = (Self.format(input), Self.format(output))
        self.form = form
        choice = AgentSocketAudioChoice(form: form, input: input, output: output)
    }

    private static func format(_ format: AgentSocketFormat) -> AudioFormat {
        switch format.encoding {
        case .mulaw: AudioFormat(.mulaw, sampleRate: format.sampleRate)
        case .alaw: AudioFormat(.alaw, sampleRate: format.sampleRate)
        case .pcm16: .pcm(format.sampleRate)
        }
    }

    mutating func opened() -> [AgentPeerMessage] {
        hasStarted = false
        return []
    }

    mutating func received(_ message: AgentPeerMessage) -> (heard: [AgentPeerHeard], answers: [AgentPeerMessage]) {
        if message.isBinary {
            return ([form == .binary ? .audio(message.payload) : .wrong("sound in binary, base64 was chosen")], [])
        }
        audio.clear()
        do throws(WireError) {
            return answer(try AgentSocketClientMessage.decode(message.payload, audio: &audio))
        } catch {
            return ([.wrong("\(error)")], [])
        }
    }

    private mutating func answer(
        _ message: AgentSocketClientMessage
    ) -> (heard: [AgentPeerHeard], answers: [AgentPeerMessage]) {
        if case .start = message {} else if !hasStarted { return ([.wrong("a message before start")], []) }
        switch message {
        case .start(let start):
            guard !hasStarted else { return ([.wrong("a second start")], []) }
            hasStarted = true
            let ready = Self.written(.ready(choice, conversation: start.resume ?? "c-1"))
            if start.resume != nil { return ([.resumed], [ready]) }
            let history = start.history.map { ConversationTurn($0.speaker == .agent ? .agent : .caller, $0.text) }
            let begun = AgentPeerHeard.begun(tools: start.tools.map(\.name), history: history)
            let context = start.context.map { [AgentPeerHeard.context($0)] } ?? []
            return ([begun] + context + (start.isAnswerAwaited ? [.answerAsked] : []), [ready])
        case .audio: return ([form == .base64 ? .audio(audio) : .wrong("sound in base64, binary was chosen")], [])
        case .toolResult(let id, let name, let output, let isError):
            return ([.toolResult(ToolResult(ToolCall(id: id, name: name), output: output, isError: isError))], [])
        case .context(let text): return ([.context(text)], [])
        case .heard(let heard): return ([.heard(.milliseconds(Int64(heard.milliseconds)))], [])
        case .interruption(_, let heard):
            return (
                [.interruption, .heard(.milliseconds(Int64(heard.milliseconds)))], [Self.written(.turnEnded)]
            )
        case .turnEnded: return ([.callerTurnEnded], [])
        case .ping(let id): return ([.other], [Self.written(.pong(id: id))])
        case .callStarted, .speechStarted, .speechStopped, .turnStarted, .text, .dtmf, .end, .pong:
            return ([.other], [])
        case .other(let type): return ([.wrong("a message of type \(type)")], [])
        }
    }

    mutating func messages(for act: AgentPeerAct) -> [AgentPeerMessage]? {
        switch act {
        case .audio(let sound):
            guard form == .base64 else { return [AgentPeerMessage(sound, isBinary: true)] }
            var buffer = ByteBuffer()
            sound.withUnsafeReadableBytes { AgentSocketAudio.write($0, into: &buffer) }
            return [AgentPeerMessage(buffer)]
        case .turnEnded: return [Self.written(.turnEnded)]
        case .agentText(let text): return [Self.written(.text(.init(text, speaker: .agent)))]
        case .callerText(let text, let isFinal):
            return [Self.written(.text(.init(text, speaker: .caller, isFinal: isFinal)))]
        case .interruption: return [Self.written(.interruption(cause: nil))]
        case .toolCall(let call):
            return [Self.written(.toolCall(id: call.id, name: call.name, arguments: call.arguments))]
        case .toolCallsCancelled(let ids): return [Self.written(.toolCancel(ids: ids))]
        case .goodbye: return [Self.written(.hangUp(reason: "goodbye"))]
        case .goAway: return [Self.written(.reconnect(cause: "deploying"))]
        }
    }

    private static func written(_ message: AgentSocketServerMessage) -> AgentPeerMessage {
        var buffer = ByteBuffer()
        message.write(into: &buffer)
        return AgentPeerMessage(buffer)
    }

    private static func error(_ code: String, _ message: String, isRetryable: Bool = false) -> [AgentPeerMessage] {
        [written(.error(.init(code: code, message: message, isRetryable: isRetryable)))]
    }

    static let failures: [AgentPeerFailure] = [
        AgentPeerFailure(
            "token refused", isBeforeReady: true, messages: error("unauthorized", "wrong token"),
            code: .agentUnauthorized),
        AgentPeerFailure(
            "no such agent", isBeforeReady: true, messages: error("unknownAgent", "no agent here"), code: .agentUnknown),
        AgentPeerFailure(
            "too many calls", isBeforeReady: true, messages: error("quota", "all busy", isRetryable: true),
            code: .agentQuota, isRetryable: true),
        AgentPeerFailure(
            "a setting refused", isBeforeReady: true, messages: error("settingRefused", "no voice \"x\""),
            code: .agentSettingRefused),
        AgentPeerFailure("a word of its own", messages: error("onFire", "help"), code: .agentFailed),
        AgentPeerFailure(
            "a format that was not offered", isBeforeReady: true,
            messages: [
                written(.ready(.init(input: .init(.alaw, sampleRate: 48000)), conversation: nil))
            ], code: .unsupportedFormat),
        AgentPeerFailure(
            "closed before ready", isBeforeReady: true, close: .init(code: 1000), code: .agentFailed),
        AgentPeerFailure("restart", close: .init(code: 1012), code: .agentFailed, isRetryable: true),
        AgentPeerFailure("going away", close: .init(code: 1001), code: .agentFailed, isRetryable: true),
        AgentPeerFailure("lost", close: .init(code: 1006), code: .agentFailed, isRetryable: true),
        AgentPeerFailure("crashed", close: .init(code: 1011, reason: "oops"), code: .agentFailed, isRetryable: true),
        AgentPeerFailure("policy", close: .init(code: 1008), code: .agentFailed),
        AgentPeerFailure("no JSON", messages: [AgentPeerMessage("{no")], code: nil),
        AgentPeerFailure("ready twice", messages: [written(.ready(.init(), conversation: nil))], code: nil),
    ]
}
