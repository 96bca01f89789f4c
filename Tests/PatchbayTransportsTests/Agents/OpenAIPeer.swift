import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTesting
import PatchbayWire

@testable import PatchbayTransports

/// OpenAI's Realtime API, for the conformance of the backend that talks to it.
struct OpenAIPeer: AgentPeer {
    private(set) var session = OpenAIRealtimeSession()
    private var lastResponse = 0
    private var lastEvent = 0
    /// The answer that is being made.
    private var active: String?
    private var items: Set<String> = []

    init(_ format: OpenAIRealtimeAudioFormat = .pcmu) {
        session.inputFormat = format
        session.outputFormat = format
    }

    var formats: (input: AudioFormat, output: AudioFormat) {
        (AudioFormat(session.inputFormat ?? .pcm24k), AudioFormat(session.outputFormat ?? .pcm24k))
    }

    mutating func opened() -> [AgentPeerMessage] {
        session.id = "sess_\(lastEvent)"
        active = nil
        return [message(.sessionCreated(session))]
    }

    // MARK: What it understands

    mutating func received(_ message: AgentPeerMessage) -> (heard: [AgentPeerHeard], answers: [AgentPeerMessage]) {
        guard !message.isBinary else { return ([.wrong("a binary message")], []) }
        var audio = ByteBuffer()
        let event: OpenAIRealtimeClientEvent
        do throws(OpenAIRealtimeFault) {
            event = try OpenAIRealtimeClientEvent.decode(message.payload, audio: &audio).event
        } catch {
            return ([.wrong("\(error)")], [])
        }
        switch event {
        case .sessionUpdate(let update):
            session.apply(update)
            return (
                [.begun(tools: (session.tools ?? []).map(\.name), history: [])],
                [self.message(.sessionUpdated(session))]
            )
        case .appendAudio: return ([.audio(audio)], [])
        case .commitAudio: return ([.callerTurnEnded], [])
        case .createItem(let item, _): return ([heard(item)], [])
        case .truncateItem(let id, _, let milliseconds):
            guard items.contains(id) else { return ([.wrong("no item \(id)")], []) }
            return ([.heard(.milliseconds(Int64(milliseconds)))], [])
        case .deleteItem(let id):
            return (items.contains(id) ? [.heard(.zero)] : [.wrong("no item \(id)")], [])
        case .createResponse:
            guard active == nil else { return ([.wrong("a response is active")], []) }
            lastResponse += 1
            let id = "resp_\(lastResponse)"
            return (
                [.answerAsked],
                [
                    self.message(.responseCreated(.init(id: id, status: "in_progress"))),
                    self.message(.responseDone(.init(id: id, status: "completed"))),
                ]
            )
        case .cancelResponse:
            guard let active else {
                let fault = OpenAIRealtimeFault(
                    code: "response_cancel_not_active", message: "Cancellation failed: no active response found")
                return ([.interruption], [self.message(.error(fault))])
            }
            self.active = nil
            let done = OpenAIRealtimeServerEvent.Response(id: active, status: "cancelled", reason: "client_cancelled")
            return ([.interruption], [self.message(.responseDone(done))])
        case .clearAudio, .retrieveItem, .clearOutputAudio: return ([.other], [])
        case .other(let type): return ([.wrong(type)], [])
        }
    }

    private func heard(_ item: OpenAIRealtimeItem) -> AgentPeerHeard {
        switch item.content {
        case .message: return .context(item.words ?? "")
        case .functionCallOutput(let callID, let output):
            // The API has no mark for errors; this is how the backend writes them.
            let isError = output.hasPrefix(#"{"error":"#)
            return .toolResult(ToolResult(ToolCall(id: callID, name: ""), output: output, isError: isError))
        case .functionCall, .other: return .wrong("\(item)")
        }
    }

    // MARK: What it does

    mutating func messages(for act: AgentPeerAct) -> [AgentPeerMessage]? {
        switch act {
        case .audio(let sound):
            var messages = beginResponse()
            var buffer = ByteBuffer()
            let place = place
            items.insert(place.itemID)
            sound.withUnsafeReadableBytes {
                OpenAIRealtimeServerEvent.audioDelta(place, byteCount: 0).write(
                    eventID: eventID(), audio: $0, into: &buffer)
            }
            messages.append(AgentPeerMessage(buffer))
            return messages
        case .turnEnded: return endResponse("completed")
        case .agentText(let text): return beginResponse() + [message(.transcriptDone(place, text))]
        case .callerText(let text, let isFinal):
            return [
                message(
                    isFinal
                        ? .inputTranscriptDone(itemID: "caller", text) : .inputTranscriptDelta(itemID: "caller", text))
            ]
        case .interruption:
            return [message(.speechStarted(itemID: "caller", audioStartMs: 100))]
                + endResponse("cancelled", reason: "turn_detected")
        case .toolCall(let call):
            let function = OpenAIRealtimeItem.FunctionCall(callID: call.id, name: call.name, arguments: call.arguments)
            return beginResponse() + [message(.argumentsDone(place, function))] + endResponse("completed")
        case .goAway:
            return [
                message(
                    .error(
                        .init(
                            code: "session_expired",
                            message: "Your session hit the maximum duration of 60 minutes.")))
            ]
        case .toolCallsCancelled, .goodbye: return nil
        }
    }

    private var place: OpenAIRealtimeServerEvent.Place {
        .init(responseID: active ?? "", itemID: "item_\(lastResponse)")
    }

    private mutating func beginResponse() -> [AgentPeerMessage] {
        guard active == nil else { return [] }
        lastResponse += 1
        let id = "resp_\(lastResponse)"
        active = id
        return [message(.responseCreated(.init(id: id, status: "in_progress")))]
    }

    private mutating func endResponse(_ status: String, reason: String? = nil) -> [AgentPeerMessage] {
        guard let id = active else { return [] }
        active = nil
        return [message(.responseDone(.init(id: id, status: status, reason: reason)))]
    }

    private mutating func message(_ event: OpenAIRealtimeServerEvent) -> AgentPeerMessage {
        var buffer = ByteBuffer()
        event.write(eventID: eventID(), into: &buffer)
        return AgentPeerMessage(buffer)
    }

    private mutating func eventID() -> String {
        lastEvent += 1
        return "event_\(lastEvent)"
    }

    // MARK: Failures

    static var failures: [AgentPeerFailure] {
        [
            before("a wrong key", "invalid_api_key", .agentUnauthorized),
            before("a deactivated account", "account_deactivated", .agentUnauthorized),
            before("an unknown model", "model_not_found", .agentUnknown),
            before("no quota", "insufficient_quota", .agentQuota),
            before("too many requests", "rate_limit_exceeded", .agentQuota, isRetryable: true),
            before("a refused setting", "unknown_parameter", .agentSettingRefused),
            before("a refused value", "invalid_value", .agentSettingRefused),
            before("a failure of the service", "server_error", .agentFailed, isRetryable: true),
            AgentPeerFailure(
                "no quota in an answer", messages: [failed("insufficient_quota")], code: .agentQuota),
            AgentPeerFailure(
                "a rate limit in an answer", messages: [failed("rate_limit_exceeded")], code: .agentQuota,
                isRetryable: true),
            AgentPeerFailure("one answer that fails", messages: [failed("server_error")], code: nil),
            AgentPeerFailure(
                "nothing to cancel", messages: [error("response_cancel_not_active")], code: nil),
            AgentPeerFailure(
                "an empty turn", messages: [error("input_audio_buffer_commit_empty")], code: nil),
            AgentPeerFailure("an invalid event", messages: [error("invalid_event")], code: nil),
            AgentPeerFailure(
                "closed over a key", close: .init(code: 3000, reason: "invalid_request_error.invalid_api_key"),
                code: .agentUnauthorized),
            AgentPeerFailure("closed by policy", close: .init(code: 1008), code: .agentFailed),
            AgentPeerFailure(
                "a server that goes away", close: .init(code: 1001), code: .agentFailed, isRetryable: true),
            AgentPeerFailure("a server that fails", close: .init(code: 1011), code: .agentFailed, isRetryable: true),
            AgentPeerFailure("a server that restarts", close: .init(code: 1012), code: .agentFailed, isRetryable: true),
            AgentPeerFailure("an overloaded server", close: .init(code: 1013), code: .agentFailed, isRetryable: true),
            AgentPeerFailure(
                "closed before the session", isBeforeReady: true, close: .init(code: 1006), code: .agentFailed,
                isRetryable: true),
        ]
    }

    private static func before(
        _ name: String, _ code: String, _ expected: PipelineError.Code, isRetryable: Bool = false
    ) -> AgentPeerFailure {
        AgentPeerFailure(
            name, isBeforeReady: true, messages: [error(code)], code: expected, isRetryable: isRetryable)
    }

    private static func error(_ code: String) -> AgentPeerMessage {
        AgentPeerMessage(
            #"{"type":"error","event_id":"event_1","error":{"type":"invalid_request_error","code":"\#(code)","message":"Words.","param":null,"event_id":null}}"#
        )
    }

    private static func failed(_ code: String) -> AgentPeerMessage {
        AgentPeerMessage(
            #"{"type":"response.done","event_id":"event_1","response":{"object":"realtime.response","id":"resp_f","status":"failed","status_details":{"type":"failed","error":{"type":"\#(code)","code":"\#(code)","message":"Words."}},"output":[]}}"#
        )
    }
}
