import Hummingbird
import Patchbay

/// The clinic's backend over HTTP: what its agent's tools ask.
struct ClinicRoutes: Sendable {
    let clinic: Clinic
    let token: Secret

    func add(to router: some RouterMethods<ControlContext>) {
        let api = router.group("api").add(middleware: BearerGate(token: token))
        api.get("patients/lookup") { request, _ in
            try Reply.json(
                await clinic.lookup(
                    name: request.item("name"), born: request.item("born"), phone: request.item("phone")))
        }
        api.post("patients") { request, _ in
            let body = try await request.bytes()
            let saved = try await clinic.save(try Reply.draft(body), try request.once(body))
            return try Reply.json(saved, saved.created ? .created : .ok)
        }
        api.get("appointments/slots") { request, _ in
            try Reply.json(await clinic.slots(date: request.item("date"), kind: request.item("kind")))
        }
        api.post("appointments") { request, _ in
            let body = try await request.bytes()
            return try Reply.json(await clinic.book(try Reply.draft(body), try request.once(body)), .created)
        }
        for level in [QueueEntry.Level.urgent, .emergency] {
            api.post(RouterPath("queue/\(level.rawValue)")) { request, _ in
                let body = try await request.bytes()
                return try Reply.json(
                    await clinic.enter(try Reply.draft(body), as: level, try request.once(body)), .created)
            }
        }
    }
}
