/// A component as a document names it.
struct ComponentEntry {
    var type: String
    /// Where the type is written.
    var typeNode: JSONNode
    var node: JSONNode
    /// Empty when the component is a bare name.
    var members: [JSONMember]
}

extension Linter {
    /// Reads the form that all components share: a bare name, or an object with `type`.
    func component(_ node: JSONNode, _ path: DocumentPath, _ name: String) -> ComponentEntry? {
        switch node.content {
        case .string(let type): return ComponentEntry(type: type, typeNode: node, node: node, members: [])
        case .object(let members):
            guard let typeNode = members["type"] else {
                report(
                    .missingField, node.headRange, path, "\(quoted(name)) needs \"type\"",
                    .init("add \"type\": \"…\"", replacement: "type"))
                return nil
            }
            guard case .string(let type) = typeNode.content else {
                reportWrongType(typeNode, path.key("type"), "type", expected: "a string")
                return nil
            }
            return ComponentEntry(type: type, typeNode: typeNode, node: node, members: members)
        case .null, .boolean, .number, .array:
            reportWrongType(node, path, name, expected: "a name, or an object with \"type\"")
            return nil
        }
    }

    /// Reads the settings of a component that is known, and asks it for its own objections.
    ///
    /// Both come together, so that a document needs one round of mending; but an objection that may come from a value
    /// that is wrong itself waits until that value is right.
    ///
    /// - Parameter ignoring: Keys of the entry that belong to its reader.
    func settings(
        of entry: ComponentEntry, _ component: any Component, _ path: DocumentPath, ignoring: [String] = []
    ) -> Settings? {
        let spec = component.spec
        let errorsBefore = errorCount
        checkType(entry, spec, path)
        let reading = readFields(
            entry.members, of: entry.node, fields: spec.fields, owner: Self.owner(spec), path,
            ignoring: ["type"] + ignoring)
        let watch = FieldWatch(reading.unsound)
        let problems = component.problems(in: reading.settings.watched(by: watch))
        if !watch.hasBeenAsked { report(problems, of: spec, entry.node, reading.members, path) }
        return errorCount == errorsBefore ? reading.settings : nil
    }

    /// Reports what a component objects to, at its fields.
    func report(
        _ problems: [SettingsProblem], of spec: ComponentSpec, _ node: JSONNode, _ members: [JSONMember],
        _ path: DocumentPath
    ) {
        // What only the environment lacks is asked for where the environment counts.
        for problem in problems where checksEnvironment || problem.code != .missingEnvironment {
            let names = spec[field: problem.field]?.names ?? [problem.field]
            let field = names.lazy.compactMap { members[$0] }.first
            report(
                problem.code, (field ?? node).headRange, field == nil ? path : path.key(problem.field),
                "\(Self.owner(spec)): \(problem.message)", problem.remedy.map { .init($0) }, severity: problem.severity)
        }
    }

    private static func owner(_ spec: ComponentSpec) -> String { "\(spec.kind.rawValue) \"\(spec.type)\"" }
}
