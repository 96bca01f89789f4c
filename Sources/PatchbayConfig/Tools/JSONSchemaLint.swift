/// The check of a schema that stands in a document: that it says what its author means.
///
/// A misspelt or unsupported word of a schema would silently allow everything, so both are errors.
struct JSONSchemaLint {
    /// Words that are judged.
    private static let judged = [
        "type", "nullable", "enum", "const", "properties", "required", "additionalProperties", "minProperties",
        "maxProperties", "items", "minItems", "maxItems", "uniqueItems", "minLength", "maxLength", "pattern", "format",
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "anyOf", "oneOf", "allOf", "not",
        "$ref", "$defs", "definitions",
    ]
    /// Words that only describe.
    private static let descriptive = [
        "title", "description", "default", "examples", "example", "deprecated", "readOnly", "writeOnly", "$comment",
        "$schema", "$id",
    ]
    /// Words of JSON Schema that nothing here judges.
    private static let unsupported: Set<String> = [
        "if", "then", "else", "dependentRequired", "dependentSchemas", "dependencies", "patternProperties",
        "propertyNames", "contains", "minContains", "maxContains", "prefixItems", "additionalItems",
        "unevaluatedItems", "unevaluatedProperties", "contentEncoding", "contentMediaType", "contentSchema",
        "$dynamicRef", "$anchor", "$dynamicAnchor", "$vocabulary",
    ]
    private static let types = ["string", "integer", "number", "boolean", "object", "array", "null"]
    /// Longest schema of one tool, in bytes: it is sent to the agent with every conversation.
    static let maximumBytes = 32 << 10

    let linter: Linter
    private let root: JSONValue

    init(_ linter: Linter, root: JSONNode) {
        self.linter = linter
        self.root = JSONValue(root)
    }

    /// Checks the schema of a tool's parameters, which has to be that of an object.
    func checkParameters(_ node: JSONNode, _ path: DocumentPath) {
        guard case .object(let members) = node.content else {
            return linter.reportWrongType(
                node, path, "parameters", expected: "a JSON Schema of an object",
                remedy: "write { \"type\": \"object\", \"properties\": { … } }")
        }
        guard node.range.count <= Self.maximumBytes else {
            return linter.report(
                .limitExceeded, node.headRange, path,
                "the schema of the parameters has \(node.range.count) bytes; at most \(Self.maximumBytes)",
                .init("agents are sent it with every conversation; describe less"))
        }
        let type = members["type"]
        if case .string("object")? = type?.content {
        } else {
            linter.report(
                type == nil ? .missingField : .notAllowed, (type ?? node).headRange,
                type == nil ? path : path.key("type"), "\"parameters\" must be of \"type\": \"object\"",
                .init("parameters have names: { \"type\": \"object\", \"properties\": { … } }"))
        }
        check(node, path)
    }

    private func check(_ node: JSONNode, _ path: DocumentPath) {
        let members: [JSONMember]
        switch node.content {
        case .boolean: return
        case .object(let found): members = found
        case .null, .number, .string, .array:
            return linter.reportWrongType(node, path, "a schema", expected: "an object, true or false")
        }
        for member in linter.distinct(members) { check(member, path) }
        checkRequired(members, path)
    }

    private func check(_ member: JSONMember, _ path: DocumentPath) {
        let place = path.key(member.key)
        let value = member.value
        switch member.key {
        case "type": checkType(value, place)
        case "enum":
            if case .array(let words) = value.content, !words.isEmpty { return }
            linter.reportWrongType(value, place, "enum", expected: "a list of the values there are")
        case "properties", "$defs", "definitions":
            guard let inner = linter.members(value, place, member.key) else { return }
            for property in linter.distinct(inner) { check(property.value, place.key(property.key)) }
        case "additionalProperties", "items", "not": check(value, place)
        case "anyOf", "oneOf", "allOf":
            guard case .array(let elements) = value.content, !elements.isEmpty else {
                return linter.reportWrongType(value, place, member.key, expected: "a list of schemas")
            }
            for (index, element) in elements.enumerated() { check(element, place.index(index)) }
        case "pattern": checkPattern(value, place)
        case "$ref": checkReference(value, place)
        case "nullable", "uniqueItems":
            if case .boolean = value.content { return }
            linter.reportWrongType(value, place, member.key, expected: "true or false")
        case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties":
            if case .number(let text) = value.content, Int(text) ?? -1 >= 0 { return }
            linter.reportWrongType(value, place, member.key, expected: "a whole number that is not negative")
        case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf":
            if case .number = value.content { return }
            linter.reportWrongType(value, place, member.key, expected: "a number")
        case "format":
            if case .string = value.content { return }
            linter.reportWrongType(value, place, member.key, expected: "a string")
        default: checkWord(member, place)
        }
    }

    private func checkWord(_ member: JSONMember, _ place: DocumentPath) {
        if Self.descriptive.contains(member.key) || ["const", "required"].contains(member.key)
            || member.key.hasPrefix("x-")
        {
            return
        }
        if Self.unsupported.contains(member.key) {
            linter.report(
                .notAllowed, member.keyRange, place, "\(quoted(member.key)) of a schema is not judged here",
                .init("leave it out, or say it in \"description\" and let the tool itself check it"))
        } else {
            linter.report(
                .unknownField, member.keyRange, place, "a schema has no \(quoted(member.key))",
                .closest(of: Self.judged + Self.descriptive, for: member.key, label: "words here"))
        }
    }

    private func checkType(_ node: JSONNode, _ path: DocumentPath) {
        var words: [JSONNode] = [node]
        if case .array(let elements) = node.content, !elements.isEmpty { words = elements }
        for word in words {
            guard case .string(let type) = word.content else {
                linter.reportWrongType(word, path, "type", expected: alternatives(Self.types.map { "\"\($0)\"" }))
                continue
            }
            if Self.types.contains(type) { continue }
            linter.report(
                .notAllowed, word.range, path, "there is no type \(quoted(type)) in JSON Schema",
                .closest(of: Self.types, for: type, label: "types"))
        }
    }

    private func checkPattern(_ node: JSONNode, _ path: DocumentPath) {
        guard case .string(let pattern) = node.content else {
            return linter.reportWrongType(node, path, "pattern", expected: "a string")
        }
        do throws(TextPattern.Fault) {
            _ = try TextPattern(pattern)
        } catch {
            linter.report(.notAllowed, node.range, path, "the pattern \(quoted(pattern)) \(error.message)")
        }
    }

    private func checkReference(_ node: JSONNode, _ path: DocumentPath) {
        guard case .string(let reference) = node.content else {
            return linter.reportWrongType(node, path, "$ref", expected: "a string")
        }
        guard root.value(atFragment: reference) == nil else { return }
        linter.report(
            .notAllowed, node.range, path, "the schema has nothing at \(quoted(reference))",
            .init("references stay in the schema: \"#/$defs/NAME\""))
    }

    /// What is required and not described could only be guessed.
    private func checkRequired(_ members: [JSONMember], _ path: DocumentPath) {
        guard let required = members["required"] else { return }
        let place = path.key("required")
        guard case .array(let elements) = required.content else {
            return linter.reportWrongType(required, place, "required", expected: "a list of names")
        }
        var names: [String] = []
        if case .object(let properties)? = members["properties"]?.content { names = properties.map(\.key) }
        for (index, element) in elements.enumerated() {
            guard case .string(let name) = element.content else {
                linter.reportWrongType(element, place.index(index), "required[\(index)]", expected: "a string")
                continue
            }
            if names.contains(name) { continue }
            linter.report(
                .unknownField, element.range, place.index(index), "\"properties\" has no \(quoted(name))",
                .closest(of: names, for: name, label: "properties here"))
        }
    }
}
