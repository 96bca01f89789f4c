import PatchbayCore

/// Writes a pipeline made in Swift as the document that it stands for, so that one reader checks both.
struct PipelineWriter {
    /// The document.
    private(set) var text = ""
    /// The components, by the types that the document calls them; one that is used twice has two.
    private(set) var stages: [String: any StageComponent] = [:]
    private(set) var agents: [String: any AgentComponent] = [:]
    /// Values of the variables that the document names instead of secrets.
    private(set) var secrets: [String: String] = [:]
    /// Types that only the document knows, with the components' own.
    private(set) var aliases: [(alias: String, type: String)] = []
    /// The components' types, by their places in the document.
    private(set) var types: [String: String] = [:]
    /// The places of what begins on a line.
    private(set) var places: [Int: String] = [:]
    private var line = 1
    private let registry: ComponentRegistry

    init(_ registry: ComponentRegistry) { self.registry = registry }

    // MARK: The document

    /// Begins the document with those of its keys that have values.
    mutating func begin(_ members: [(key: String, value: SettingValue?)]) {
        write("{")
        for case let (key, value?) in members {
            newLine(places: key)
            write(jsonQuoted(key) + ": " + json(value) + ",")
        }
    }

    mutating func write(_ transport: PipelineTransport) {
        newLine(places: "transport")
        let type = transport.component.spec.type
        types["transport"] = type
        write("\"transport\": " + object(type, transport.values) + ",")
    }

    /// Ends the document with its stages.
    mutating func end(_ stages: [PipelineStage]) {
        newLine(places: "stages")
        let path = DocumentPath.root.key("stages")
        write("\"stages\": ")
        write(stages, path)
        newLine(places: nil)
        write("}")
        write("\n")
    }

    private mutating func write(_ stages: [PipelineStage], _ path: DocumentPath) {
        write("[")
        for (index, stage) in stages.enumerated() {
            if index > 0 { write(",") }
            let place = path.index(index)
            newLine(places: place.description)
            types[place.description] = stage.type
            write(stage, place)
        }
        write("]")
    }

    private mutating func write(_ stage: PipelineStage, _ path: DocumentPath) {
        switch stage.content {
        case .stage(let component): write(object(claim(component), stage.values))
        case .agent(let component): write(object(claim(component), stage.values))
        case .agents(let backends): write(stage, [("backends", backends)], path)
        case .tee(let side): write(stage, [("stages", side)], path)
        case .choice(let branches):
            open(stage)
            write(", \"cases\": {")
            let cases = path.key("cases")
            for (index, branch) in branches.cases.enumerated() {
                write((index > 0 ? ", " : "") + jsonQuoted(branch.key) + ": ")
                write(branch.stages, cases.key(branch.key))
            }
            write("}")
            for branch in branches.otherwise {
                write(", \"otherwise\": ")
                write(branch.stages, path.key("otherwise"))
            }
            write("}")
        }
    }

    private mutating func write(
        _ stage: PipelineStage, _ lists: [(key: String, stages: [PipelineStage])], _ path: DocumentPath
    ) {
        open(stage)
        for list in lists {
            write(", \(jsonQuoted(list.key)): ")
            write(list.stages, path.key(list.key))
        }
        write("}")
    }

    private mutating func open(_ stage: PipelineStage) { write(String(object(stage.type, stage.values).dropLast())) }

    // MARK: Names

    private mutating func claim(_ component: any StageComponent) -> String {
        let registry = registry
        let type = alias(component.spec.type) { registry.agent($0) != nil }
        stages[type] = component
        return type
    }

    private mutating func claim(_ component: any AgentComponent) -> String {
        let registry = registry
        let type = alias(component.spec.type) { registry.stage($0) != nil }
        agents[type] = component
        return type
    }

    /// The type itself, or one with a number when that names something else in this document.
    private mutating func alias(_ type: String, isTaken: (String) -> Bool) -> String {
        var alias = type
        var count = 1
        while stages[alias] != nil || agents[alias] != nil || isTaken(alias)
            || Structure.all.contains(where: { $0.type == alias })
        {
            count += 1
            alias = "\(type)#\(count)"
        }
        if alias != type { aliases.append((alias, type)) }
        return alias
    }

    // MARK: JSON

    private mutating func object(_ type: String, _ values: [String: SettingValue]) -> String {
        var text = "{\"type\": \(jsonQuoted(type))"
        for (key, value) in values.sorted(by: { $0.key < $1.key }) { text += ", \(jsonQuoted(key)): \(json(value))" }
        return text + "}"
    }

    private mutating func json(_ value: SettingValue) -> String {
        switch value {
        case .string(let text): return jsonQuoted(text)
        case .integer(let number): return String(number)
        // No range of a field holds these, and JSON has no way to write them.
        case .number(let number): return number.isFinite ? "\(number)" : jsonQuoted("\(number)")
        case .boolean(let value): return String(value)
        case .secret(let secret):
            let name = "\(Self.secretPrefix)\(secrets.count + 1)"
            secrets[name] = secret.reveal()
            return "{\"env\": \"\(name)\"}"
        case .list(let values):
            var elements: [String] = []
            for value in values { elements.append(json(value)) }
            return "[" + elements.joined(separator: ", ") + "]"
        case .object(let values):
            var members: [String] = []
            for (key, value) in values {
                members.append("\(jsonQuoted(key)): \(json(value))")
            }
            return "{" + members.joined(separator: ", ") + "}"
        }
    }

    static let secretPrefix = "PATCHBAY_SECRET_"

    private mutating func write(_ part: String) { text += part }

    private mutating func newLine(places place: String?) {
        text += "\n"
        line += 1
        places[line] = place
    }
}

extension PipelineWriter {
    /// A finding about the document in words about the pipeline: places instead of lines, the components' own types.
    func error(_ finding: Diagnostic) -> PipelineError {
        var message = finding.message
        for (alias, type) in aliases { message = message.replacing(jsonQuoted(alias), with: jsonQuoted(type)) }
        for (line, place) in places.sorted(by: { $0.key > $1.key }) {
            message = message.replacing("line \(line)", with: place)
        }
        var remedy = finding.suggestion?.text
        if finding.code == .plainSecret { remedy = "give it as Secret(…)" }
        if finding.code == .missingCredential,
            let name = secrets.keys.first(where: { message.hasSuffix("\($0) is not set") })
        {
            message = message.replacing("\(name) is not set", with: "the secret is empty")
            remedy = nil
        }
        if let remedy { message += "; \(remedy)" }
        return PipelineError(PipelineError.Code(finding.code.description), message, place: place(of: finding.path))
    }

    /// The innermost component that a path leads through, or the path itself.
    private func place(of path: String) -> String {
        var place = path[...]
        while !place.isEmpty {
            if let type = types[String(place)] { return "\(place) (\(type))" }
            guard let end = place.lastIndex(where: { $0 == "." || $0 == "[" }) else { break }
            place = place[..<end]
        }
        return path
    }
}
