import Foundation
import Logging
import NIOCore
import Patchbay
import Synchronization
import Testing

/// What is written down of calls, and what is not.
struct WireLogTests {
    private final class Folder {
        let path = NSTemporaryDirectory() + "patchbay-wire-\(UUID().uuidString)"
        deinit { try? FileManager.default.removeItem(atPath: path) }
        func text() throws -> String {
            try FileManager.default.contentsOfDirectory(atPath: path).sorted().map {
                try String(contentsOfFile: "\(path)/\($0)", encoding: .utf8)
            }.joined()
        }
        func lines() throws -> [String] { try text().split(separator: "\n").map(String.init) }
    }

    private let info = CallInfo(
        id: "call-1", callSid: "CA1", from: "+15550100009", to: "+15550100001", pipeline: "desk", version: "v1")

    private func log(
        _ folder: Folder, secrets: [Secret] = [], _ limits: WireLog.Limits = .init(),
        logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ) throws -> WireLog {
        try WireLog(directory: folder.path, secrets: secrets, limits: limits, logger: logger)
    }

    private func plan(_ environment: [String: String] = [:]) throws -> PipelinePlan {
        let source = SourceText(
            file: "desk.json",
            """
            {"name": "desk", "numbers": ["*"], "transport": "twilio", "stages": [
              {"type": "elevenlabs", "agentId": "a", "apiKey": {"env": "ANY_NAME"}}]}
            """)
        let (set, diagnostics) = PipelineSet.load(
            sources: [source], registry: try .standard(), environment: environment)
        let pipelines = try #require(set, "\(diagnostics.rendered())")
        return try #require(pipelines.route("+15550100001")).plan(for: CallVariables())
    }

    private func message(_ text: String) -> ByteBuffer { ByteBuffer(string: text) }

    @Test func binaryMessagesAreMarked() throws {
        let folder = Folder()
        let log = try log(folder, secrets: [Secret("0123456789")])
        let observer = log.observer(for: info, try plan(["ANY_NAME": "s3cret-value"]))
        let messages: [WireEvent] = [
            .received(.agent, ByteBuffer(bytes: [0xFF, 0, 0x7F]), isBinary: true),
            .sent(.agent, ByteBuffer(), isBinary: true), .sent(.agent, message("plain"), isBinary: true),
            .received(.agent, message(#"{"apiKey":"x","n":1}"#), isBinary: true),
            .received(.agent, message("\u{1}s3cret-value"), isBinary: true), .received(.agent, message("plain")),
        ]
        for event in messages { observer.observe(event, time: .now()) }
        observer.observe(.ended(EndReason(.callerHungUp)), time: .now())
        log.finish()
        let lines = try folder.lines().dropFirst().map { $0.replacing(#/"ms":[0-9]+\.[0-9]{3},/#, with: "") }
        #expect(
            lines.dropLast() == [
                #"{"direction":"agent>","base64":"/wB/"}"#, #"{"direction":">agent","base64":""}"#,
                #"{"direction":">agent","base64":"cGxhaW4="}"#,
                #"{"direction":"agent>","message":{"apiKey":"[secret]","n":1},"binary":true}"#,
                #"{"direction":"agent>","bytes":13}"#, #"{"direction":"agent>","text":"plain"}"#,
            ])
    }

    @Test func messagesAndEventsAreWrittenInTheirOrder() throws {
        let folder = Folder()
        let log = try log(folder)
        let observer = log.observer(for: info, try plan(["ANY_NAME": "0123456789"]))
        let start = MediaTime.now()
        observer.observe(.dialling(backend: "elevenlabs"), time: start)
        observer.observe(.connected, time: start + .milliseconds(40))
        observer.observe(
            .received(.carrier, message(#"{"event": "start", "n": 1.50}"#)), time: start + .milliseconds(50))
        observer.observe(.sent(.agent, message(#"{"user_audio_chunk":"AAAA"}"#)), time: start + .milliseconds(60))
        observer.observe(.received(.agent, message("no \"JSON\"")), time: start + .milliseconds(61))
        observer.observe(.sent(.carrier, message("[1,null,true]")), time: start + .milliseconds(62))
        observer.observe(.closed(.agent, code: 1011, reason: "gone"), time: start + .milliseconds(70))
        observer.observe(.ended(EndReason(.failure, "a \"reason\"")), time: start + .milliseconds(80))
        log.finish()
        let lines = try folder.lines()
        #expect(lines.count == 9)
        #expect(
            lines[0].hasPrefix(#"{"wireLog":1,"call":"call-1","callSid":"CA1","pipeline":"desk","file":"desk.json","#))
        #expect(lines[0].contains(#""number":"+15550100001","caller":"+15550100009","backend":"elevenlabs""#))
        let rest = lines.dropFirst().map { $0.replacing(#/"ms":[0-9]+\.[0-9]{3},/#, with: "") }
        #expect(
            rest == [
                #"{"event":"dialling","backend":"elevenlabs"}"#, #"{"event":"connected"}"#,
                #"{"direction":"carrier>","message":{"event":"start","n":1.50}}"#,
                #"{"direction":">agent","message":{"user_audio_chunk":"AAAA"}}"#,
                #"{"direction":"agent>","text":"no \"JSON\""}"#, #"{"direction":">carrier","message":[1,null,true]}"#,
                #"{"event":"closed","peer":"agent","code":1011,"reason":"gone"}"#,
                #"{"event":"ended","reason":"failure","detail":"a \"reason\""}"#,
            ])
        let name = try #require(try FileManager.default.contentsOfDirectory(atPath: folder.path).first)
        let mode = try FileManager.default.attributesOfItem(atPath: "\(folder.path)/\(name)")[.posixPermissions]
        #expect(mode as? Int == 0o600 && name.hasSuffix("-call-1.wire.jsonl"))
    }

    @Test func plantedSecretsAreNowhere() throws {
        let folder = Folder()
        let planted = "planted/key \"one\"", auth = "plantedauth77"
        let log = try log(folder, secrets: [Secret(auth)])
        let observer = log.observer(for: info, try plan(["ANY_NAME": planted]))
        let messages = [
            #"{"start":{"customParameters":{"token":"plantedtoken","from":"x"}}}"#,
            #"{"text":"the key is planted\/key \"one\" and plantedauth77, yes"}"#,
            #"{"text":"planted\u002fkey \u0022one\u0022"}"#,
            #"{"url":"https://x/?a=planted%2Fkey%20%22one%22"}"#,
            #"{"result":"{\"api_key\":\"plantedinner\",\"ok\":[1]}"}"#,
            #"{"headers":{"Authorization":"Bearer plantedbearer","xi-api-key":["plantedlist"]},"plantedauth77":1}"#,
            "not json: plantedauth77", #"{"password":{"deep":"planteddeep"},"n":2}"#,
        ]
        for text in messages { observer.observe(.received(.agent, message(text)), time: .now()) }
        observer.observe(.unreachable(reason: "401 for plantedauth77"), time: .now())
        observer.observe(.ended(EndReason(.failure, "with plantedauth77")), time: .now())
        log.finish()
        let text = try folder.text()
        #expect(!text.contains("planted"), "\(text)")
        #expect(try folder.lines().count == 11)
        #expect(text.contains(#"{"customParameters":{"token":"[secret]","from":"x"}"#))
        #expect(text.contains(#"{\"api_key\":\"[secret]\",\"ok\":[1]}"#) && text.contains(#""n":2"#))
    }

    @Test func theSecretsOfAnAgentThatComesLaterAreNowhereEither() async throws {
        let folder = Folder()
        let log = try log(folder)
        let observer = log.observer(for: info, try plan(["ANY_NAME": "plantedfirst"]))
        await log.hide([Secret("Bearer plantedsecond"), Secret("plantedsecond-and-more")], inCall: info.id)
        await log.hide([Secret("kept-in-here")], inCall: "another call")
        observer.observe(
            .received(.agent, message(#"{"text":"plantedfirst plantedsecond-and-more kept-in-here"}"#)), time: .now())
        observer.observe(.received(.agent, message("your token is plantedsecond")), time: .now())
        observer.observe(.ended(EndReason(.callerHungUp)), time: .now())
        log.finish()
        let text = try folder.text()
        #expect(!text.contains("planted") && !text.contains("and-more"), "\(text)")
        #expect(text.contains("kept-in-here") && text.contains("your token is [secret]"))
    }

    @Test(arguments: ["bytesPerCall", "bytesInFolder"]) func aLimitCutsAndTheLastLineSaysSo(limit: String) throws {
        let folder = Folder()
        var limits = WireLog.Limits()
        if limit == "bytesPerCall" { limits.bytesPerCall = 5000 } else { limits.bytesInFolder = 5000 }
        let log = try log(folder, limits)
        let observer = log.observer(for: info, try plan(["ANY_NAME": "0123456789"]))
        let big = #"{"text":"\#(String(repeating: "x", count: 500))"}"#
        for _ in 0..<20 { observer.observe(.sent(.agent, message(big)), time: .now()) }
        observer.observe(.ended(EndReason(.callerHungUp)), time: .now())
        log.finish()
        let lines = try folder.lines()
        #expect(try folder.text().utf8.count <= 5000)
        let written = lines.filter { $0.contains("direction") }.count
        #expect(lines.last?.contains(#""event":"cut","limit":"\#(limit)","messages":\#(20 - written)}"#) == true)
        #expect(written > 2 && lines.contains { $0.contains(#""event":"ended""#) })
    }

    /// Counts the warnings of a logger.
    private struct Warnings: LogHandler {
        final class Count: Sendable {
            private let count = Mutex(0)
            var value: Int { count.withLock { $0 } }
            func raise() { count.withLock { $0 += 1 } }
        }

        let count: Count
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.warning
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        func log(event: LogEvent) { count.raise() }
    }

    @Test func aFolderWithoutRoomGetsNoFileUntilThereIsRoomAgain() throws {
        let folder = Folder()
        var limits = WireLog.Limits()
        limits.bytesInFolder = 3000
        let count = Warnings.Count()
        let log = try log(folder, limits, logger: Logger(label: "test") { _ in Warnings(count: count) })
        func call(_ id: String, messages: Int) throws {
            var info = info
            info.id = id
            let observer = log.observer(for: info, try plan(["ANY_NAME": "0123456789"]))
            let text = #"{"text":"\#(String(repeating: "x", count: 200))"}"#
            for _ in 0..<messages { observer.observe(.sent(.agent, message(text)), time: .now()) }
            observer.observe(.ended(EndReason(.callerHungUp)), time: .now())
            log.finish()
        }
        func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() }
        try call("full", messages: 30)
        let full = try folder.text().utf8.count
        #expect(full <= 3000 && full > 1500)
        for index in 0..<5 { try call("later-\(index)", messages: 3) }
        #expect(try names().count == 1, "a full folder does not grow")
        #expect(try folder.text().utf8.count == full)
        #expect(count.value == 1, "one warning is enough")
        try FileManager.default.removeItem(atPath: "\(folder.path)/\(try #require(try names().first))")
        try call("again", messages: 3)
        #expect(try names().count == 1)
        #expect(try folder.lines().filter { $0.contains("direction") }.count == 3)
        #expect(!(try folder.text().contains(#""event":"cut""#)))
    }

    @Test func aSecretAcrossTheEndOfAReasonIsNotWrittenInPart() throws {
        let folder = Folder()
        let secret = "plantedsecret" + String(repeating: "0123456789", count: 3)
        let log = try log(folder, secrets: [Secret(secret)])
        let observer = log.observer(for: info, try plan(["ANY_NAME": "9876543210"]))
        // Where texts are cut: at 500 characters of what is written, and at 2000 bytes of what is kept.
        for length in [480, 495, 499, 1980, 1990, 1999] {
            let reason = String(repeating: "é ", count: length / 3) + String(repeating: "y", count: length % 3) + secret
            observer.observe(.unreachable(reason: reason), time: .now())
            // Secrets become shorter, so that what was behind 500 characters comes to stand before.
            let many = String(repeating: secret, count: length / 43) + String(repeating: "y", count: length % 43)
            observer.observe(.unreachable(reason: many + secret), time: .now())
            observer.observe(.unreachable(reason: String(repeating: "y", count: length) + secret + "."), time: .now())
        }
        observer.observe(.ended(EndReason(.failure, String(repeating: "z", count: 495) + secret)), time: .now())
        log.finish()
        let text = try folder.text()
        #expect(try folder.lines().count == 20)
        #expect(!text.contains("plan") && !text.contains("yp\"") && !text.contains("zp\""), "\(text)")
        #expect(text.contains("zz[secr\""))
    }

    @Test func aFullQueueDropsCountsAndKeepsTheEnd() throws {
        let folder = Folder()
        var limits = WireLog.Limits()
        limits.queueBytes = 5000
        let log = try log(folder, limits)
        let observer = log.observer(for: info, try plan(["ANY_NAME": "0123456789"]))
        // Far more than the queue holds, at once: whatever the writer takes meanwhile, everything is written or counted.
        let big = #"{"text":"\#(String(repeating: "x", count: 200))"}"#
        for _ in 0..<400 { observer.observe(.sent(.agent, message(big)), time: .now()) }
        observer.observe(.ended(EndReason(.callerHungUp)), time: .now())
        log.finish()
        let lines = try folder.lines()
        let written = lines.filter { $0.contains("direction") }.count
        let dropped = lines.compactMap { line in
            line.firstMatch(of: #/"event":"dropped","messages":([0-9]+)/#).flatMap { Int($0.1) }
        }
        #expect(written + dropped.reduce(0, +) == 400 && !dropped.isEmpty)
        #expect(lines.last?.contains("ended") == true)
    }

    @Test func aMessageThatIsTooLongIsOnlyMentioned() throws {
        let folder = Folder()
        var limits = WireLog.Limits()
        limits.messageBytes = 100
        let log = try log(folder, limits)
        let observer = log.observer(for: info, try plan(["ANY_NAME": "0123456789"]))
        observer.observe(.received(.agent, message(#"{"a":"\#(String(repeating: "x", count: 200))"}"#)), time: .now())
        observer.observe(.ended(EndReason(.callerHungUp)), time: .now())
        log.finish()
        #expect(try folder.lines()[1].contains(#""direction":"agent>","bytes":208}"#))
    }

    @Test func aFolderThatCannotBeUsedIsAnError() throws {
        let error = #expect(throws: PipelineError.self) {
            try WireLog(directory: "/proc/nowhere", logger: Logger(label: "test"))
        }
        #expect(error?.code == .wireLogUnusable)
    }
}
