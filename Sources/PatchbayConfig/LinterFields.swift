/// The reading of an object by its fields.
extension Linter {
    /// Reads the settings that `fields` describe, reporting everything that is wrong with them.
    ///
    /// - Parameters:
    ///   - node: The object itself, or the bare name that stands for it.
    ///   - owner: Whose settings they are, for messages: `stage "resampler"`.
    ///   - ignoring: Keys of the object that belong to its reader.
    /// - Returns: `nil` when anything was wrong.
    func settings(
        _ members: [JSONMember], of node: JSONNode, fields: [Field], owner: String, _ path: DocumentPath,
        ignoring: [String] = []
    ) -> Settings? {
        let errorsBefore = errorCount
        let reading = readFields(members, of: node, fields: fields, owner: owner, path, ignoring: ignoring)
        return errorCount == errorsBefore || keepsSoundParts ? reading.settings : nil
    }

    /// What an object gave, whether or not all of it is right.
    struct FieldReading {
        /// The values that are sound.
        var settings: Settings
        /// The members under the present names of their fields.
        var members: [JSONMember]
        /// The fields whose values are wrong, or missing where they must not be.
        var unsound: Set<String> = []
    }

    /// Reads what can be read, reporting the rest.
    func readFields(
        _ members: [JSONMember], of node: JSONNode, fields: [Field], owner: String, _ path: DocumentPath,
        ignoring: [String] = []
    ) -> FieldReading {
        let members = underPresentNames(members, fields, owner: owner, path)
        var reading = FieldReading(settings: Settings(directory: directory(of: node)), members: members)
        reading.unsound = checkKeys(members, allowed: fields.map(\.name) + ignoring, owner: owner, path)
        var first: [String: JSONNode] = [:]
        for member in members where first[member.key] == nil { first[member.key] = member.value }
        for field in fields {
            let errorsBefore = errorCount
            if let written = first[field.name] {
                if isOpen(written) {
                    reading.unsound.insert(field.name)
                } else if let value = self.value(written, field, owner: owner, path.key(field.name)),
                    !reportStrangeFile(
                        in: value, field, written, from: directory(of: written), owner: owner, path.key(field.name))
                {
                    reading.settings.set(field.name, value)
                    // The value of a parameter was written where the fragment is included.
                    reading.settings.setDirectory(of: field.name, directory(of: written))
                }
            } else if !reading.unsound.contains(field.name), let value = absent(field, node, owner: owner, path) {
                reading.settings.set(field.name, value)
            }
            if errorCount > errorsBefore { reading.unsound.insert(field.name) }
        }
        return reading
    }

    /// The folder that paths in a value start from: that of the file in which it stands.
    func directory(of node: JSONNode) -> String { sources.entry(of: node.range.lowerBound).source.directory }

    /// Whether a value is known only where the fragment is included.
    private func isOpen(_ node: JSONNode) -> Bool {
        guard !openParameters.isEmpty, case .string(let text) = node.content,
            case .reference(let name, _)? = TemplatePiece.pieces(of: text).first
        else { return false }
        return text == "${\(name)}" && openParameters.contains(name)
    }

    /// Reads an object at the top of a document that has fields of its own.
    func section(_ name: String, _ members: [JSONMember], _ fields: [Field]) -> Settings? {
        let path = DocumentPath.root.key(name)
        guard let node = members[name], let inner = self.members(node, path, name) else { return nil }
        return settings(inner, of: node, fields: fields, owner: quoted(name), path)
    }

    /// What holds when a field is not written.
    private func absent(_ field: Field, _ node: JSONNode, owner: String, _ path: DocumentPath) -> Settings.Value? {
        if let name = field.environmentDefault, let value = surroundings.value(name) {
            if case .secret = field.kind { return .secret(Secret(value)) }
            return field.value(.string(value))
        }
        if let value = field.defaultValue { return field.value(value) }
        guard field.isRequired else { return nil }
        if let name = field.environmentDefault {
            guard checksEnvironment else { return nil }
            report(
                .missingCredential, node.headRange, path, "\(owner) needs \(quoted(field.name)): \(name) is not set",
                .init("set that variable, or lint without the environment: patchbay lint --no-environment"))
        } else {
            let example = field.example ?? field.kind.example
            report(
                .missingField, node.headRange, path, "\(owner) needs \(quoted(field.name))",
                .init("add \"\(field.name)\": \(example)", replacement: field.name))
        }
        return nil
    }

    private func value(_ node: JSONNode, _ field: Field, owner: String, _ path: DocumentPath) -> Settings.Value? {
        switch (field.kind, node.content) {
        case (.string, .string(let string)):
            return text(string, node, path, fallback: fallback(of: field)).map { .text($0) }
        case (.integer(let range), .number(let text)):
            return integer(text, in: range, node, field, path).map { .integer($0) }
        case (.number(let range), .number(let text)):
            guard let value = Double(text), range.contains(value) else {
                reportRange(text, "\(range.lowerBound.plain) to \(range.upperBound.plain)", node, field, path)
                return nil
            }
            return .number(value)
        case (.boolean, .boolean(let value)):
            return .boolean(value)
        case (.choice(let words), .string(let word)):
            if words.contains(word) { return .text(.literal(word)) }
            report(
                .notAllowed, node.range, path,
                "\(quoted(field.name)) is \(quoted(word)); allowed \(field.kind.expectation)",
                closestMatch(to: word, in: words).map { .init("did you mean \"\($0)\"?", replacement: $0) })
            return nil
        case (.secret, _):
            return secret(node, field.name, suggestedVariable: field.environmentDefault, owner: owner, path).map {
                .secret($0)
            }
        case (.strings, .array(let elements)):
            return strings(elements, field.name, path).map { .texts($0) }
        case (.variables, .object(let members)):
            return .variables(variables(members, path))
        case (.headers, .object(let members)):
            return .headers(headers(members, owner: owner, path))
        case (.object(let fields), .object(let members)):
            return settings(members, of: node, fields: fields, owner: quoted(field.name), path).map { .object($0) }
        case (.objects(let fields), .array(let elements)):
            return objects(elements, fields, field.name, path).map { .list($0) }
        case (.json, _):
            return .json(text(in: node.range))
        default:
            reportWrongType(
                node, path, field.name, expected: field.kind.expectation, remedy: remedy(for: node, as: field.kind))
            return nil
        }
    }

    private func fallback(of field: Field) -> String? {
        if let name = field.environmentDefault, let value = surroundings.value(name) { return value }
        return field.defaultValue?.description
    }

    /// Some wrong types are one keystroke away from right.
    private func remedy(for node: JSONNode, as kind: Field.Kind) -> String? {
        switch (kind, node.content) {
        case (.integer, .string(let text)) where Int(text) != nil: "write \(text) without quotes"
        case (.number, .string(let text)) where Double(text)?.isFinite == true: "write \(text) without quotes"
        case (.boolean, .string("true")), (.boolean, .string("false")): "write it without quotes"
        case (.string, .number(let text)): "write it in quotes: \"\(text)\""
        case (.strings, .string(let text)): "write a list: [\(quoted(text))]"
        case (_, .null): "leave the key out to use the default"
        default: nil
        }
    }

    private func integer(
        _ text: String, in range: ClosedRange<Int>, _ node: JSONNode, _ field: Field, _ path: DocumentPath
    ) -> Int? {
        let allowed = "\(range.lowerBound) to \(range.upperBound)"
        guard text.utf8.allSatisfy({ $0.isDigit || $0 == UInt8(ascii: "-") }) else {
            report(
                .wrongType, node.range, path, "\(quoted(field.name)) is \(text); it must be a whole number, \(allowed)",
                Double(text).flatMap(Int.init(exactly:)).map { .init("write \($0)", replacement: String($0)) })
            return nil
        }
        guard let value = Int(text), range.contains(value) else {
            reportRange(text, allowed, node, field, path)
            return nil
        }
        return value
    }

    private func reportRange(_ text: String, _ allowed: String, _ node: JSONNode, _ field: Field, _ path: DocumentPath)
    {
        let unit = field.unit.map { " (\($0))" } ?? ""
        let fallback = field.defaultValue.map { ", default \($0)" } ?? ""
        let written = text.count > 40 ? text.prefix(40) + "…" : text
        report(
            .outOfRange, node.range, path,
            "\(quoted(field.name)) is \(written); allowed \(allowed)\(unit)\(fallback)")
    }

    // MARK: Compound values

    func strings(_ elements: [JSONNode], _ name: String, _ path: DocumentPath) -> [Settings.Text]? {
        var texts: [Settings.Text] = []
        for (index, element) in elements.enumerated() {
            guard case .string(let string) = element.content else {
                reportWrongType(element, path.index(index), "\(name)[\(index)]", expected: "a string")
                continue
            }
            if let text = text(string, element, path.index(index)) { texts.append(text) }
        }
        return texts.count == elements.count ? texts : nil
    }

    private func objects(
        _ elements: [JSONNode], _ fields: [Field], _ name: String, _ path: DocumentPath
    ) -> [Settings]? {
        var list: [Settings] = []
        for (index, element) in elements.enumerated() {
            let place = path.index(index)
            guard let members = members(element, place, "\(name)[\(index)]") else {
                if keepsSoundParts { list.append(Settings(directory: directory(of: element))) }
                continue
            }
            let owner = quoted("\(name)[\(index)]")
            if let settings = settings(members, of: element, fields: fields, owner: owner, place) {
                list.append(settings)
            }
        }
        return list.count == elements.count ? list : nil
    }

    private func variables(_ members: [JSONMember], _ path: DocumentPath) -> [String: Settings.Variable] {
        var result: [String: Settings.Variable] = [:]
        for member in distinct(members) {
            let place = path.key(member.key)
            switch member.value.content {
            case .string(let string):
                switch text(string, member.value, place) {
                case .literal(let text)?, .fromCall(let text)?: result[member.key] = .value(.string(text))
                case .template(let template)?: result[member.key] = .template(template)
                case nil: break
                }
            case .number(let text): result[member.key] = Double(text).map { .value(.number($0)) }
            case .boolean(let value): result[member.key] = .value(.bool(value))
            case .null, .array, .object:
                reportWrongType(member.value, place, member.key, expected: "a string, a number or a boolean")
            }
        }
        return result
    }

    private func headers(
        _ members: [JSONMember], owner: String, _ path: DocumentPath
    ) -> [(name: String, value: Settings.Header)] {
        var result: [(name: String, value: Settings.Header)] = []
        for member in distinct(members) {
            let place = path.key(member.key)
            // A field name is a token (RFC 9110 §5.1); anything else could smuggle a line break into a request.
            let isToken =
                !member.key.isEmpty
                && member.key.utf8.allSatisfy {
                    $0.isDigit || $0.isLetter || "!#$%&'*+-.^_`|~".utf8.contains($0)
                }
            guard isToken else {
                report(.badName, member.keyRange, place, "\(quoted(member.key)) is no name of an HTTP header")
                continue
            }
            switch member.value.content {
            case .string(let string):
                guard !string.utf8.contains(where: { $0 < 0x20 && $0 != 0x09 }) else {
                    report(.notAllowed, member.value.range, place, "a header must not contain control characters")
                    continue
                }
                if let text = text(string, member.value, place) { result.append((member.key, .text(text))) }
            case .object(let written):
                if let secret = headerSecret(member, written, owner: owner, place) {
                    result.append((member.key, .secret(secret)))
                }
            case .null, .boolean, .number, .array:
                reportWrongType(member.value, place, member.key, expected: "a string or a secret")
            }
        }
        return result
    }

    /// A credential that a header is made of; with `"optional": true` the header is left out where it is not set.
    private func headerSecret(
        _ member: JSONMember, _ written: [JSONMember], owner: String, _ path: DocumentPath
    ) -> Secret? {
        var isOptional = false
        if let node = written["optional"] {
            guard case .boolean(let flag) = node.content else {
                reportWrongType(node, path.key("optional"), "optional", expected: "true or false")
                return nil
            }
            isOptional = flag
        }
        var node = member.value
        node.content = .object(written.filter { $0.key != "optional" })
        let checked = checksEnvironment
        defer { checksEnvironment = checked }
        checksEnvironment = checked && !isOptional
        return secret(node, member.key, suggestedVariable: nil, owner: owner, path)
    }
}

extension Field.Kind {
    /// What a value may look like.
    fileprivate var example: String {
        switch self {
        case .string: "\"…\""
        case .integer(let range): String(range.lowerBound)
        case .number(let range): range.lowerBound.plain
        case .boolean: "true"
        case .choice(let words): jsonQuoted(words.first ?? "")
        case .secret: "{ \"env\": \"NAME\" }"
        case .strings: "[\"…\"]"
        case .variables, .headers, .object, .json: "{ … }"
        case .objects: "[{ … }]"
        case .stages, .agents: "[ … ]"
        case .branches: "{ \"…\": [ … ] }"
        }
    }
}
