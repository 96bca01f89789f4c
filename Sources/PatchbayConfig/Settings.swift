import PatchbayCore

/// The settings of one component, checked against its fields and with defaults applied.
///
/// Ask by the names of the component's own spec; a name that is not set and has no default gives `nil`. While documents
/// are checked, texts with `${…}` read as they are written; in a call's plan they are substituted.
public struct Settings: Sendable {
    enum Text: Sendable {
        case literal(String)
        case template(Template)
        /// What a template became that held values of the call.
        case fromCall(String)

        var asWritten: String {
            switch self {
            case .literal(let text), .fromCall(let text): text
            case .template(let template): template.source
            }
        }

        var isTemplate: Bool { if case .template = self { true } else { false } }
    }

    enum Variable: Sendable {
        case value(VariableValue)
        case template(Template)
        /// What a template became that held values of the call.
        case fromCall(VariableValue)
    }

    enum Header: Sendable {
        case text(Text)
        case secret(Secret)
    }

    enum Value: Sendable {
        case text(Text)
        case integer(Int)
        case number(Double)
        case boolean(Bool)
        case secret(Secret)
        case texts([Text])
        case variables([String: Variable])
        case headers([(name: String, value: Header)])
        case object(Settings)
        case list([Settings])
        case json(String)
    }

    private(set) var values: [String: Value] = [:]
    /// The folder of the file in which they stand, which relative paths start from.
    public let directory: String
    /// The folders of values that stand in another file: parameters of a fragment.
    private var directories: [String: String] = [:]
    /// Whether any text in it depends on the call.
    private(set) var dependsOnCall = false
    private var watch: FieldWatch?

    init(directory: String) { self.directory = directory }

    /// Settings made in code instead of read from a document: defaults of `fields`, then `values` and `secrets`.
    ///
    /// Values are not checked against ranges. Numbers go to integer fields when they are whole; names that are no field
    /// and values of another type than their field's are left out.
    public init(
        _ fields: [Field], _ values: [String: VariableValue] = [:], secrets: [String: Secret] = [:],
        directory: String = "."
    ) {
        self.init(directory: directory)
        for field in fields {
            if let value = values[field.name] ?? field.defaultValue { self.values[field.name] = field.value(value) }
            if case .secret = field.kind, let secret = secrets[field.name] { self.values[field.name] = .secret(secret) }
        }
    }

    /// The folder that relative paths in one value start from.
    public func directory(of name: String) -> String { directories[name] ?? directory }

    mutating func setDirectory(of name: String, _ directory: String) {
        if directory != self.directory { directories[name] = directory }
    }

    mutating func set(_ name: String, _ value: Value) {
        values[name] = value
        if value.dependsOnCall { dependsOnCall = true }
    }

    /// The same settings; `watch` is told what they are asked for.
    func watched(by watch: FieldWatch) -> Settings {
        var result = self
        result.watch = watch
        return result
    }

    func value(of name: String) -> Value? {
        watch?.note(name)
        return values[name]
    }

    /// A text, or the chosen word.
    public func string(_ name: String) -> String? {
        if case .text(let text)? = value(of: name) { text.asWritten } else { nil }
    }

    /// A whole number, in the unit that the name ends in.
    public func integer(_ name: String) -> Int? {
        if case .integer(let value)? = value(of: name) { value } else { nil }
    }

    /// A number, in the unit that the name ends in; also of a field of whole numbers.
    public func number(_ name: String) -> Double? {
        switch value(of: name) {
        case .number(let value)?: value
        case .integer(let value)?: Double(value)
        default: nil
        }
    }

    /// True or false.
    public func bool(_ name: String) -> Bool? {
        if case .boolean(let value)? = value(of: name) { value } else { nil }
    }

    /// `nil` also when the environment was not consulted.
    public func secret(_ name: String) -> Secret? {
        if case .secret(let value)? = value(of: name) { value } else { nil }
    }

    /// The texts in their order; empty when the list is not set.
    public func strings(_ name: String) -> [String] {
        if case .texts(let texts)? = value(of: name) { texts.map(\.asWritten) } else { [] }
    }

    /// The values by name, types kept; empty when the object is not set.
    public func variables(_ name: String) -> [String: VariableValue] {
        guard case .variables(let variables)? = value(of: name) else { return [:] }
        return variables.mapValues { variable in
            switch variable {
            case .value(let value), .fromCall(let value): value
            case .template(let template): .string(template.source)
            }
        }
    }

    /// The HTTP header fields in their order. Any value may be a credential, hence the type.
    public func headers(_ name: String) -> [(name: String, value: Secret)] {
        guard case .headers(let headers)? = value(of: name) else { return [] }
        return headers.map { header in
            switch header.value {
            case .text(let text): (header.name, Secret(text.asWritten))
            case .secret(let secret): (header.name, secret)
            }
        }
    }

    /// The inner object of a field of that kind.
    public func object(_ name: String) -> Settings? {
        if case .object(let settings)? = value(of: name) { settings } else { nil }
    }

    /// The objects of a list; empty when it is not set.
    public func list(_ name: String) -> [Settings] {
        if case .list(let settings)? = value(of: name) { settings } else { [] }
    }

    /// The JSON text of a field that takes any.
    public func json(_ name: String) -> String? {
        if case .json(let text)? = value(of: name) { text } else { nil }
    }
}

extension Settings {
    /// The settings for one call. Returns itself when nothing depends on the call.
    func resolved(in scope: ReferenceScope) throws(PipelineError) -> Settings {
        guard dependsOnCall else { return self }
        var result = Settings(directory: directory)
        result.directories = directories
        for (name, value) in values {
            if let value = try value.resolved(in: scope) { result.values[name] = value }
        }
        return result
    }
}

extension Settings.Value {
    fileprivate var dependsOnCall: Bool {
        switch self {
        case .text(let text): text.isTemplate
        case .texts(let texts): texts.contains(where: \.isTemplate)
        case .variables(let variables):
            variables.values.contains { if case .template = $0 { true } else { false } }
        case .headers(let headers):
            headers.contains { if case .text(let text) = $0.value { text.isTemplate } else { false } }
        case .object(let settings): settings.dependsOnCall
        case .list(let list): list.contains(where: \.dependsOnCall)
        case .integer, .number, .boolean, .secret, .json: false
        }
    }

    /// `nil` when the value is one reference to a context value that the call lacks.
    fileprivate func resolved(in scope: ReferenceScope) throws(PipelineError) -> Self? {
        switch self {
        case .text(let text):
            return try text.substituted(in: scope).map { .text($0) }
        case .texts(let texts):
            var result: [Settings.Text] = []
            for text in texts { if let text = try text.substituted(in: scope) { result.append(text) } }
            return .texts(result)
        case .variables(let variables):
            var result: [String: Settings.Variable] = [:]
            for (name, variable) in variables {
                switch variable {
                case .value, .fromCall: result[name] = variable
                case .template(let template):
                    result[name] = try template.value(in: scope).map {
                        template.holdsCallValues ? .fromCall($0) : .value($0)
                    }
                }
            }
            return .variables(result)
        case .headers(let headers):
            var result: [(name: String, value: Settings.Header)] = []
            for header in headers {
                switch header.value {
                case .secret: result.append(header)
                case .text(let text):
                    if let text = try text.substituted(in: scope) { result.append((header.name, .text(text))) }
                }
            }
            return .headers(result)
        case .object(let settings): return .object(try settings.resolved(in: scope))
        case .list(let list):
            var result: [Settings] = []
            for settings in list { result.append(try settings.resolved(in: scope)) }
            return .list(result)
        case .integer, .number, .boolean, .secret, .json: return self
        }
    }
}

extension Settings.Text {
    func resolved(in scope: ReferenceScope) throws(PipelineError) -> String? {
        switch self {
        case .literal(let text), .fromCall(let text): text
        case .template(let template): try template.text(in: scope)
        }
    }

    fileprivate func substituted(in scope: ReferenceScope) throws(PipelineError) -> Self? {
        guard case .template(let template) = self else { return self }
        return try template.text(in: scope).map { template.holdsCallValues ? .fromCall($0) : .literal($0) }
    }
}

extension Field {
    /// A plain value in the form that the field's kind keeps; `nil` when the types do not fit.
    func value(_ value: VariableValue) -> Settings.Value? {
        switch (kind, value) {
        case (.string, .string(let text)), (.choice, .string(let text)): .text(.literal(text))
        case (.integer, .number(let number)): Int(exactly: number).map { .integer($0) }
        case (.number, .number(let number)): .number(number)
        case (.boolean, .bool(let bool)): .boolean(bool)
        case (.strings, .string(let text)): .texts([.literal(text)])
        default: nil
        }
    }
}
