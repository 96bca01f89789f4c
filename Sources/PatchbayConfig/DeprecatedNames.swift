/// Names of earlier versions: still read, each with a warning that says the present one.
extension Linter {
    /// The members with former names replaced by present ones.
    ///
    /// A field that is written under two of its names is an error: readers would disagree which of the two holds.
    func underPresentNames(
        _ members: [JSONMember], _ fields: [Field], owner: String, _ path: DocumentPath
    ) -> [JSONMember] {
        var renamed: [String: String] = [:]
        var deprecations: [String: String] = [:]
        for field in fields {
            for name in field.formerNames { renamed[name] = field.name }
            if let deprecation = field.deprecation { deprecations[field.name] = deprecation }
        }
        guard !renamed.isEmpty || !deprecations.isEmpty else { return members }

        // The present name goes first, wherever it stands; what is written twice under one name is a duplicate key.
        var first: [String: JSONMember] = [:]
        for member in members where renamed[member.key] == nil && first[member.key] == nil {
            first[member.key] = member
        }
        var result: [JSONMember] = []
        for member in members {
            guard let name = renamed[member.key] else {
                result.append(member)
                continue
            }
            if let other = first[name] {
                if other.key != member.key {
                    report(
                        .duplicateKey, member.keyRange, path.key(member.key),
                        "\(owner): \(quoted(member.key)) is a former name of \(quoted(name)), which is set at "
                            + line(of: other.keyRange),
                        .init("remove one of the two"))
                }
                continue
            }
            first[name] = member
            report(
                .deprecatedName, member.keyRange, path.key(member.key),
                "\(owner): \(quoted(member.key)) is now called \(quoted(name))",
                .init("write \(quoted(name))", replacement: name), severity: .warning)
            result.append(JSONMember(key: name, keyRange: member.keyRange, value: member.value))
        }
        for member in distinct(result) {
            guard let deprecation = deprecations[member.key] else { continue }
            report(
                .deprecatedField, member.keyRange, path.key(member.key),
                "\(owner): \(quoted(member.key)) should not be used any more", .init(deprecation), severity: .warning)
        }
        return result
    }

    /// Warns of a component's former type.
    func checkType(_ entry: ComponentEntry, _ spec: ComponentSpec, _ path: DocumentPath) {
        guard entry.type != spec.type else { return }
        report(
            .deprecatedName, entry.typeNode.range, path,
            "\(spec.kind.rawValue) \(quoted(entry.type)) is now called \(quoted(spec.type))",
            .init("write \(quoted(spec.type))", replacement: spec.type), severity: .warning)
    }
}

extension Diagnostic.Code {
    /// A name of an earlier version, which has another one now.
    public static let deprecatedName = Self("deprecated-name")
    /// A field that should not be used any more, and has no successor of the same meaning.
    public static let deprecatedField = Self("deprecated-field")
}

extension Field {
    /// What its page says about earlier versions: ` (formerly "silence")`; empty when there is nothing to say.
    var history: String {
        var text = formerNames.isEmpty ? "" : " (formerly \(alternatives(formerNames.map { "\"\($0)\"" })))"
        if let deprecation { text += " (deprecated: \(deprecation))" }
        return text
    }
}
