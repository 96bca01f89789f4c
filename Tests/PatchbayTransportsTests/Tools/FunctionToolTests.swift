import PatchbayConfig
import PatchbayCore
import Testing

@testable import PatchbayTransports

@Suite("Tools in Swift")
struct FunctionToolTests {
    private struct Broken: Error { let secret = "hunter2" }

    private func run(_ tool: Tool, _ arguments: String = "{}", log: LogLines = LogLines()) async -> ToolResult {
        await CallTools(common: [tool], logger: log.logger).run(
            ToolCall(id: "1", name: tool.name, arguments: arguments),
            for: CallInfo(id: "call-1", callSid: "CA1", from: "+1", to: "+2", pipeline: "desk"))
    }

    @Test("A function gets arguments that fit, and who calls")
    func answer() async throws {
        let tool = try Tool(
            "greet", description: "x",
            parameters: ["type": "object", "properties": ["n": ["type": "integer"]], "required": ["n"]]
        ) { arguments, call in "\(arguments.integer("n") ?? 0) \(call.info.from) \(call.id) \(call.tool)" }
        #expect(await run(tool, #"{"n": 3}"#).output == "3 +1 1 greet")
        #expect(await run(tool, #"{"n": "3"}"#).isError)
    }

    @Test("What it throws is told in its own words, or in none")
    func failures() async throws {
        let log = LogLines()
        let own = try Tool("a", description: "x") { _, _ in throw ToolFailure("There is no table then.") }
        #expect(await run(own).output == "There is no table then.")
        let other = try Tool("a", description: "x") { _, _ in throw Broken() }
        let result = await run(other, log: log)
        #expect(result.isError && !result.output.contains("hunter2") && !log.text.contains("hunter2"))
        let long = try Tool("a", description: "x") { _, _ in String(repeating: "x", count: 100_000) }
        #expect(await run(long).isError)
    }

    @Test("One that does not heed its end does not keep the agent waiting")
    func stubborn() async throws {
        let (gate, open) = AsyncStream<Void>.makeStream()
        let tool = try Tool("a", description: "x", timeout: .milliseconds(50)) { _, _ in
            // Not told of cancellation.
            await Task.detached { for await _ in gate { break } }.value
            return "late"
        }
        let result = await run(tool)
        #expect(result.isError && result.output.contains("50 ms"))
        open.finish()
    }

    @Test("Two agents that give their calls the same name have two keys")
    func keys() async throws {
        let tool = try Tool("book", description: "x") { _, call in "\(call.id) \(call.key)" }
        let tools = CallTools(common: [tool], logger: LogLines().logger)
        var outputs: Set<String> = []
        for call in ["call-1", "call-1", "call-2"] {
            let info = CallInfo(id: call, callSid: "CA1", from: "+1", to: "+2", pipeline: "desk")
            outputs.insert(await tools.run(ToolCall(id: "call_1", name: "book", arguments: "{}"), for: info).output)
        }
        #expect(outputs.count == 3 && outputs.allSatisfy { $0.hasPrefix("call_1 ") })
    }
}
