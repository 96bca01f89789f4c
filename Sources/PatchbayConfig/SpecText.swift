extension ComponentSpec {
    /// The spec as a page for people: name, sentence, and a line for each field.
    public var table: String {
        var text = "\(type) (\(kind.rawValue)): \(summary)\n"
        if fields.isEmpty { return text + "\nIt has no settings.\n" }
        let rows = [["field", "value", "default", "meaning"]] + fields.flatMap { $0.rows(indent: "") }
        let widths = (0..<3).map { column in rows.map { $0[column].unicodeScalars.count }.max() ?? 0 }
        text += "\n"
        for row in rows {
            let cells = zip(row, widths).map { cell, width in
                cell + String(repeating: " ", count: width - cell.unicodeScalars.count)
            }
            text += "  " + (cells + [row[3]]).joined(separator: "  ") + "\n"
        }
        return text
    }

    /// The spec as a JSON object.
    public var json: String {
        "{\"type\": \(jsonQuoted(type)), \"kind\": \(jsonQuoted(kind.rawValue)), \"summary\": \(jsonQuoted(summary)), "
            + "\"fields\": \(fields.json)}"
    }
}

extension [Field] {
    /// The fields as a JSON list of objects with `name`, `kind`, `required`, `advanced` and `summary`, and where they
    /// apply `minimum`, `maximum`, `choices`, `fields`, `default`, `environmentDefault`, `unit` and `example`.
    var json: String { "[" + map(\.json).joined(separator: ", ") + "]" }
}

extension Field {
    var json: String {
        var members = ["\"name\": \(jsonQuoted(name))", "\"kind\": \(jsonQuoted(kind.name))"]
        switch kind {
        case .integer(let range): members += ["\"minimum\": \(range.lowerBound)", "\"maximum\": \(range.upperBound)"]
        case .number(let range):
            members += ["\"minimum\": \(range.lowerBound.plain)", "\"maximum\": \(range.upperBound.plain)"]
        case .choice(let words): members.append("\"choices\": [\(words.map(jsonQuoted).joined(separator: ", "))]")
        case .object(let fields), .objects(let fields): members.append("\"fields\": \(fields.json)")
        case .string, .boolean, .secret, .strings, .variables, .headers, .stages, .branches, .agents, .json: break
        }
        members += ["\"required\": \(isRequired)", "\"advanced\": \(isAdvanced)"]
        if let defaultValue { members.append("\"default\": \(defaultValue.json)") }
        if let environmentDefault { members.append("\"environmentDefault\": \(jsonQuoted(environmentDefault))") }
        if let unit { members.append("\"unit\": \(jsonQuoted(unit))") }
        if let example { members.append("\"example\": \(jsonQuoted(example))") }
        members += historyMembers
        members.append("\"summary\": \(jsonQuoted(summary))")
        return "{" + members.joined(separator: ", ") + "}"
    }

    /// Name, value, default and meaning; fields of an inner object follow, indented.
    fileprivate func rows(indent: String) -> [[String]] {
        var fallback = defaultValue?.json ?? (isRequired ? "required" : "")
        if let environmentDefault { fallback += (fallback.isEmpty ? "" : ", ") + "env \(environmentDefault)" }
        let meaning = summary + (isAdvanced ? " (advanced)" : "") + history + (example.map { " For instance \($0)" } ?? "")
        let row = [indent + name, kind.allowed, fallback, meaning]
        switch kind {
        case .object(let fields), .objects(let fields): return [row] + fields.flatMap { $0.rows(indent: indent + "  ") }
        default: return [row]
        }
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
