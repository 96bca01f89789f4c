import HTTPTypes
import PatchbayConfig

extension RouteDescription {
    /// Every route that a switchboard adds, each once. A test holds it to the routes that there are.
    static let all: [RouteDescription] =
        server + TwilioRoutes.descriptions + ElevenLabsRoutes.descriptions + AdminRoutes.callDescriptions
        + OutboundRoutes.descriptions + AdminRoutes.pipelineDescriptions + TenantRoutes.descriptions
        + AdminRoutes.recordDescriptions + WebhookRoutes.descriptions

    /// What the server says of itself.
    private static let server = [
        RouteDescription(
            .get, .info, "What this server is", for: .readers,
            .json(Schema.reference("Server"), "The server, with the names of its pipelines.")),
        RouteDescription(
            .get, .health, "Whether the process is alive", for: .everybody,
            .json(Schema.object(["status": Schema.constant("ok")]), "It is.")),
        RouteDescription(
            .get, .ready, "Whether it takes calls", for: .everybody,
            .json(Schema.object(["status": Schema.constant("ready")]), "It does."),
            .json(
                Schema.object(["status": Schema.constant("draining", "full")]),
                "It is about to stop, or has as many calls as it may have.", status: 503)),
        RouteDescription(
            .get, .metrics, "Metrics in Prometheus' text format", for: .readers,
            .text("text/plain", "One family of metrics after the other.")),
        RouteDescription(
            .get, .openapi, "This description", for: .readers,
            .json(Schema.anyObject, "OpenAPI 3.1, at the paths of this server.")),
    ]
}

extension TwilioRoutes {
    /// What Twilio sends (twilio.com/docs/voice/twiml#twilios-request-to-your-application), as far as it is read.
    static func form(_ required: KeyValuePairs<String, JSONValue>) -> RouteDescription.Body {
        var schema: [JSONValue.Member] = [
            .init("type", "object"),
            .init(
                "properties",
                .object(
                    ["CallSid", "From", "To", "CallStatus", "DialCallStatus", "AnsweredBy", "ErrorCode", "ErrorUrl"].map
                    {
                        .init($0, Schema.text)
                    })),
        ]
        if !required.isEmpty { schema.append(.init("required", .array(required.map { .string($0.key) }))) }
        return RouteDescription.Body(type: "application/x-www-form-urlencoded", schema: .object(schema))
    }

    static let descriptions = [
        RouteDescription(
            .post, .voice, "A new call: what to do with it", for: .carrier,
            body: form(["CallSid": Schema.text, "To": Schema.text]),
            .twiml("The way to the media stream, or words for the caller.")),
        RouteDescription(
            .post, .next, "The stream of a call has ended: what comes next", for: .carrier,
            parameters: [
                .init(name: "ticket", schema: Schema.text, summary: "The claim that the first answer carried.")
            ],
            body: form([:]), .twiml("A new stream, a transfer, words, or the end.")),
        RouteDescription(
            .post, .status, "How a call goes", for: .carrier, body: form([:]), .twiml("Nothing to do.")),
        RouteDescription(
            .post, .error, "The carrier could not use an answer", for: .carrier, body: form([:]),
            .twiml("Words for the caller, and the end.")),
    ]
}

extension ElevenLabsRoutes {
    private static let refused = Schema.reference("VendorError")

    /// What a tool's way to its answer may end with.
    private static func tool(
        _ method: HTTPRequest.Method, _ summary: String, body: RouteDescription.Body? = nil
    ) -> RouteDescription {
        RouteDescription(
            method, .tools, "/{name}", summary, for: .secret, body: body,
            .json(Schema.anything, "What the tool answers."),
            .json(refused, "The arguments do not fit.", status: 400),
            .json(refused, "There is no such tool, or nothing tells whose it is.", status: 404),
            .json(refused, "The pipeline cannot be planned.", status: 422),
            .json(refused, "The tool fails.", status: 502))
    }

    static let descriptions = [
        RouteDescription(
            .post, .postCall, "What the agent's vendor tells after a conversation", for: .vendor,
            body: .init(schema: Schema.anyObject),
            .json(
                Schema.object(["success": Schema.boolean], optional: ["data": Schema.anything]),
                "It is kept; one that came before has no second effect."),
            .json(refused, "There is no such tool, or nothing tells whose it is.", status: 404),
            .json(refused, "The pipeline cannot be planned.", status: 422),
            .json(refused, "Whether the tool was run is not known: the server stopped meanwhile.", status: 409),
            .json(refused, "The tool fails.", status: 502),
            .error(503, "It cannot be kept just now, or its tool runs still; send it again.")),
        RouteDescription(
            .post, .initiation, "What a conversation over the vendor's own telephony begins with", for: .secret,
            body: .init(schema: Schema.anyObject),
            .json(
                Schema.object(
                    ["dynamic_variables": Schema.anyObject],
                    optional: ["conversation_config_override": Schema.anyObject, "type": Schema.text]),
                "Variables, and what is different from the agent's settings."),
            .json(refused, "No pipeline answers the number that is meant.", status: 404),
            .json(refused, "The pipeline cannot be planned.", status: 422)),
        tool(.post, "A tool that the vendor calls", body: .init(schema: Schema.anything, isRequired: false)),
        tool(.get, "The same, with its arguments in the query"),
    ]
}
