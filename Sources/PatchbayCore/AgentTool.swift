/// A tool as an agent is told of it.
public struct ToolDefinition: Sendable, Equatable {
    /// Letters, digits, `_` and `-`, at most 64 of them: what every vendor takes.
    public var name: String
    /// When and why to call it, in words for the model.
    public var description: String
    /// A JSON Schema of type `object` for the parameters, as compact JSON text.
    public var parameters: String

    public init(_ name: String, description: String, parameters: String = #"{"type":"object","properties":{}}"#) {
        self.name = name
        self.description = description
        self.parameters = parameters
    }
}

/// An agent's call of a tool.
public struct ToolCall: Sendable, Equatable {
    /// The vendor's name for this call; the answer carries it back.
    public var id: String
    /// As the agent wrote it; may be an alias.
    public var name: String
    /// The parameters as JSON text. From outside: may be anything.
    public var arguments: String
    /// Which of the call's backends called, counted from 0. Set by the call.
    public internal(set) var backend = 0

    public init(id: String, name: String, arguments: String = "{}") {
        self.id = id
        self.name = name
        self.arguments = arguments
    }
}

/// The answer to an agent's call of a tool.
public struct ToolResult: Sendable, Equatable {
    public var id: String
    public var name: String
    /// The answer as text, often JSON; for an error what went wrong, in words for the model.
    public var output: String
    public var isError: Bool

    public init(_ call: ToolCall, output: String, isError: Bool = false) {
        id = call.id
        name = call.name
        self.output = output
        self.isError = isError
    }
}

/// Runs the tools of one call, beside the media path.
public protocol ToolRunner: Sendable {
    /// What agents are told of.
    var definitions: [ToolDefinition] { get }

    /// Runs a tool. An unknown name, wrong arguments, a time-out and every other failure are answers with
    /// ``ToolResult/isError`` set. Ends early when its task is cancelled.
    func run(_ call: ToolCall, for info: CallInfo) async -> ToolResult
}
