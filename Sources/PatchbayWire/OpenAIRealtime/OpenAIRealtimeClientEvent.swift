public import NIOCore

/// What a client sends to a Realtime session.
///
/// Source: OpenAI's reference of client events (platform.openai.com/docs/api-reference/realtime-client-events).
public enum OpenAIRealtimeClientEvent: Sendable, Equatable {
    case sessionUpdate(OpenAIRealtimeSession)
    /// The caller's audio: `byteCount` bytes were appended to the decoder's buffer. Never acknowledged.
    case appendAudio(byteCount: Int)
    /// The audio so far is a turn of the user. Makes no response.
    case commitAudio
    case clearAudio
    /// `previousItemID` is where it goes: `root` for the front, `nil` for the end.
    case createItem(OpenAIRealtimeItem, previousItemID: String?)
    /// Only the first `audioEndMs` of the item were heard.
    case truncateItem(id: String, contentIndex: Int, audioEndMs: Int)
    case deleteItem(id: String)
    case retrieveItem(id: String)
    case createResponse(ResponseOptions)
    case cancelResponse(id: String?)
    /// Of WebRTC and SIP only.
    case clearOutputAudio
    /// A type that this side does not know.
    case other(type: String)

    /// What one response does otherwise than the session.
    public struct ResponseOptions: Sendable, Equatable {
        public var instructions: String?
        /// `none` makes a response that is no part of the conversation.
        public var conversation: String?
        public var outputModalities: [String]?

        public init(
            instructions: String? = nil, conversation: String? = nil, outputModalities: [String]? = nil
        ) {
            self.instructions = instructions
            self.conversation = conversation
            self.outputModalities = outputModalities
        }
    }
}

extension OpenAIRealtimeClientEvent {
    /// Appends the event.
    ///
    /// - Parameters:
    ///   - eventID: Comes back in the error that the event may cause.
    ///   - audio: The bytes of an `appendAudio`; its `byteCount` is not looked at. ``OpenAIRealtimeWriter`` writes
    ///     audio without the detour through an event.
    public func write(
        eventID: String? = nil, dialect: OpenAIRealtimeDialect = .ga,
        audio: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0), into buffer: inout ByteBuffer
    ) {
        if case .appendAudio = self {
            OpenAIRealtimeWriter.appendAudio(audio, into: &buffer)
        } else {
            buffer.write(
                .object { text in
                    text.member("type", type)
                    text.member("event_id", eventID)
                    writeMembers(&text, dialect)
                })
        }
    }

    /// The name of the event.
    public var type: String {
        switch self {
        case .sessionUpdate: "session.update"
        case .appendAudio: "input_audio_buffer.append"
        case .commitAudio: "input_audio_buffer.commit"
        case .clearAudio: "input_audio_buffer.clear"
        case .createItem: "conversation.item.create"
        case .truncateItem: "conversation.item.truncate"
        case .deleteItem: "conversation.item.delete"
        case .retrieveItem: "conversation.item.retrieve"
        case .createResponse: "response.create"
        case .cancelResponse: "response.cancel"
        case .clearOutputAudio: "output_audio_buffer.clear"
        case .other(let type): type
        }
    }

    private func writeMembers(_ text: inout JSONText, _ dialect: OpenAIRealtimeDialect) {
        switch self {
        case .sessionUpdate(let session):
            text.key("session")
            session.write(into: &text, dialect: dialect)
        case .createItem(let item, let previous):
            text.member("previous_item_id", previous)
            text.key("item")
            item.write(into: &text, dialect: dialect)
        case .truncateItem(let id, let contentIndex, let audioEndMs):
            text.member("item_id", id)
            text.member("content_index", contentIndex)
            text.member("audio_end_ms", audioEndMs)
        case .deleteItem(let id), .retrieveItem(let id):
            text.member("item_id", id)
        case .createResponse(let options):
            guard options != ResponseOptions() else { return }
            text.member("response") { response in
                response.member("conversation", options.conversation)
                response.member("instructions", options.instructions)
                if let modalities = options.outputModalities {
                    response.member(dialect == .ga ? "output_modalities" : "modalities", modalities)
                }
            }
        case .cancelResponse(let id):
            text.member("response_id", id)
        case .appendAudio, .commitAudio, .clearAudio, .clearOutputAudio, .other: break
        }
    }
}
