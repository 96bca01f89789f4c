/// Makes the parts of schemas: one for each kind of field, one for each kind of key.
struct SchemaParts {
    let registry: ComponentRegistry
    /// Whether any setting may be a parameter, as inside a fragment.
    let takesParameters: Bool

    init(_ registry: ComponentRegistry, takesParameters: Bool) {
        self.registry = registry
        self.takesParameters = takesParameters
    }

    // MARK: Objects

    /// An object that has these fields and no others.
    ///
    /// - Parameter before: Members that are no fields, such as `type`.
    func object(_ fields: [Field], before: [JSONValue.Member] = [], required: [String] = []) -> JSONValue {
        var schema: JSONValue = [
            "type": "object",
            "properties": .object(before + fields.flatMap(properties)),
        ]
        // What the environment can provide, a schema cannot demand.
        let needed = fields.filter(\.mustBeWritten)
        let certain = required + needed.filter(\.formerNames.isEmpty).map(\.name)
        if !certain.isEmpty { schema.append("required", .array(certain.map { .string($0) })) }
        let renamed = needed.filter { !$0.formerNames.isEmpty }
        if !renamed.isEmpty {
            schema.append(
                "allOf",
                .array(
                    renamed.map { field in
                        ["anyOf": .array(field.names.map { ["required": [.string($0)]] })]
                    }))
        }
        schema.append("additionalProperties", false)
        return schema
    }

    /// A document that has these keys and fields and no others.
    func object(_ keys: [DocumentKey], _ fields: [Field]) -> JSONValue {
        object(
            fields, before: keys.map { JSONValue.Member($0.name, key($0)) },
            required: keys.filter(\.isRequired).map(\.name))
    }

    /// A text in which nothing is special.
    func plainText(_ summary: String) -> JSONValue { ["description": .string(summary), "type": "string"] }

    // MARK: Fields

    /// The field under its name, and under those it had.
    private func properties(_ field: Field) -> [JSONValue.Member] {
        let schema = self.field(field)
        return [.init(field.name, schema)]
            + field.formerNames.map { name in
                var former = schema
                former.append("deprecated", true)
                return .init(name, former)
            }
    }

    func field(_ field: Field) -> JSONValue {
        var schema: JSONValue = ["description": .string(field.longSummary)]
        schema.merge(parameter(or: kind(field.kind), field.kind))
        if let value = field.defaultValue { schema.append("default", JSONValue(value)) }
        if let example = field.example.flatMap({ JSONValue(parsing: $0) }) { schema.append("examples", [example]) }
        if field.deprecation != nil { schema.append("deprecated", true) }
        return schema
    }

    private func kind(_ kind: Field.Kind) -> JSONValue {
        switch kind {
        case .string: return ["type": "string"]
        case .integer(let range):
            return ["type": "integer", "minimum": JSONValue(range.lowerBound), "maximum": JSONValue(range.upperBound)]
        case .number(let range):
            return ["type": "number", "minimum": JSONValue(range.lowerBound), "maximum": JSONValue(range.upperBound)]
        case .boolean: return ["type": "boolean"]
        case .choice(let words): return ["enum": .array(words.map { .string($0) })]
        case .secret: return .reference("secret")
        case .strings: return ["type": "array", "items": ["type": "string"]]
        case .variables: return .reference("values")
        case .headers: return .reference("headers")
        case .object(let fields): return object(fields)
        case .objects(let fields): return ["type": "array", "items": object(fields)]
        case .stages: return ["type": "array", "items": .reference("sideStage")]
        case .branches:
            return ["type": "object", "additionalProperties": ["type": "array", "items": .reference("sideStage")]]
        case .agents: return ["type": "array", "minItems": 1, "items": .reference("agent")]
        case .json: return [:]
        }
    }

    /// In a fragment, a value that is no text may also come from a parameter.
    private func parameter(or schema: JSONValue, _ kind: Field.Kind) -> JSONValue {
        guard takesParameters else { return schema }
        switch kind {
        case .integer, .number, .boolean, .choice: return ["anyOf": [schema, .reference("parameter")]]
        default: return schema
        }
    }

    // MARK: Keys of documents

    private func key(_ key: DocumentKey) -> JSONValue {
        var schema: JSONValue = ["description": .string(key.summary)]
        schema.merge(body(key))
        if let example = key.example.flatMap({ JSONValue(parsing: $0) }) { schema.append("examples", [example]) }
        return schema
    }

    private func body(_ key: DocumentKey) -> JSONValue {
        switch key.kind {
        case .text: return ["type": "string"]
        case .name: return ["type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"]
        case .milliseconds: return kind(PipelineDocument.latencyBudget.kind)
        case .numbers:
            return [
                "type": ["array", "object"], "items": .reference("number"),
                "propertyNames": .reference("number"), "additionalProperties": .reference("variables"),
            ]
        case .variables: return .reference("variables")
        case .parameters:
            return [
                "type": "object", "propertyNames": .reference("variableName"),
                "additionalProperties": ["type": ["string", "number", "boolean", "null"]],
            ]
        case .transport: return .reference("transport")
        case .stages: return mainStages
        case .rules: return ["type": "array", "items": .reference("rule")]
        case .tools: return tools
        case .messages: return messages(key.fields)
        case .limits, .section: return object(key.fields)
        case .sections: return ["type": "array", "items": object(key.fields)]
        case .context:
            var schema = object(key.fields)
            schema.append(
                "oneOf",
                [
                    ["required": ["url"], "not": ["required": ["query"]]],
                    ["required": ["sqlite", "query"], "not": ["required": ["headers"]]],
                ])
            return schema
        case .tenants:
            let number: JSONValue = ["type": "string", "pattern": #"^\+[1-9][0-9]{1,14}$"#]
            let numbers: JSONValue = [
                "description": .string(Tenant.numbersField.summary), "type": "array",
                "items": [
                    "anyOf": [
                        number,
                        [
                            "type": "object", "properties": ["number": number, "sid": ["type": "string"]],
                            "required": ["number"], "additionalProperties": false,
                        ],
                    ]
                ],
            ]
            return [
                "type": "array",
                "items": object(Tenant.plainFields, before: [.init(Tenant.numbersField.name, numbers)]),
            ]
        case .paths:
            return object(
                [],
                before: ServerSettings.PathKey.allCases.map { path in
                    .init(
                        path.rawValue,
                        [
                            "type": "array", "minItems": 1, "items": .reference("path"),
                            "default": [.string(path.defaultPath)],
                        ])
                })
        case .pathPipelines:
            return [
                "type": "object", "propertyNames": .reference("path"),
                "additionalProperties": ["type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"],
            ]
        case .publicPaths:
            let names = ServerSettings.PathKey.allCases.filter(\.isReadOnly).map { JSONValue.string($0.rawValue) }
            return ["type": "array", "items": ["enum": .array(names)]]
        }
    }

    /// The list under `tools`.
    var tools: JSONValue {
        ["type": "array", "maxItems": JSONValue(Tool.maximumCount), "items": .reference("tool")]
    }

    /// An object of texts that are spoken, and of how they are.
    private func messages(_ fields: [Field]) -> JSONValue {
        let patterns = ["language": CarrierVoice.languagePattern, "voice": CarrierVoice.voicePattern]
        let members = fields.map { field in
            var schema: JSONValue = ["description": .string(field.longSummary)]
            schema.merge(
                patterns[field.name].map { ["type": "string", "pattern": .string($0)] } ?? .reference("spoken"))
            return JSONValue.Member(field.name, schema)
        }
        return ["type": "object", "properties": .object(members), "additionalProperties": false]
    }

    /// The stages of a document: exactly one holds the agents, and an include or a switch may be that one.
    private var mainStages: JSONValue {
        var schema: JSONValue = ["type": "array", "items": .reference("stage")]
        if !takesParameters { schema.append("minItems", 1) }
        var rules: [JSONValue] = [["contains": .reference("agentStage"), "minContains": 0, "maxContains": 1]]
        if !takesParameters { rules.append(["contains": .reference("agentPlace"), "minContains": 1]) }
        schema.append("allOf", .array(rules))
        return schema
    }
}

extension Field {
    /// Whether neither a default nor the environment can take the place of the key.
    var mustBeWritten: Bool { isRequired && defaultValue == nil && environmentDefault == nil }

    /// What it does, with the unit and the variable that is asked, where the sentence does not name them.
    var longSummary: String {
        var text = summary
        if let unit, !text.contains(unit), !text.contains(" dB"), !text.contains(" Hz"), !text.contains("bit/s") {
            text += " Unit: \(unit)."
        }
        if let environmentDefault, !text.contains(environmentDefault) {
            text += " Without it the environment variable \(environmentDefault)."
        }
        if let deprecation { text += " Deprecated: \(deprecation)" }
        return text
    }
}
