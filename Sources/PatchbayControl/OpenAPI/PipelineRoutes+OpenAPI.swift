import PatchbayConfig

extension AdminRoutes {

    static let pipelineDescriptions = [
        RouteDescription(
            .get, .pipelines, "The pipelines in force", for: .readers,
            .json(Schema.reference("Pipelines"), "What is in force, and what was before.")),
        RouteDescription(
            .post, .pipelines, "/reload", "Reads the pipelines again", for: .operators,
            .json(Schema.reference("Reload"), "What came of it."),
            .json(Schema.reference("Reload"), "The files have errors; what was in force stays.", status: 422),
            .error(409, "There is nothing to read them from.")),
        RouteDescription(
            .post, .pipelines, "/rollback", "Goes back to the pipelines before", for: .operators,
            .json(Schema.reference("Reload"), "What came of it."),
            .json(Schema.reference("Reload"), "What was in force stays.", status: 422),
            .error(409, "There is nothing to go back to.")),
        RouteDescription(
            .post, .pipelines, "/lint", "Checks a document", for: .operators, body: .init(schema: Schema.anything),
            .json(Schema.list(Schema.reference("Finding")), "What is wrong with it; nothing, where it is sound."),
            .error(409, "The host gave no means to check documents.")),
    ]
}

extension TenantRoutes {
    private static let condition = [
        RouteDescription.Parameter(
            name: "If-Match", place: .header, schema: Schema.text, summary: "The `ETag` of the version that was read.")
    ]
    private static let noTenant = RouteDescription.Answer.error(404, "There is no such tenant.")
    private static let noNumber = RouteDescription.Answer.error(404, "Nobody answers this number.")
    private static let changed = RouteDescription.Answer.error(412, "Another version is current.")
    private static let offline = RouteDescription.Answer.error(503, "The store does not answer.")
    private static let unusable = RouteDescription.Answer.json(
        ["anyOf": [Schema.reference("Error"), Schema.reference("Unusable")]], "It cannot be used.", status: 422)

    /// The tenants and the numbers.
    static let descriptions = [
        RouteDescription(
            .get, .tenants, "The businesses that share the server", for: .readers,
            .json(Schema.object(["tenants": Schema.list(Schema.reference("Tenant"))]), "All of them."), offline),
        RouteDescription(
            .get, .tenants, "/{tenant}", "One of them", for: .readers, .json(Schema.reference("Tenant"), "The tenant."),
            noTenant, offline),
        RouteDescription(
            .put, .tenants, "/{tenant}", "Puts a tenant in, or changes it", for: .operators, parameters: condition,
            body: .init(schema: Schema.anyObject), .json(Schema.reference("Tenant"), "It is changed."),
            .json(Schema.reference("Tenant"), "It is new.", status: 201), unusable, changed,
            .error(409, "A number of it belongs to another tenant."), offline),
        RouteDescription(
            .delete, .tenants, "/{tenant}", "Takes a tenant out", for: .operators, parameters: condition,
            .empty("It is gone."), noTenant, .error(409, "It stands in a file."), changed, offline),
        RouteDescription(
            .get, .numbers, "The numbers that are answered", for: .readers,
            parameters: [
                .init(name: "limit", schema: Schema.integer(0...10_000_000), summary: "How many at most."),
                .init(name: "offset", schema: Schema.integer(0...10_000_000), summary: "How many are left out before."),
            ],
            .json(
                Schema.object(["count": Schema.integer, "numbers": Schema.list(Schema.reference("Number"))]),
                "The numbers, and how many there are in all."), offline),
        RouteDescription(
            .get, .numbers, "/{number}", "One of them", for: .readers, .json(Schema.reference("Number"), "The number."),
            noNumber, offline),
        RouteDescription(
            .put, .numbers, "/{number}", "Says whose a number is", for: .operators, parameters: condition,
            body: .init(schema: Schema.anyObject), .json(Schema.reference("Number"), "It is changed."),
            .json(Schema.reference("Number"), "It is new.", status: 201), unusable, changed,
            .error(409, "It belongs to another tenant, and no If-Match says that this is known."), offline),
        RouteDescription(
            .delete, .numbers, "/{number}", "Takes a number's entry out", for: .operators, parameters: condition,
            .empty("It is gone."), noNumber, .error(409, "It stands in a file."), changed, offline),
    ]
}

extension WebhookRoutes {
    static let descriptions = [
        RouteDescription(
            .get, .webhooks, "Webhooks that were sent in vain", for: .operators,
            .json(
                Schema.object([
                    "messages": Schema.list(
                        Schema.object(
                            [
                                "id": Schema.text, "event": Schema.text, "endpoint": Schema.text,
                                "attempts": Schema.integer, "createdAt": Schema.instant,
                            ], optional: ["tenant": Schema.text, "call": Schema.text, "lastError": Schema.text]))
                ]), "The newest first."), .error(503, "The store does not answer.")),
        RouteDescription(
            .post, .webhooks, "/{id}/retry", "Sends one of them again", for: .operators,
            .json(Schema.object(["id": Schema.text, "status": Schema.constant("queued")]), "It waits to be sent."),
            .error(404, "There is no such dead letter."), .error(503, "The store does not answer.")),
    ]
}
