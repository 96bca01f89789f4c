public import PatchbayCore

/// Something that an agent may call during a call, ready to be run.
///
/// Pipeline files declare tools that are HTTP requests; services that embed Patchbay bring functions:
///
/// ```swift
/// let book = try Tool(
///     "book_table", description: "Books a table. Ask for the date and the number of guests first.",
///     parameters: [
///         "type": "object",
///         "properties": ["date": ["type": "string", "format": "date"], "guests": ["type": "integer", "minimum": 1]],
///         "required": ["date", "guests"],
///     ]
/// ) { arguments, call in
///     let number = try await tables.book(arguments.string("date") ?? "", for: arguments.integer("guests") ?? 1)
///     return "Booked. The number of the booking is \(number)."
/// }
/// ```
public struct Tool: Sendable {
    /// What a function of a tool is: it gets arguments that fit the schema, and answers the agent in words or JSON.
    ///
    /// What it throws becomes an error to the agent: a ``ToolFailure`` in its own words, anything else in general ones. Its
    /// task is cancelled when the time is up, the agent does not want the answer any more, or the call ends.
    public typealias Function = @Sendable (ToolArguments, ToolInvocation) async throws -> String

    /// What is done when it is called.
    public enum Work: Sendable {
        case function(Function)
        case request(ToolRequest)
    }

    /// How many tools one agent may be told of; vendors take no more.
    public static let maximumCount = 128
    /// Longest description, in bytes.
    public static let maximumDescription = 4096

    public var name: String
    /// Other names that the agent may use. It is not told of them.
    public var aliases: [String]
    /// When and why to call it, in words for the model.
    public var description: String
    public var parameters: JSONSchema
    /// Time for an answer, retries included.
    public var timeout: TimeSpan
    /// What the caller hears when the answer takes its time.
    public var waiting: WaitingWords?
    public var work: Work

    init(
        name: String, aliases: [String], description: String, parameters: JSONSchema, timeout: TimeSpan,
        waiting: WaitingWords?, work: Work
    ) {
        self.name = name
        self.aliases = aliases
        self.description = description
        self.parameters = parameters
        self.timeout = timeout
        self.waiting = waiting
        self.work = work
    }

    /// A tool that is a function of this process.
    ///
    /// - Parameters:
    ///   - name: 1 to 64 letters, digits, `_` and `-`.
    ///   - parameters: A JSON Schema of an object; arguments that do not fit it never reach `function`.
    /// - Throws: When a name or the schema breaks the rules that files are checked by.
    public init(
        _ name: String, description: String,
        parameters: JSONValue = JSONSchema.empty.json, aliases: [String] = [],
        timeout: TimeSpan = .seconds(8), waiting: WaitingWords? = nil, _ function: @escaping Function
    ) throws(PipelineError) {
        for word in [name] + aliases where !Self.isName(word) {
            throw PipelineError(
                .badTool, "\(quoted(word)) is no name of a tool: 1 to 64 letters of ASCII, digits, \"_\" and \"-\"",
                place: "tool \(name)")
        }
        guard description.utf8.count <= Self.maximumDescription else {
            throw PipelineError(
                .badTool, "the description has more than \(Self.maximumDescription) bytes", place: "tool \(name)")
        }
        let source = SourceText(file: "parameters", parameters.line)
        let linter = Linter(source, Surroundings(variables: [:], isChecked: false))
        if let node = try? source.readJSON() {
            JSONSchemaLint(linter, root: node).checkParameters(node, DocumentPath.root.key("parameters"))
        }
        if let finding = linter.finish().first {
            throw PipelineError(.badTool, "\(finding.path): \(finding.message)", place: "tool \(name)")
        }
        self.init(
            name: name, aliases: aliases, description: description, parameters: JSONSchema(parameters),
            timeout: timeout, waiting: waiting, work: .function(function))
    }

    /// As agents are told of it.
    public var definition: ToolDefinition {
        ToolDefinition(name, description: description, parameters: parameters.text)
    }

    /// The name and the aliases.
    public var names: [String] { [name] + aliases }

    /// What every vendor takes.
    static func isName(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { $0.isNameByte || $0 == UInt8(ascii: "-") }
    }

    /// Checks that no two tools of one agent share a name.
    public static func checkNames(of tools: [Tool]) throws(PipelineError) {
        var names: Set<String> = []
        for name in tools.flatMap(\.names) where !names.insert(name).inserted {
            throw PipelineError(.badTool, "two tools are called \(quoted(name))")
        }
        guard tools.count <= maximumCount else {
            throw PipelineError(.badTool, "there are \(tools.count) tools; an agent takes at most \(maximumCount)")
        }
    }
}

/// What the caller hears while an agent waits for a tool.
public struct WaitingWords: Sendable, Equatable {
    /// Words, or a WAV file.
    public var speech: Speech
    /// Silence after which they are said.
    public var after: TimeSpan
    /// The voice of espeak-ng for words.
    public var voice: String
    /// Where a relative path of a file starts.
    public var directory: String

    public init(
        _ speech: Speech, after: TimeSpan = .milliseconds(1200), voice: String = "en", directory: String = "."
    ) {
        self.speech = speech
        self.after = after
        self.voice = voice
        self.directory = directory
    }
}

/// Which call of a tool this is, for its function.
public struct ToolInvocation: Sendable {
    /// Who calls whom, by which pipeline.
    public var info: CallInfo
    /// The agent's name for this call of the tool. Another agent of the same call may use it again.
    public var id: String
    /// The same for every try of this call of the tool, and for no other: what makes a service do it once.
    public var key: String
    /// The tool's own name, whatever alias was used.
    public var tool: String

    /// - Parameter key: The call's and the agent's own names when absent, for tests.
    public init(info: CallInfo, id: String, tool: String, key: String? = nil) {
        self.info = info
        self.id = id
        self.key = key ?? "\(info.id) \(id)"
        self.tool = tool
    }
}

/// Why a tool cannot answer, in words for the agent.
public struct ToolFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// What the agent is told. Never a secret: it may be said aloud.
    public var description: String

    public init(_ words: String) { description = words }
}

extension PipelineError.Code {
    /// A tool that was written in Swift breaks a rule.
    public static let badTool = Self("bad-tool")
}
