/// The schema of a tool's parameters: the part of JSON Schema (draft 2020-12, https://json-schema.org/draft/2020-12) that
/// models are given and keep to.
///
/// Judged are `type` (also a list), `nullable`, `enum`, `const`, `properties`, `required`, `additionalProperties`,
/// `minProperties`, `maxProperties`, `items`, `minItems`, `maxItems`, `uniqueItems`, `minLength`, `maxLength`, `pattern`, `format`,
/// `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `multipleOf`, `anyOf`, `oneOf`, `allOf`, `not` and local `$ref`. Of the
/// formats `date`, `time`, `date-time`, `email`, `uuid` and `uri` are, leniently. Words that describe mean nothing here; ``JSONSchemaLint``
/// finds those that would be expected to do something and do not.
///
/// A validator of our own: what there is for Swift either needs swift-syntax for every build or says no in words that no model
/// can act on.
public struct JSONSchema: Sendable, Equatable {
    /// An object without any member.
    public static let empty = JSONSchema(["type": "object", "properties": [:]])

    /// The schema itself.
    public let json: JSONValue

    /// Takes a value that has been checked for a schema; what is none in it allows everything.
    public init(_ json: JSONValue) { self.json = json }

    /// The schema on one line, as agents are given it.
    public var text: String { json.line }

    /// The names of the top-level properties, in their order.
    public var propertyNames: [String] {
        guard case .object(let members)? = json["properties"] else { return [] }
        return members.map(\.key)
    }

    /// Everything that is wrong with the arguments of a tool's call, as ``problems(in:)`` tells it.
    ///
    /// Beside that, arguments that the schema does not declare are refused unless an `additionalProperties` of it speaks of them:
    /// an agent must not reach, by a name that nobody thought of, what the author of the tool has decided.
    public func problems(in arguments: ToolArguments) -> [String] {
        var check = JSONSchemaCheck(root: json)
        check.check(arguments.json, json, at: "")
        check.checkDeclared(arguments.json)
        return check.result
    }

    /// Everything that is wrong with a value, each a sentence that a model can act on; empty when nothing is.
    ///
    /// At most ``JSONSchemaCheck/maximumProblems``. Cost is the size of the value times that of the schema, and bounded.
    public func problems(in value: JSONValue) -> [String] {
        var check = JSONSchemaCheck(root: json)
        check.check(value, json, at: "")
        return check.result
    }
}

/// One judgement of one value.
struct JSONSchemaCheck {
    static let maximumProblems = 12
    /// Schemas that are looked at for one value; recursive ones could go on for ever.
    static let maximumSteps = 20_000
    /// Elements of a list that must differ from each other.
    static let maximumUnique = 500
    /// `$ref`s and values within each other.
    static let maximumDepth = 100

    private let root: JSONValue
    private var problems: [String] = []
    private var steps = 0
    /// Whether something was not looked at: it may have been all that a `not` or another branch hung on.
    private var isTooLarge = false
    private var depth = 0

    init(root: JSONValue) { self.root = root }

    /// What is wrong; that it could not be judged, when nothing else is.
    var result: [String] { problems.isEmpty && isTooLarge ? [Self.tooLarge] : problems }

    private mutating func add(_ problem: String) {
        if problems.count < Self.maximumProblems { problems.append(problem) }
    }

    mutating func check(_ value: JSONValue, _ schema: JSONValue, at place: String) {
        steps += 1
        depth += 1
        defer { depth -= 1 }
        guard steps <= Self.maximumSteps, depth <= Self.maximumDepth else {
            isTooLarge = true
            if problems.last != Self.tooLarge { add(Self.tooLarge) }
            return
        }
        switch schema {
        case .boolean(false): return add("\(Self.name(place)) is not allowed")
        case .object: break
        case .null, .boolean, .number, .string, .array: return
        }
        if let reference = schema["$ref"]?.stringValue {
            guard let target = root.value(atFragment: reference) else {
                return add("\(Self.name(place)) cannot be judged: the tool's schema has no \(reference)")
            }
            check(value, target, at: place)
        }
        if value == .null, schema["nullable"] == .boolean(true) { return }
        guard checkType(value, schema, place) else { return }
        if let wanted = schema["const"], !wanted.isSame(as: value) {
            add("\(Self.name(place)) is \(value.shown); it must be \(wanted.shown)")
        }
        if case .array(let allowed)? = schema["enum"], !allowed.contains(where: { $0.isSame(as: value) }) {
            add(
                "\(Self.name(place)) is \(value.shown); it must be one of "
                    + allowed.prefix(30).map(\.shown).joined(separator: ", "))
        }
        switch value {
        case .object(let members): check(members, schema, at: place)
        case .array(let elements): check(elements, schema, at: place)
        case .string(let text): check(text, schema, at: place)
        case .number(let text): checkNumber(text, schema, at: place)
        case .null, .boolean: break
        }
        checkCombinations(value, schema, at: place)
    }

    private static let tooLarge = "the arguments are too large to be checked against the tool's schema"

    // MARK: Types and combinations

    /// - Returns: Whether the rest may be judged: one mistake is one problem.
    private mutating func checkType(_ value: JSONValue, _ schema: JSONValue, _ place: String) -> Bool {
        let types = schema.types
        guard !types.isEmpty, !types.contains(where: value.isOf) else { return true }
        add("\(Self.name(place)) is \(value.kindWords); it must be \(schema.expectation)")
        return false
    }

    private mutating func checkCombinations(_ value: JSONValue, _ schema: JSONValue, at place: String) {
        if case .array(let all)? = schema["allOf"] { for part in all { check(value, part, at: place) } }
        if case .array(let any)? = schema["anyOf"], !any.isEmpty {
            let results = any.map { judged(value, $0, at: place) }
            if !results.contains(where: \.isEmpty) { addClosest(results, at: place) }
        }
        if case .array(let one)? = schema["oneOf"], !one.isEmpty {
            let results = one.map { judged(value, $0, at: place) }
            switch results.count(where: \.isEmpty) {
            case 0: addClosest(results, at: place)
            case 1: break
            case let count:
                add("\(Self.name(place)) fits \(count) of the forms that it may have; it must fit exactly one")
            }
        }
        if let refused = schema["not"], judged(value, refused, at: place).isEmpty {
            add("\(Self.name(place)) is \(value.shown), which is not allowed")
        }
    }

    private mutating func judged(_ value: JSONValue, _ schema: JSONValue, at place: String) -> [String] {
        let before = problems
        problems = []
        check(value, schema, at: place)
        defer { problems = before }
        return problems
    }

    /// What is wrong by the form that is nearest to what came.
    private mutating func addClosest(_ results: [[String]], at place: String) {
        guard let closest = results.min(by: { $0.count < $1.count }) else { return }
        let isSimple = results.allSatisfy { $0.count == 1 } && results.count <= 4
        if isSimple {
            add(
                "\(Self.name(place)) fits none of the forms that it may have: \(results.map { $0[0] }.joined(separator: "; or "))"
            )
        } else {
            for problem in closest { add(problem) }
        }
    }

    // MARK: Objects and lists

    private mutating func check(_ members: [JSONValue.Member], _ schema: JSONValue, at place: String) {
        var properties: [JSONValue.Member] = []
        if case .object(let declared)? = schema["properties"] { properties = declared }
        if case .array(let required)? = schema["required"] {
            for name in required.compactMap(\.stringValue) where !members.contains(where: { $0.key == name }) {
                let declared = properties.first { $0.key == name }?.value
                let hint = declared.map { "; it must be \($0.expectation)" } ?? ""
                add("\(Self.name(Self.key(name, of: place))) is missing\(hint)")
            }
        }
        var known: Set<String> = []
        for member in members {
            let inner = Self.key(member.key, of: place)
            guard known.insert(member.key).inserted else {
                add("\(Self.name(inner)) is given twice")
                continue
            }
            if let declared = properties.first(where: { $0.key == member.key })?.value {
                check(member.value, declared, at: inner)
            } else if let additional = schema["additionalProperties"] {
                guard additional == .boolean(false) else {
                    check(member.value, additional, at: inner)
                    continue
                }
                addUnknown(member.key, at: inner, properties.map(\.key))
            }
        }
        checkCount(members.count, schema, ("minProperties", "maxProperties"), "members", at: place)
    }

    private mutating func addUnknown(_ key: String, at place: String, _ names: [String]) {
        let hint = closestMatch(to: key, in: names).map { "; did you mean \(quoted($0))?" }
        add(
            "there is no \(Self.name(place))"
                + (hint ?? (names.isEmpty ? "" : "; there are \(names.prefix(30).joined(separator: ", "))")))
    }

    /// Members that neither the schema nor a part of it that may hold for the whole object speaks of.
    mutating func checkDeclared(_ value: JSONValue) {
        // Where the schema itself allows none, the judgement by it has said so.
        guard case .object(let members) = value, root["additionalProperties"] == nil else { return }
        var names: [String] = []
        var pending = [root]
        var followed: Set<String> = []
        while let schema = pending.popLast() {
            guard schema["additionalProperties"].map({ $0 == .boolean(false) }) ?? true else { return }
            if case .object(let declared)? = schema["properties"] { names += declared.map(\.key) }
            for key in ["allOf", "anyOf", "oneOf"] { if case .array(let parts)? = schema[key] { pending += parts } }
            if let reference = schema["$ref"]?.stringValue, followed.insert(reference).inserted,
                let target = root.value(atFragment: reference)
            {
                pending.append(target)
            }
        }
        let known = Set(names)
        for member in members where !known.contains(member.key) { addUnknown(member.key, at: member.key, names) }
    }

    private mutating func check(_ elements: [JSONValue], _ schema: JSONValue, at place: String) {
        if let items = schema["items"] {
            for (index, element) in elements.enumerated() {
                guard problems.count < Self.maximumProblems else { break }
                check(element, items, at: "\(place)[\(index)]")
            }
        }
        checkCount(elements.count, schema, ("minItems", "maxItems"), "elements", at: place)
        if schema["uniqueItems"] == .boolean(true) {
            guard elements.count <= Self.maximumUnique else { return add(Self.tooLarge) }
            for (index, element) in elements.enumerated()
            where elements[..<index].contains(where: { $0.isSame(as: element) }) {
                return add("\(Self.name(place)) has \(element.shown) twice; its elements must differ")
            }
        }
    }

    private mutating func checkCount(
        _ count: Int, _ schema: JSONValue, _ keys: (least: String, most: String), _ what: String, at place: String
    ) {
        if let least = schema[keys.least]?.numberValue, Double(count) < least {
            add("\(Self.name(place)) has \(count) \(what); at least \(least.plain) are needed")
        }
        if let most = schema[keys.most]?.numberValue, Double(count) > most {
            add("\(Self.name(place)) has \(count) \(what); at most \(most.plain) are allowed")
        }
    }

    // MARK: Texts and numbers

    private mutating func check(_ text: String, _ schema: JSONValue, at place: String) {
        checkCount(text.unicodeScalars.count, schema, ("minLength", "maxLength"), "characters", at: place)
        if let pattern = schema["pattern"]?.stringValue, let compiled = try? TextPattern(pattern),
            !compiled.matches(text)
        {
            add("\(Self.name(place)) is \(JSONValue.string(text).shown); it must match the pattern \(pattern)")
        }
        if let format = schema["format"]?.stringValue.flatMap(TextFormat.init), !format.matches(text) {
            add("\(Self.name(place)) is \(JSONValue.string(text).shown); it must be \(format.words)")
        }
    }

    private mutating func checkNumber(_ text: String, _ schema: JSONValue, at place: String) {
        guard let value = Double(text) else { return }
        let bounds: [(key: String, words: String, holds: (Double, Double) -> Bool)] = [
            ("minimum", "at least", { $0 >= $1 }), ("maximum", "at most", { $0 <= $1 }),
            ("exclusiveMinimum", "more than", { $0 > $1 }), ("exclusiveMaximum", "less than", { $0 < $1 }),
        ]
        for bound in bounds {
            if let limit = schema[bound.key]?.numberValue, !bound.holds(value, limit) {
                add("\(Self.name(place)) is \(text); it must be \(bound.words) \(limit.plain)")
            }
        }
        if let step = schema["multipleOf"]?.numberValue, step > 0 {
            let count = (value / step).rounded()
            // 0.3 is a multiple of 0.1, whatever binary fractions say.
            if abs(value - count * step) > 1e-9 * max(1, abs(value)) {
                add("\(Self.name(place)) is \(text); it must be a multiple of \(step.plain)")
            }
        }
    }

    // MARK: Places

    private static func key(_ key: String, of place: String) -> String { place.isEmpty ? key : "\(place).\(key)" }

    private static func name(_ place: String) -> String { place.isEmpty ? "the object" : quoted(place) }
}
