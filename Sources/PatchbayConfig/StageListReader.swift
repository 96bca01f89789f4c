/// Reads `stages`: components in a row, side chains, choices, fragments, and the agent among them.
///
/// What it gives is a tree of ``StageEntry``; that the formats fit, and that there is one agent, is found out by
/// ``FormatFlow``.
struct StageListReader {
    /// Stages of one document, those of its fragments included. A fragment that is included twice counts twice.
    static let maximumStages = 512

    let linter: Linter
    let registry: ComponentRegistry
    let override: PipelineDocument.Choice<any AgentComponent>?
    private(set) var stageCount = 0
    /// Whether anything was named that nobody knows: it might be what somebody misses.
    private(set) var hasUnknown = false

    init(_ linter: Linter, _ registry: ComponentRegistry, _ override: PipelineDocument.Choice<any AgentComponent>?) {
        self.linter = linter
        self.registry = registry
        self.override = override
    }

    /// Where a list stands.
    struct Place {
        /// In its own file.
        var path: DocumentPath
        /// In the whole pipeline.
        var address: String
        /// The folder that paths of fragments start from.
        var directory: String
        /// The fragments that led here, outermost first.
        var fragments: [String] = []

        func inner(_ key: String) -> Place {
            var place = self
            place.path = path.key(key)
            place.address += ".\(key)"
            return place
        }

        func element(_ index: Int) -> Place {
            var place = self
            place.path = path.index(index)
            place.address += "[\(index)]"
            return place
        }
    }

    /// - Returns: `nil` when it is no list of stages.
    mutating func read(_ node: JSONNode) -> [StageEntry]? {
        let place = Place(
            path: DocumentPath.root.key("stages"), address: "stages", directory: linter.source.directory)
        guard let elements = elements(of: node, "stages", place.path) else { return nil }
        guard !elements.isEmpty else {
            linter.report(
                .emptyList, node.headRange, place.path, "\"stages\" is empty; a pipeline has at least an agent",
                Self.agentHint(registry))
            return nil
        }
        return read(elements, place)
    }

    static func agentHint(_ registry: ComponentRegistry) -> Diagnostic.Suggestion {
        .init("add one of the agents: \(registry.types(.agent).sorted().joined(separator: ", "))")
    }

    func elements(of node: JSONNode, _ name: String, _ path: DocumentPath) -> [JSONNode]? {
        if case .array(let elements) = node.content { return elements }
        linter.reportWrongType(node, path, name, expected: "a list of stages")
        return nil
    }

    mutating func read(_ elements: [JSONNode], _ list: Place) -> [StageEntry] {
        var entries: [StageEntry] = []
        for (index, element) in elements.enumerated() {
            stageCount += 1
            guard stageCount <= Self.maximumStages else {
                if stageCount == Self.maximumStages + 1 {
                    linter.report(
                        .limitExceeded, element.headRange, list.element(index).path,
                        "a pipeline has at most \(Self.maximumStages) stages, those of its fragments included")
                }
                break
            }
            entries += read(element, list.element(index), name: "stages[\(index)]")
        }
        return entries
    }

    private mutating func read(_ element: JSONNode, _ place: Place, name: String) -> [StageEntry] {
        func entry(_ kind: StageEntry.Kind, _ type: String) -> StageEntry {
            StageEntry(kind: kind, type: type, place: place.address, path: place.path, node: element)
        }
        guard let component = linter.component(element, place.path, name) else {
            hasUnknown = true
            return [entry(.wrong, "")]
        }
        let type = component.type
        switch type {
        case Structure.agent.type:
            return [entry(readAgents(component, place.path), type)]
        case Structure.tee.type:
            return [entry(readTee(component, place), type)]
        case Structure.switch.type:
            return [entry(readSwitch(component, place), type)]
        case Structure.include.type:
            // A wrong fragment must not make its neighbours look wrong.
            guard let stages = readInclude(component, place) else {
                hasUnknown = true
                return [entry(.wrong, type)]
            }
            return stages
        default: break
        }
        if let agent = registry.agent(type) {
            let backends = withOverride { backend(component, agent, place.path).map { [$0] } }
            let settings = Settings(Self.agentFields, directory: linter.source.directory)
            return [entry(.agent(backends: backends, settings: settings), type)]
        }
        guard let stage = registry.stage(type) else {
            hasUnknown = true
            reportUnknown(component, place.path)
            return [entry(.wrong, type)]
        }
        let settings = linter.settings(of: component, stage, place.path)
        return [entry(settings.map { .stage(.init(component: stage, settings: $0)) } ?? .wrong, type)]
    }

    private func reportUnknown(_ entry: ComponentEntry, _ path: DocumentPath) {
        if registry.transport(entry.type) != nil {
            linter.report(
                .unknownType, entry.typeNode.range, path, "\(quoted(entry.type)) is a transport, not a stage",
                .init("write it under \"transport\""))
            return
        }
        let known = registry.types(.stage) + registry.types(.agent) + Structure.all.map(\.type)
        linter.report(
            .unknownType, entry.typeNode.range, path, "there is no stage \(quoted(entry.type))",
            .closest(of: known, for: entry.type, label: "stages and agents"))
    }

    // MARK: Side chains and choices

    private mutating func readTee(_ entry: ComponentEntry, _ place: Place) -> StageEntry.Kind {
        let owner = "stage \"tee\""
        linter.checkKeys(entry.members, allowed: ["type"] + Structure.tee.fields.map(\.name), owner: owner, place.path)
        guard let node = required("stages", of: entry, owner: owner, place.path) else { return .wrong }
        if case .array(let elements) = node.content, elements.isEmpty {
            linter.report(
                .emptyList, node.headRange, place.path.key("stages"), "\"stages\" of a \"tee\" is empty",
                .init("add a stage, or remove the \"tee\""))
        }
        return branch(node, "stages", place).map { .tee($0) } ?? .wrong
    }

    private mutating func readSwitch(_ entry: ComponentEntry, _ place: Place) -> StageEntry.Kind {
        let owner = "stage \"switch\""
        linter.checkKeys(
            entry.members, allowed: ["type"] + Structure.switch.fields.map(\.name), owner: owner, place.path)
        let onNode = required("on", of: entry, owner: owner, place.path)
        let casesNode = required("cases", of: entry, owner: owner, place.path)
        let otherwise = entry.members["otherwise"].map { branch($0, "otherwise", place) }
        guard let onNode, let casesNode else { return .wrong }

        var cases: [(label: JSONMember, stages: [StageEntry]?)] = []
        guard
            let members = linter.members(
                casesNode, place.path.key("cases"), "cases", expected: "an object of lists of stages")
        else { return .wrong }
        if members.isEmpty {
            linter.report(
                .emptyList, casesNode.headRange, place.path.key("cases"), "\"cases\" is empty",
                .init("add one: \"cases\": { \"…\": [ … ] }"))
        }
        for member in linter.distinct(members) {
            cases.append((member, branch(member.value, member.key, place.inner("cases"))))
        }
        guard case .string(let written) = onNode.content else {
            linter.reportWrongType(onNode, place.path.key("on"), "on", expected: "a text with ${…}, or \"key\"")
            return .wrong
        }
        var isSound = !members.isEmpty && !cases.contains { $0.stages == nil }
        if case .some(nil) = otherwise { isSound = false }
        let stages = cases.compactMap { entry in entry.stages.map { (entry.label, $0) } }
        if written == "key" {
            let keys = self.keys(of: cases.map(\.label), place.path)
            guard isSound, let keys else { return .wrong }
            return .keySwitch(cases: zip(keys, stages).map { ($0, $1.1) }, otherwise: (otherwise ?? nil) ?? [])
        }
        guard let on = linter.text(written, onNode, place.path.key("on")) else { return .wrong }
        guard on.isTemplate else {
            linter.report(
                .notAllowed, onNode.range, place.path.key("on"),
                "\"on\" is \(quoted(written)); it must hold a ${…} that differs from call to call, or be \"key\"")
            return .wrong
        }
        guard cases.count <= StageVariant.limit else {
            linter.report(
                .limitExceeded, casesNode.headRange, place.path.key("cases"),
                "a switch has at most \(StageVariant.limit) cases, not \(cases.count)",
                .init("split the document, or let a setting hold the ${…}"))
            return .wrong
        }
        let choice = StageEntry.ValueSwitch(
            on: on, cases: stages.map { ($0.0.key, $0.1) }, otherwise: otherwise ?? nil)
        checkValues(choice, onNode, cases.map(\.label), place.path)
        return isSound ? .valueSwitch(choice) : .wrong
    }

    /// The keys that the cases name, or `nil` when one is no key.
    private func keys(of labels: [JSONMember], _ path: DocumentPath) -> [Character]? {
        var keys: [Character] = []
        for label in labels {
            guard let key = label.key.first, label.key.count == 1, "0123456789*#ABCD".contains(key) else {
                linter.report(
                    .notAllowed, label.keyRange, path.key("cases").key(label.key),
                    "\(quoted(label.key)) is no key of a telephone: one of 0 to 9, *, #, A to D")
                continue
            }
            keys.append(key)
        }
        return keys.count == labels.count ? keys : nil
    }

    /// Compares the cases with what the variable can be, as far as the document knows it.
    private func checkValues(
        _ choice: StageEntry.ValueSwitch, _ on: JSONNode, _ labels: [JSONMember], _ path: DocumentPath
    ) {
        guard case .document(let scope) = linter.variables, case .template(let template) = choice.on,
            case .variable(let name)? = template.soleReference
        else {
            // What a variable of the including document can be is known where the fragment is included.
            if case .includer = linter.variables, case .template(let template) = choice.on,
                case .variable? = template.soleReference
            {
                return
            }
            guard choice.otherwise == nil else { return }
            linter.report(
                .missingCase, on.range, path, "\(quoted(choice.on.asWritten)) can be anything when a call comes",
                .init("add \"otherwise\": [ … ] for what no case names", replacement: "otherwise"))
            return
        }
        let values = scope.values(of: name)
        let (known, named) = (Set(values), Set(choice.cases.map(\.value)))
        if choice.otherwise == nil,
            let missing = values.first(where: { !named.contains($0) })
        {
            linter.report(
                .missingCase, on.range, path,
                "\(quoted(choice.on.asWritten)) can be \(quoted(missing)), which no case names",
                .init("add that case, or \"otherwise\": [ … ]"))
        }
        for label in labels where !known.contains(label.key) {
            linter.report(
                .unreachableCase, label.keyRange, path.key("cases").key(label.key),
                "no number of this document sets \(quoted(name)) to \(quoted(label.key))",
                .among(values, for: label.key, label: "values here"), severity: .warning)
        }
    }

    private mutating func branch(_ node: JSONNode, _ name: String, _ place: Place) -> [StageEntry]? {
        let inner = place.inner(name)
        return elements(of: node, name, inner.path).map { read($0, inner) }
    }

    func required(_ key: String, of entry: ComponentEntry, owner: String, _ path: DocumentPath) -> JSONNode? {
        if let node = entry.members[key] { return node }
        guard !entry.members.contains(where: { closestMatch(to: $0.key, in: [key]) != nil }) else { return nil }
        linter.report(
            .missingField, entry.node.headRange, path, "\(owner) needs \(quoted(key))",
            .init("add \"\(key)\": …", replacement: key))
        return nil
    }
}
