/// A value that a variable can have; its JSON type is kept.
public enum AgentSocketVariable: Sendable, Equatable {
    case string(String)
    case number(Double)
    case bool(Bool)
}

/// The first message of a conversation: who calls, what is offered, what was said before.
public struct AgentSocketStart: Sendable, Equatable {
    /// The version of the protocol that this module speaks.
    public static let version = 1

    public struct Call: Sendable, Equatable {
        /// Patchbay's own name for the call.
        public var id: String
        /// The carrier's name for it.
        public var carrierId: String
        public var from: String
        public var to: String
        /// `inbound` or `outbound`.
        public var direction: String
        /// The pipeline document's name.
        public var pipeline: String

        public init(
            id: String, carrierId: String = "", from: String = "", to: String = "", direction: String = "inbound",
            pipeline: String = ""
        ) {
            self.id = id
            self.carrierId = carrierId
            self.from = from
            self.to = to
            self.direction = direction
            self.pipeline = pipeline
        }
    }

    public struct Tool: Sendable, Equatable {
        public var name: String
        public var description: String
        /// The JSON text of a JSON Schema.
        public var parameters: String

        public init(_ name: String, description: String, parameters: String) {
            self.name = name
            self.description = description
            self.parameters = parameters
        }
    }

    public struct Turn: Sendable, Equatable {
        public var speaker: AgentSocketText.Speaker
        public var text: String

        public init(_ speaker: AgentSocketText.Speaker, _ text: String) {
            self.speaker = speaker
            self.text = text
        }
    }

    public var version: Int
    public var call: Call
    public var audio: AgentSocketAudioOffer
    public var variables: [String: AgentSocketVariable]
    public var tools: [Tool]
    /// Oldest first.
    public var history: [Turn]
    /// The caller waits for the agent to go on where the history ends.
    public var isAnswerAwaited: Bool
    /// What else to know, such as the tools that another agent has called.
    public var context: String?
    /// The conversation that goes on, after a `reconnect`.
    public var resume: String?

    public init(
        call: Call, audio: AgentSocketAudioOffer, variables: [String: AgentSocketVariable] = [:], tools: [Tool] = [],
        history: [Turn] = [], isAnswerAwaited: Bool = false, context: String? = nil, resume: String? = nil
    ) {
        version = Self.version
        self.call = call
        self.audio = audio
        self.variables = variables
        self.tools = tools
        self.history = history
        self.isAnswerAwaited = isAnswerAwaited
        self.context = context
        self.resume = resume
    }
}

extension AgentSocketStart {
    func write(into text: inout JSONText) {
        text.member("version", version)
        text.member("call") { text in
            text.member("id", call.id)
            text.member("carrierId", call.carrierId)
            text.member("from", call.from)
            text.member("to", call.to)
            text.member("direction", call.direction)
            text.member("pipeline", call.pipeline)
        }
        text.member("audio") { audio.write(into: &$0) }
        text.member("variables") { text in
            for (name, value) in variables.sorted(by: { $0.key < $1.key }) {
                switch value {
                case .string(let value): text.member(name, value)
                case .number(let value):
                    // Whole numbers without a point, as they were written.
                    if let integer = Int(exactly: value) {
                        text.member(name, integer)
                    } else {
                        text.member(name, value)
                    }
                case .bool(let value): text.member(name, value)
                }
            }
        }
        text.key("tools")
        text.array { text in
            for tool in tools {
                text.object { text in
                    text.member("name", tool.name)
                    text.member("description", tool.description)
                    text.member("parameters", raw: tool.parameters)
                }
            }
        }
        text.key("history")
        text.array { text in
            for turn in recentHistory {
                text.object { text in
                    text.member("speaker", turn.speaker.rawValue)
                    text.member("text", turn.text)
                }
            }
        }
        if isAnswerAwaited { text.member("answerAwaited", true) }
        text.member("context", context)
        text.member("resume", resume)
    }

    /// The newest turns within ``AgentSocketLimits/historyBytes``.
    private var recentHistory: ArraySlice<Turn> {
        var bytes = 0
        let kept = history.reversed().prefix { turn in
            bytes += turn.text.utf8.count
            return bytes <= AgentSocketLimits.historyBytes
        }
        return history.suffix(kept.count)
    }

    init(_ message: JSONObject) throws(WireError) {
        let call = try message.requiredObject("call", in: "start")
        self.init(
            call: Call(
                id: try call.requiredString("id", in: "call"), carrierId: call.string("carrierId") ?? "",
                from: call.string("from") ?? "", to: call.string("to") ?? "",
                direction: call.string("direction") ?? "inbound", pipeline: call.string("pipeline") ?? ""),
            audio: AgentSocketAudioOffer(try message.requiredObject("audio", in: "start")),
            isAnswerAwaited: message.bool("answerAwaited") ?? false, context: message.string("context"),
            resume: message.string("resume"))
        version = try message.requiredInteger("version", in: "start")
        for member in message.object("variables")?.members ?? [] {
            if let value = AgentSocketVariable(member.value) { variables[member.name] = value }
        }
        tools = (message["tools"]?.elements ?? []).compactMap(\.object).compactMap { tool in
            tool.string("name").map {
                Tool($0, description: tool.string("description") ?? "", parameters: tool.text("parameters") ?? "{}")
            }
        }
        history = (message["history"]?.elements ?? []).compactMap(\.object).compactMap { turn in
            guard let speaker = turn.string("speaker").flatMap(AgentSocketText.Speaker.init) else { return nil }
            return turn.string("text").map { Turn(speaker, $0) }
        }
    }
}

extension AgentSocketVariable {
    fileprivate init?(_ value: JSONValue) {
        if let text = value.string {
            self = .string(text)
        } else if let bool = value.bool {
            self = .bool(bool)
        } else if let number = value.number {
            self = .number(number)
        } else {
            return nil
        }
    }
}
