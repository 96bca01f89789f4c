import PatchbayConfig

extension AdminRoutes {
    private static let noCall = RouteDescription.Answer.error(404, "There is no such call.")
    private static let isOver = RouteDescription.Answer.error(409, "The call has ended already.")

    /// What is asked of lists.
    static func page(_ limit: Int) -> [RouteDescription.Parameter] {
        [
            .init(name: "limit", schema: Schema.integer(1...limit), summary: "How many at most."),
            .init(name: "offset", schema: Schema.integer(0...1_000_000), summary: "How many are left out before."),
        ]
    }

    static let callDescriptions = [
        RouteDescription(
            .get, .calls, "Running and past calls, the running ones first", for: .readers,
            parameters: page(CallListQuery.maximum) + [
                .init(name: "active", schema: Schema.boolean, summary: "Running calls alone."),
                .init(name: "number", schema: Schema.text, summary: "Calls from or to this number."),
                .init(name: "tenant", schema: Schema.text, summary: "Calls of this tenant."),
                .init(name: "since", schema: Schema.text, summary: "Calls after this time or day (ISO 8601)."),
            ],
            .json(
                Schema.object(
                    ["active": Schema.integer, "calls": Schema.list(Schema.reference("Call"))],
                    optional: ["incomplete": Schema.text]), "The calls.")),
        RouteDescription(
            .get, .calls, "/{id}", "One call, with what happened in it", for: .readers,
            .json(Schema.reference("Call"), "The call."), noCall, .error(503, "The store does not answer.")),
        RouteDescription(
            .get, .calls, "/{id}/transcript", "What was said, and what of it was heard", for: .readers,
            .json(Schema.reference("Transcript"), "Turn by turn."), noCall, .error(503, "The store does not answer.")),
        RouteDescription(
            .get, .calls, "/{id}/events", "What happens in a call, as it happens", for: .readers,
            parameters: [
                .init(
                    name: "Last-Event-ID", place: .header, schema: Schema.integer(0...1_000_000_000),
                    summary: "The last event that is known.")
            ],
            .text("text/event-stream", "Server-sent events, until the call is over."),
            .empty("The call is over, and nothing more is to come."), noCall,
            .error(503, "The store does not answer, or too many listen.")),
        RouteDescription(
            .get, .events, "What happens in all calls, as it happens", for: .readers,
            .text("text/event-stream", "Server-sent events."), .error(503, "Too many listen.")),
        RouteDescription(
            .get, .conversations, "Running conversations in a short form", for: .readers,
            .json(
                Schema.object([
                    "active": Schema.integer, "conversations": Schema.list(Schema.reference("Conversation")),
                ]), "The conversations.")),
        RouteDescription(
            .post, .calls, "/{id}/hangup", "Ends a call in order", for: .operators,
            .json(Schema.anyObject, "The call, or the session that was to become one."), noCall, isOver,
            .error(502, "The carrier does not do it."), .error(503, "The carrier cannot be asked.")),
        RouteDescription(
            .post, .calls, "/{id}/recording", "Pauses or resumes a call's recordings", for: .operators,
            body: .init(schema: Schema.object(["command": Schema.constant("pause", "resume")])),
            .json(Schema.object(["recording": Schema.constant("pause", "resume")]), "It is done."), noCall,
            .error(409, "The call has ended, or records nothing.")),
        RouteDescription(
            .post, .calls, "/{id}/transfer", "Connects the caller with a person", for: .token,
            body: .init(schema: Schema.object(["to": ["type": "string", "description": "E.164"]])),
            .json(Schema.reference("Call"), "It is on its way."), .error(403, "The number is blocked."), noCall, isOver,
            .error(422, "This is no number."), .error(503, "The store does not answer.")),
        RouteDescription(
            .post, .calls, "/{id}/agent", "Gives a call another agent", for: .token,
            body: .init(
                schema: [
                    "anyOf": [
                        Schema.object(["backend": Schema.integer]), Schema.text,
                        ["type": "object", "required": ["type"], "properties": ["type": Schema.text]],
                    ]
                ]),
            .json(Schema.reference("Call"), "It is on its way."), noCall, isOver,
            .json(
                ["anyOf": [Schema.reference("Error"), Schema.reference("Refused")]], "The agent cannot be used.",
                status: 422)),
    ]

    static let recordDescriptions = [
        RouteDescription(
            .get, .usage, "How many calls there were on each day", for: .readers,
            parameters: [
                .init(name: "days", schema: Schema.integer(1...3660), summary: "How far back."),
                .init(name: "tenant", schema: Schema.text, summary: "Calls of this tenant."),
            ],
            .json(
                Schema.object([
                    "usage": Schema.list(
                        Schema.object(
                            [
                                "day": Schema.text, "calls": Schema.integer, "seconds": Schema.number,
                                "toolCalls": Schema.integer,
                            ], optional: ["tenant": Schema.text]))
                ]), "Day by day."), .error(503, "The store does not answer.")),
        RouteDescription(
            .delete, .records, "Has everything forgotten that is known of a number", for: .operators,
            parameters: [.init(name: "number", schema: Schema.text, summary: "The number.")],
            .json(
                Schema.object([
                    "erased": Schema.integer, "recordings": Schema.integer, "recordingsLeft": Schema.integer,
                ]), "How many entries were touched, and files of recordings removed or left."),
            .error(503, "The store does not answer.")),
        RouteDescription(
            .get, .audit, "Who did what to the server, the newest first", for: .operators,
            parameters: [
                .init(
                    name: "limit", schema: Schema.integer(1...AuditRoutes.maximumLimit), summary: "How many at most."),
                .init(name: "tenant", schema: Schema.text, summary: "What concerns this tenant."),
            ],
            .json(
                Schema.object([
                    "entries": Schema.list(
                        Schema.object(
                            [
                                "at": Schema.instant, "actor": Schema.text, "action": Schema.text,
                                "subject": Schema.text, "outcome": Schema.text, "peer": Schema.text,
                            ], optional: ["tenant": Schema.text]))
                ]), "Entry by entry."), .error(404, "There is no such tenant."),
            .error(503, "The store does not answer.")),
    ]
}
