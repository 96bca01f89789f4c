import Foundation
import Hummingbird
import Logging
import NIOCore
import NIOPosix
import Patchbay
import Synchronization
import Testing

/// A whole call whose agent uses tools: from the pipeline's file to a service over HTTP, and back.
@Suite struct ToolCallTests {
    /// Calls a tool for every key and keeps what it answered.
    private struct KeyAgent: AgentComponent {
        let answers: Answers
        let spec = ComponentSpec("key-agent", .agent, summary: "Calls tools by keys.")

        func makeBackend(_ settings: Settings) throws(PipelineError) -> any AgentBackend { Backend(answers: answers) }

        struct Backend: AgentBackend {
            let answers: Answers
            let type = "key-agent"

            func open(_ request: AgentRequest) throws(PipelineError) -> AgentSession {
                answers.told(request.tools.map(\.name))
                return AgentSession(Conversation(answers: answers, joint: request.joint), endpoint: .local)
            }
        }

        struct Conversation: AgentConversation {
            let answers: Answers
            let joint: AudioFormat

            func opened(at now: MediaTime, into output: inout AgentOutput) {
                output.emit(.ready(input: joint, output: joint))
            }
            func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput) {
                guard case .dtmf(let key) = frame else { return }
                let names: [Character: String] = ["1": "find_patient", "2": "hours", "3": "slow"]
                output.emit(
                    .toolCall(ToolCall(id: "call-\(key)", name: names[key] ?? "none", arguments: #"{"id": "17"}"#)))
            }
            func toolAnswered(_ result: ToolResult, at now: MediaTime, into output: inout AgentOutput) {
                answers.add(result)
            }
        }
    }

    private final class Answers: Sendable {
        private let results = Mutex<[ToolResult]>([])
        private let names = Mutex<[String]>([])
        var all: [ToolResult] { results.withLock { $0 } }
        var tools: [String] { names.withLock { $0 } }
        func add(_ result: ToolResult) { results.withLock { $0.append(result) } }
        func told(_ tools: [String]) { names.withLock { $0 = tools } }
        func wait(for count: Int) async -> [ToolResult] {
            let deadline = ContinuousClock.now + .seconds(15)
            while all.count < count, ContinuousClock.now < deadline { await Task.yield() }
            return all
        }
    }

    private final class Line: MessageSocket {
        func send(_ batch: inout MessageBatch) -> Bool {
            batch.clear()
            return true
        }
        func close(code: UInt16, reason: String) {}
    }

    /// Speaks of a stream with keys: `s`, then any digit.
    private struct KeyTransport: CarrierComponent {
        let format = AudioFormat.telephony
        let spec = ComponentSpec("keys", .transport, summary: "Keys.")
        func makeSerializer(_ settings: Settings) -> any CarrierSerializer { Serializer() }

        struct Serializer: CarrierSerializer {
            func deserialize(_ message: ByteBuffer) throws -> CarrierEvent {
                let text = String(buffer: message)
                return text == "s"
                    ? .started(CallStart(callSid: "CA1", streamSid: "MZ1"), .telephony) : .dtmf(text.first ?? "?")
            }
            func audio(_ payload: ByteBuffer, into batch: inout MessageBatch) {}
            func mark(_ mark: PlaybackMark, into batch: inout MessageBatch) {}
            func clear(into batch: inout MessageBatch) {}
        }
    }

    private static let document = """
        {"name": "clinic", "numbers": ["+15550100001"], "transport": "keys",
         "stages": [{"type": "key-agent", "tools": [
           {"name": "slow", "description": "x", "method": "GET", "url": "${env.BACKEND}/slow", "timeoutMs": 60000,
            "parameters": {"type": "object", "properties": {"id": {"type": "string"}}}}]}],
         "tools": [
           {"name": "patient_lookup", "aliases": ["find_patient"], "description": "x", "method": "GET",
            "url": "${env.BACKEND}/api/patients/{id}?by=${call.from}", "headers": {"X-Key": {"env": "KEY"}},
            "parameters": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}}]}
        """

    /// A service of two paths; `slow` answers never.
    private func serve(_ body: (Int) async throws -> Void) async throws {
        let router = Router()
        router.get("api/patients/:id") { request, context in
            "patient \(context.parameters.get("id") ?? "") by \(request.uri.queryParameters.get("by") ?? "") "
                + (request.headers[.init("X-Key") ?? .accept] ?? "")
        }
        router.get("slow") { _, _ -> String in
            await waitUntilCancelled()
            return ""
        }
        let (ports, source) = AsyncStream<Int>.makeStream()
        let application = Application(
            router: router, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { source.yield($0.localAddress?.port ?? 0) },
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let running = Task { try await application.run() }
        let port = try #require(await ports.first { _ in true })
        do { try await body(port) } catch {
            running.cancel()
            throw error
        }
        running.cancel()
        _ = await running.result
    }

    @Test func aCallUsesToolsOfItsFileAndOfTheHost() async throws {
        let answers = Answers()
        try await serve { port in
            let registry = try ComponentRegistry.standard().adding(
                transports: [KeyTransport()], agents: [KeyAgent(answers: answers)])
            let (set, findings) = PipelineSet.load(
                sources: [SourceText(file: "clinic.json", Self.document)], registry: registry,
                environment: ["BACKEND": "http://127.0.0.1:\(port)", "KEY": "key-8f31c0aa"])
            let hours = try Tool(
                "hours", description: "x", parameters: ["type": "object", "properties": ["id": ["type": "string"]]]
            ) { arguments, call in
                "open for \(call.info.from) with \(arguments.string("id") ?? "")"
            }
            let switchboard = try Switchboard(
                try #require(set, "\(findings.rendered())"),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
                tools: { info in info.pipeline == "clinic" ? [hours] : [] })
            let call = try await switchboard.takeCall("CA1", from: "+491701", to: "+15550100001")
            #expect(answers.tools == ["patient_lookup", "hours", "slow"])
            let line = Line()
            try await call.loop.submit {
                #expect(call.attach(carrier: line))
                for message in ["s", "1", "2"] { call.carrierReceived(ByteBuffer(string: message)) }
            }.get()
            let results = await answers.wait(for: 2).sorted { $0.id < $1.id }
            #expect(results.map(\.output) == ["patient 17 by +491701 [secret]", "open for +491701 with 17"])
            try await call.loop.submit {
                for message in ["3", "4"] { call.carrierReceived(ByteBuffer(string: message)) }
            }.get()
            let last = await answers.wait(for: 3).last
            #expect(last?.isError == true && last?.output.contains("There is no tool \"none\"") == true)
            let status = await call.status
            #expect(status?.counters.toolCalls == 4 && status?.counters.toolFailures == 1)
            await call.cancel(EndReason(.operatorHungUp))
            #expect(answers.all.count == 3, "the slow one was given up with the call")
        }
    }

    @Test func aCallWhoseToolsShareANameIsRefused() async throws {
        let answers = Answers()
        let registry = try ComponentRegistry.standard().adding(
            transports: [KeyTransport()], agents: [KeyAgent(answers: answers)])
        let (set, _) = PipelineSet.load(
            sources: [SourceText(file: "clinic.json", Self.document)], registry: registry,
            environment: ["BACKEND": "http://127.0.0.1:1", "KEY": "k"])
        let double = try Tool("find_patient", description: "x") { _, _ in "" }
        let switchboard = try Switchboard(
            try #require(set), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, tools: { _ in [double] }
        )
        await #expect(throws: (any Error).self) {
            _ = try await switchboard.takeCall("CA1", from: "+491701", to: "+15550100001")
        }
    }
}
