public import NIOCore

extension OpenAIRealtimeServerEvent {
    /// Appends the event as the server writes it: for a simulated server.
    ///
    /// - Parameter audio: The bytes of an `audioDelta`; its `byteCount` is not looked at.
    public func write(
        eventID: String, audio: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        into buffer: inout ByteBuffer
    ) {
        if case .audioDelta(let place, _) = self {
            OpenAIRealtimeWriter.audioDelta(audio, eventID: eventID, at: place, into: &buffer)
        } else {
            buffer.write(
                .object { text in
                    text.member("type", type)
                    text.member("event_id", eventID)
                    writeMembers(&text)
                })
        }
    }

    /// The name of the event in the released protocol.
    public var type: String {
        switch self {
        case .sessionCreated: "session.created"
        case .sessionUpdated: "session.updated"
        case .conversationCreated: "conversation.created"
        case .itemAdded: "conversation.item.added"
        case .itemDone: "conversation.item.done"
        case .itemRetrieved: "conversation.item.retrieved"
        case .itemDeleted: "conversation.item.deleted"
        case .itemTruncated: "conversation.item.truncated"
        case .inputTranscriptDelta: "conversation.item.input_audio_transcription.delta"
        case .inputTranscriptDone: "conversation.item.input_audio_transcription.completed"
        case .inputTranscriptFailed: "conversation.item.input_audio_transcription.failed"
        case .speechStarted: "input_audio_buffer.speech_started"
        case .speechStopped: "input_audio_buffer.speech_stopped"
        case .audioCommitted: "input_audio_buffer.committed"
        case .audioCleared: "input_audio_buffer.cleared"
        case .idleTimeout: "input_audio_buffer.timeout_triggered"
        case .keyPressed: "input_audio_buffer.dtmf_event_received"
        case .responseCreated: "response.created"
        case .responseDone: "response.done"
        case .outputItemAdded: "response.output_item.added"
        case .outputItemDone: "response.output_item.done"
        case .contentPartAdded: "response.content_part.added"
        case .contentPartDone: "response.content_part.done"
        case .audioDelta: "response.output_audio.delta"
        case .audioDone: "response.output_audio.done"
        case .transcriptDelta: "response.output_audio_transcript.delta"
        case .transcriptDone: "response.output_audio_transcript.done"
        case .textDelta: "response.output_text.delta"
        case .textDone: "response.output_text.done"
        case .argumentsDelta: "response.function_call_arguments.delta"
        case .argumentsDone: "response.function_call_arguments.done"
        case .rateLimits: "rate_limits.updated"
        case .error: "error"
        case .other(let type): type
        }
    }

    private func writeMembers(_ text: inout JSONText) {
        switch self {
        case .sessionCreated(let session), .sessionUpdated(let session):
            text.key("session")
            session.write(into: &text, isServer: true)
        case .conversationCreated(let id):
            text.member("conversation") { conversation in
                conversation.member("id", id)
                conversation.member("object", "realtime.conversation")
            }
        case .itemAdded(let item, let previous), .itemDone(let item, let previous):
            text.nullable("previous_item_id", previous)
            text.item(item)
        case .itemRetrieved(let item): text.item(item)
        case .itemDeleted(let id): text.member("item_id", id)
        case .itemTruncated(let id, let contentIndex, let audioEndMs):
            text.member("item_id", id)
            text.member("content_index", contentIndex)
            text.member("audio_end_ms", audioEndMs)
        case .inputTranscriptDelta(let id, let delta):
            text.member("item_id", id)
            text.member("content_index", 0)
            text.member("delta", delta)
        case .inputTranscriptDone(let id, let transcript):
            text.member("item_id", id)
            text.member("content_index", 0)
            text.member("transcript", transcript)
            text.member("usage") { usage in
                usage.member("type", "duration")
                usage.member("seconds", 1)
            }
        case .inputTranscriptFailed(let id, let fault):
            text.member("item_id", id)
            text.member("content_index", 0)
            text.fault(fault)
        case .speechStarted(let id, let start):
            text.member("audio_start_ms", start)
            text.member("item_id", id)
        case .speechStopped(let id, let end):
            text.member("audio_end_ms", end)
            text.member("item_id", id)
        case .audioCommitted(let id, let previous):
            text.nullable("previous_item_id", previous)
            text.member("item_id", id)
        case .idleTimeout(let id):
            text.member("audio_start_ms", 0)
            text.member("audio_end_ms", 0)
            text.member("item_id", id)
        case .keyPressed(let key): text.member("event", key)
        case .rateLimits(let limits):
            text.key("rate_limits")
            text.array { list in
                for limit in limits {
                    list.object { entry in
                        entry.member("name", limit.name)
                        entry.member("limit", limit.limit)
                        entry.member("remaining", limit.remaining)
                        entry.member("reset_seconds", limit.resetSeconds)
                    }
                }
            }
        case .error(let fault): text.fault(fault)
        case .audioCleared, .audioDelta, .other: break
        default: writeResponse(&text)
        }
    }

    /// The events of a response.
    private func writeResponse(_ text: inout JSONText) {
        switch self {
        case .responseCreated(let response), .responseDone(let response):
            text.key("response")
            response.write(into: &text)
        case .outputItemAdded(let responseID, let index, let item),
            .outputItemDone(let responseID, let index, let item):
            text.member("response_id", responseID)
            text.member("output_index", index)
            text.item(item)
        case .contentPartAdded(let place, let part), .contentPartDone(let place, let part):
            text.place(place)
            text.member("part") { entry in
                entry.member("type", part.type)
                entry.member("text", part.text)
                entry.member("transcript", part.transcript)
            }
        case .audioDone(let place): text.place(place)
        case .transcriptDelta(let place, let delta), .textDelta(let place, let delta):
            text.place(place)
            text.member("delta", delta)
        case .transcriptDone(let place, let transcript):
            text.place(place)
            text.member("transcript", transcript)
        case .textDone(let place, let words):
            text.place(place)
            text.member("text", words)
        case .argumentsDelta(let place, let callID, let delta):
            text.place(place, hasContent: false)
            text.member("call_id", callID)
            text.member("delta", delta)
        case .argumentsDone(let place, let call):
            text.place(place, hasContent: false)
            text.member("call_id", call.callID)
            text.member("name", call.name)
            text.member("arguments", call.arguments)
        default: break
        }
    }
}

extension OpenAIRealtimeServerEvent.Response {
    fileprivate func write(into text: inout JSONText) {
        text.object { response in
            response.member("object", "realtime.response")
            response.member("id", id)
            response.member("status", status)
            response.key("status_details")
            if status == "in_progress" || status == "completed" {
                response.null()
            } else {
                response.object { details in
                    details.member("type", status)
                    details.member("reason", reason)
                    if let fault {
                        details.member("error") { error in
                            error.member("type", fault.type)
                            error.member("code", fault.code)
                            error.member("message", fault.message)
                        }
                    }
                }
            }
            response.key("output")
            response.array { list in for item in output { item.write(into: &list, isServer: true) } }
            response.nullable("conversation_id", conversationID)
            response.member("output_modalities", ["audio"])
            response.key("usage")
            if let usage {
                response.object { object in
                    object.member("total_tokens", usage.total)
                    object.member("input_tokens", usage.input)
                    object.member("output_tokens", usage.output)
                }
            } else {
                response.null()
            }
        }
    }
}

extension JSONText {
    fileprivate mutating func item(_ item: OpenAIRealtimeItem) {
        key("item")
        item.write(into: &self, isServer: true)
    }

    fileprivate mutating func fault(_ fault: OpenAIRealtimeFault) {
        key("error")
        fault.write(into: &self)
    }

    fileprivate mutating func place(_ place: OpenAIRealtimeServerEvent.Place, hasContent: Bool = true) {
        member("response_id", place.responseID)
        member("item_id", place.itemID)
        member("output_index", place.outputIndex)
        if hasContent { member("content_index", place.contentIndex) }
    }
}
