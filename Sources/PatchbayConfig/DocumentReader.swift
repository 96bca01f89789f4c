import PatchbayCore

/// Reads one pipeline document, reporting everything that is wrong with it.
struct DocumentReader {
    let linter: Linter
    let registry: ComponentRegistry
    /// Replaces every backend of the document.
    let override: PipelineDocument.Choice<any AgentComponent>?
    /// The numbers the document claims, sound or not, with their places.
    private(set) var claims: [(pattern: NumberPattern, range: Range<Int>, path: DocumentPath)] = []
    /// The pipelines that its rules name.
    private(set) var references: [CallRule.Reference] = []
    /// The name, where it was written.
    private(set) var name: (text: String, range: Range<Int>)?
    /// Keys that were written, but wrongly.
    private var misspelt: Set<String> = []

    init(
        linter: Linter, registry: ComponentRegistry, override: PipelineDocument.Choice<any AgentComponent>?
    ) {
        self.linter = linter
        self.registry = registry
        self.override = override
    }

    /// - Returns: `nil` when anything in it is an error.
    mutating func read(_ root: JSONNode) -> PipelineDocument? {
        let errorsBefore = linter.errorCount
        let document = readChecked(root)
        // A document must never be left out silently: its numbers would be, too.
        if document == nil, linter.errorCount == errorsBefore {
            linter.report(
                .unusable, root.headRange, .root, "this pipeline cannot be used, for a reason that no check names",
                .init("simplify its stages; and report it as a fault of Patchbay, with the document"))
        }
        return document
    }

    private mutating func readChecked(_ root: JSONNode) -> PipelineDocument? {
        linter.checkDuplicateKeys(root)
        guard case .object(let members) = root.content else {
            linter.report(.wrongType, root.headRange, .root, "a pipeline is an object, not \(root.kind)")
            return nil
        }
        let errorsBefore = linter.errorCount
        let ownFields = registry.documentFields.flatMap(\.names)
        let formerNames = registry.documentFields.flatMap(\.formerNames)
        misspelt = linter.checkKeys(
            members.filter { !formerNames.contains($0.key) },
            allowed: PipelineDocument.keys + registry.documentFields.map(\.name), owner: "a pipeline", .root)

        readName(members["name"], root)
        let summary = string(members["description"], "description")
        if let schema = members["$schema"] { _ = string(schema, "$schema") }

        let (variables, environmentTexts) = readVariables(
            members["variables"], DocumentPath.root.key("variables"))
        let numbers = readNumbers(members["numbers"])
        let scope = VariableScope.document(DocumentVariables(own: variables, numbers: numbers))

        var ruleReader = CallRuleReader(linter, stages: members["stages"])
        let rules = inScope(scope) { members["when"].map { ruleReader.read($0) } ?? [] }
        references = ruleReader.references

        let tools = inScope(scope) { readTools(members["tools"]) }
        let context = inScope(scope) { members["context"].flatMap { ContextReader(linter, registry).read($0) } }
        let transport = inScope(scope) { readTransport(members["transport"], root) }
        if members["stages"] == nil { reportMissing("stages", root, "add \"stages\": [ … ] with one agent among them") }
        let chainReader = members["stages"].map { ChainReader(linter, registry, override, list: $0) }
        let stages = inScope(scope) { chainReader?.read() }
        let options = inScope(scope) {
            linter.settings(
                members.filter { ownFields.contains($0.key) }, of: root, fields: registry.documentFields,
                owner: "a pipeline",
                .root)
        }
        let (messages, limits) = inScope(.refused("a message is spoken as it is written; no ${…} is substituted")) {
            (linter.messages(members), linter.section("limits", members, CallLimits.fields))
        }
        let budget = linter.settings(
            members.filter { $0.key == PipelineDocument.latencyBudget.name }, of: root,
            fields: [PipelineDocument.latencyBudget], owner: "a pipeline", .root)

        // Without the transport's format there is nothing to compare with; its own error has been reported.
        guard let transport, let stages else { return nil }
        let latencyBudget = budget?.integer(PipelineDocument.latencyBudget.name)
        let variants = chainReader?.walk(
            stages, transport, latencyBudget: latencyBudget, at: members[PipelineDocument.latencyBudget.name])
        guard let variants, let options, linter.errorCount == errorsBefore, let name = name?.text else { return nil }
        return PipelineDocument(
            name: name, summary: summary, file: linter.source.file,
            version: contentHash(linter.sources.entries.flatMap(\.source.bytes)),
            numbers: numbers, variables: variables, messages: messages ?? Messages(),
            limits: limits.map { CallLimits($0) } ?? CallLimits(),
            latencyBudgetMs: latencyBudget, rules: rules, tools: tools, context: context,
            options: options, transport: transport, variants: variants,
            fragments: linter.sources.entries.dropFirst().map(\.source.file), environmentTexts: environmentTexts)
    }

    /// The tools of every agent; agents may have more of their own.
    private func readTools(_ node: JSONNode?) -> [ToolDeclaration] {
        guard let node else { return [] }
        var reader = ToolReader(linter, registry)
        defer { linter.toolNames = reader.names }
        return reader.read(node, DocumentPath.root.key("tools"))
    }

    private func inScope<T>(_ scope: VariableScope, _ body: () -> T) -> T {
        let outer = linter.variables
        linter.variables = scope
        defer { linter.variables = outer }
        return body()
    }

    // MARK: Plain keys

    private mutating func readName(_ node: JSONNode?, _ root: JSONNode) {
        guard let node else {
            reportMissing("name", root, "add \"name\": \"…\"")
            return
        }
        guard let text = string(node, "name") else { return }
        let isName =
            (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { $0.isNameByte || $0 == UInt8(ascii: "-") }
        guard isName else {
            linter.report(
                .badName, node.range, DocumentPath.root.key("name"),
                "the name \(quoted(text)) is not made of 1 to 64 letters, digits, \"-\" and \"_\"")
            return
        }
        name = (text, node.range)
    }

    private func reportMissing(_ key: String, _ root: JSONNode, _ remedy: String) {
        guard !misspelt.contains(key) else { return }
        linter.report(
            .missingField, root.headRange, .root, "a pipeline needs \"\(key)\"", .init(remedy, replacement: key))
    }

    private func string(_ node: JSONNode?, _ key: String) -> String? {
        guard let node else { return nil }
        if case .string(let text) = node.content { return text }
        linter.reportWrongType(node, DocumentPath.root.key(key), key, expected: "a string")
        return nil
    }

    private func readTransport(_ node: JSONNode?, _ root: JSONNode) -> PipelineDocument.Choice<any TransportComponent>?
    {
        guard let node else {
            let types = registry.types(.transport).sorted().map { "\"\($0)\"" }
            reportMissing("transport", root, "add \"transport\": \(alternatives(types))")
            return nil
        }
        let path = DocumentPath.root.key("transport")
        guard let entry = linter.component(node, path, "transport") else { return nil }
        guard let component = registry.transport(entry.type) else {
            linter.report(
                .unknownType, entry.typeNode.range, path, "there is no transport \(quoted(entry.type))",
                .closest(of: registry.types(.transport), for: entry.type, label: "transports"))
            return nil
        }
        return linter.settings(of: entry, component, path).map { .init(component: component, settings: $0) }
    }

    // MARK: Numbers and variables

    /// The variables, and those that hold values of the environment as they are written.
    private func readVariables(
        _ node: JSONNode?, _ path: DocumentPath
    ) -> (values: [String: VariableValue], environmentTexts: [String: String]) {
        guard let node, let members = linter.members(node, path, "variables") else { return ([:], [:]) }
        return inScope(.environment) {
            var result: [String: VariableValue] = [:]
            var written: [String: String] = [:]
            for member in linter.distinct(members) {
                let place = path.key(member.key)
                let isName =
                    isVariableName(Substring(member.key))
                    && !["call.", "context.", "env."].contains(where: member.key.hasPrefix)
                if !isName {
                    linter.report(
                        .badName, member.keyRange, place,
                        "\(quoted(member.key)) is no name of a variable: letters, digits, \"-\", \"_\" and \".\"; "
                            + "not beginning with call., context. or env.")
                    continue
                }
                linter.declare(member.key, member.keyRange, place)
                switch member.value.content {
                case .string(let string):
                    if string.contains("${env.") { written[member.key] = string }
                    if case .literal(let text)? = linter.text(string, member.value, place) {
                        result[member.key] = .string(text)
                    }
                    // A reference to a wrong text would be a second error for one mistake.
                    if result[member.key] == nil { result[member.key] = "" }
                case .number(let text): result[member.key] = Double(text).map { .number($0) }
                case .boolean(let value): result[member.key] = .bool(value)
                case .null, .array, .object:
                    linter.reportWrongType(member.value, place, member.key, expected: "a string, a number or a boolean")
                    result[member.key] = ""
                }
            }
            return (result, written)
        }
    }

    private mutating func readNumbers(_ node: JSONNode?) -> [PipelineDocument.Number] {
        guard let node else { return [] }
        let path = DocumentPath.root.key("numbers")
        var numbers: [PipelineDocument.Number] = []
        switch node.content {
        case .array(let elements):
            for (index, element) in elements.enumerated() {
                let place = path.index(index)
                guard case .string(let text) = element.content else {
                    linter.reportWrongType(
                        element, place, "numbers[\(index)]", expected: "a string",
                        remedy: "write numbers in quotes, with +")
                    continue
                }
                if let pattern = claim(text, element.range, place) {
                    numbers.append(.init(pattern: pattern, variables: [:]))
                }
            }
        case .object(let members):
            for member in linter.distinct(members) {
                let place = path.key(member.key)
                let pattern = claim(member.key, member.keyRange, place)
                let (variables, texts) = readVariables(member.value, place)
                if let pattern {
                    numbers.append(.init(pattern: pattern, variables: variables, environmentTexts: texts))
                }
            }
        case .null, .boolean, .number, .string:
            linter.reportWrongType(
                node, path, "numbers", expected: "a list of numbers, or an object with variables for each",
                remedy: "write [\"+15551234567\"]")
        }
        return numbers
    }

    private mutating func claim(_ text: String, _ range: Range<Int>, _ path: DocumentPath) -> NumberPattern? {
        guard let pattern = NumberPattern(text) else {
            linter.report(
                .badNumber, range, path,
                "\(quoted(text)) is no number: \"+\" and 2 to 15 digits (E.164), a prefix such as \"+4930*\", or \"*\"",
                NumberPattern.suggestion(for: text))
            return nil
        }
        claims.append((pattern, range, path))
        return pattern
    }
}
