import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Patchbay
import PatchbayWire
import Testing

@testable import FrontDesk

/// The HTTP API, as agents and vendors ask it.
@Suite struct BackendTests {
    static let token = "the-backends-token"

    private func asking(
        _ desk: Desk, _ body: @Sendable @escaping (_ ask: Asking) async throws -> Void
    ) async throws {
        let router = Router(context: ControlContext.self)
        ClinicRoutes(clinic: desk.clinic, token: Secret(Self.token)).add(to: router)
        var vendor = ServerSettings.ElevenLabs()
        vendor.secretHeader = .init(name: VendorProof.header, value: Secret("of-the-tools"))
        vendor.webhookSecrets = [Secret("of-the-webhooks")]
        vendor.acceptsLegacySignatures = true
        let proof = VendorProof(
            token: Secret(Self.token), vendor: vendor, now: { Date(timeIntervalSince1970: 100_000) })
        SalonRoutes(salons: desk.salons, proof: proof).add(to: router)
        try await Application(router: router).test(.router) { client in try await body(Asking(client: client)) }
    }

    struct Asking: Sendable {
        let client: any TestClientProtocol

        func callAsFunction(
            _ method: HTTPRequest.Method, _ path: String, _ body: String? = nil, key: String? = nil,
            headers: HTTPFields = [.authorization: "Bearer \(BackendTests.token)"]
        ) async throws -> (status: Int, body: String) {
            var headers = headers
            if let key, let name = HTTPField.Name("Idempotency-Key") { headers[name] = key }
            return try await client.execute(
                uri: path, method: method, headers: headers, body: body.map { ByteBuffer(string: $0) }
            ) { ($0.status.code, String(buffer: $0.body)) }
        }
    }

    @Test func aPatientComesFromNothingToAnAppointment() async throws {
        try await asking(try await Desk()) { ask in
            let path = "/api/patients/lookup?name=Ada%20Test&born=1990-01-31"
            #expect(try await ask(.get, path).body == #"{"found":false,"patients":[],"success":true}"#)
            let draft = #"{"name": "Ada Test", "born": "1990-01-31", "phone": "+49 30 1234"}"#
            let saved = try await ask(.post, "/api/patients", draft)
            #expect(saved.status == 201 && saved.body.contains(#""created":true"#))
            #expect(try await ask(.post, "/api/patients", draft).status == 200)
            #expect(try await ask(.get, path).body.contains(#""phone":"+49301234""#))
            #expect(try await ask(.get, "/api/patients/lookup?phone=%2B49301234").body.contains(#""found":true"#))
            let id = try #require(text(saved.body, "patient", "id"))

            let slots = try await ask(.get, "/api/appointments/slots?date=2026-03-02&kind=kontrolle")
            #expect(slots.body.contains(#""start":"2026-03-02T08:00""#) && !slots.body.contains("T12:00\",\"start"))
            let weekend = try await ask(.get, "/api/appointments/slots?date=2026-03-07&kind=kontrolle").body
            #expect(weekend.contains(#""slots":[]"#) && weekend.contains(#""start":"2026-03-09T08:00""#))

            let booking = #"{"patientId": "\#(id)", "kind": "kontrolle", "start": "2026-03-02T08:00"}"#
            let first = try await ask(.post, "/api/appointments", booking, key: "once")
            #expect(first.status == 201)
            let again = try await ask(.post, "/api/appointments", booking, key: "once")
            #expect(again.status == 201 && again.body == first.body, "a repetition has no second effect")
            let taken = try await ask(.post, "/api/appointments", booking)
            #expect(taken.status == 409 && taken.body.contains(#""code":"SLOT_TAKEN""#))
            let other = booking.replacing("08:00", with: "09:00")
            #expect(try await ask(.post, "/api/appointments", other, key: "once").status == 422)
        }
    }

    @Test func whoCannotWaitIsQueued() async throws {
        try await asking(try await Desk()) { ask in
            let draft = #"{"name": "Ada Test", "phone": "+4930123456", "reason": "Starke Schmerzen", "callSid": "CA1"}"#
            for (level, position) in [("urgent", 1), ("urgent", 2), ("emergency", 1)] {
                let answer = try await ask(.post, "/api/queue/\(level)", draft)
                #expect(answer.status == 201 && answer.body.contains(#""position":\#(position)"#))
                #expect(answer.body.contains(#""level":"\#(level)""#))
            }
            let hidden = #"{"name": "Ada Test", "phone": "anonymous", "reason": "Atemnot"}"#
            #expect(try await ask(.post, "/api/queue/emergency", hidden).status == 201)
            #expect(try await ask(.post, "/api/queue/urgent", hidden).status == 400)
        }
    }

    @Test(
        arguments: [
            (.get, "/api/patients/lookup", nil, 400, "name and born, or phone, are required"),
            (.get, "/api/patients/lookup?name=Ada", nil, 400, "name and born, or phone, are required"),
            (.get, "/api/patients/lookup?name=Ada&born=31.1.", nil, 400, #"must be a date such as 2026-01-31"#),
            (.post, "/api/patients", "{}", 400, "name and born are required"),
            (.post, "/api/patients", "[]", 400, "the body is no JSON object"),
            (.post, "/api/patients", #"{"name": 7}"#, 400, "name has the wrong type"),
            (.get, "/api/appointments/slots?date=2026-03-02", nil, 400, "date and kind are required"),
            (.get, "/api/appointments/slots?date=2026-03-02&kind=x", nil, 404, "there is no service"),
            (.post, "/api/appointments", "{}", 400, "patientId, kind, and start are required"),
            (
                .post, "/api/appointments", #"{"patientId": "x", "kind": "akut", "start": "2026-03-02T08:00"}"#, 404,
                "no patient"
            ),
            (.post, "/api/queue/urgent", #"{"name": "Ada"}"#, 400, "name and reason are required"),
            (.post, "/api/queue/urgent", #"{"name": "Ada", "reason": "Pain"}"#, 400, "phone is required"),
            (
                .post, "/api/webhooks/elevenlabs/appointments?tenantId=salon-north", "{}", 400,
                #"{"code":"VALIDATION_ERROR","error":"employeeId, serviceId, customerName, and startTime are required","success":false}"#
            ),
            (.post, "/api/webhooks/elevenlabs/appointments", "{}", 400, "tenantId is required"),
            (
                .post, "/api/webhooks/elevenlabs/appointments?tenantId=a", #"{"tenantId": "b"}"#, 400,
                "another in the query"
            ),
            (.get, "/api/webhooks/elevenlabs/services", nil, 400, "tenantId is required"),
            (.get, "/api/webhooks/elevenlabs/services?tenantId=nobody", nil, 404, "there is no business"),
            (.get, "/api/webhooks/elevenlabs/services?tenantId=clinic", nil, 404, "there is no business"),
        ] as [(HTTPRequest.Method, String, String?, Int, String)])
    func mistakesAreTold(_ method: HTTPRequest.Method, path: String, body: String?, status: Int, words: String)
        async throws
    {
        try await asking(try await Desk()) { ask in
            let answer = try await ask(method, path, body)
            #expect(answer.status == status)
            #expect(answer.body.replacing(#"\""#, with: "\"").contains(words), "\(answer.body)")
            #expect(answer.body.contains(#""success":false"#))
        }
    }

    @Test func theSalonsAreReachedByTheSecretOfTheTools() async throws {
        try await asking(try await Desk()) { ask in
            let name = try #require(HTTPField.Name(VendorProof.header))
            let services = try await ask(
                .get, "/api/webhooks/elevenlabs/services?tenantId=salon-south", headers: [name: "of-the-tools"])
            #expect(services.status == 200 && services.body.hasPrefix(#"{"data":{"employees":"#))
            let draft =
                #"{"employeeId": "robin", "serviceId": "haircut", "customerName": "Ada", "startTime": "2026-03-02T10:00"}"#
            let path = "/api/webhooks/elevenlabs/appointments?tenantId=salon-south"
            #expect(try await ask(.post, path, draft, headers: [name: "of-the-tools"]).status == 201)
            #expect(try await ask(.post, path, draft, headers: [name: "of-the-tools"]).status == 409)
            #expect(try await ask(.post, path, draft, headers: [name: "of-others"]).status == 401)
        }
    }

    /// Of the body, or of the query of a GET; with a time and without one.
    @Test func theSalonsAreReachedByASignature() async throws {
        let signature = ElevenLabsSignature(secrets: ["of-the-webhooks"])
        let name = try #require(HTTPField.Name(ElevenLabsSignature.header))
        let legacy = try #require(HTTPField.Name(ElevenLabsSignature.legacyHeader))
        try await asking(try await Desk()) { (ask: Asking) async throws in
            let query = "tenantId=salon-south", path = "/api/webhooks/elevenlabs/services?"
            let old = signature.legacySign(ByteBuffer(string: query))
            #expect(try await ask(.get, path + query, headers: [legacy: old ?? ""]).status == 200)
            #expect(try await ask(.get, path + "tenantId=salon-north", headers: [legacy: old ?? ""]).status == 401)
            let body =
                #"{"tenantId": "salon-south", "employeeId": "robin", "serviceId": "haircut", "customerName": "Ada", "startTime": "2026-03-02T10:00"}"#
            let post = "/api/webhooks/elevenlabs/appointments"
            let late = signature.sign(ByteBuffer(string: body), at: 100_000 - 1801)
            #expect(try await ask(.post, post, body, headers: [name: late ?? ""]).body.contains("older than"))
            let sound = signature.sign(ByteBuffer(string: body), at: 99_900)
            #expect(try await ask(.post, post, body + " ", headers: [name: sound ?? ""]).status == 401)
            #expect(try await ask(.post, post, body, headers: [name: sound ?? ""]).status == 201)
        }
    }

    @Test(arguments: [nil, "", "Bearer", "Bearer ", "Bearer the-backends-toke", "Basic dGhl"])
    func nobodyComesInWithoutTheToken(header: String?) async throws {
        try await asking(try await Desk()) { ask in
            let headers: HTTPFields = header.map { [.authorization: $0] } ?? [:]
            for path in [
                "/api/patients/lookup?phone=%2B49301234", "/api/webhooks/elevenlabs/services?tenantId=salon-north",
            ] {
                let answer = try await ask(.get, path, headers: headers)
                #expect(answer.status == 401 && answer.body.contains(#""code":"UNAUTHORIZED""#))
            }
        }
    }
}
