import Foundation
import Patchbay
import PatchbayWire
import Synchronization
import Testing

@testable import PatchbayControl

@Suite struct TenantTests {
    private static let salon =
        #"{"name": "salon", "numbers": ["+15550100009"], "variables": {"greeting": "Hello", "agentId": ""}, "transport": "twilio", "stages": ["echo"]}"#
    private static let other =
        #"{"name": "other", "numbers": ["+15550100008"], "transport": "twilio", "stages": ["echo"]}"#
    private static let tenants =
        #"{"tenants": [{"id": "filed", "name": "Filed", "pipeline": "salon", "numbers": ["+15550100001", {"number": "+15550100002", "sid": "PN2"}], "greeting": "Hi"}]}"#

    private static func form(_ to: String, _ sid: String) -> FormFields {
        FormFields(["CallSid": sid, "From": "+15550100099", "To": to, "CallStatus": "ringing"])
    }

    /// A server whose set came with a file of tenants, which can be changed.
    private static func run(_ body: @Sendable (TestServer, Files) async throws -> Void) async throws {
        let files = Files(tenants)
        try await TestServer.run(salon, other, source: files.source) { (server: TestServer) async throws in
            #expect(try await server.post("/pipelines/reload").status == 200)
            try await body(server, files)
        }
    }

    private final class Files: Sendable {
        private let tenants: Mutex<String>

        init(_ tenants: String) { self.tenants = Mutex(tenants) }

        func set(_ text: String) { tenants.withLock { $0 = text } }

        var source: PipelineSource {
            PipelineSource(
                load: {
                    let texts = [
                        ("Pipelines/0.json", TenantTests.salon), ("Pipelines/1.json", TenantTests.other),
                        ("Pipelines/tenants.json", self.tenants.withLock { $0 }),
                    ]
                    guard let registry = try? ComponentRegistry.standard() else { return (nil, []) }
                    return PipelineSet.load(
                        sources: texts.map { SourceText(file: $0.0, $0.1) }, registry: registry, environment: [:])
                }, check: { _, _ in [] })
        }
    }

    private func call(_ server: TestServer, _ number: String, _ sid: String) async throws -> CallInfo? {
        _ = try await server.webhook("/twilio/voice", Self.form(number, sid))
        return server.switchboard.registry.find(sid)?.info
    }

    @Test func theNumberFindsTheTenantAndThePipeline() async throws {
        try await Self.run { server, _ in
            let filed = try await call(server, "+15550100002", "CA1")
            #expect(filed?.tenant == "filed" && filed?.pipeline == "salon")
            let own = try await call(server, "+15550100009", "CA2")
            #expect(own?.tenant == nil && own?.pipeline == "salon")
            let nobody = try await server.webhook("/twilio/voice", Self.form("+15550109999", "CA3"))
            #expect(nobody.body.contains("This number is not in service."))
            let number = try await server.get("/numbers/+15550100002").json
            #expect(number["origin"] as? String == "Pipelines/tenants.json" && number["sid"] as? String == "PN2")
            #expect((number["variables"] as? [String: Any])?["greeting"] as? String == "Hi")
            let list = try await server.get("/numbers").json
            #expect(list["count"] as? Int == 4)
            let page = try await server.get("/numbers?offset=1&limit=2").json["numbers"] as? [[String: Any]]
            #expect(page?.compactMap { $0["number"] as? String } == ["+15550100002", "+15550100009"])
        }
    }

    @Test func whatIsPutInGoesBeforeTheFile() async throws {
        try await Self.run { server, _ in
            let before = try await server.get("/tenants/filed")
            #expect(before.status == 200 && before.json["origin"] as? String == "Pipelines/tenants.json")
            #expect(try await server.delete("/tenants/filed").status == 409, "it stands in a file")
            let text = #"{"name": "Stored", "pipeline": "other", "numbers": ["+15550100001"]}"#
            let put = try await server.put("/tenants/filed", headers: [("If-Match", "\"0\"")], body: text)
            #expect(put.status == 201 && put.json["origin"] as? String == "store" && put.json["version"] as? Int == 1)
            #expect(try await call(server, "+15550100001", "CA1")?.pipeline == "other")
            #expect(try await call(server, "+15550100002", "CA2") == nil, "the stored tenant does not have it")
            #expect(try await server.delete("/tenants/filed").status == 204)
            #expect(try await call(server, "+15550100002", "CA3")?.tenant == "filed")
            #expect(try await call(server, "+15550100001", "CA4")?.pipeline == "salon")
        }
    }

    @Test func aNumberByItselfGoesBeforeItsTenant() async throws {
        try await Self.run { server, _ in
            #expect(try await server.put("/tenants/b", body: #"{"name": "B", "greeting": "Yo"}"#).status == 201)
            let text = #"{"tenant": "b", "pipeline": "salon", "sid": "PN9", "variables": {"agentId": "x"}}"#
            let refused = try await server.put("/numbers/+15550100001", body: text)
            #expect(refused.status == 409 && refused.body.contains("If-Match"), "it is somebody's: \(refused.body)")
            let path = "/numbers/+15550100001"
            #expect(try await server.put(path, headers: [("If-Match", "\"0\"")], body: text).status == 201)
            #expect(try await server.put(path, body: text).status == 200, "it is the same tenant's by now")
            #expect(try await server.put(path, body: #"{"tenant": "filed"}"#).status == 409)
            #expect(
                try await server.put(path, body: #"{"pipeline": "other"}"#).status == 409, "nobody's is another's, too")
            let moved = try await call(server, "+15550100001", "CA1")
            #expect(moved?.tenant == "b" && moved?.pipeline == "salon")
            let shown = try await server.get("/numbers/%2B15550100001").json
            #expect(shown["tenant"] as? String == "b" && shown["sid"] as? String == "PN9")
            let variables = try #require(shown["variables"] as? [String: Any])
            #expect(variables["agentId"] as? String == "x" && variables["greeting"] as? String == "Yo")
            // A number that a document has, too, and one that nobody had.
            #expect(try await server.put("/numbers/+15550100009", body: #"{"pipeline": "other"}"#).status == 201)
            #expect(try await call(server, "+15550100009", "CA2")?.pipeline == "other")
            #expect(try await server.put("/numbers/+15550100777", body: #"{"tenant": "filed"}"#).status == 201)
            #expect(try await call(server, "+15550100777", "CA3")?.tenant == "filed")
            #expect(try await server.get("/numbers").json["count"] as? Int == 5)
            #expect(try await server.delete("/numbers/+15550100001").status == 204)
            #expect(try await call(server, "+15550100001", "CA4")?.tenant == "filed")
            #expect(try await server.delete("/numbers/+15550100001").status == 409)
            #expect(try await server.delete("/numbers/+15550100666").status == 404)
        }
    }

    @Test func twoWhoChangeTheSameAreTold() async throws {
        try await Self.run { server, _ in
            func put(_ tag: (String, String)?, _ name: String) async throws -> Int {
                try await server.put(
                    "/tenants/a", headers: tag.map { [$0] } ?? [], body: #"{"name": "\#(name)"}"#
                ).status
            }
            #expect(try await put(("If-Match", "\"1\""), "x") == 412)
            #expect(try await put(("If-None-Match", "*"), "first") == 201)
            #expect(try await put(("If-None-Match", "*"), "second") == 412)
            #expect(try await put(("If-Match", "\"1\""), "third") == 200)
            #expect(try await put(("If-Match", "\"1\""), "fourth") == 412)
            #expect(try await put(nil, "fifth") == 200)
            for tag in ["1", "W/\"1\"", "\"\"", "\"x\"", "\"1\", \"2\""] {
                #expect(try await put(("If-Match", tag), "x") == 400, "\(tag)")
            }
            let now = try await server.get("/tenants/a").json
            #expect(now["name"] as? String == "fifth" && now["version"] as? Int == 3)
            #expect(try await server.delete("/tenants/a", headers: [("If-Match", "\"2\"")]).status == 412)
            #expect(try await server.delete("/tenants/a", headers: [("If-Match", "\"3\"")]).status == 204)
            #expect(try await server.delete("/tenants/a").status == 404)
            #expect(try await put(("If-Match", "\"0\""), "again") == 201)
        }
    }

    @Test func whatIsWrongIsRefusedWithItsPlace() async throws {
        try await Self.run { server, _ in
            for (path, body, words) in [
                ("/tenants/a", "{", "diagnostics"), ("/tenants/a", "{}", #"needs \"name\""#),
                ("/tenants/a", #"{"name": "A", "pipeline": "saloon"}"#, "salon"),
                ("/tenants/a", #"{"name": "A", "colour": "red"}"#, "colour"),
                ("/tenants/a", #"{"id": "b", "name": "A"}"#, "the path names"),
                ("/tenants/a%20b", #"{"name": "A"}"#, "no name of a tenant"),
                ("/tenants/..", #"{"name": "A"}"#, "no name of a tenant"),
                ("/numbers/+15550100777", "{}", "neither"),
                ("/numbers/+15550100777", #"{"tenant": "nobody"}"#, "there is no tenant"),
                ("/numbers/5550100777", #"{"tenant": "filed"}"#, "no number"),
                ("/numbers/+1555*", #"{"tenant": "filed"}"#, "no number"),
            ] {
                let answer = try await server.put(path, body: body)
                #expect(answer.status == 422, "\(path) \(body)")
                #expect(answer.body.contains(words), "\(answer.body)")
            }
            #expect(
                try await server.put("/tenants/b", body: #"{"name": "B", "numbers": ["+15550100777"]}"#).status == 201)
            let taken = try await server.put("/tenants/c", body: #"{"name": "C", "numbers": ["+15550100777"]}"#)
            #expect(taken.status == 409 && taken.body.contains(#"belongs to tenant \"b\""#))
            let huge = #"{"name": "\#(String(repeating: "x", count: 70_000))"}"#
            #expect(try await server.put("/tenants/a", body: huge).status == 413)
            #expect(try await server.get("/tenants/a").status == 404)
        }
    }

    @Test func aNumberThatIsAnothersIsNotTaken() async throws {
        try await Self.run { (server: TestServer, _: Files) async throws in
            func put(_ id: String, _ numbers: String) async throws -> Int {
                try await server.put("/tenants/\(id)", body: #"{"name": "X", "numbers": [\#(numbers)]}"#).status
            }
            #expect(try await put("a", #""+15550100777", "+15550100001""#) == 409, "a tenant of the file has it")
            #expect(try await server.get("/tenants/a").status == 404)
            #expect(try await call(server, "+15550100001", "CA1")?.tenant == "filed")
            // The stored one leaves a number free that the file's has.
            #expect(try await put("filed", #""+15550100002""#) == 201)
            #expect(try await put("a", #""+15550100001""#) == 201)
            #expect(try await put("a", #""+15550100001", "+15550100777""#) == 200, "its own numbers are no obstacle")
            #expect(try await put("b", #""+15550100002""#) == 409)
            // By an entry of its own.
            #expect(try await server.put("/numbers/+15550100888", body: #"{"tenant": "filed"}"#).status == 201)
            #expect(try await put("b", #""+15550100888""#) == 409)
            #expect(try await put("filed", #""+15550100002", "+15550100888""#) == 200)
        }
    }

    @Test func ofManyAtOnceOneGetsTheNumber() async throws {
        try await Self.run { server, _ in
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for index in 0..<8 {
                    group.addTask {
                        let text = #"{"name": "X", "numbers": ["+15550100777"]}"#
                        return try await server.put("/tenants/t\(index)", body: text).status
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses.sorted() == [201] + Array(repeating: 409, count: 7))
        }
    }

    @Test func aFileThatGivesAwayAStoredTenantsNumberIsToldSo() async throws {
        try await Self.run { server, files in
            let text = #"{"name": "A", "pipeline": "salon", "numbers": ["+15550100777"]}"#
            #expect(try await server.put("/tenants/a", body: text).status == 201)
            files.set(#"{"tenants": [{"id": "new", "name": "New", "pipeline": "other", "numbers": ["+15550100777"]}]}"#)
            let reload = try await server.post("/pipelines/reload")
            #expect(reload.status == 200 && reload.json["result"] as? String == "loaded")
            func collisions(_ reload: TestServer.Answer) -> [[String: Any]] {
                (reload.json["diagnostics"] as? [[String: Any]] ?? []).filter {
                    $0["code"] as? String == "duplicate-number"
                }
            }
            let findings = collisions(reload)
            #expect(findings.count == 1 && findings.first?["severity"] as? String == "warning")
            #expect(findings.first?["file"] as? String == "Pipelines/tenants.json")
            let words = try #require(findings.first?["message"] as? String)
            #expect(words == #"+15550100777 of tenant "new" belongs to the stored tenant "a" already, which keeps it"#)
            #expect(try await call(server, "+15550100777", "CA1")?.tenant == "a")
            #expect(try await server.delete("/tenants/a").status == 204)
            #expect(try await call(server, "+15550100777", "CA2")?.tenant == "new")
            let again = try await server.post("/pipelines/reload")
            #expect(again.status == 200 && collisions(again).isEmpty)
        }
    }

    @Test func aReloadReadsTheFileOfTenants() async throws {
        try await Self.run { server, files in
            files.set(#"{"tenants": [{"id": "new", "name": "New", "pipeline": "other", "numbers": ["+15550100001"]}]}"#)
            #expect(try await server.post("/pipelines/reload").json["result"] as? String == "loaded")
            #expect(try await call(server, "+15550100001", "CA1")?.tenant == "new")
            files.set(#"{"tenants": [{"id": "new", "name": "New", "pipeline": "gone"}]}"#)
            let refused = try await server.post("/pipelines/reload")
            #expect(refused.status == 422 && refused.body.contains("tenants.json") && refused.body.contains("gone"))
            #expect(try await call(server, "+15550100001", "CA2")?.tenant == "new")
            #expect(try await server.post("/pipelines/rollback").status == 200)
            #expect(try await call(server, "+15550100001", "CA3")?.tenant == "filed")
        }
    }

    @Test func aTenantHasItsOwnLimit() async throws {
        try await Self.run { server, _ in
            let text = #"{"name": "A", "pipeline": "salon", "numbers": ["+15550100777"], "maximumCalls": 2}"#
            #expect(try await server.put("/tenants/a", body: text).status == 201)
            for sid in ["CA1", "CA2"] { #expect(try await call(server, "+15550100777", sid) != nil) }
            let third = try await server.webhook("/twilio/voice", Self.form("+15550100777", "CA3"))
            #expect(third.body.contains("All our lines are busy."))
            #expect(try await call(server, "+15550100001", "CA4") != nil, "others are not concerned")
        }
    }

    @Test func aCallerOverTheLimitHearsWords() async throws {
        try await TestServer.run(
            Self.salon, settings: #"{"limits": {"webhooksPerNumber": 3, "webhooksPerCaller": 100}}"#
        ) { (server: TestServer) async throws in
            for index in 1...3 { #expect(try await call(server, "+15550100009", "CA\(index)") != nil) }
            #expect(try await call(server, "+15550100009", "CA1") != nil, "a repetition does not count")
            let late = try await server.webhook("/twilio/voice", Self.form("+15550100009", "CA4"))
            #expect(
                late.body.contains("<Say>All our lines are busy. Please call again in a few minutes.</Say><Hangup />"))
            let forged = try await server.webhook("/twilio/voice", Self.form("+15550100008", "CA5"), signed: false)
            #expect(forged.status == 403)
        }
    }

    @Test func anAddressThatAsksTooOftenIsToldWhen() async throws {
        try await TestServer.run(
            Self.salon, settings: #"{"limits": {"requestsPerAddress": 5}, "public": ["calls"]}"#
        ) { (server: TestServer) async throws in
            let stranger = [("X-Forwarded-For", "203.0.113.9")]
            for _ in 0..<5 { #expect(try await server.get("/calls", headers: stranger).status == 200) }
            let late = try await server.get("/calls", headers: stranger)
            #expect(late.status == 429 && late.body.contains("too many requests"))
            #expect(try await server.get("/calls", headers: [("X-Forwarded-For", "203.0.113.8")]).status == 200)
            #expect(try await server.get("/calls").status == 200, "this machine is not counted")
        }
    }
}
