import PatchbayCore

/// One key of a document that is no component's setting, described once: its page and its schema come from here.
struct DocumentKey: Sendable {
    /// What may stand under it.
    enum Kind: String, Sendable {
        case name, text, numbers, variables, parameters, transport, stages, rules, messages, limits, paths,
            pathPipelines, publicPaths
        case milliseconds, tools, section, sections, context, tenants

        /// For a table.
        var allowed: String {
            switch self {
            case .name: "1 to 64 letters, digits, - and _"
            case .text: "text"
            case .numbers: "list of numbers, or object from number to variables"
            case .variables: "object of values"
            case .parameters: "object of values; null: must be given"
            case .transport: "name, or object with \"type\""
            case .stages: "list of stages"
            case .rules: "list of rules"
            case .messages, .limits, .section, .context: "object"
            case .sections: "list of objects"
            case .paths: "object of lists of paths"
            case .pathPipelines: "object from path to pipeline"
            case .publicPaths: "list of names of paths"
            case .milliseconds: "1 to 10000"
            case .tools: "list of tools"
            case .tenants: "list of tenants"
            }
        }
    }

    var name: String
    var kind: Kind
    var isRequired = false
    /// A value as it would be written, in JSON.
    var example: String?
    var summary: String
    /// The fields below it.
    var fields: [Field]

    init(
        _ name: String, _ kind: Kind, isRequired: Bool = false, example: String? = nil, fields: [Field] = [],
        _ summary: String
    ) {
        self.name = name
        self.kind = kind
        self.isRequired = isRequired
        self.example = example
        self.fields = fields
        self.summary = summary
    }
}

/// The keys of each kind of document, in the order of its page.
enum DocumentKeys {
    private static let schema = DocumentKey(
        "$schema", .text, example: #""pipeline.schema.json""#,
        "Where editors find the schema that `patchbay schema` prints; means nothing else.")

    static let pipeline = [
        schema,
        DocumentKey("name", .name, isRequired: true, example: #""salon""#, "Unique among the pipelines of a folder."),
        DocumentKey("description", .text, example: #""Front desk of a hair salon""#, "For people."),
        DocumentKey(
            "numbers", .numbers, example: #"["+15551234567", "+4930*"]"#,
            "The called numbers that it answers: E.164, a prefix with a star, or \"*\" for any; the most specific wins. "
                + "As an object, each number has values for variables."),
        DocumentKey(
            "variables", .variables, example: #"{ "greeting": "Hello!" }"#,
            "What ${name} stands for where the number does not say otherwise."),
        DocumentKey(
            "transport", .transport, isRequired: true, example: #""twilio""#, "Where the caller's audio comes from."),
        DocumentKey(
            "stages", .stages, isRequired: true, example: #"["decoder", "vad", "echo", "encoder"]"#,
            "What a call runs through, in order; one of them holds the agent. Those before it work on the caller's "
                + "audio, those behind it on the agent's."),
        DocumentKey(
            "when", .rules, example: #"[{ "callers": ["anonymous"], "say": "Please call with your number." }]"#,
            "Rules that send calls elsewhere; the first that holds decides. See `patchbay describe when`."),
        DocumentKey(
            "tools", .tools,
            "HTTP requests that every agent may have made. See `patchbay describe tools`."),
        DocumentKey(
            ContextDeclaration.key, .context, fields: ContextDeclaration.fields,
            "Where a caller is looked up while the phone rings; what is found is ${context.NAME}."),
        DocumentKey(
            "messages", .messages, fields: Messages.fields,
            "The words that callers hear when something is in the way."),
        DocumentKey("limits", .limits, fields: CallLimits.fields, "How long things may take."),
        DocumentKey(
            PipelineDocument.latencyBudget.name, .milliseconds, example: "60", PipelineDocument.latencyBudget.summary),
    ]

    static let fragment = [
        schema,
        DocumentKey("description", .text, "For people."),
        DocumentKey(
            "parameters", .parameters, example: #"{ "engine": "energy", "path": null }"#,
            "What \"with\" of an include may set, with what holds otherwise; null for what must be given. "
                + "\"${engine}\" alone takes the parameter with its type."),
        DocumentKey(
            "stages", .stages, isRequired: true, example: #"["decoder", { "type": "vad", "engine": "${engine}" }]"#,
            "The stages that take the place of the include."),
    ]

    static let tenants = [
        schema,
        DocumentKey(
            "tenants", .tenants, isRequired: true, fields: Tenant.fields, "The businesses that share the server."),
    ]

    static let server = [
        schema,
        DocumentKey(
            "paths", .paths, example: #"{ "voice": ["/api/twilio/voice"] }"#,
            fields: ServerSettings.PathKey.allCases.map {
                Field($0.rawValue, .strings, default: .string($0.defaultPath), "")
            },
            "Where the server listens, a list for each name; the first of a list is the one that carriers are told."),
        DocumentKey(
            "pathPipelines", .pathPipelines, example: #"{ "/twilio/voice": "reception" }"#,
            "The pipelines that answer what comes in at a path of \"voice\", whatever the called number says: for lines "
                + "that have a webhook of their own for calls without an agent."),
        DocumentKey(
            "messages", .messages, fields: Messages.fields,
            "The words that callers hear, where their pipeline has none of its own."),
        DocumentKey("limits", .limits, fields: ServerSettings.Limits.fields, "How much the server takes on."),
        DocumentKey("store", .limits, fields: ServerSettings.Store.fields, "What becomes of records."),
        DocumentKey("outbound", .limits, fields: ServerSettings.Outbound.fields, "How calls are dialled."),
        DocumentKey("public", .publicPaths, example: #"["health", "ready"]"#, "What may be read without a token."),
        DocumentKey(
            "browser", .section, fields: ServerSettings.Browser.fields, "Who may call without a telephone."),
        DocumentKey(
            "twilio", .section, fields: ServerSettings.Twilio.fields,
            "How Twilio's webhooks prove themselves, beside TWILIO_AUTH_TOKEN."),
        DocumentKey(
            "elevenlabs", .section, fields: ServerSettings.ElevenLabs.fields,
            "How ElevenLabs' webhooks prove themselves."),
        DocumentKey("webhooks", .sections, fields: WebhookEndpoint.fields, "Who is told of calls."),
        DocumentKey("access", .section, fields: AccessSettings.fields, "Who else may ask, and what."),
    ]
}
