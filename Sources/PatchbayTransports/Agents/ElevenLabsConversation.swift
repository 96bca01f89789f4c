import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire

/// ElevenLabs' conversation protocol as a value.
///
/// https://elevenlabs.io/docs/agents-platform/api-reference/agents-platform/websocket
struct ElevenLabsConversation: AgentConversation {
    private let initiation: ElevenLabsInitiation
    private let patience: TimeSpan
    private var isReady = false
    private var saidGoodbye = false
    private var audio = ByteBuffer()
    /// Audio with a smaller event id belongs to a turn that was cut.
    private var cut = Int.min
    private var lastAudioId = 0
    private var lastFault: ElevenLabsServerMessage.Fault?
    private(set) var deadline: MediaTime?

    init(_ initiation: ElevenLabsInitiation, patience: TimeSpan = .seconds(20)) {
        self.initiation = initiation
        self.patience = patience
    }

    mutating func opened(at now: MediaTime, into output: inout AgentOutput) {
        output.messages.text { ElevenLabsClientMessage.initiation(initiation).write(into: &$0) }
        deadline = now + patience
    }

    // MARK: From the caller

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput) {
        switch frame {
        case .audio(let audio):
            output.messages.text { buffer in
                audio.payload.withUnsafeReadableBytes { ElevenLabsWriter.userAudioChunk($0, into: &buffer) }
            }
        case .dtmf(let digit):
            // The protocol has no message for keys; as context the agent can at least act on them.
            guard isReady else { return }
            let update = ElevenLabsClientMessage.contextualUpdate(
                "The caller pressed the key \(digit).", contextId: nil)
            output.messages.text { update.write(into: &$0) }
        case .interruption:
            // We cut the turn ourselves: what still comes of it is as stale as if the agent had.
            cut = max(cut, lastAudioId + 1)
        default:
            break
        }
    }

    // MARK: From the agent

    mutating func received(_ message: ByteBuffer, at now: MediaTime, into output: inout AgentOutput) {
        if !saidGoodbye { deadline = now + patience }
        audio.empty(keepingCapacity: 64 * 1024)
        let decoded: ElevenLabsServerMessage
        do {
            decoded = try ElevenLabsServerMessage.decode(message, audio: &audio)
        } catch {
            output.emit(.fault("\(error)"))
            return
        }
        switch decoded {
        case .audio(let eventId, let byteCount):
            if let eventId {
                guard eventId >= cut else { return }
                lastAudioId = max(lastAudioId, eventId)
            }
            // Sound before the formats are known could only be noise.
            if isReady, byteCount > 0 { output.emit(.audio(audio)) }
        case .ping(let eventId, _):
            output.messages.text { ElevenLabsWriter.pong(eventId: eventId, into: &$0) }
        case .interruption(let eventId):
            // The interruption carries an id of its own; the next reply has been seen to share it, so equal ids are kept.
            cut = max(cut, eventId ?? (lastAudioId + 1))
            output.emit(.interruption(cause: "the agent heard the caller"))
        case .conversationInitiationMetadata(let metadata):
            begin(metadata, into: &output)
        case .agentResponse(let text, _):
            output.emit(.text(TextFrame(text, speaker: .agent)))
        case .agentResponseCorrection(_, let corrected, _):
            output.emit(.text(TextFrame(corrected, speaker: .agent, isCorrection: true)))
        case .userTranscript(let text, _):
            output.emit(.text(TextFrame(text, speaker: .caller)))
        case .tentativeUserTranscript(let text, _):
            output.emit(.text(TextFrame(text, speaker: .caller, isFinal: false)))
        case .agentResponseComplete:
            output.emit(.turnEnded)
        case .clientToolCall(let call):
            refuse(call, into: &output)
        case .agentToolResponse(let use), .agentToolResponseFullPayload(let use, _, _):
            if use.name == "end_call", use.isError != true {
                // Its last words may still come; then the line is ours to close, whether or not the agent closes it.
                saidGoodbye = true
                deadline = now + Self.farewell
            }
        case .error(let fault), .clientError(let fault):
            lastFault = fault
            output.emit(.fault("the agent reports: \(fault.message)"))
        case .queueStatus(let status):
            if status == "timed_out" {
                output.emit(
                    .failed(
                        PipelineError(.agentUnreachable, "no free conversation: the queue timed out", place: Self.place)
                    ))
            }
        case .agentToolRequest, .agentChatResponsePart, .agentResponseMetadata, .vadScore, .mcpToolCall,
            .mcpConnectionStatus, .contextUsage, .asrInitiationMetadata, .guardrailTriggered,
            .internalTentativeAgentResponse, .internalTurnProbability, .agentTyping, .dtmfRequest, .other:
            break
        }
    }

    mutating func closed(code: UInt16, reason: String, at now: MediaTime, into output: inout AgentOutput) {
        deadline = nil
        let close = ElevenLabsClose(code: Int(code), reason: reason)
        if isReady, close.meaning == .ended || saidGoodbye {
            output.emit(.hangup(EndReason(.agentHungUp, close.description)))
            return
        }
        var words = close.description
        if let lastFault { words += "; it had said: \(lastFault.type.map { "\($0): " } ?? "")\(lastFault.message)" }
        if !isReady { words = "closed before the conversation began: " + words }
        output.emit(.failed(PipelineError(.agentFailed, words, place: Self.place, isRetryable: close.retry != .never)))
    }

    mutating func deadlineReached(at now: MediaTime, into output: inout AgentOutput) {
        deadline = nil
        if saidGoodbye {
            output.emit(.hangup(EndReason(.agentHungUp, "the agent ended the call")))
            return
        }
        let seconds = patience.milliseconds / 1000
        output.emit(
            .failed(
                PipelineError(
                    .agentTimeout, "nothing came from the agent for \(seconds) s, not even a ping", place: Self.place,
                    isRetryable: true)))
    }

    private static let place = "agent elevenlabs"
    /// How long an agent that has ended the call may still speak.
    private static let farewell = TimeSpan.seconds(3)

    private mutating func begin(
        _ metadata: ElevenLabsServerMessage.ConversationMetadata, into output: inout AgentOutput
    ) {
        guard !isReady else { return }
        do {
            let input = try AudioFormat(ElevenLabsAudioFormat(metadata.userInputFormat))
            let format = try AudioFormat(ElevenLabsAudioFormat(metadata.agentOutputFormat))
            isReady = true
            output.emit(.conversationStarted(id: metadata.conversationId))
            output.emit(.ready(input: input, output: format))
        } catch {
            output.emit(
                .failed(
                    PipelineError(
                        .unsupportedFormat, "the agent announced a format we do not know", place: Self.place,
                        cause: error)))
        }
    }

    /// Silence would stall the agent for its whole time-out, so a call to a tool that nobody offers is answered at once.
    private func refuse(_ call: ElevenLabsServerMessage.ToolCall, into output: inout AgentOutput) {
        let result = ElevenLabsClientMessage.ToolResult(
            toolCallId: call.id, result: "Tool \"\(call.name)\" is not available on this line.", isError: true)
        output.messages.text { ElevenLabsClientMessage.clientToolResult(result).write(into: &$0) }
        output.emit(.fault("the agent called the tool \"\(call.name)\", which this pipeline does not have"))
    }
}

extension AudioFormat {
    init(_ format: ElevenLabsAudioFormat) {
        self.init(format.codec == .ulaw ? .mulaw : .pcm16, sampleRate: format.sampleRate)
    }
}
