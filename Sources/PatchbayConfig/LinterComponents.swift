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
    func settings(of entry: ComponentEntry, _ component: any Component, _ path: DocumentPath) -> Settings? {
        let spec = component.spec
        let owner = Self.owner(spec)
        let settings = settings(
            entry.members, of: entry.node, fields: spec.fields, owner: owner, path, ignoring: ["type"])
        guard let settings else { return nil }
        let errorsBefore = errorCount
        report(component.problems(in: settings), of: spec, entry.node, entry.members, path)
        return errorCount == errorsBefore ? settings : nil
    }

    /// Reports what a component objects to, at its fields.
    func report(
        _ problems: [SettingsProblem], of spec: ComponentSpec, _ node: JSONNode, _ members: [JSONMember],
        _ path: DocumentPath
    ) {
        for problem in problems {
            let field = members[problem.field]
            report(
                problem.code, (field ?? node).headRange, field == nil ? path : path.key(problem.field),
                "\(Self.owner(spec)): \(problem.message)", problem.remedy.map { .init($0) }, severity: problem.severity)
        }
    }

    private static func owner(_ spec: ComponentSpec) -> String { "\(spec.kind.rawValue) \"\(spec.type)\"" }
}
