public import NIOCore

extension ElevenLabsServerMessage {
    /// Appends the message as the server writes it: for a simulated agent.
    ///
    /// - Parameter audio: The bytes of an `audio` message; its `byteCount` is not looked at. ``ElevenLabsWriter``
    ///   writes audio without the detour through a message.
    public func write(
        audio: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0), into buffer: inout ByteBuffer
    ) {
        if case .audio(let eventId, _) = self {
            ElevenLabsWriter.audio(audio, eventId: eventId, into: &buffer)
        } else {
            buffer.write(.object(writeMembers))
        }
    }

    private func writeMembers(_ text: inout JSONText) {
        switch self {
        case .conversationInitiationMetadata(let metadata):
            text.event("conversation_initiation_metadata", "conversation_initiation_metadata_event") { event in
                event.member("conversation_id", metadata.conversationId)
                event.member("agent_output_audio_format", metadata.agentOutputFormat)
                event.member("user_input_audio_format", metadata.userInputFormat)
            }
        case .ping(let eventId, let pingMs):
            text.event("ping", "ping_event") { event in
                event.member("event_id", eventId)
                // Clients read this key without looking whether it is there.
                event.member("ping_ms", raw: pingMs.map(String.init) ?? "null")
            }
        case .audio: break
        case .userTranscript(let transcript, let eventId):
            text.event("user_transcript", "user_transcription_event") { event in
                event.member("user_transcript", transcript)
                event.member("event_id", eventId)
            }
        case .tentativeUserTranscript(let transcript, let eventId):
            text.event("tentative_user_transcript", "tentative_user_transcription_event") { event in
                event.member("user_transcript", transcript)
                event.member("event_id", eventId)
            }
        case .agentResponse(let response, let eventId):
            text.event("agent_response", "agent_response_event") { event in
                event.member("agent_response", response)
                event.member("event_id", eventId)
            }
        case .agentResponseCorrection(let original, let corrected, let eventId):
            text.event("agent_response_correction", "agent_response_correction_event") { event in
                event.member("original_agent_response", original)
                event.member("corrected_agent_response", corrected)
                event.member("event_id", eventId)
            }
        case .interruption(let eventId):
            text.event("interruption", "interruption_event") { $0.member("event_id", eventId) }
        case .clientToolCall(let call):
            text.event("client_tool_call", "client_tool_call") { event in
                event.member("tool_name", call.name)
                event.member("tool_call_id", call.id)
                event.member("parameters", raw: call.parameters)
                event.member("event_id", call.eventId)
                event.member("expects_response", call.expectsResponse)
            }
        case .agentToolRequest(let use):
            text.event("agent_tool_request", "agent_tool_request") { $0.members(of: use) }
        case .agentToolResponse(let use):
            text.event("agent_tool_response", "agent_tool_response") { $0.members(of: use) }
        case .agentToolResponseFullPayload(let use, let result, let isTruncated):
            text.event("agent_tool_response_full_payload", "agent_tool_response_full_payload") { event in
                event.members(of: use)
                event.member("full_tool_result", result)
                event.member("truncated", isTruncated)
            }
        case .agentChatResponsePart(let part, let type, let eventId):
            text.event("agent_chat_response_part", "text_response_part") { event in
                event.member("text", part)
                event.member("type", type)
                event.member("event_id", eventId)
            }
        case .agentResponseComplete(let eventId):
            text.event("agent_response_complete", "agent_response_complete_event") { $0.member("event_id", eventId) }
        case .agentResponseMetadata(let json, let eventId):
            text.event("agent_response_metadata", "agent_response_metadata_event") { event in
                event.member("metadata", raw: json)
                event.member("event_id", eventId)
            }
        case .vadScore(let score):
            text.event("vad_score", "vad_score_event") { $0.member("vad_score", score) }
        default:
            writeOperational(&text)
        }
    }

    /// Messages about the platform rather than the conversation.
    private func writeOperational(_ text: inout JSONText) {
        switch self {
        case .mcpToolCall(let call):
            text.event("mcp_tool_call", "mcp_tool_call") { event in
                event.member("service_id", call.serviceId)
                event.member("tool_call_id", call.id)
                event.member("tool_name", call.name)
                event.member("parameters", raw: call.parameters)
                event.member("state", call.state)
                event.member("approval_timeout_secs", call.approvalTimeout)
                event.member("error_message", call.errorMessage)
            }
        case .mcpConnectionStatus(let integrations):
            text.event("mcp_connection_status", "mcp_connection_status") { event in
                event.key("integrations")
                event.array { list in
                    for integration in integrations {
                        list.object { item in
                            item.member("integration_id", integration.id)
                            item.member("integration_type", integration.type)
                            item.member("is_connected", integration.isConnected)
                            item.member("tool_count", integration.toolCount)
                        }
                    }
                }
            }
        case .contextUsage(let usage):
            text.event("context_usage", "context_usage_event") { event in
                event.member("event_id", usage.eventId)
                event.member("model", usage.model)
                event.member("context_tokens", usage.contextTokens)
                event.member("context_limit_tokens", usage.contextLimitTokens)
            }
        case .asrInitiationMetadata:
            text.event("asr_initiation_metadata", "asr_initiation_metadata_event") { _ in }
        case .guardrailTriggered(let name):
            text.event("guardrail_triggered", "guardrail_triggered_event") { $0.member("guardrail_name", name) }
        case .queueStatus(let status):
            text.event("queue_status", "queue_status_event") { $0.member("status", status) }
        case .clientError(let fault):
            text.event("client_error", "error_event") { event in
                event.member("code", fault.code)
                event.member("message", fault.message)
                event.member("error_name", fault.type)
            }
        case .error(let fault):
            text.event("error", "error_event") { event in
                event.member("code", fault.code)
                event.member("error_type", fault.type)
                event.member("message", fault.message)
                event.member("reason", fault.reason)
            }
        case .internalTentativeAgentResponse(let response):
            text.event("internal_tentative_agent_response", "tentative_agent_response_internal_event") { event in
                event.member("tentative_agent_response", response)
            }
        case .internalTurnProbability(let probability):
            text.event("internal_turn_probability", "turn_probability_internal_event") { event in
                event.member("turn_probability", probability)
            }
        case .agentTyping(let isTyping, let durationMs):
            text.event("agent_typing", "agent_typing_event") { event in
                event.member("is_typing", isTyping)
                event.member("duration_ms", durationMs)
            }
        case .dtmfRequest(let json):
            text.member("type", "dtmf_request")
            text.member("dtmf_request", raw: json)
        case .other(let type):
            text.member("type", type)
        default: break
        }
    }
}

extension JSONText {
    fileprivate mutating func event(_ type: String, _ key: String, _ body: (inout JSONText) -> Void) {
        member("type", type)
        member(key, body)
    }

    fileprivate mutating func members(of use: ElevenLabsServerMessage.ToolUse) {
        member("tool_name", use.name)
        member("tool_call_id", use.id)
        member("tool_type", use.type)
        member("is_error", use.isError)
        member("is_called", use.isCalled)
        member("event_id", use.eventId)
    }
}
