import PatchbayCore

/// A JSON value with places in it: `${name}` for variables of the document, `{name}` for arguments of the tool's call.
///
/// Texts are taken apart when the document is read, so whatever comes in later is a value and never structure. A text that is one
/// place and nothing else keeps the value's JSON type; a member whose one place has no value is left out.
indirect enum ToolTemplate: Sendable {
    enum Part: Sendable {
        case literal(String)
        case reference(Reference)
        case parameter(String)
    }

    case value(JSONValue)
    case text([Part])
    case array([ToolTemplate])
    case object([(key: String, value: ToolTemplate)])

    /// The arguments that it uses.
    var parameters: Set<String> {
        switch self {
        case .value: []
        case .text(let parts):
            Set(parts.compactMap { if case .parameter(let name) = $0 { name } else { nil } })
        case .array(let elements): elements.reduce(into: []) { $0.formUnion($1.parameters) }
        case .object(let members): members.reduce(into: []) { $0.formUnion($1.value.parameters) }
        }
    }

    /// The template for one call, without references. `nil` when it is one reference to a context value that the call lacks.
    func resolved(in scope: ReferenceScope) throws(PipelineError) -> ToolTemplate? {
        switch self {
        case .value: return self
        case .text(let parts):
            if parts.count == 1, case .reference(let reference)? = parts.first {
                return try scope.value(of: reference).map { .value(JSONValue($0)) }
            }
            var result: [Part] = []
            for part in parts {
                guard case .reference(let reference) = part else {
                    result.append(part)
                    continue
                }
                result.append(.literal(try scope.value(of: reference)?.description ?? ""))
            }
            return .text(result)
        case .array(let elements):
            var result: [ToolTemplate] = []
            for element in elements { if let element = try element.resolved(in: scope) { result.append(element) } }
            return .array(result)
        case .object(let members):
            var result: [(key: String, value: ToolTemplate)] = []
            for member in members {
                if let value = try member.value.resolved(in: scope) { result.append((member.key, value)) }
            }
            return .object(result)
        }
    }

    /// The value with the arguments in it. `nil` when it is one argument that was not given.
    func value(with arguments: ToolArguments) -> JSONValue? {
        switch self {
        case .value(let value): return value
        case .text(let parts):
            if parts.count == 1, case .parameter(let name)? = parts.first { return arguments[name] }
            var text = ""
            for part in parts {
                switch part {
                case .literal(let literal): text += literal
                case .parameter(let name): text += arguments[name]?.plainText ?? ""
                case .reference: break
                }
            }
            return .string(text)
        case .array(let elements): return .array(elements.compactMap { $0.value(with: arguments) })
        case .object(let members):
            return .object(
                members.compactMap { member in
                    member.value.value(with: arguments).map { JSONValue.Member(member.key, $0) }
                })
        }
    }
}

/// One stretch of a text with places for arguments.
enum ToolPlace: Equatable, Sendable {
    case literal(String)
    case parameter(String)

    /// Takes a text apart. `{{` stands for a literal `{`; a brace without a name and its other half is one, too.
    static func places(in text: String) -> [ToolPlace] {
        var places: [ToolPlace] = []
        var literal = ""
        var rest = text[...]
        while let open = rest.firstIndex(of: "{") {
            literal += rest[..<open]
            let inner = rest[rest.index(after: open)...]
            if inner.first == "{" {
                literal += "{"
                rest = inner.dropFirst()
                continue
            }
            let name = inner.prefix { $0.utf8.allSatisfy { $0.isNameByte || $0 == UInt8(ascii: "-") } }
            guard !name.isEmpty, name.endIndex < inner.endIndex, inner[name.endIndex] == "}" else {
                literal += "{"
                rest = inner
                continue
            }
            if !literal.isEmpty { places.append(.literal(literal)) }
            literal = ""
            places.append(.parameter(String(name)))
            rest = inner[inner.index(after: name.endIndex)...]
        }
        literal += rest
        if !literal.isEmpty { places.append(.literal(literal)) }
        return places
    }
}

extension JSONValue {
    /// The value within a text, or in a query: strings without quotes, `null` as nothing, the rest as JSON.
    var plainText: String {
        switch self {
        case .string(let text): text
        case .null: ""
        case .boolean, .number, .array, .object: line
        }
    }

    /// Whether it is no list and no object.
    var isScalar: Bool {
        switch self {
        case .null, .boolean, .number, .string: true
        case .array, .object: false
        }
    }
}

/// The reading of values with places.
extension Linter {
    /// - Returns: `nil` when a reference in it is wrong.
    func toolTemplate(_ node: JSONNode, _ path: DocumentPath) -> ToolTemplate? {
        switch node.content {
        case .null, .boolean, .number: return .value(JSONValue(node))
        case .string(let string):
            guard let text = text(string, node, path) else { return nil }
            var parts: [ToolTemplate.Part] = []
            func append(_ literal: String) {
                parts += ToolPlace.places(in: literal).map { place in
                    switch place {
                    case .literal(let text): .literal(text)
                    case .parameter(let name): .parameter(name)
                    }
                }
            }
            switch text {
            case .literal(let literal), .fromCall(let literal): append(literal)
            case .template(let template):
                for part in template.parts {
                    switch part {
                    case .literal(let literal): append(literal)
                    case .reference(let reference): parts.append(.reference(reference))
                    }
                }
            }
            if parts.isEmpty { return .value("") }
            if parts.count == 1, case .literal(let literal)? = parts.first { return .value(.string(literal)) }
            return .text(parts)
        case .array(let elements):
            var result: [ToolTemplate] = []
            for (index, element) in elements.enumerated() {
                if let element = toolTemplate(element, path.index(index)) { result.append(element) }
            }
            return result.count == elements.count ? .array(result) : nil
        case .object(let members):
            let members = distinct(members)
            var result: [(key: String, value: ToolTemplate)] = []
            for member in members {
                if let value = toolTemplate(member.value, path.key(member.key)) { result.append((member.key, value)) }
            }
            return result.count == members.count ? .object(result) : nil
        }
    }
}
