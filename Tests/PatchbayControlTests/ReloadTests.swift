import Foundation
import Patchbay
import PatchbaySimulators
import PatchbayTesting
import PatchbayWire
import Synchronization
import Testing

/// Pipelines that change under a server that runs, over its own HTTP routes.
@Suite(.serialized) struct ReloadTests {
    private func form(_ sid: String, to: String = "+15550100001", from: String = "+15550100099") -> FormFields {
        FormFields(["CallSid": sid, "From": from, "To": to, "CallStatus": "ringing"])
    }

    private func calls(_ server: TestServer) async throws -> [[String: Any]] {
        try await server.get("/calls").json["calls"] as? [[String: Any]] ?? []
    }

    /// Running calls of each version, as `/pipelines` counts them.
    private func running(_ server: TestServer, _ pipeline: String) async throws -> [String: Int] {
        let report = try await server.get("/pipelines").json
        let all = (report["pipelines"] as? [[String: Any]] ?? []) + (report["retired"] as? [[String: Any]] ?? [])
        var versions: [String: Int] = [:]
        for entry in all where entry["name"] as? String == pipeline {
            for calls in entry["calls"] as? [[String: Any]] ?? [] {
                versions[try #require(calls["version"] as? String)] = calls["running"] as? Int
            }
        }
        return versions
    }

    @Test func aRunningCallKeepsItsVersionAndItsSound() async throws {
        let shelf = ShelfOfDocuments(echo("desk", "one"))
        let one = echo("desk", "one"), two = echo("desk", "two")
        try await TestServer.run(one, source: shelf.source) { (server: TestServer) async throws in
            // No two packets of a second are alike: one that were lost, doubled or moved would show.
            let spoken = (0..<12_000).map { (index: Int) -> UInt8 in UInt8((index / 160 * 7 + index % 160) % 96 + 0x10)
            }
            async let report = server.call(
                "+15550100001",
                [PhoneStep(.after(milliseconds: 100), .speak(spoken)), PhoneStep(.after(milliseconds: 300), .hangUp)])
            try await server.wait("the stream") {
                try await calls(server).first?["state"] as? String == "streaming"
            }
            let old = try #require(try await calls(server).first?["version"] as? String)
            var answers: [String] = []
            for document in [two, one, two] {
                shelf.put(document)
                answers.append(try await server.post("/pipelines/reload").json["result"] as? String ?? "")
            }
            #expect(answers == ["loaded", "loaded", "loaded"])
            let new = try #require(
                (try await server.get("/pipelines").json["pipelines"] as? [[String: Any]])?.first?["version"] as? String
            )
            #expect(new != old)
            _ = try await server.webhook("/twilio/voice", form("CA2"))
            #expect(try await running(server, "desk") == [old: 1, new: 1])
            #expect(try await calls(server).first { $0["callSid"] as? String == "CA2" }?["version"] as? String == new)
            shelf.put(echo("other", number: "+15550100002"))
            #expect(try await server.post("/pipelines/reload").json["removed"] as? [String] == ["desk"])
            #expect(try await running(server, "desk") == [old: 1, new: 1], "its calls are still listed")

            let done = try await report
            let heard = Array(
                try #require(done.streams.first).receivedAudio.drop { $0 == 0xFF }.prefix(spoken.count - 320))
            #expect(heard == Array(spoken.prefix(heard.count)) && heard.count > 8000, "not one byte is missing")
            #expect(
                try await calls(server).first { $0["callSid"] as? String == done.callSid }?["version"] as? String == old
            )
        }
    }

    @Test func anInvalidReloadIsAnsweredWithItsFindingsAndChangesNothing() async throws {
        let shelf = ShelfOfDocuments(echo("desk", "one"))
        try await TestServer.run(echo("desk", "one"), source: shelf.source) { (server: TestServer) async throws in
            shelf.put(
                #"{"name": "desk", "numbers": ["+15550100001"], "transport": "twilio", "stages": [{"type": "elevenlabs", "agentId": "a", "apiKey": "sk-live-0123456789"}, "ecco"]}"#
            )
            let answer = try await server.post("/pipelines/reload")
            #expect(answer.status == 422)
            let findings = try #require(answer.json["diagnostics"] as? [[String: Any]])
            #expect(findings.map { $0["code"] as? String } == ["plain-secret", "unknown-type"])
            #expect(findings.last?["suggestion"] as? String == "echo")
            #expect(findings.last?["file"] as? String == "Pipelines/0.json" && findings.last?["line"] as? Int == 1)
            #expect(answer.json["revision"] as? Int == 1 && answer.json["result"] as? String == "refused")
            let report = try await server.get("/pipelines")
            let error = try #require(report.json["lastError"] as? [String: Any])
            #expect((error["diagnostics"] as? [[String: Any]])?.count == 2 && error["loadedBy"] as? String == "http")
            #expect(!answer.body.contains("sk-live") && !report.body.contains("sk-live"))
            #expect(try await server.webhook("/twilio/voice", form("CA1")).body.contains("<Stream"))
            shelf.put(echo("desk", "one"))
            #expect(try await server.post("/pipelines/reload").json["result"] as? String == "unchanged")
            #expect(try await server.get("/pipelines").json["lastError"] == nil)
        }
    }

    @Test func aRollbackIsOneRequest() async throws {
        let shelf = ShelfOfDocuments(echo("desk", "two"))
        try await TestServer.run(echo("desk", "one"), source: shelf.source) { (server: TestServer) async throws in
            let nothing = try await server.post("/pipelines/rollback")
            #expect(nothing.status == 409 && nothing.body.contains("no former set"))
            #expect(try await server.post("/pipelines/reload").json["revision"] as? Int == 2)
            let back = try await server.post("/pipelines/rollback").json
            #expect(back["result"] as? String == "rolledBack" && back["revision"] as? Int == 3)
            #expect(back["restored"] as? Int == 1 && back["changed"] as? [String] == ["desk"])
            #expect(back["heldBack"] as? Int == 2, "the files still hold it")
            let report = try await server.get("/pipelines").json
            #expect(report["loadedBy"] as? String == "rollback" && report["restored"] as? Int == 1)
            #expect(report["heldBack"] as? Int == 2)
            #expect((report["pipelines"] as? [[String: Any]])?.first?["description"] as? String == "one")
            #expect((report["former"] as? [[String: Any]])?.isEmpty == true)
        }
    }

    @Test func manyReloadsAtOnceAreAllAnswered() async throws {
        let shelf = ShelfOfDocuments(echo("desk", "one"))
        try await TestServer.run(echo("desk", "one"), source: shelf.source) { (server: TestServer) async throws in
            shelf.put(echo("desk", "two"))
            let answers = try await withThrowingTaskGroup(of: TestServer.Answer.self) { group in
                for _ in 0..<30 { group.addTask { try await server.post("/pipelines/reload") } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(answers.allSatisfy { $0.status == 200 && $0.json["revision"] as? Int == 2 })
        }
    }

    @Test func pipelinesAndNumbersAreListedWithoutSecrets() async throws {
        let document = """
            {"name": "desk", "description": "Front desk", "numbers": {
               "+15550100001": {"agentId": "agent_1", "apiKey": "${env.KEY}", "chairs": 4, "isOpen": true, "note": "${env.KEY}"},
               "+4930*": {}},
             "variables": {"chairs": 2, "place": "the front desk", "token": "abc"},
             "when": [{"callers": ["anonymous"], "say": "No."}],
             "transport": "twilio", "stages": ["echo"]}
            """
        try await TestServer.run(
            document, echo("other", number: "+15550100002"), environment: ["KEY": "sk-live-7f3k9x2m4q8w1z5t"]
        ) {
            (server: TestServer) async throws in
            let report = try await server.get("/pipelines").json
            #expect(report["revision"] as? Int == 1 && report["loadedBy"] as? String == "start")
            #expect(report["canReload"] as? Bool == false)
            let desk = try #require((report["pipelines"] as? [[String: Any]])?.first)
            #expect(desk["name"] as? String == "desk" && desk["description"] as? String == "Front desk")
            #expect(desk["numbers"] as? Int == 2 && desk["rules"] as? Int == 1)
            let answer = try await server.get("/numbers")
            #expect(answer.json["count"] as? Int == 3 && !answer.body.contains("sk-live"))
            let numbers = try #require(answer.json["numbers"] as? [[String: Any]])
            #expect(numbers.map { $0["number"] as? String } == ["+15550100001", "+4930*", "+15550100002"])
            #expect(numbers.map { $0["pipeline"] as? String } == ["desk", "desk", "other"])
            let variables = try #require(numbers.first?["variables"] as? [String: Any])
            #expect(variables["agentId"] as? String == "agent_1" && variables["chairs"] as? Int == 4)
            #expect(variables["isOpen"] as? Bool == true)
            #expect(variables["place"] as? String == "the front desk" && variables["token"] as? String == "[withheld]")
            let other = numbers.dropFirst().first?["variables"] as? [String: Any]
            #expect(other?["chairs"] as? Int == 2 && other?["agentId"] == nil, "those in effect for this number")
            #expect(variables["apiKey"] as? String == "[withheld]" && variables["note"] as? String == "${env.KEY}")
            let page = try await server.get("/numbers?offset=1&limit=1").json
            #expect(page["count"] as? Int == 3)
            #expect((page["numbers"] as? [[String: Any]])?.map { $0["number"] as? String } == ["+4930*"])
            #expect(try await server.get("/numbers?limit=-1").status == 400)
            #expect((try await server.get("/numbers?offset=9").json["numbers"] as? [[String: Any]])?.isEmpty == true)
            let reload = try await server.post("/pipelines/reload")
            #expect(reload.status == 409 && reload.body.contains("do not come from files"))
            #expect(try await server.post("/pipelines/lint", body: "{}").status == 409)
        }
    }

    @Test func aDocumentCanBeCheckedWithoutBeingUsed() async throws {
        let shelf = ShelfOfDocuments(echo("desk", "one"), echo("night", number: "+15550100002"))
        try await TestServer.run(
            echo("desk", "one"), echo("night", number: "+15550100002"), source: shelf.source
        ) { (server: TestServer) async throws in
            func lint(_ text: String) async throws -> [String] {
                let answer = try await server.post("/pipelines/lint", body: text)
                #expect(answer.status == 200 && !answer.body.contains("sk-live"))
                let findings = try JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [[String: Any]]
                return try #require(findings).map { "\($0["file"] ?? "") \($0["code"] ?? "")" }
            }
            let free = echo("new", number: "+15550100003")
            #expect(try await lint(free) == [])
            #expect(try await lint(echo("new")) == ["Pipelines/document.json duplicate-number"], "desk has it")
            #expect(try await lint(echo("desk")) == [], "it would take its own place")
            let keyed = free.replacing(#"["+15550100003"]"#, with: #"{"+15550100003": {}, "+15550100002": {}}"#)
            #expect(try await lint(keyed) == ["Pipelines/document.json duplicate-number"], "night has it")
            let rule = free.replacing(#""transport""#, with: #""when": [{"pipeline": "night"}], "transport""#)
            #expect(try await lint(rule) == [], "the pipelines in force can be led to")
            #expect(
                try await lint(rule.replacing("night", with: "nigth")) == ["Pipelines/document.json unknown-pipeline"])
            #expect(
                try await lint(echo("desk").replacing("echo\"]", with: "ecco\"]")) == ["Pipelines/0.json unknown-type"])
            #expect(try await lint("") == ["Pipelines/document.json syntax"])
            let key = #"{"type": "elevenlabs", "agentId": "a", "apiKey": "sk-live-0123456789"}"#
            #expect(
                try await lint(free.replacing(#""echo""#, with: key)) == ["Pipelines/document.json plain-secret"]
            )
            let deep = String(repeating: "[", count: 100_000)
            #expect(try await lint(deep) == ["Pipelines/document.json limit-exceeded"])
            let huge = String(repeating: " ", count: SourceText.maximumBytes + 1)
            #expect(try await server.post("/pipelines/lint", body: huge).status == 413)
            #expect(try await server.get("/pipelines").json["revision"] as? Int == 1, "nothing has been put into force")
        }
    }

    @Test func strangersNeitherReadNorChange() async throws {
        let forwarded = [("X-Forwarded-For", "203.0.113.9")]
        let shelf = ShelfOfDocuments(echo("desk", "two"))
        try await TestServer.run(
            echo("desk", "one"), options: { $0.adminToken = Secret("letmein") },
            settings: #"{"paths": {"pipelines": ["/admin/pipelines", "/p"]}, "public": ["numbers"]}"#,
            source: shelf.source
        ) { (server: TestServer) async throws in
            #expect(try await server.get("/pipelines").status == 404)
            #expect(try await server.get("/p").status == 200)
            #expect(try await server.get("/admin/pipelines", headers: forwarded).status == 401)
            for action in ["reload", "rollback", "lint"] {
                #expect(try await server.post("/p/\(action)", headers: forwarded).status == 401, "\(action)")
            }
            #expect(try await server.get("/numbers", headers: forwarded).status == 200, "it was made public")
            let token = forwarded + [("Authorization", "Bearer letmein")]
            #expect(try await server.post("/admin/pipelines/reload", headers: token).json["revision"] as? Int == 2)
        }
    }

    @Test func aPageOfAnotherOriginMovesNothing() async throws {
        let shelf = ShelfOfDocuments(echo("desk", "two"))
        try await TestServer.run(
            echo("desk", "one"), options: { $0.adminToken = nil }, source: shelf.source
        ) { (server: TestServer) async throws in
            _ = try await server.webhook("/twilio/voice", form("CA1"))
            let paths = ["/pipelines/reload", "/pipelines/rollback", "/calls/CA1/hangup"]
            let strangers = [
                ("Origin", "http://evil.example"), ("Origin", "null"), ("Origin", "http://127.0.0.1:1"),
                ("Origin", "\(server.origin).evil.example"), ("Sec-Fetch-Site", "cross-site"),
                ("Sec-Fetch-Site", "same-site"),
            ]
            for path in paths {
                for header in strangers {
                    #expect(try await server.post(path, headers: [header]).status == 403, "\(path) \(header)")
                }
            }
            #expect(try await server.get("/pipelines").json["revision"] as? Int == 1)
            #expect(try await server.get("/calls").json["active"] as? Int == 1)
            let own = [("Origin", server.origin), ("Sec-Fetch-Site", "same-origin")]
            for path in paths { #expect(try await server.post(path, headers: own).status == 200, "\(path)") }
            #expect(try await server.get("/pipelines", headers: [("Sec-Fetch-Site", "none")]).status == 200)
        }
    }

    @Test func rulesSayOrLeadOnByCallerAndTime() async throws {
        PrometheusMetrics.bootstrap()
        let desk = """
            {"name": "desk", "numbers": {"+15550100001": {"salon": "Lena"}}, "transport": "twilio", "stages": ["echo"],
             "when": [{"callers": ["anonymous"], "say": "${salon} & Co. take no hidden calls."},
                      {"outside": {"timeZone": "Europe/Berlin", "wednesday": ["09:00-17:00"]}, "pipeline": "night"}]}
            """
        let night = #"{"name": "night", "transport": "twilio", "stages": ["echo"]}"#
        let now = Mutex(try Date("2026-12-23T10:00:00Z", strategy: .iso8601))
        try await TestServer.run(desk, night, clock: { now.withLock { $0 } }) { (server: TestServer) async throws in
            for _ in 0..<2 {
                let hidden = try await server.webhook("/twilio/voice", form("CA1", from: "+266696687"))
                #expect(hidden.status == 200)
                #expect(
                    hidden.body.contains(
                        "<Response><Say>Lena &amp; Co. take no hidden calls.</Say><Hangup /></Response>"))
            }
            let listed = try await calls(server)
            #expect(listed.count == 1, "a repeated webhook is no second call")
            #expect(listed.first?["state"] as? String == "ended" && listed.first?["pipeline"] as? String == "desk")
            #expect(listed.first?["endReason"] as? String == "answeredByRule: desk when[0]")
            let one = try await server.get("/calls/CA1").json
            #expect(
                (one["rules"] as? [String])?.first?.hasPrefix("desk when[0] holds: the caller is anonymous") == true)
            #expect(try await server.get("/calls").json["active"] as? Int == 0)
            // Its figure is that of the whole process, in which other tests have calls too.
            #expect(
                try await server.get("/metrics").body.contains(
                    #"patchbay_calls_total{direction="inbound",outcome="answeredByRule"} "#))

            _ = try await server.webhook("/twilio/voice", form("CA2"))
            let closed = try Date("2026-12-23T20:00:00Z", strategy: .iso8601)
            now.withLock { $0 = closed }
            _ = try await server.webhook("/twilio/voice", form("CA3"))
            #expect(try await server.get("/calls/CA2").json["pipeline"] as? String == "desk")
            #expect(try await server.get("/calls/CA3").json["pipeline"] as? String == "night")
        }
    }

    @Test func aCallWhoseStreamBreaksGoesOnWithWhatItHad() async throws {
        let desk = """
            {"name": "desk", "numbers": ["+15550100001"], "transport": "twilio", "stages": ["echo"], "description": "1st",
             "when": [{"outside": {"timeZone": "UTC", "wednesday": ["09:00-17:00"]}, "say": "Closed."}]}
            """
        let now = Mutex(try Date("2026-12-23T16:59:00Z", strategy: .iso8601))
        let shelf = ShelfOfDocuments(desk.replacing("1st", with: "2nd"))
        try await TestServer.run(desk, source: shelf.source, clock: { now.withLock { $0 } }) {
            (server: TestServer) async throws in
            let answer = try await server.webhook("/twilio/voice", form("CA1")).body
            let version = try #require(try await server.get("/calls/CA1").json["version"] as? String)
            let action = try #require(answer.firstMatch(of: /action="[^"]*(\/twilio\/next\?ticket=[^"]+)"/)).output.1
            let closing = try Date("2026-12-23T17:00:00Z", strategy: .iso8601)
            now.withLock { $0 = closing }
            #expect(try await server.post("/pipelines/reload").json["result"] as? String == "loaded")
            let resumed = try await server.webhook(String(action), form("CA1")).body
            #expect(resumed.contains("<Stream"), "the hours ended, the call did not")
            #expect(try await server.get("/calls/CA1").json["version"] as? String == version)
            #expect(try await server.webhook("/twilio/voice", form("CA2")).body.contains("<Say>Closed.</Say>"))
        }
    }
}
