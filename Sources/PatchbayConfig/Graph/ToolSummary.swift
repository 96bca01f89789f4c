/// A tool in a report: what it is called and where it leads, as the document has it.
public struct ToolSummary: Sendable {
    public var name: String
    public var aliases: [String]
    /// `GET`; `nil` for a function of the process.
    public var method: String?
    /// With its `${…}` and `{…}`, and without anything that looks like a credential; `nil` for a function of the process.
    public var address: String?
    /// The type of the one agent that has it; `nil` when all have.
    public var agent: String?

    init(_ tool: Tool, agent: String? = nil) {
        name = tool.name
        aliases = tool.aliases
        self.agent = agent
        if case .request(let request) = tool.work {
            method = request.method.rawValue
            address = request.writtenAddress.withoutCredentials
        }
    }

    /// The tools of a call, those of every agent first.
    static func all(in plan: PipelinePlan) -> [ToolSummary] {
        plan.tools.map { ToolSummary($0) }
            + plan.backends.flatMap { backend in
                backend.tools.map { ToolSummary($0, agent: backend.component.spec.type) }
            }
    }

    var json: JSONValue {
        var object: JSONValue = ["name": .string(name), "aliases": .array(aliases.map { .string($0) })]
        object.append("method", method.map { .string($0) })
        object.append("url", address.map { .string($0) })
        object.append("agent", agent.map { .string($0) })
        return object
    }

    /// A line for each, with a heading; none for none.
    static func lines(_ tools: [ToolSummary], width: Int) -> [String] {
        guard !tools.isEmpty else { return [] }
        let column = 4 + (tools.map(\.name.unicodeScalars.count).max() ?? 0) + 2
        var lines = ["", "  tools"]
        for tool in tools {
            var words = [tool.method, tool.address].compactMap(\.self).joined(separator: " ")
            if words.isEmpty { words = "a function of the service" }
            if !tool.aliases.isEmpty { words += ", also \(tool.aliases.joined(separator: ", "))" }
            if let agent = tool.agent { words += ", for \(agent) only" }
            lines += wrapped("    \(tool.name)".padded(to: column) + words, width: width, hanging: column)
                .map(\.trimmedAtEnd)
        }
        return lines
    }
}
