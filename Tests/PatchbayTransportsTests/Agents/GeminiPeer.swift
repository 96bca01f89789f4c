import Foundation
import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTesting
import PatchbayWire

/// Gemini's Live API (ai.google.dev/api/live), as far as a client can tell.
struct GeminiPeer: AgentPeer {
    let formats = (input: AudioFormat.pcm(16_000), output: AudioFormat.pcm(24_000))
    private var setup: GeminiSetup?
    /// The model's turn is not over yet, so words in writing interrupt it.
    private var isTurnOpen = false
    private var handles = 0

    mutating func opened() -> [AgentPeerMessage] {
        setup = nil
        isTurnOpen = false
        return []
    }

    mutating func received(_ message: AgentPeerMessage) -> (heard: [AgentPeerHeard], answers: [AgentPeerMessage]) {
        var audio = ByteBuffer()
        let decoded: GeminiClientMessage
        do {
            decoded = try .decode(message.payload, audio: &audio)
        } catch {
            return ([.wrong("\(error)")], [])
        }
        if case .setup(let setup) = decoded { return begin(setup) }
        guard let setup else { return ([.wrong("the first message has to be setup")], []) }
        switch decoded {
        case .setup: return ([.wrong("a second setup")], [])
        case .audio(_, 16_000): return ([.audio(audio)], [])
        case .audio(_, let rate): return ([.wrong("sound at \(rate) Hz")], [])
        case .audioStreamEnd: return ([setup.turnDetection == .none ? .wrong("audioStreamEnd") : .other], [])
        case .activityStart: return ([setup.turnDetection == .none ? .interruption : .wrong("activityStart")], [])
        case .activityEnd: return ([setup.turnDetection == .none ? .callerTurnEnded : .wrong("activityEnd")], [])
        case .text(let text): return ([.context(text), .answerAsked], [])
        case .content(let turns, let isComplete): return (content(turns, isComplete), [])
        case .toolResponses(let responses): return (responses.map(Self.result), [])
        case .video, .other: return ([.wrong(message.text)], [])
        }
    }

    private mutating func begin(_ setup: GeminiSetup) -> (heard: [AgentPeerHeard], answers: [AgentPeerMessage]) {
        guard self.setup == nil else { return ([.wrong("a second setup")], []) }
        guard setup.otherFields.isEmpty else { return ([.wrong("\(setup.otherFields)")], []) }
        self.setup = setup
        let heard: AgentPeerHeard =
            setup.resumptionHandle == nil ? .begun(tools: setup.tools.map(\.name), history: []) : .resumed
        var answers = [Self.message { $0.setupComplete = .init() }]
        if setup.isResumable { answers.append(nextHandle()) }
        return ([heard], answers)
    }

    private mutating func nextHandle() -> AgentPeerMessage {
        handles += 1
        let handle = "handle-\(handles)"
        return Self.message { $0.resumption = .init(handle: handle, isResumable: true) }
    }

    private mutating func content(_ turns: [GeminiClientMessage.Turn], _ isComplete: Bool) -> [AgentPeerHeard] {
        if isTurnOpen { return [.interruption] }
        let history = turns.map { ConversationTurn($0.role == .user ? .caller : .agent, $0.text) }
        guard isComplete else { return turns.map { .context($0.text) } }
        let begun = AgentPeerHeard.begun(tools: setup?.tools.map(\.name) ?? [], history: history)
        // Announced as such, a history waits for the first input.
        return setup?.hasInitialHistory == true ? [begun] : [begun, .answerAsked]
    }

    private static func result(_ response: GeminiClientMessage.FunctionResponse) -> AgentPeerHeard {
        let isError = response.response.hasPrefix(#"{"error":"#)
        // A text as such, anything else as the JSON that it is.
        var output = String(response.response.dropFirst(isError ? 9 : 10).dropLast())
        if output.hasPrefix("\""), let text = try? JSONDecoder().decode(String.self, from: Data(output.utf8)) {
            output = text
        }
        return .toolResult(
            ToolResult(ToolCall(id: response.id ?? "", name: response.name), output: output, isError: isError))
    }

    mutating func messages(for act: AgentPeerAct) -> [AgentPeerMessage]? {
        switch act {
        case .audio(let audio):
            isTurnOpen = true
            var content = GeminiServerMessage.Content()
            content.sampleRate = formats.output.sampleRate
            return [Self.message(sound: audio) { $0.content = content }]
        case .turnEnded:
            isTurnOpen = false
            return [
                Self.content { $0.isGenerationComplete = true }, Self.content { $0.isTurnComplete = true },
                nextHandle(),
            ]
        case .agentText(let text):
            // Cut in the middle of a word, as the service does.
            let middle = text.index(text.startIndex, offsetBy: text.count / 2)
            return [text[..<middle], text[middle...]].map { part in
                Self.content { $0.outputTranscription = .init(String(part)) }
            }
        case .callerText(let text, let isFinal):
            guard isFinal else { return [Self.content { $0.interimInputTranscription = .init(text) }] }
            return [Self.content { $0.inputTranscription = .init(text, isFinished: true) }]
        case .interruption:
            isTurnOpen = false
            return [Self.content { $0.isInterrupted = true }, Self.content { $0.isTurnComplete = true }]
        case .toolCall(let call):
            return [
                Self.message { $0.functionCalls = [.init(id: call.id, name: call.name, arguments: call.arguments)] }
            ]
        case .toolCallsCancelled(let ids): return [Self.message { $0.cancelledCalls = ids }]
        case .goodbye: return nil
        case .goAway: return [Self.message { $0.goAway = .init(timeLeftMs: 9_800) }]
        }
    }

    private static func content(_ change: (inout GeminiServerMessage.Content) -> Void) -> AgentPeerMessage {
        message { message in
            var content = GeminiServerMessage.Content()
            change(&content)
            message.content = content
        }
    }

    /// As the service sends its JSON: in a binary message.
    private static func message(
        sound: ByteBuffer = ByteBuffer(), _ change: (inout GeminiServerMessage) -> Void
    ) -> AgentPeerMessage {
        var message = GeminiServerMessage()
        change(&message)
        var buffer = ByteBuffer()
        sound.withUnsafeReadableBytes { message.write(audio: $0, into: &buffer) }
        return AgentPeerMessage(buffer, isBinary: true)
    }

    /// Reasons of closes as the service words them (ai.google.dev/gemini-api/docs/troubleshooting).
    static let failures: [AgentPeerFailure] = [
        AgentPeerFailure(
            "a wrong key", isBeforeReady: true,
            close: .init(code: 1007, reason: "API key not valid. Please pass a valid API key."),
            code: .agentUnauthorized),
        AgentPeerFailure(
            "no key", isBeforeReady: true,
            close: .init(
                code: 1008,
                reason: "Method doesn't allow unregistered callers (callers without established identity)."),
            code: .agentUnauthorized),
        AgentPeerFailure(
            "an unknown model", isBeforeReady: true,
            close: .init(
                code: 1008,
                reason: "models/x is not found for API version v1beta, or is not supported for bidiGenerateContent."),
            code: .agentUnknown),
        AgentPeerFailure(
            "no quota", isBeforeReady: true,
            close: .init(
                code: 1011, reason: "You exceeded your current quota, please check your plan and billing details."),
            code: .agentQuota),
        AgentPeerFailure(
            "a field that the model lacks", isBeforeReady: true,
            close: .init(code: 1007, reason: "Request contains an invalid argument."), code: .agentSettingRefused),
        AgentPeerFailure(
            "a failure before the setup is accepted", isBeforeReady: true,
            close: .init(code: 1011, reason: "Internal error encountered."), code: .agentFailed, isRetryable: true),
        AgentPeerFailure(
            "a context that is full", close: .init(code: 1007, reason: "Request contains an invalid argument."),
            code: .agentFailed),
        AgentPeerFailure(
            "a quota that runs out in mid-conversation",
            close: .init(code: 1011, reason: "RESOURCE_EXHAUSTED"), code: .agentQuota),
        AgentPeerFailure(
            "a message that is no JSON",
            messages: [AgentPeerMessage(ByteBuffer(string: "{\"serverContent\":"), isBinary: true)],
            code: nil),
        AgentPeerFailure(
            "a member of a newer protocol",
            messages: [AgentPeerMessage(ByteBuffer(string: #"{"newMember":{"a":1}}"#), isBinary: true)], code: nil),
        // The handles that were given out let the conversation go on.
        AgentPeerFailure(
            "a failure in mid-conversation", close: .init(code: 1011, reason: "Internal error encountered."), code: nil),
        AgentPeerFailure("a lost connection", close: .init(code: 1006), code: nil),
    ]
}

extension AgentPeerMessage {
    fileprivate var text: String { String(buffer: payload) }
}
