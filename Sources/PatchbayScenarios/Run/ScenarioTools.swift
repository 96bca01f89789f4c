import PatchbayConfig
import PatchbayCore
import PatchbayTransports

/// The tools of a test, as a value: what agents call is checked as in a real call, and answered by the test.
struct ScenarioTools {
    private let tools: CallTools
    private let script: [ScriptedTool]
    private var isUsed: [Bool]
    private var waiting: [(time: MediaTime, result: ToolResult, link: Int)] = []

    init(_ tools: CallTools, _ script: [ScriptedTool]) {
        self.tools = tools
        self.script = script
        isUsed = Array(repeating: false, count: script.count)
    }

    /// When the next answer comes.
    var due: MediaTime? { waiting.map(\.time).min() }

    /// An agent calls a tool.
    ///
    /// - Returns: What is wrong with the test, when it has no answer.
    mutating func begin(
        _ call: ToolCall, link: Int, at now: MediaTime, _ time: TimeSpan, _ trace: inout ScenarioTrace
    ) -> String? {
        switch tools.prepare(call) {
        case .failure(let failure):
            trace.toolCalls.append(.init(time: time, names: [call.name], arguments: call.arguments))
            waiting.append((now, ToolResult(call, output: failure.description, isError: true), link))
            return nil
        case .success(let (tool, arguments)):
            trace.toolCalls.append(.init(time: time, names: tool.names, arguments: arguments.text))
            guard let answer = answer(tool, arguments) else {
                waiting.append((now, ToolResult(call, output: "The test has no answer.", isError: true), link))
                return
                    "\"\(tool.name)\" is called with \(arguments.text), and the test has no answer for that; add one to \"tools\""
            }
            // A service that is late is given up, as in a real call.
            guard answer.after <= tool.timeout else {
                waiting.append((now + tool.timeout, tools.timedOut(call, tool), link))
                guard !answer.isError else { return nil }
                let (after, limit) = (answer.after.milliseconds, tool.timeout.milliseconds)
                return
                    "the answer of \"\(tool.name)\" comes after \(after) ms, and its \"timeoutMs\" is \(limit), so it is never given; make \"afterMs\" smaller, or write \"error\" for a service that is too late"
            }
            let result = ToolResult(call, output: answer.answer, isError: answer.isError)
            waiting.append((now + answer.after, result, link))
            return nil
        }
    }

    /// The first answer that fits and was not given yet; the last that fits when all were.
    private mutating func answer(_ tool: Tool, _ arguments: ToolArguments) -> ScriptedTool? {
        let fitting = script.indices.filter { index in
            tool.names.contains(script[index].tool) && script[index].arguments?.matches(arguments.text) ?? true
        }
        guard let index = fitting.first(where: { !isUsed[$0] }) ?? fitting.last else { return nil }
        isUsed[index] = true
        return script[index]
    }

    /// Takes an answer that is due.
    mutating func take(until now: MediaTime) -> (result: ToolResult, link: Int)? {
        guard let index = waiting.firstIndex(where: { $0.time <= now }) else { return nil }
        let answer = waiting.remove(at: index)
        return (answer.result, answer.link)
    }

    mutating func cancel(_ ids: [String]) { waiting.removeAll { ids.contains($0.result.id) } }
}
