import Foundation
import HTTPTypes
import Hummingbird
import PatchbayConfig
import PatchbayCore
import PatchbayTransports
import PatchbayWire

/// Runs the tools of a pipeline for an agent that asks over HTTP instead of in its conversation.
struct VendorTools: Sendable {
    private let switchboard: Switchboard
    private let origin: RequestOrigin

    /// - Parameter origin: Who asks, for the audit trail.
    init(_ switchboard: Switchboard, from origin: RequestOrigin) {
        self.switchboard = switchboard
        self.origin = origin
    }

    /// A call of a tool whose arguments are sound.
    struct Prepared: Sendable {
        fileprivate var tools: CallTools
        fileprivate var call: ToolCall
        fileprivate var info: CallInfo
        fileprivate var tool: String
        /// What the audit trail calls it.
        fileprivate var subject: String
        fileprivate var recorder: CallRecorder?
        /// Whether running it again would change nothing.
        var isRepeatable: Bool
    }

    /// What a tool answered.
    struct Answer: Sendable {
        var tool: String
        var output: String
        var isError: Bool
    }

    /// Why a tool is not run.
    private static func refusal(
        _ status: HTTPResponse.Status, _ code: String, _ message: String
    ) -> VendorRefusal {
        VendorRefusal(status: status, code: code, message: message)
    }

    /// Finds the tool and checks its arguments; one that is not run stands in the audit trail.
    ///
    /// - Parameter isQuery: The arguments are texts; those that the tool declares as numbers or booleans become such.
    func prepare(
        _ call: ElevenLabsToolCall, _ question: VendorQuestion, isQuery: Bool = false
    ) async throws -> Prepared {
        do {
            return try await find(call, question, isQuery: isQuery)
        } catch let refusal as VendorRefusal {
            switchboard.audit.note(
                Self.action, Self.subject(call.name, question), by: .vendor, from: origin, outcome: refusal.code)
            throw refusal
        }
    }

    /// For the audit trail, in which nothing stands of what people said.
    private static let action = "tool.call"
    private static func subject(_ tool: String, _ question: VendorQuestion) -> String { "\(tool): \(question.name)" }

    private func find(
        _ call: ElevenLabsToolCall, _ question: VendorQuestion, isQuery: Bool
    ) async throws -> Prepared {
        let found: VendorCall?
        do {
            found = try await switchboard.vendorCall(question, keepsContext: false)
        } catch let error as PipelineError {
            switchboard.logger.error("tool is not set up correctly", metadata: ["reason": "\(error)"])
            throw Self.refusal(.unprocessableContent, "NOT_CONFIGURED", "the pipeline cannot be planned")
        }
        guard let found else {
            throw Self.refusal(
                .notFound, "UNKNOWN_CALL",
                "nothing tells whose tool is meant: send call_sid, conversation_id, called_number, tenant_id or agent_id that "
                    + "a pipeline knows")
        }
        let backend = found.backend(agent: question.agent)
        let tools = CallTools(
            common: found.plan.tools + switchboard.tools(found.info) + (backend?.tools ?? []),
            logger: switchboard.logger)
        guard let tool = tools.all.first(where: { $0.names.contains(call.name) }) else {
            let words = Self.words(tools.prepare(ToolCall(id: "", name: call.name)))
            throw Self.refusal(.notFound, "UNKNOWN_TOOL", words ?? "There is no such tool.")
        }
        let run = ToolCall(
            id: call.id ?? UUID().uuidString, name: call.name,
            arguments: Self.arguments(call.parameters, of: tool, isQuery: isQuery))
        if let words = Self.words(tools.prepare(run)) {
            throw Self.refusal(.badRequest, "VALIDATION_ERROR", words)
        }
        var isRepeatable = false
        if case .request(let request) = tool.work { isRepeatable = request.method == .get }
        return Prepared(
            tools: tools, call: run, info: found.info, tool: tool.name,
            subject: Self.subject(tool.name, question), recorder: found.recorder, isRepeatable: isRepeatable)
    }

    private static func words(_ result: Result<(tool: Tool, arguments: ToolArguments), ToolFailure>) -> String? {
        if case .failure(let failure) = result { failure.description } else { nil }
    }

    /// The arguments without those that only say whose call it is.
    private static func arguments(_ text: String, of tool: Tool, isQuery: Bool) -> String {
        guard case .object(let members)? = JSONValue(parsing: text) else { return text }
        let declared = Set(tool.parameters.propertyNames)
        return JSONValue.object(
            members.compactMap { member in
                guard declared.contains(member.key) || !VendorQuestion.arguments.contains(member.key) else {
                    return nil
                }
                guard isQuery, case .string(let text) = member.value else { return member }
                return JSONValue.Member(member.key, typed(text, tool.parameters.json["properties"]?[member.key]))
            }
        ).line
    }

    /// A text of a query as the type that a schema gives.
    private static func typed(_ text: String, _ schema: JSONValue?) -> JSONValue {
        switch schema?["type"] {
        case "integer", "number": if let value = JSONValue(parsing: text), case .number = value { return value }
        case "boolean": if ["true", "false"].contains(text) { return .boolean(text == "true") }
        default: break
        }
        return .string(text)
    }

    /// Runs it, within the tool's own limit of time. It stands in the audit trail, and in the record of a call that runs here.
    func run(_ prepared: Prepared) async -> Answer {
        let start = MediaTime.now()
        let isWithheld = prepared.recorder?.isPaused ?? false
        let result = await prepared.tools.run(prepared.call, for: prepared.info)
        let end = MediaTime.now()
        prepared.recorder?.ran(prepared.call, result, isWithheld: isWithheld, from: start, to: end)
        switchboard.audit.note(
            Self.action, prepared.subject, by: .vendor, from: origin, outcome: result.isError ? "error" : "ok",
            tenant: prepared.info.tenant, isRefusal: false)
        switchboard.logger.info(
            "tool called by webhook",
            metadata: [
                "tool": "\(prepared.tool)", "callSid": "\(prepared.info.callSid)",
                "pipeline": "\(prepared.info.pipeline)", "outcome": "\(result.isError ? "error" : "ok")",
            ])
        return Answer(tool: prepared.tool, output: result.output, isError: result.isError)
    }
}

extension VendorTools.Answer {
    private var value: JSONValue { JSONValue(parsing: output) ?? .string(output) }

    private var failure: Response {
        vendorResponse(
            [.init("success", false), .init("error", .string(output)), .init("code", "TOOL_ERROR")], .badGateway)
    }

    /// As an agent's server tool expects it: what the tool said, as JSON.
    ///
    /// - Parameter enveloped: Whether the call came in an envelope, which is then answered by one.
    func answer(enveloped: Bool) -> Response {
        if isError { return failure }
        if !enveloped, case .object(let members) = value { return vendorResponse(members) }
        return vendorResponse([.init("result", value)])
    }

    /// As the sender of a `tool_call` expects it.
    var eventAnswer: Response {
        if isError { return failure }
        if case .object = value { return vendorResponse([.init("success", true), .init("data", value)]) }
        return vendorResponse([.init("success", true), .init("data", .object([.init("result", value)]))])
    }
}

/// Why a tool was not run, in the form that agents' back-ends answer in.
struct VendorRefusal: HTTPResponseError {
    var status: HTTPResponse.Status
    var code: String
    var message: String

    var response: Response {
        vendorResponse(
            [.init("success", false), .init("error", .string(message)), .init("code", .string(code))], status)
    }

    func response(from request: Request, context: some RequestContext) throws -> Response { response }
}
