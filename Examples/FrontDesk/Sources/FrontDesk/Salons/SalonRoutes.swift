import HTTPTypes
import Hummingbird
import Patchbay

/// The salons' backend over HTTP, as agent vendors call it: with a secret header, or signed.
struct SalonRoutes: Sendable {
    static let path = "api/webhooks/elevenlabs"

    let salons: Salons
    let proof: VendorProof

    func add(to router: some RouterMethods<ControlContext>) {
        let api = router.group(RouterPath(Self.path))
        api.get("services") { request, _ in
            try proof.check(request, signed: request.uri.query.map { Array($0.utf8) } ?? [])
            let tenant = try tenant(request, nil)
            return try Reply.json(Reply.Wrapped(data: await salons.services(of: tenant)))
        }
        api.post("appointments") { request, _ in
            let body = try await request.bytes()
            try proof.check(request, signed: body)
            let draft: Salons.Draft = try Reply.draft(body)
            let tenant = try tenant(request, draft.tenantId)
            let once = try Once(
                scope: "\(tenant) appointments", key: request.idempotencyKey, request: body)
            let appointment = try await salons.book(draft, for: tenant, once)
            return try Reply.json(Reply.Wrapped(data: appointment), .created)
        }
    }

    /// Whose salon it is: by the query or the body, and never by two that differ.
    private func tenant(_ request: Request, _ inBody: String?) throws -> String {
        let inQuery = request.item("tenantId"), inBody = inBody?.nonEmpty
        guard let tenant = inQuery ?? inBody else { throw Refusal(.validation, "tenantId is required") }
        guard inBody == nil || inBody == tenant else {
            throw Refusal(.validation, "tenantId is another in the query than in the body")
        }
        guard tenant != Clinic.business else { throw Refusal(.notFound, "there is no business \"\(tenant)\"") }
        return tenant
    }
}
