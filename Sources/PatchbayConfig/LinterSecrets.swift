/// The resolution of credentials. Documents name them, and never contain them.
extension Linter {
    /// Longest file that is read as a secret, in bytes.
    static let maximumSecretBytes = 64 << 10

    /// Reads `{ "env": "NAME" }` or `{ "file": "PATH" }`.
    ///
    /// - Returns: `nil` when something was wrong, and when it is missing but the environment is not checked.
    func secret(
        _ node: JSONNode, _ name: String, suggestedVariable: String?, owner: String, _ path: DocumentPath
    ) -> Secret? {
        let variable = suggestedVariable ?? "NAME"
        if case .string(let text) = node.content, let variable = Self.namedVariable(text) {
            reportWrongType(
                node, path, name, expected: Field.Kind.secret.expectation,
                remedy: "write { \"env\": \(quoted(variable)) }")
            return nil
        }
        if case .string = node.content {
            hide(node.range)
            report(
                .plainSecret, node.range, path, "\(owner) has its secret \(quoted(name)) in clear text",
                .init(
                    "write { \"env\": \"\(variable)\" } or { \"file\": \"PATH\" }, and change the secret: "
                        + "it has been written down"
                ))
            return nil
        }
        guard case .object(let members) = node.content else {
            reportWrongType(node, path, name, expected: Field.Kind.secret.expectation)
            return nil
        }
        checkKeys(members, allowed: ["env", "file"], owner: quoted(name), path)
        let sources = distinct(members).filter { $0.key == "env" || $0.key == "file" }
        guard let member = sources.first, sources.count == 1 else {
            if sources.count == 2 {
                report(
                    .wrongType, node.headRange, path, "\(quoted(name)) names both \"env\" and \"file\"; one is needed")
            } else if members.isEmpty {
                report(
                    .missingField, node.headRange, path, "\(quoted(name)) names no source",
                    .init("write { \"env\": \"\(variable)\" } or { \"file\": \"PATH\" }"))
            }
            return nil
        }
        let place = path.key(member.key)
        guard case .string(let text) = member.value.content, !text.isEmpty else {
            reportWrongType(member.value, place, member.key, expected: "a string with a name")
            return nil
        }
        guard !text.contains("${") else {
            report(
                .unknownVariable, member.value.range, place, "no ${…} is substituted in the name of a secret",
                .init("write the name itself"))
            return nil
        }
        return member.key == "env"
            ? environmentSecret(text, node, name, owner, path) : fileSecret(text, node, name, owner, path)
    }

    /// How the names of variables that hold credentials end.
    private static let variableEndings = [
        "KEY", "TOKEN", "SECRET", "PASSWORD", "AUTHORIZATION", "AUTH", "CREDENTIAL", "CREDENTIALS", "SID", "ID", "URL",
    ]

    /// The variable of somebody who wrote `${env.NAME}`, `${NAME}` or `$NAME`; `nil` when it may be a secret itself.
    ///
    /// Passwords begin with `$`, too, so a bare `$NAME` counts only when it ends as names of such variables do.
    static func namedVariable(_ text: String) -> String? {
        guard text.hasPrefix("$") else { return nil }
        var name = text.dropFirst()
        let isBraced = name.hasPrefix("{") && name.hasSuffix("}")
        if isBraced { name = name.dropFirst().dropLast() }
        if name.hasPrefix("env.") { name = name.dropFirst(4) }
        let word = name.split(separator: "_").last?.prefix { !$0.isNumber } ?? ""
        guard isBraced || name.contains("_") && variableEndings.contains(String(word)) else { return nil }
        let isName =
            (1...64).contains(name.utf8.count) && name.utf8.first?.isDigit == false
            && name.utf8.allSatisfy { $0.isNameByte && !(UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) }
            && !looksRandom(name.utf8)
        return isName ? String(name) : nil
    }

    private func environmentSecret(
        _ variable: String, _ node: JSONNode, _ name: String, _ owner: String, _ path: DocumentPath
    ) -> Secret? {
        let isName = variable.utf8.allSatisfy(\.isNameByte) && variable.utf8.first?.isDigit == false
        // Vendors' keys are long words of small letters and digits; names of variables are not.
        let looksLikeValue =
            variable.utf8.count >= 20 && variable.contains(where: \.isNumber)
            && variable.contains(where: \.isLowercase)
        guard isName, !looksLikeValue else {
            // What stands here may be the secret itself, so it is not repeated.
            if case .object(let members) = node.content, let value = members["env"] { hide(value.range) }
            report(
                .badName, node.headRange, path, "\"env\" of \(quoted(name)) is no name of an environment variable",
                .init("write the name of the variable, not its value; letters, digits and _"))
            return nil
        }
        if let value = surroundings.value(variable) { return Secret(value) }
        if checksEnvironment {
            report(
                .missingCredential, node.headRange, path, "\(owner) needs \(quoted(name)): \(variable) is not set",
                .init("set that variable, or lint without the environment: patchbay lint --no-environment"))
        }
        return nil
    }

    private func fileSecret(
        _ file: String, _ node: JSONNode, _ name: String, _ owner: String, _ path: DocumentPath
    ) -> Secret? {
        if let folders = surroundings.fileFolders {
            // A check opens none for a stranger: what it says would not be told, but how long it takes could be.
            guard checksEnvironment else { return nil }
            guard isInside(file, of: folders, from: directory(of: node)) else {
                report(
                    .notAllowed, node.headRange, path,
                    "\(owner): \(quoted(name)) names a file outside of the folders of the pipelines in force",
                    .init("name a variable of the environment instead: { \"env\": \"NAME\" }"))
                return nil
            }
        }
        let resolved = file.hasPrefix("/") ? file : "\(directory(of: node))/\(file)"
        switch readFile(resolved, limit: Self.maximumSecretBytes) {
        case .success(let bytes):
            let text = String(decoding: bytes, as: UTF8.self)
            let value = text.prefix(upTo: text.lastIndex { !$0.isNewline }.map(text.index(after:)) ?? text.startIndex)
            if !value.isEmpty { return Secret(String(value)) }
            if checksEnvironment {
                report(
                    .missingCredential, node.headRange, path,
                    "\(owner) needs \(quoted(name)): \(quoted(resolved)) is empty")
            }
        case .failure(let fault):
            if checksEnvironment {
                report(
                    .missingCredential, node.headRange, path,
                    "\(owner) needs \(quoted(name)): \(quoted(resolved)) \(fault.reason)",
                    .init("write that file, or lint without the environment: patchbay lint --no-environment"))
            }
        }
        return nil
    }
}
