/// One setting of a component or a document, described once.
///
/// From it come validation, defaults, the redaction of secrets, `describe` and its JSON. Names end in their unit where
/// there is one (`silenceMs`, `rateHz`), so that documents need no comments.
public struct Field: Sendable {
    /// What a value may be.
    public indirect enum Kind: Sendable {
        /// Text, in which `${…}` is substituted.
        case string
        /// A whole number, written without point and exponent.
        case integer(ClosedRange<Int>)
        case number(ClosedRange<Double>)
        case boolean
        /// One of these words.
        case choice([String])
        /// A credential: `{ "env": "NAME" }` or `{ "file": "PATH" }`, never text.
        case secret
        /// A list of texts, in which `${…}` is substituted.
        case strings
        /// An object of texts, numbers and booleans, whose types are kept.
        case variables
        /// An object of HTTP header fields: texts, or secrets in the form of ``secret``, with `"optional": true` where a
        /// header may be left out.
        case headers
        /// An object with fields of its own.
        case object([Field])
        /// A list of objects with fields of their own.
        case objects([Field])
        /// A list of stages, as under `stages` of a document.
        case stages
        /// An object whose values are lists of stages.
        case branches
        /// A list of agents, in the order in which they are tried.
        case agents
        /// Any JSON, handed on as it stands.
        case json
    }

    /// The key, ending in its unit where there is one.
    public var name: String
    /// What a value may be.
    public var kind: Kind
    /// Whether the key must be there when neither default applies.
    public var isRequired: Bool
    /// What holds when the key is absent.
    public var defaultValue: VariableValue?
    /// The environment variable that is asked when the key is absent; for texts and secrets.
    public var environmentDefault: String?
    /// Whether most documents do without it.
    public var isAdvanced: Bool
    /// Whether its text is the path of a file or folder; relative ones start from the folder of the document. Texts that are heard
    /// need no mark: those that end in `.wav` are paths.
    public var isPath: Bool
    /// A value as it would be written, in JSON.
    public var example: String?
    /// Names it had in earlier versions. They are still read, with a warning that says the present one.
    public var formerNames: [String]
    /// Why it should not be used any more, and what to do instead, as a sentence; `nil` while nothing speaks against it.
    public var deprecation: String?
    /// One sentence: what it does, and in which unit.
    public var summary: String

    public init(
        _ name: String, _ kind: Kind, isRequired: Bool = false, default defaultValue: VariableValue? = nil,
        environmentDefault: String? = nil, isAdvanced: Bool = false, isPath: Bool = false,
        example: String? = nil, formerNames: [String] = [], deprecation: String? = nil, _ summary: String
    ) {
        self.name = name
        self.kind = kind
        self.isRequired = isRequired
        self.defaultValue = defaultValue
        self.environmentDefault = environmentDefault
        self.isAdvanced = isAdvanced
        self.isPath = isPath
        self.example = example
        self.formerNames = formerNames
        self.deprecation = deprecation
        self.summary = summary
    }

    /// The present name, then the former ones.
    public var names: [String] { [name] + formerNames }

    /// The unit that the name ends in, spelled out.
    var unit: String? {
        let units = [
            ("Ms", "milliseconds"), ("Seconds", "seconds"), ("Hz", "hertz"), ("Bytes", "bytes"), ("Db", "decibels"),
            ("DBFS", "dBFS"), ("Dbfs", "dBFS"),
        ]
        return units.first { name.hasSuffix($0.0) }?.1
    }
}

/// What a component is called, what it does and what it can be told.
public struct ComponentSpec: Sendable {
    /// The name that documents use: `resampler`.
    public var type: String
    /// Where in a document it stands.
    public var kind: ComponentKind
    /// One sentence.
    public var summary: String
    /// What it can be told, in the order of its page.
    public var fields: [Field]
    /// Types it had in earlier versions. They are still read, with a warning that says the present one.
    public var formerTypes: [String]

    public init(
        _ type: String, _ kind: ComponentKind, summary: String, fields: [Field] = [], formerTypes: [String] = []
    ) {
        self.type = type
        self.kind = kind
        self.summary = summary
        self.fields = fields
        self.formerTypes = formerTypes
    }

    /// A spec whose fields are listed in braces.
    public init(
        _ type: String, _ kind: ComponentKind, summary: String, formerTypes: [String] = [],
        @FieldBuilder _ fields: () -> [Field]
    ) {
        self.init(type, kind, summary: summary, fields: fields(), formerTypes: formerTypes)
    }

    /// The present type, then the former ones.
    public var types: [String] { [type] + formerTypes }

    /// The field of that name.
    public subscript(field name: String) -> Field? { fields.first { $0.name == name } }
}

/// Where in a document a component stands.
public enum ComponentKind: String, Sendable, CaseIterable { case transport, stage, agent }

/// Collects the fields of a ``ComponentSpec``.
@resultBuilder
public enum FieldBuilder {
    public static func buildExpression(_ field: Field) -> [Field] { [field] }
    public static func buildExpression(_ fields: [Field]) -> [Field] { fields }
    public static func buildBlock(_ fields: [Field]...) -> [Field] { fields.flatMap { $0 } }
}
