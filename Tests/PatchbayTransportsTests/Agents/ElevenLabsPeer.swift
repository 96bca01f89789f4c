import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTesting
import PatchbayWire

@testable import PatchbayTransports

/// ElevenLabs' server in a conversation, message by message.
///
/// https://elevenlabs.io/docs/agents-platform/api-reference/agents-platform/websocket
struct ElevenLabsPeer: AgentPeer {
    private let input: ElevenLabsAudioFormat
    private let output: ElevenLabsAudioFormat
    private var eventId = 1
    private var hasBegun = false

    init(_ input: ElevenLabsAudioFormat = .ulaw, _ output: ElevenLabsAudioFormat = .pcm) {
        self.input = input
        self.output = output
    }

    var formats: (input: AudioFormat, output: AudioFormat) { (AudioFormat(input), AudioFormat(output)) }

    mutating func opened() -> [AgentPeerMessage] {
        [
            Self.message(
                .conversationInitiationMetadata(
                    .init(
                        conversationId: "conv_1", agentOutputFormat: output.description,
                        userInputFormat: input.description))), Self.message(.ping(eventId: 1, pingMs: nil)),
        ]
    }

    mutating func received(_ message: AgentPeerMessage) -> (heard: [AgentPeerHeard], answers: [AgentPeerMessage]) {
        guard !message.isBinary else { return ([.wrong("a binary message")], []) }
        var audio = ByteBuffer()
        let decoded: ElevenLabsClientMessage
        do throws(WireError) {
            decoded = try .decode(message.payload, audio: &audio)
        } catch {
            return ([.wrong("\(error)")], [])
        }
        if case .initiation = decoded {
            guard !hasBegun else { return ([.wrong("a second initiation")], []) }
            hasBegun = true
            return ([.begun(tools: [], history: [])], [])
        }
        guard hasBegun else { return ([.wrong("the first message is no initiation")], []) }
        switch decoded {
        case .userAudioChunk:
            let unit = input.codec == .pcm ? 2 : 1
            guard audio.readableBytes % unit == 0 else { return ([.wrong("half a sample")], []) }
            return ([.audio(audio)], [])
        case .clientToolResult(let result):
            let call = PatchbayCore.ToolCall(id: result.toolCallId, name: "")
            return ([.toolResult(ToolResult(call, output: result.result, isError: result.isError))], [])
        case .contextualUpdate(let text, _): return ([.context(text)], [])
        case .pong(let id): return ([id == 1 ? .other : .wrong("a pong to no ping")], [])
        case .userActivity: return ([.other], [])
        case .userMessage: return ([.answerAsked], [])
        case .initiation, .feedback, .mcpToolApprovalResult, .multimodalMessage, .other:
            return ([.wrong("\(decoded)")], [])
        }
    }

    mutating func messages(for act: AgentPeerAct) -> [AgentPeerMessage]? {
        switch act {
        case .audio(let sound):
            var message = ByteBuffer()
            sound.withUnsafeReadableBytes { ElevenLabsWriter.audio($0, eventId: eventId, into: &message) }
            return [AgentPeerMessage(message)]
        case .turnEnded:
            defer { eventId += 1 }
            return [Self.message(.agentResponseComplete(eventId: eventId))]
        case .agentText(let text): return [Self.message(.agentResponse(text, eventId: eventId))]
        case .callerText(let text, let isFinal):
            return [
                Self.message(
                    isFinal
                        ? .userTranscript(text, eventId: eventId) : .tentativeUserTranscript(text, eventId: eventId))
            ]
        case .interruption:
            // It has an id of its own.
            eventId += 2
            return [Self.message(.interruption(eventId: eventId - 1))]
        case .toolCall(let call):
            return [Self.message(.clientToolCall(.init(name: call.name, id: call.id, parameters: call.arguments)))]
        case .goodbye:
            return [
                Self.message(
                    .agentToolResponse(
                        .init(name: "end_call", id: "call_end", type: "system", isError: false, isCalled: true)))
            ]
        case .toolCallsCancelled, .goAway: return nil
        }
    }

    private static func message(_ message: ElevenLabsServerMessage) -> AgentPeerMessage {
        var buffer = ByteBuffer()
        message.write(into: &buffer)
        return AgentPeerMessage(buffer)
    }

    private static func error(_ code: Int, _ type: String, _ words: String) -> AgentPeerMessage {
        message(.error(.init(code: code, type: type, message: words, reason: words)))
    }

    static let failures = [
        AgentPeerFailure(
            "quota used up", close: .init(code: 1002, reason: "This request exceeds your quota limit."),
            code: .agentQuota),
        AgentPeerFailure(
            "quota used up, said flatly",
            messages: [
                AgentPeerMessage(
                    #"{"type":"error","message":"received 1002 (protocol error) This request exceeds your quota limit."}"#
                )
            ], close: .init(code: 1002), code: .agentQuota),
        AgentPeerFailure(
            "forbidden override",
            messages: [error(1008, "override_error", "Override of \"agent.language\" is not allowed")],
            close: .init(code: 1008), code: .agentSettingRefused),
        AgentPeerFailure(
            "forbidden override, in the reason only",
            close: .init(code: 1008, reason: "Override for field 'first_message' is not allowed by config."),
            code: .agentSettingRefused),
        AgentPeerFailure(
            "missing variable", isBeforeReady: true,
            messages: [error(1008, "missing_dynamic_variable", "Missing required dynamic variables: name")],
            close: .init(code: 1008), code: .agentNotConfigured),
        AgentPeerFailure(
            "bad message", messages: [error(1008, "invalid_message", "Invalid message")], close: .init(code: 1008),
            code: .agentFailed),
        AgentPeerFailure(
            "authorisation", isBeforeReady: true,
            close: .init(code: 1008, reason: "Could not authorize the conversation"), code: .agentUnauthorized),
        AgentPeerFailure(
            "no such agent", isBeforeReady: true, close: .init(code: 1008, reason: "Agent does not exist"),
            code: .agentUnknown),
        AgentPeerFailure(
            "stale branch", close: .init(code: 3000, reason: "Request error"), code: .agentSettingRefused),
        AgentPeerFailure(
            "language model's time-out", messages: [error(1002, "llm_timeout", "LLM timed out")],
            close: .init(code: 1002), code: .agentFailed, isRetryable: true),
        AgentPeerFailure(
            "no input", messages: [error(1002, "transport_receive_timeout", "no input")], close: .init(code: 1002),
            code: .agentFailed, isRetryable: true),
        AgentPeerFailure(
            "policy", messages: [error(1002, "safety_violation", "blocked")], close: .init(code: 1002),
            code: .agentFailed),
        AgentPeerFailure(
            "custom model", close: .init(code: 1002, reason: "The agent is misconfigured"), code: .agentFailed),
        AgentPeerFailure("crash", close: .init(code: 1011), code: .agentFailed, isRetryable: true),
        AgentPeerFailure(
            "closed before it began", isBeforeReady: true, close: .init(code: 1000), code: .agentFailed),
        AgentPeerFailure(
            "too many conversations", isBeforeReady: true, messages: [message(.queueStatus("waiting"))],
            close: .init(code: 3008, reason: "too many concurrent connections"), code: .agentQuota, isRetryable: true),
        AgentPeerFailure(
            "queue timed out", isBeforeReady: true,
            messages: [message(.queueStatus("waiting")), message(.queueStatus("timed_out"))],
            close: .init(code: 3008), code: .agentQuota, isRetryable: true),
        AgentPeerFailure(
            "a queue that ends well", isBeforeReady: true,
            messages: [message(.queueStatus("waiting")), message(.queueStatus("admitted"))], code: nil),
        AgentPeerFailure("a client error", messages: [message(.clientError(.init(message: "odd")))], code: nil),
        AgentPeerFailure(
            "a format of next year", isBeforeReady: true,
            messages: [
                message(
                    .conversationInitiationMetadata(
                        .init(conversationId: "c", agentOutputFormat: "opus_48000", userInputFormat: "pcm_16000")))
            ], code: .unsupportedFormat),
    ]
}

extension ElevenLabsAudioFormat {
    static let ulaw = ElevenLabsAudioFormat(codec: .ulaw, sampleRate: 8000)
    static let pcm = ElevenLabsAudioFormat(codec: .pcm, sampleRate: 16000)
}
