/// What schemas refer to by name: components told apart by `type`, and the forms that values share.
extension SchemaParts {
    /// Every definition that a pipeline, a fragment or a test can need.
    var definitions: [JSONValue.Member] {
        let transports = registry.transports.map(\.spec)
        let stages = registry.stages.map(\.spec)
        let agents = registry.agents.map(\.spec)
        var result: [JSONValue.Member] = []
        result += choice("transport", "The carrier", of: transports.map { ($0, "transport-\($0.type)") })
        let structures = Structure.all.filter { $0.type != PipelineDocument.agentStageType }
        result += choice(
            "stage", "A stage, or what holds the agents",
            of: stages.map { ($0, "stage-\($0.type)") } + agents.map { ($0, "agent-\($0.type)") }
                + Structure.all.map { ($0, "stage-\($0.type)") })
        result += choice(
            "sideStage", "A stage; no agent can stand here",
            of: stages.map { ($0, "stage-\($0.type)") } + structures.map { ($0, "side-\($0.type)") })
        result += choice("agent", "An agent", of: agents.map { ($0, "agent-\($0.type)") })
        for spec in transports { result.append(.init("transport-\(spec.type)", component(spec))) }
        for spec in stages { result.append(.init("stage-\(spec.type)", component(spec))) }
        for spec in agents { result.append(.init("agent-\(spec.type)", component(spec))) }
        for spec in Structure.all { result.append(.init("stage-\(spec.type)", structure(spec, holding: "stage"))) }
        for spec in structures { result.append(.init("side-\(spec.type)", structure(spec, holding: "sideStage"))) }
        return result + agentPlaces + forms + ruleForms + toolForms
    }

    // MARK: Components

    /// A component, by its name alone or as an object, judged by the one definition that its `type` names.
    private func choice(
        _ name: String, _ title: String, of specs: [(spec: ComponentSpec, definition: String)]
    ) -> [JSONValue.Member] {
        let bare = specs.map(\.spec).filter { $0.fields.allSatisfy { !$0.mustBeWritten } }
        let branches = specs.map { spec, definition -> JSONValue in
            [
                "if": ["properties": ["type": spec.typeSchema], "required": ["type"]],
                "then": .reference(definition),
            ]
        }
        let schema: JSONValue = [
            "title": .string(title), "type": ["string", "object"],
            "examples": .array(specs.prefix(40).map { self.example($0.spec) }),
            "if": ["type": "string"],
            "then": names(bare, isLoose: takesParameters),
            "else": [
                "properties": ["type": .reference("\(name)Type")], "required": ["type"], "allOf": .array(branches),
            ],
        ]
        return [.init(name, schema), .init("\(name)Type", names(specs.map(\.spec), isLoose: takesParameters))]
    }

    /// The words, and what each means: the first for clear complaints, the second for completion.
    private func names(_ specs: [ComponentSpec], isLoose: Bool) -> JSONValue {
        let words = specs.flatMap(\.types).map { JSONValue.string($0) }
        let meanings = specs.flatMap { spec in
            spec.types.map { type -> JSONValue in
                var meaning: JSONValue = ["const": .string(type), "description": .string(spec.summary)]
                if type != spec.type { meaning.append("deprecated", true) }
                return meaning
            }
        }
        if isLoose { return ["anyOf": .array(meanings + [.reference("parameter")])] }
        // An empty list of alternatives is no schema.
        return words.isEmpty ? false : ["enum": .array(words), "oneOf": .array(meanings)]
    }

    private func component(_ spec: ComponentSpec) -> JSONValue {
        var schema: JSONValue = ["title": .string(spec.type), "description": .string(spec.summary)]
        var type = spec.typeSchema
        type.append("description", .string(spec.summary))
        var before = [JSONValue.Member("type", type)]
        if spec.kind == .agent {
            var tools: JSONValue = ["description": .string(ToolDeclaration.agentField.summary)]
            tools.merge(self.tools)
            before.append(.init(ToolDeclaration.agentKey, tools))
        }
        schema.merge(object(spec.fields, before: before, required: ["type"]))
        return schema
    }

    /// As short as the component can be written.
    private func example(_ spec: ComponentSpec) -> JSONValue {
        let needed = spec.fields.filter(\.mustBeWritten)
        guard !needed.isEmpty else { return .string(spec.type) }
        return .object(
            [.init("type", .string(spec.type))]
                + needed.map { .init($0.name, $0.example.flatMap { JSONValue(parsing: $0) } ?? $0.kind.sample) })
    }

    // MARK: Stages that hold others

    private func structure(_ spec: ComponentSpec, holding item: String) -> JSONValue {
        var schema = component(spec)
        guard spec.type == Structure.switch.type else { return schema }
        // Decided when the call begins, the cases may hold the agent where the switch may; decided by keys, they may
        // not.
        let list: JSONValue = ["type": "array", "items": .reference(item)]
        let side: JSONValue = ["type": "array", "items": .reference("sideStage")]
        let isOnKeys: JSONValue = ["properties": ["on": ["const": "key"]], "required": ["on"]]
        schema.replace("properties", "cases", "additionalProperties", with: list)
        schema.replace("properties", "cases", "minProperties", with: 1)
        schema.replace("properties", "otherwise", "items", with: .reference(item))
        schema.append("if", isOnKeys)
        schema.append(
            "then",
            [
                "properties": [
                    "cases": ["propertyNames": ["pattern": "^[0-9*#A-D]$"], "additionalProperties": side],
                    "otherwise": side,
                ]
            ])
        schema.append("else", ["properties": ["on": ["pattern": #"\$\{"#]]])
        return schema
    }

    /// What certainly holds the agent, and what may.
    private var agentPlaces: [JSONValue.Member] {
        let agents = registry.agents.flatMap(\.spec.types).map { JSONValue.string($0) }
        let bare: JSONValue = ["enum": .array(agents)]
        let named: (JSONValue) -> JSONValue = { type in
            ["type": "object", "properties": ["type": type], "required": ["type"]]
        }
        let holders = agents + [.string(PipelineDocument.agentStageType)]
        return [
            .init("agentStage", ["anyOf": [bare, named(["enum": .array(holders)])]]),
            .init(
                "agentPlace",
                [
                    "anyOf": [
                        .reference("agentStage"),
                        named(["enum": [.string(Structure.switch.type), .string(Structure.include.type)]]),
                    ]
                ]),
        ]
    }

    // MARK: Forms that values share

    private var secretSources: [JSONValue.Member] {
        [
            .init(
                "env",
                [
                    "description": "The environment variable that holds it.", "type": "string",
                    "pattern": "^[A-Za-z_][A-Za-z0-9_]*$",
                ]),
            .init(
                "file",
                [
                    "description": "The file that holds it; relative paths start from the document's folder.",
                    "type": "string", "minLength": 1, "not": ["pattern": #"\$\{"#],
                ]),
        ]
    }

    private var forms: [JSONValue.Member] {
        var forms: [JSONValue.Member] = [
            .init(
                "secret",
                [
                    "title": "A credential",
                    "description": "Where the credential is found; it never stands in the file.",
                    "type": "object",
                    "properties": .object(secretSources),
                    "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
                    "examples": [["env": "NAME"], ["file": "PATH"]],
                ]),
            .init(
                "headerSecret",
                [
                    "type": "object",
                    "properties": .object(
                        secretSources + [
                            .init(
                                "optional",
                                [
                                    "description": "Whether the header is left out where the credential is not set.",
                                    "type": "boolean", "default": false,
                                ])
                        ]),
                    "oneOf": [["required": ["env"]], ["required": ["file"]]], "additionalProperties": false,
                    "examples": [["env": "NAME", "optional": true]],
                ]),
            .init("value", ["type": ["string", "number", "boolean"]]),
            .init("values", ["type": "object", "additionalProperties": .reference("value")]),
            .init(
                "headers",
                [
                    "type": "object", "propertyNames": ["pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"],
                    "additionalProperties": [
                        "if": ["type": "string"],
                        // Line breaks and other control characters, except the tab, have no place in a header.
                        "then": ["not": ["pattern": #"[\u0000-\u0008\u000A-\u001F]"#]],
                        "else": .reference("headerSecret"),
                    ],
                ]),
        ]
        forms += [
            .init(
                "variableName",
                ["type": "string", "pattern": #"^(?!call\.|context\.|env\.)[A-Za-z0-9_.-]+$"#]),
            .init(
                "variables",
                [
                    "type": "object", "propertyNames": .reference("variableName"),
                    "additionalProperties": .reference("value"),
                ]),
            .init(
                "parameter",
                [
                    "description": "A parameter of this fragment.", "type": "string",
                    "pattern": #"\$\{[A-Za-z0-9_.-]+\}"#,
                ]),
            .init("number", ["type": "string", "pattern": #"^(\*|\+[1-9][0-9]{1,14}|\+[1-9][0-9]{0,13}\*)$"#]),
            .init("spoken", Self.spoken),
            .init("path", Self.path),
        ]
        return forms
    }

    /// Words that are spoken as they stand: `${` has to be written `$${`.
    static let spoken: JSONValue = ["type": "string", "pattern": #"^([^$]|\$(?!\{)|\$\$\{)*$"#]

    /// A path of the server.
    static let path: JSONValue = ["type": "string", "maxLength": 256, "pattern": "^/[!\"$->@-~]*$"]
}

extension ComponentSpec {
    /// What `type` is, with the names it had.
    fileprivate var typeSchema: JSONValue {
        formerTypes.isEmpty ? ["const": .string(type)] : ["enum": .array(types.map { .string($0) })]
    }
}

extension Field.Kind {
    /// A value of the kind, where the field has no example.
    var sample: JSONValue {
        switch self {
        case .string: "…"
        case .integer(let range): JSONValue(range.lowerBound)
        case .number(let range): JSONValue(range.lowerBound)
        case .boolean: true
        case .choice(let words): .string(words.first ?? "")
        case .secret: ["env": "NAME"]
        case .strings: ["…"]
        case .variables, .headers, .json: [:]
        case .object(let fields):
            .object(
                fields.filter(\.mustBeWritten).map {
                    .init($0.name, $0.example.flatMap { JSONValue(parsing: $0) } ?? $0.kind.sample)
                })
        case .objects(let fields): [Field.Kind.object(fields).sample]
        case .stages, .agents: []
        case .branches: [:]
        }
    }
}

extension JSONValue {
    /// Sets a member deep below, or adds it to its object; nothing happens where a key on the way is missing.
    mutating func replace(_ path: String..., with value: JSONValue) { replace(path[...], with: value) }

    private mutating func replace(_ path: ArraySlice<String>, with value: JSONValue) {
        guard let key = path.first else {
            self = value
            return
        }
        guard case .object(var members) = self else { return }
        guard let index = members.firstIndex(where: { $0.key == key }) else {
            if path.count == 1 { append(key, value) }
            return
        }
        members[index].value.replace(path.dropFirst(), with: value)
        self = .object(members)
    }
}
