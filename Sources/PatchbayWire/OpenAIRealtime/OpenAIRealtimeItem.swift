/// One entry of a conversation: a message, a call of a function or its output.
///
/// Source: platform.openai.com/docs/api-reference/realtime-client-events/conversation/item/create.
public struct OpenAIRealtimeItem: Sendable, Equatable {
    public enum Role: String, Sendable { case system, user, assistant }

    /// A part of a message. Audio bytes are not kept.
    public struct Part: Sendable, Equatable {
        /// `input_text`, `input_audio`, `output_text`, `output_audio`, `input_image`; of the beta protocol `text` and
        /// `audio`.
        public var type: String
        public var text: String?
        public var transcript: String?

        public init(type: String, text: String? = nil, transcript: String? = nil) {
            self.type = type
            self.text = text
            self.transcript = transcript
        }
    }

    public struct FunctionCall: Sendable, Equatable {
        public var callID: String
        /// Empty where the server left it out.
        public var name: String
        /// JSON text as the model wrote it, which need not be valid.
        public var arguments: String

        public init(callID: String, name: String, arguments: String = "") {
            self.callID = callID
            self.name = name
            self.arguments = arguments
        }

        /// The output of a call that failed, as a model understands it: `{"error":"…"}`.
        public static func failure(_ message: String) -> String {
            String(decoding: JSONText.object { $0.member("error", message) }.bytes, as: UTF8.self)
        }
    }

    public enum Content: Sendable, Equatable {
        case message(Role, [Part])
        case functionCall(FunctionCall)
        case functionCallOutput(callID: String, output: String)
        /// A type that this side does not know.
        case other(type: String)
    }

    /// Given by the server, or chosen by the client.
    public var id: String?
    /// `in_progress`, `completed` or `incomplete`.
    public var status: String?
    public var content: Content

    public init(_ content: Content, id: String? = nil, status: String? = nil) {
        self.content = content
        self.id = id
        self.status = status
    }

    /// Words as the client adds them: what somebody said, or what the model should know.
    public static func text(_ role: Role, _ text: String, id: String? = nil) -> OpenAIRealtimeItem {
        let type = role == .assistant ? "output_text" : "input_text"
        return OpenAIRealtimeItem(.message(role, [Part(type: type, text: text)]), id: id)
    }

    /// The words of a message, written or spoken.
    public var words: String? {
        guard case .message(_, let parts) = content else { return nil }
        let words = parts.compactMap { $0.text ?? $0.transcript }
        return words.isEmpty ? nil : words.joined(separator: " ")
    }
}

extension OpenAIRealtimeItem {
    /// Parts of one message that are read; more are ignored.
    static let maximumParts = 64

    init(_ object: JSONObject) throws(WireError) {
        let type = try object.requiredString("type", in: "an item")
        let content: Content
        switch type {
        case "message":
            let parts = (object["content"]?.elements ?? []).prefix(Self.maximumParts).compactMap(\.object).map {
                Part(type: $0.string("type") ?? "", text: $0.string("text"), transcript: $0.string("transcript"))
            }
            content = .message(object.string("role").flatMap(Role.init) ?? .assistant, parts)
        case "function_call":
            content = .functionCall(
                FunctionCall(
                    callID: object.string("call_id") ?? "", name: object.string("name") ?? "",
                    arguments: object.string("arguments") ?? ""))
        case "function_call_output":
            content = .functionCallOutput(
                callID: try object.requiredString("call_id", in: "a function_call_output"),
                output: object.string("output") ?? "")
        default: content = .other(type: type)
        }
        self.init(content, id: object.string("id"), status: object.string("status"))
    }

    /// - Parameter isServer: Whether the fields are written that only servers write.
    func write(
        into text: inout JSONText, dialect: OpenAIRealtimeDialect = .ga, isServer: Bool = false
    ) {
        text.object { item in
            item.member("id", id)
            if isServer { item.member("object", "realtime.item") }
            switch content {
            case .message(let role, let parts):
                item.member("type", "message")
                item.member("status", status)
                item.member("role", role.rawValue)
                item.key("content")
                item.array { list in
                    for part in parts {
                        list.object { entry in
                            entry.member("type", dialect.partType(part.type))
                            entry.member("text", part.text)
                            if part.type.hasSuffix("audio"), isServer {
                                entry.nullable("transcript", part.transcript)
                            } else {
                                entry.member("transcript", part.transcript)
                            }
                        }
                    }
                }
            case .functionCall(let call):
                item.member("type", "function_call")
                item.member("status", status)
                item.member("call_id", call.callID)
                item.member("name", call.name)
                item.member("arguments", call.arguments)
            case .functionCallOutput(let callID, let output):
                item.member("type", "function_call_output")
                item.member("status", isServer ? status : nil)
                item.member("call_id", callID)
                item.member("output", output)
            case .other(let type):
                item.member("type", type)
            }
        }
    }
}

/// Which version of the protocol a server speaks.
public enum OpenAIRealtimeDialect: Sendable, Hashable {
    /// The released protocol.
    case ga
    /// The one before it, in Azure's preview versions and in some compatible servers. Servers' events of both are understood
    /// without being told.
    case beta

    func partType(_ type: String) -> String {
        switch (self, type) {
        case (.beta, "output_text"): "text"
        case (.beta, "output_audio"): "audio"
        default: type
        }
    }
}
