public import AsyncHTTPClient
import Crypto
import Foundation
public import Logging
import Metrics
public import PatchbayConfig
public import PatchbayCore
import Synchronization

/// The tools of one call: finds what an agent calls, checks its arguments, runs it and answers, always.
///
/// Whatever is wrong is an answer in words that a model can act on. Nothing that an agent is told, and nothing that is
/// logged, holds a credential.
public struct CallTools: ToolRunner {
    public static let duration = "patchbay_tool_duration_seconds"
    /// What is measured of tools. Those that do not exist count as `unknown`, so that no agent can make up labels.
    public static let metrics = [
        MetricDescription(
            duration, .histogram(MetricDescription.requests), ["outcome", "tool"],
            "How long tools took: ok, error, timeout or cancelled.")
    ]
    /// Longest answer of a function, in bytes.
    public static let maximumAnswer = 64 << 10

    private let common: [Tool]
    private let own: [[Tool]]
    private let http: HTTPTool
    private let logger: Logger
    private let runs = RunCount()

    /// How many calls of tools have been run. Agents' own names for them begin anew with every agent.
    private final class RunCount: Sendable {
        private let count = Atomic(0)
        func next() -> Int { count.add(1, ordering: .relaxed).newValue }
    }

    /// - Parameters:
    ///   - common: What every agent may call.
    ///   - own: What each of the call's backends may call beside that, in their order.
    ///   - client: Makes the requests. It must not follow redirects, as ``AsyncHTTPClient/HTTPClient/tools`` does not.
    public init(common: [Tool], own: [[Tool]] = [], client: HTTPClient = .tools, logger: Logger) {
        self.common = common
        self.own = own
        http = HTTPTool(client, logger: logger)
        self.logger = logger
    }

    public var definitions: [ToolDefinition] { common.map(\.definition) }

    /// Every tool of the call.
    public var all: [Tool] { common + own.flatMap(\.self) }

    /// The tools of one backend. A backend that joined the call later has the common ones.
    public func tools(ofBackend index: Int) -> [Tool] { common + (own.indices.contains(index) ? own[index] : []) }

    /// The tool that an agent means, with its arguments, or the answer that says why there is none.
    public func prepare(_ call: ToolCall) -> Result<(tool: Tool, arguments: ToolArguments), ToolFailure> {
        let tools = tools(ofBackend: call.backend)
        guard let tool = tools.first(where: { $0.names.contains(call.name) }) else {
            let names = tools.map(\.name)
            let shown = call.name.prefix(64).filter { $0.isASCII && ($0.isLetter || $0.isNumber || "_-.".contains($0)) }
            let hint = closestMatch(to: call.name, in: tools.flatMap(\.names)).map { " Did you mean \"\($0)\"?" }
            let list = names.isEmpty ? " There are none." : " There are: \(names.prefix(40).joined(separator: ", "))."
            return .failure(ToolFailure("There is no tool \"\(shown)\".\(hint ?? list)"))
        }
        do throws(ToolFailure) {
            let arguments = try ToolArguments(parsing: call.arguments)
            let problems = tool.parameters.problems(in: arguments)
            guard problems.isEmpty else {
                return .failure(
                    ToolFailure(
                        "The tool was not called. \(problems.joined(separator: "; ")). Correct this and call it again.")
                )
            }
            return .success((tool, arguments))
        } catch {
            return .failure(error)
        }
    }

    public func run(_ call: ToolCall, for info: CallInfo) async -> ToolResult {
        let tool: Tool, arguments: ToolArguments
        switch prepare(call) {
        case .failure(let failure):
            let known = tools(ofBackend: call.backend).first { $0.names.contains(call.name) }
            record(known?.name ?? "unknown", "error", .zero)
            return ToolResult(call, output: failure.description, isError: true)
        case .success(let found): (tool, arguments) = found
        }
        let invocation = ToolInvocation(
            info: info, id: call.id, tool: tool.name, key: Self.key(info, tool, run: runs.next()))
        let clock = ContinuousClock()
        let start = clock.now
        let outcome = await Deadline.race(
            .nanoseconds(tool.timeout.nanoseconds), afterwards: afterwards(of: tool)
        ) {
            switch tool.work {
            case .function(let function): try await Self.cut(function(arguments, invocation))
            case .request(let request):
                try await http.perform(
                    request, arguments, invocation, until: start + .nanoseconds(tool.timeout.nanoseconds))
            }
        }
        let (result, label) = answer(call, tool, outcome)
        record(tool.name, label, clock.now - start)
        return result
    }

    /// Agents' own names for their calls of tools begin anew with every agent, so they are no part of it.
    private static func key(_ info: CallInfo, _ tool: Tool, run: Int) -> String {
        SHA256.hash(data: Data("\(info.id)\n\(run)\n\(tool.name)".utf8)).prefix(16).map { byte in
            let digits = String(byte, radix: 16)
            return digits.utf8.count == 1 ? "0\(digits)" : digits
        }.joined()
    }

    /// A request that may change something is not cut in the middle.
    private func afterwards(of tool: Tool) -> Deadline.Afterwards<String>? {
        guard case .request(let request) = tool.work, request.method != .get else { return nil }
        return LeftRequests.shared.afterwards(tool.name, logger)
    }

    private static func cut(_ output: String) throws -> String {
        guard output.utf8.count <= maximumAnswer else {
            throw ToolFailure("The answer has \(output.utf8.count) bytes, too many to be read. Ask for less.")
        }
        return output
    }

    private func answer(_ call: ToolCall, _ tool: Tool, _ outcome: Deadline.Outcome<String>) -> (
        ToolResult, label: String
    ) {
        switch outcome {
        case .finished(let output): return (ToolResult(call, output: output), "ok")
        case .expired, .failed(is Deadline.Passed):
            logger.warning(
                "tool timed out", metadata: ["tool": "\(tool.name)", "limitMs": "\(tool.timeout.milliseconds)"])
            return (timedOut(call, tool), "timeout")
        case .cancelled:
            return (ToolResult(call, output: "The call of the tool was cancelled.", isError: true), "cancelled")
        case .failed(let failure as ToolFailure):
            return (ToolResult(call, output: failure.description, isError: true), "error")
        case .failed(let error):
            // What other errors say is for people, and may hold anything.
            logger.warning("tool failed", metadata: ["tool": "\(tool.name)", "error": "\(type(of: error))"])
            return (ToolResult(call, output: "The tool failed. Trying again may help.", isError: true), "error")
        }
    }

    /// What an agent is told of a tool whose time is up.
    public func timedOut(_ call: ToolCall, _ tool: Tool) -> ToolResult {
        let words = "The tool did not answer within \(tool.timeout.milliseconds) ms. It may have been done or not."
        return ToolResult(call, output: words, isError: true)
    }

    private func record(_ tool: String, _ outcome: String, _ span: Duration) {
        let (seconds, attoseconds) = span.components
        Recorder(label: Self.duration, dimensions: [("tool", tool), ("outcome", outcome)])
            .record(Double(seconds) + Double(attoseconds) / 1e18)
    }
}
