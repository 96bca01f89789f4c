extension ToolDeclaration {
    /// What an entry of `tools` can say.
    public static let fields: [Field] = [
        Field(
            "name", .string, isRequired: true, example: #""book_appointment""#,
            "What the agent calls it: 1 to 64 letters, digits, - and _."),
        Field(
            "aliases", .strings, example: #"["create_appointment"]"#,
            "Other names that the agent may use; it is not told of them."),
        Field(
            "description", .string, isRequired: true, example: #""Books an appointment. Ask for day and name first.""#,
            "When and why to call it, in words for the model."),
        Field(
            "parameters", .json,
            example:
                #"{ "type": "object", "properties": { "day": { "type": "string", "format": "date" } }, "required": ["day"] }"#,
            "A JSON Schema of an object. Arguments that do not fit it are answered with what is wrong, and no request is made."
        ),
        Field("method", .choice(ToolRequest.Method.allCases.map(\.rawValue)), default: "POST", "The HTTP method."),
        Field(
            "url", .string, isRequired: true, example: #""${env.BACKEND_URL}/api/{id}""#,
            "The address. ${name} is a variable of the document, {name} an argument of the call, percent-encoded; neither can "
                + "change the host. No redirect to another host is followed."),
        Field(
            "query", .variables, example: #"{ "tenant": "${tenant}" }"#,
            "Items for the query, beside those of the address: values with ${name} and {name}."),
        Field(
            "body", .json, example: #"{ "day": "{day}", "caller": "${call.from}" }"#,
            "The JSON body, with ${name} and {name} in its texts. Without it, the arguments that no place names: as an object in "
                + "the body of POST, PUT and PATCH, in the query of GET and DELETE."),
        Field(
            "headers", .headers, example: #"{ "Authorization": { "env": "BACKEND_AUTHORIZATION" } }"#,
            "HTTP header fields: texts, or secrets by their names."),
        Field(
            "timeoutMs", .integer(100...120_000), default: 8000,
            "Time for an answer, retries included, in milliseconds."),
        Field(
            "retries", .integer(0...5), default: 0,
            "Further tries when the service cannot be reached or answers 429, 502, 503 or 504. Only for GET, PUT and DELETE, or "
                + "with \"idempotencyKey\"."),
        Field(
            "idempotencyKey", .boolean, default: false,
            "Whether every try of one call carries the same Idempotency-Key header, so that the service can tell a repetition."
        ),
        Field(
            "maximumResponseBytes", .integer(256...1_048_576), default: 65_536, isAdvanced: true,
            "Longest answer, in bytes; a longer one is an error to the agent."),
        Field(
            "waiting", .string, example: #""One moment, please.""#,
            "What the caller hears when the answer takes longer: a text, or the path of a WAV file."),
        Field(
            "waitingAfterMs", .integer(0...30_000), default: 1200,
            "Silence after which \"waiting\" is said, in milliseconds."),
        Field("voice", .string, default: "en", "Voice of espeak-ng for \"waiting\", for instance en-us or de."),
    ]

    /// Fields that ``ToolReader`` reads itself: their values have places for arguments.
    static let ownFields = ["parameters", "url", "query", "body"]

    /// The key under which an agent has tools of its own.
    static let agentKey = "tools"
    /// What an agent's page says of it.
    static let agentField = Field(
        agentKey, .objects([]),
        "Tools of this agent alone, beside those of the document; see `patchbay describe tools`.")
}

extension Diagnostic.Code {
    /// Two tools of one agent share a name.
    public static let duplicateTool = Self("duplicate-tool")
    /// No address of a service.
    public static let badAddress = Self("bad-address")
    /// A place for an argument that the tool does not have.
    public static let unknownParameter = Self("unknown-parameter")
    /// A repetition that could do something twice.
    public static let unsafeRetry = Self("unsafe-retry")
}
