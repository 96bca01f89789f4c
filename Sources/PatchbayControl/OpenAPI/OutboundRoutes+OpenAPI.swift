import PatchbayConfig

extension OutboundRoutes {
    private static let number: JSONValue = ["type": "string", "description": "E.164"]
    private static let once = [
        RouteDescription.Parameter(
            name: "Idempotency-Key", place: .header, schema: ["type": "string", "minLength": 1, "maxLength": 200],
            summary: "The same order with the same key is one call.")
    ]
    private static let order = RouteDescription.Body(
        schema: Schema.object(
            ["to": number],
            optional: [
                "from": number, "pipeline": Schema.text, "variables": Schema.variables, "agentType": Schema.text,
                "customerId": ["type": ["string", "number", "boolean"]], "tenant": Schema.text,
                "machineDetection": Schema.boolean, "timeoutSeconds": Schema.integer(5...600),
            ]))
    private static let campaignOrder = RouteDescription.Body(
        schema: [
            "type": "object", "required": ["phone"],
            "properties": [
                "phone": number, "customer_id": ["type": ["string", "number", "boolean"]], "agent_type": Schema.text,
            ],
        ])
    private static let refused = "The number is blocked, no number, or not the tenant's."
    private static let unreachable =
        "The carrier cannot be asked, or could not come back; or the server is about to stop."

    private static func dial(
        _ key: ServerSettings.PathKey, _ summary: String, _ body: RouteDescription.Body, _ answer: String
    ) -> RouteDescription {
        RouteDescription(
            .post, key, summary, for: .token, parameters: once, body: body,
            .json(Schema.reference(answer), "It was ordered before, with the same key."),
            .json(Schema.reference(answer), "The carrier dials, or nobody does and the answer says so.", status: 201),
            .json(Schema.reference(answer), "Whether the carrier dials is not known.", status: 202),
            .error(409, "The key belongs to another order."), .error(422, refused),
            .error(502, "The carrier does not do it."), .error(503, unreachable))
    }

    static let descriptions =
        [
            dial(.calls, "Dials", order, "Dial"),
            dial(.initiate, "Dials, in the words of campaigns", campaignOrder, "CampaignDial"),
            RouteDescription(
                .get, .sessions, "What became of the calls that were ordered", for: .readers,
                parameters: [
                    .init(name: "limit", schema: Schema.integer(1...maximumPage), summary: "How many at most."),
                    .init(
                        name: "offset", schema: Schema.integer(0...10_000_000), summary: "How many are left out before."
                    ),
                ],
                .json(Schema.object(["sessions": Schema.list(Schema.reference("Session"))]), "The newest first."),
                .error(503, "The store does not answer.")),
            RouteDescription(
                .get, .sessions, "/{id}", "One of them, with what was said", for: .readers,
                .json(Schema.reference("Session"), "The session."), .error(404, "There is no such session."),
                .error(503, "The store does not answer.")),
            RouteDescription(
                .get, .blocked, "The numbers that must not be dialled", for: .readers,
                .json(Schema.object(["blocked": Schema.list(Schema.reference("Blocked"))]), "All of them."),
                .error(503, "The store does not answer.")),
            RouteDescription(
                .get, .blocked, "/{number}", "One of them", for: .readers,
                .json(Schema.reference("Blocked"), "It is blocked."), .error(404, "It is not blocked."),
                .error(422, "This is no number."), .error(503, "The store does not answer.")),
            RouteDescription(
                .put, .blocked, "/{number}", "Blocks a number", for: .token,
                body: .init(schema: Schema.object([:], optional: ["reason": Schema.text]), isRequired: false),
                .json(Schema.reference("Blocked"), "It is blocked."), .error(422, "This is no number."),
                .error(503, "The store does not answer.")),
            RouteDescription(
                .delete, .blocked, "/{number}", "Lets a number be dialled again", for: .token,
                .empty("It is not blocked any more."), .error(404, "It was not blocked."),
                .error(422, "This is no number."), .error(503, "The store does not answer.")),
            RouteDescription(
                .get, .carrierHealth, "Whether calls can be bridged to the agent's vendor", for: .readers,
                .json(
                    Schema.object([
                        "status": Schema.constant("ok"), "elevenlabs_number_configured": Schema.boolean,
                        "elevenlabs_number": Schema.textOrNull,
                    ]), "The vendor's number, where there is one.")),
            RouteDescription(
                .post, .carrierTest, "A sentence, for a try from the carrier's console", for: .carrier,
                body: TwilioRoutes.form([:]), .twiml("The sentence, and the end.")),
        ]
        + [
            RouteDescription(
                .post, .connect, "/{session}", "Somebody has answered a call that was dialled", for: .carrier,
                body: TwilioRoutes.form(["CallSid": Schema.text]),
                .twiml("The way to the media stream, or to the vendor's number.")),
            RouteDescription(
                .post, .status, "/{session}", "How a call goes that was dialled", for: .carrier,
                body: TwilioRoutes.form(["CallSid": Schema.text]), .twiml("Nothing to do.")),
            RouteDescription(
                .post, .machine, "/{session}", "Whether a person or a machine answered", for: .carrier,
                body: TwilioRoutes.form(["CallSid": Schema.text]), .twiml("Nothing to do.")),
        ]
}
