import AsyncHTTPClient
import Foundation
import NIOCore
import Patchbay
import PatchbaySimulators
import PatchbayTesting
import PatchbayWire
import Synchronization
import Testing

@testable import PatchbayControl

/// What operators see of calls: lists, transcripts, events as they happen, and nothing of what was to be forgotten.
@Suite(.serialized) struct RecordRoutesTests {
    private static let number = "+15550100001"
    private static let desk = #"""
        {"name": "desk", "numbers": ["+15550100001"], "transport": "twilio", "stages": [
            {"type": "script", "say": "Good morning, this is the desk.", "silenceSeconds": 60}]}
        """#

    /// A store that fails on demand.
    private struct Fickle: ForwardingStore {
        let base: any Store
        let isBroken: Switch

        final class Switch: Sendable {
            let state = Mutex(false)
        }

        func write(_ changes: [CallChange]) async throws(StoreError) {
            if isBroken.state.withLock({ $0 }) { throw StoreError(.unavailable, "disk full") }
            try await base.write(changes)
        }
    }

    /// Has a call made, listened to and hung up.
    private func makeCall(_ server: TestServer, milliseconds: Int = 2600, from: String? = nil) async throws -> String {
        let report = try await server.call(Self.number, [PhoneStep(.after(milliseconds: milliseconds), .hangUp)]) {
            if let from { $0.from = from }
        }
        try await server.wait("the call's end") { try await server.get("/calls").json["active"] as? Int == 0 }
        return report.callSid
    }

    private func form(_ callSid: String, from: String = "+15550100009") -> FormFields {
        FormFields(["CallSid": callSid, "From": from, "To": Self.number])
    }

    private func calls(_ server: TestServer, _ query: String = "") async throws -> [String] {
        let list = try await server.get("/calls\(query)").json["calls"] as? [[String: Any]] ?? []
        return list.compactMap { $0["callSid"] as? String }
    }

    @Test func aCallIsToldAfterARestart() async throws {
        let store = try SQLiteStore()
        let (callSid, before) = try await TestServer.run(Self.desk, records: store) { server in
            let callSid = try await makeCall(server)
            return (callSid, try await server.get("/calls/\(callSid)").body)
        }
        try await TestServer.run(Self.desk, records: store) { (server: TestServer) async throws in
            #expect(try await calls(server) == [callSid])
            let after = try await server.get("/calls/\(callSid)").json
            let known = try JSONSerialization.jsonObject(with: Data(before.utf8)) as? [String: Any] ?? [:]
            for key in [
                "id", "callSid", "streamSid", "direction", "from", "to", "pipeline", "version", "backend", "state",
                "startedAt", "endReason",
            ] { #expect(after[key] as? String == known[key] as? String && after[key] != nil, "\(key)") }
            for key in ["timeToFirstAudioMs"] { #expect(after[key] as? Double == known[key] as? Double, "\(key)") }
            func events(_ call: [String: Any]) -> [String] {
                (call["events"] as? [[String: Any]] ?? []).map {
                    "\($0["sequence"] ?? "") \($0["atMs"] ?? "") \($0["event"] ?? "") \($0["detail"] ?? "")"
                }
            }
            #expect(events(after) == events(known) && events(after).count > 5)

            let transcript = try await server.get("/calls/\(callSid)/transcript").json
            #expect(transcript["callId"] as? String == after["id"] as? String)
            let turn = try #require((transcript["turns"] as? [[String: Any]])?.first)
            #expect(turn["speaker"] as? String == "agent" && turn["interrupted"] as? Bool == false)
            #expect(turn["text"] as? String == "Good morning, this is the desk." && turn["atMs"] is Int)
            #expect(turn["heard"] as? String == turn["text"] as? String)
            #expect(transcript["toolCalls"] is [Any])

            let usage = try await server.get("/usage").json["usage"] as? [[String: Any]]
            #expect(usage?.first?["calls"] as? Int == 1 && (usage?.first?["seconds"] as? Double ?? 0) > 2)
        }
    }

    @Test func callsAreListedInPages() async throws {
        let store = try SQLiteStore()
        let begin = Date(timeIntervalSinceNow: -3600)
        for index in 0..<5 {
            var call = StoredCall(
                id: "old-\(index)", callSid: "CAold\(index)", direction: "inbound",
                from: index == 2 ? "+15550100077" : "+15550100009", to: Self.number, pipeline: "desk", version: "v",
                createdAt: begin + Double(index) * 60)
            call.endedAt = call.createdAt + 10
            call.status = "ended"
            try await store.write([.call(call)])
        }
        try await TestServer.run(Self.desk, records: store) { (server: TestServer) async throws in
            for sid in ["CAnew1", "CAnew2"] {
                #expect(try await server.webhook("/twilio/voice", form(sid)).status == 200)
            }
            let all = ["CAnew2", "CAnew1", "CAold4", "CAold3", "CAold2", "CAold1", "CAold0"]
            #expect(try await calls(server) == all)
            #expect(try await calls(server, "?active=true") == Array(all.prefix(2)))
            #expect(try await calls(server, "?limit=3") == Array(all.prefix(3)))
            #expect(try await calls(server, "?limit=3&offset=1") == Array(all[1...3]))
            #expect(try await calls(server, "?limit=3&offset=4") == Array(all[4...6]))
            #expect(try await calls(server, "?offset=40").isEmpty)
            #expect(try await calls(server, "?number=%2B15550100077") == ["CAold2"])
            #expect(try await calls(server, "?number=+15550100077") == ["CAold2"])
            let since = (begin + 150).formatted(.iso8601)
            #expect(try await calls(server, "?since=\(since)") == Array(all.prefix(4)))
            #expect(try await calls(server, "?tenant=nobody").isEmpty)
            #expect(try await server.get("/calls").json["active"] as? Int == 2)
            for bad in ["limit=0", "limit=x", "offset=-1", "since=yesterday", "limit=1001"] {
                let answer = try await server.get("/calls?\(bad)")
                #expect(answer.status == 400 && answer.body.contains(bad.split(separator: "=")[0]), "\(bad)")
            }
            let running = try await server.get("/conversations").json
            #expect(running["active"] as? Int == 2)
            let first = try #require((running["conversations"] as? [[String: Any]])?.first)
            #expect(first["call_sid"] as? String == "CAnew2" && first["status"] as? String == "ringing")
            #expect(first["conversation_id"] is NSNull && first["started_at"] is String)
            for path in ["/calls/nobody", "/calls/nobody/transcript", "/calls/nobody/events"] {
                #expect(try await server.get(path).status == 404, "\(path)")
            }
        }
    }

    @Test func theRecordIsThereBeforeTheWebhookIsAnswered() async throws {
        let store = try SQLiteStore()
        try await TestServer.run(Self.desk, records: store) { (server: TestServer) async throws in
            #expect(try await server.webhook("/twilio/voice", form("CA1")).status == 200)
            #expect(try await store.call("CA1")?.status == "ringing")
        }
        #expect(try await store.call("CA1")?.endReason == "shutdown")
    }

    @Test func callsGoOnWhenTheStoreFails() async throws {
        let isBroken = Fickle.Switch()
        let store = Fickle(base: try SQLiteStore(), isBroken: isBroken)
        try await TestServer.run(Self.desk, records: store) { (server: TestServer) async throws in
            _ = try await server.webhook("/twilio/voice", form("CAbefore"))
            isBroken.state.withLock { $0 = true }
            let callSid = try await {
                let report = try await server.call(Self.number, [PhoneStep(.after(milliseconds: 300), .hangUp)])
                return report.callSid
            }()
            try await server.wait("the call's end") { try await server.get("/calls").json["active"] as? Int == 1 }
            let list = try await server.get("/calls").json
            #expect(list["incomplete"] is String)
            #expect((list["calls"] as? [[String: Any]])?.count == 2)
            #expect(try await server.get("/calls/\(callSid)").json["state"] as? String == "ended")
            #expect(try await server.delete("/records?number=%2B15550100009").status == 503)
            isBroken.state.withLock { $0 = false }
            try await server.wait("the records") { try await store.call(callSid)?.status == "ended" }
            #expect(try await server.get("/calls").json["incomplete"] == nil)
        }
    }

    @Test func aNumberIsForgotten() async throws {
        let store = try SQLiteStore()
        try await TestServer.run(Self.desk, records: store) { (server: TestServer) async throws in
            let callSid = try await makeCall(server, milliseconds: 300, from: "+15550100033")
            _ = try await server.webhook("/twilio/voice", form("CArunning", from: "+15550100033"))
            let answer = try await server.delete("/records?number=%2B15550100033")
            #expect(answer.status == 200 && answer.json["erased"] as? Int == 1)
            #expect(try await server.get("/calls/\(callSid)").status == 404)
            #expect(try await calls(server) == ["CArunning"])
            #expect(try await store.call(callSid) == nil)
            #expect(try await store.call("CArunning")?.from == "+15550100033")
            #expect(try await server.delete("/records").status == 400)
            let stranger = [("X-Forwarded-For", "203.0.113.9")]
            #expect(try await server.delete("/records?number=%2B15550100033", headers: stranger).status == 401)
        }
    }

    @Test func itsRecordingsGoAndItIsOnTheTrail() async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/erased-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder + "/recordings", withIntermediateDirectories: true)
        let store = try SQLiteStore()
        let (mine, late, theirs) = (
            folder + "/recordings/mine.mp3", folder + "/recordings/late.mp3", folder + "/theirs.wav"
        )
        for path in [mine, late, theirs] { try Data("x".utf8).write(to: URL(fileURLWithPath: path)) }
        @Sendable func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }
        try await TestServer.run(Self.desk, options: { $0.dataDirectory = folder }, records: store) { server in
            let callSid = try await makeCall(server, milliseconds: 300, from: "+15550100033")
            let id = try #require(try await store.call(callSid)?.id)
            server.switchboard.recorded(mine, ofCall: id)
            server.switchboard.recorded(theirs, ofCall: id)
            let scoped = try await server.delete(
                "/records?number=%2B15550100033", headers: [("Authorization", "Bearer wrong")])
            #expect(scoped.status == 401)
            let answer = try await server.delete("/records?number=%2B15550100033", headers: TestServer.admin)
            #expect(answer.json["erased"] as? Int == 1 && answer.json["recordings"] as? Int == 1)
            #expect(answer.json["recordingsLeft"] as? Int == 1, "a file that lies elsewhere is not ours to remove")
            #expect(!exists(mine) && exists(theirs))
            // One that is complete only now.
            server.switchboard.recorded(late, ofCall: id)
            #expect(await server.switchboard.journal.flush())
            let next = try await server.delete("/records?number=%2B15550100034")
            #expect(next.json["recordings"] as? Int == 1 && !exists(late))
            await server.switchboard.audit.flush()
            let trail = try await store.auditTrail(tenant: nil, limit: 99).filter { $0.action == "records.erase" }
            #expect(
                trail.map { "\($0.actor) \($0.subject) \($0.outcome)" } == [
                    "local …034: 0 entries, 1 recordings, 0 left ok", "admin …033: 1 entries, 1 recordings, 1 left ok",
                ])
        }
    }

    // MARK: Events

    private func lines(_ server: TestServer, _ path: String, headers: [(String, String)] = []) async throws
        -> (status: Int, body: HTTPClientResponse.Body)
    {
        var request = HTTPClientRequest(url: server.origin + path)
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(20))
        return (Int(response.status.code), response.body)
    }

    private func text(_ body: HTTPClientResponse.Body, until end: String? = nil) async throws -> String {
        var text = ""
        for try await chunk in body {
            text += String(buffer: chunk)
            if let end, text.contains(end) { break }
        }
        return text
    }

    @Test func eventsAreReadAsTheyHappen() async throws {
        try await TestServer.run(Self.desk) { (server: TestServer) async throws in
            _ = try await server.webhook("/twilio/voice", form("CA1"))
            let (allStatus, all) = try await lines(server, "/events")
            let (status, body) = try await lines(server, "/calls/CA1/events")
            #expect(status == 200 && allStatus == 200)
            async let everything = text(all, until: "call ended")
            async let followed = text(body)
            let id = try #require(try await server.get("/calls/CA1").json["id"] as? String)
            #expect(try await server.post("/calls/CA1/hangup").status == 200)
            let seen = try await followed
            #expect(seen.hasPrefix("id: 0\ndata: {") && seen.contains(#""event":"call ended""#))
            #expect(seen.contains(#""callId":"\#(id)""#))
            #expect(try await everything.contains("id: \(id)/"))
            let count = seen.components(separatedBy: "data: ").count - 1
            // Afterwards: all of it, the rest of it, nothing more of it.
            let (_, replay) = try await lines(server, "/calls/CA1/events")
            #expect(try await text(replay) == seen)
            let (_, rest) = try await lines(server, "/calls/CA1/events", headers: [("Last-Event-ID", "0")])
            let restText = try await text(rest)
            #expect(restText.hasPrefix("id: 1\n") && restText.components(separatedBy: "data: ").count == count)
            let last = [("Last-Event-ID", "\(count - 1)")]
            #expect(try await server.get("/calls/CA1/events", headers: last).status == 204)
            #expect(try await server.get("/calls/CA1/events", headers: [("Last-Event-ID", "x")]).status == 400)
        }
    }

    @Test func aReaderDoesNotKeepTheServerFromStopping() async throws {
        let body = try await TestServer.run(Self.desk) { (server: TestServer) async throws in
            try await lines(server, "/events").body
        }
        #expect(try await text(body).hasPrefix(":"))
    }
}
