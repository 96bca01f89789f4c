extension ComponentSpec {
    /// Whether it is one of ``Structure/all``.
    var isStructure: Bool { kind == .stage && Structure.all.contains { $0.type == type } }

    /// What it is, in one word: `transport`, `stage`, `agent`, or `structure`.
    public var kindName: String { isStructure ? "structure" : kind.rawValue }

    /// What its page says about earlier versions; empty when there is nothing to say.
    var history: String {
        formerTypes.isEmpty ? "" : " Formerly \(alternatives(formerTypes.map { "\"\($0)\"" }))."
    }

    /// The spec as a JSON object: `type`, `kind`, `summary` and `fields`.
    ///
    /// A field has `name`, `kind`, `required`, `advanced` and `summary`, and where they apply `minimum`, `maximum`,
    /// `choices`, `fields`, `default`, `environmentDefault`, `unit`, `example`, `formerNames` and `deprecation`.
    public var json: JSONValue {
        var object: JSONValue = [
            "type": .string(type), "kind": .string(kindName), "summary": .string(summary),
            "fields": .array(fields.map(\.json)),
        ]
        if !formerTypes.isEmpty { object.append("formerTypes", .array(formerTypes.map { .string($0) })) }
        return object
    }
}

extension Field {
    var json: JSONValue {
        var object: JSONValue = ["name": .string(name), "kind": .string(kind.name)]
        switch kind {
        case .integer(let range):
            object.append("minimum", JSONValue(range.lowerBound))
            object.append("maximum", JSONValue(range.upperBound))
        case .number(let range):
            object.append("minimum", JSONValue(range.lowerBound))
            object.append("maximum", JSONValue(range.upperBound))
        case .choice(let words): object.append("choices", .array(words.map { .string($0) }))
        case .object(let fields), .objects(let fields): object.append("fields", .array(fields.map(\.json)))
        case .string, .boolean, .secret, .strings, .variables, .headers, .stages, .branches, .agents, .json: break
        }
        object.append("required", .boolean(isRequired))
        object.append("advanced", .boolean(isAdvanced))
        object.append("default", defaultValue.map { JSONValue($0) })
        object.append("environmentDefault", environmentDefault.map { .string($0) })
        object.append("unit", unit.map { .string($0) })
        object.append("example", example.map { .string($0) })
        if !formerNames.isEmpty { object.append("formerNames", .array(formerNames.map { .string($0) })) }
        object.append("deprecation", deprecation.map { .string($0) })
        object.append("summary", .string(summary))
        return object
    }

    /// What holds without it, for a table.
    var fallback: String {
        let words = defaultValue?.json ?? (isRequired ? "required" : "")
        guard let environmentDefault else { return words }
        return (words.isEmpty ? "" : words + ", ") + "env \(environmentDefault)"
    }
}

extension Field.Kind {
    /// One word for tools.
    var name: String {
        switch self {
        case .string: "string"
        case .integer: "integer"
        case .number: "number"
        case .boolean: "boolean"
        case .choice: "choice"
        case .secret: "secret"
        case .strings: "strings"
        case .variables: "variables"
        case .headers: "headers"
        case .object: "object"
        case .objects: "objects"
        case .stages: "stages"
        case .branches: "branches"
        case .agents: "agents"
        case .json: "json"
        }
    }

    /// What may be written, for a table: `8000 to 48000`.
    var allowed: String {
        switch self {
        case .string: "text"
        case .integer(let range): "\(range.lowerBound) to \(range.upperBound)"
        case .number(let range): "\(range.lowerBound.plain) to \(range.upperBound.plain)"
        case .boolean: "true or false"
        case .choice(let words): alternatives(words)
        case .secret: "{env} or {file}"
        case .strings: "list of texts"
        case .variables: "object of values"
        case .headers: "object of headers"
        case .object: "object"
        case .objects: "list of objects"
        case .stages: "list of stages"
        case .branches: "object of lists of stages"
        case .agents: "list of agents"
        case .json: "any JSON"
        }
    }

    /// What a value must be, for a message: `a whole number`.
    var expectation: String {
        switch self {
        case .string: "a string"
        case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .number(let range): "a number from \(range.lowerBound.plain) to \(range.upperBound.plain)"
        case .boolean: "true or false"
        case .choice(let words): alternatives(words.map { "\"\($0)\"" })
        case .secret: "an object { \"env\": \"NAME\" } or { \"file\": \"PATH\" }"
        case .strings: "a list of strings"
        case .variables: "an object of strings, numbers and booleans"
        case .headers: "an object of strings and secrets"
        case .object: "an object"
        case .objects: "a list of objects"
        case .stages: "a list of stages"
        case .branches: "an object of lists of stages"
        case .agents: "a list of agents"
        case .json: "JSON"
        }
    }
}

extension Double {
    /// Without a point when it is whole.
    var plain: String { VariableValue.number(self).description }
}
