import Crypto
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import Metrics
import NIOCore
import PatchbayConfig
import PatchbayStore
import PatchbayWire
import Synchronization

/// What ElevenLabs asks and tells: webhooks after a conversation, the question before one, tools.
struct ElevenLabsRoutes: Sendable {
    /// Webhooks that came in, by `type` and `outcome` (`new`, `repeated`, `unknown`, `unreadable`, `refused`).
    static let received = "patchbay_webhooks_received_total"
    /// The name under which deliveries are kept.
    static let source = "elevenlabs"

    let switchboard: Switchboard
    private let door: ElevenLabsDoor
    private let files: RecordingFiles?
    private let strangers = StrangeTypes()
    private let deliveries: ToolDeliveries
    private var settings: ServerSettings { switchboard.settings }

    init(switchboard: Switchboard) {
        self.switchboard = switchboard
        door = ElevenLabsDoor(switchboard)
        files = switchboard.options.dataDirectory.map(RecordingFiles.init)
        deliveries = ToolDeliveries(switchboard.records, source: Self.source, logger: switchboard.logger)
    }

    func add(to router: some RouterMethods<ControlContext>) {
        for path in settings.paths(.postCall) {
            router.post(RouterPath(path)) { try await webhook($0, $1) }
        }
        for path in settings.paths(.initiation) {
            router.post(RouterPath(path)) { try await initiation($0, $1) }
        }
        for path in settings.paths(.tools) {
            router.post(RouterPath("\(path)/:name")) { try await tool($0, $1) }
            router.get(RouterPath("\(path)/:name")) { try await tool($0, $1) }
        }
    }

    // MARK: Webhooks

    private func webhook(_ request: Request, _ context: ControlContext) async throws -> Response {
        let origin = request.origin(context, switchboard.options)
        return try await door.webhook(request, context) { body, proof in
            var audio = ByteBuffer()
            let webhook: ElevenLabsWebhook
            do throws(WireError) {
                webhook = try ElevenLabsWebhook(body, audio: &audio, maximumAudio: settings.elevenLabs.maximumBodyBytes)
            } catch {
                Self.count("other", "unreadable")
                throw HTTPError(.badRequest, message: "the webhook cannot be read: \(error)")
            }
            do {
                return try await take(webhook, audio, body, proof, from: origin)
            } catch let error as StoreError {
                switchboard.logger.error("webhook not taken", metadata: ["reason": "\(error)"])
                throw HTTPError(
                    .serviceUnavailable, headers: [.retryAfter: "30"],
                    message: "it cannot be kept just now; send it again")
            }
        }
    }

    private func take(
        _ webhook: ElevenLabsWebhook, _ audio: ByteBuffer, _ body: ByteBuffer, _ proof: ElevenLabsDoor.Proof,
        from origin: RequestOrigin
    ) async throws -> Response {
        let type = webhook.event.name
        var recording: String?
        switch webhook.event {
        case .toolCall(let call): return try await toolCall(call, webhook, body, proof, from: origin)
        case .unknown(let type):
            if strangers.isNew(type) {
                switchboard.logger.notice(
                    "a webhook of a type that means nothing here", metadata: ["type": "\(CallLog.line(type))"])
            }
            Self.count("other", "unknown")
            return success([])
        case .report, .initiationFailure, .conversationStarted, .conversationEnded: break
        case .audio: recording = try await keep(audio, of: webhook.conversationId ?? "")
        }
        let question = VendorQuestion(webhook)
        let owner = try await switchboard.vendorOwner(question)
        var effect = try await ElevenLabsEffect(
            of: webhook, in: switchboard.records, at: switchboard.clock(), recording: recording, owner: owner)
        let isNew = try await switchboard.records.deliver(
            source: Self.source, key: Self.hash(body), at: switchboard.clock(), effect.delivery)
        Self.count(type, isNew ? "new" : "repeated")
        var metadata: Logger.Metadata = ["type": "\(type)", "new": "\(isNew)"]
        if isNew { note(webhook.event, effect, question, tenant: owner?.tenant, from: origin) }
        if let id = effect.call, try await switchboard.records.call(id) == nil {
            // What was erased stays so, and a recording that came with it goes at once.
            effect.call = nil
            metadata["erased"] = "true"
            if case .audio = webhook.event { _ = try await switchboard.recordings.run() }
        }
        if let id = webhook.conversationId { metadata["conversation"] = "\(CallLog.line(id))" }
        if let call = effect.call { metadata["call"] = "\(call)" }
        if let session = effect.session { metadata["session"] = "\(session)" }
        switchboard.logger.info("webhook taken", metadata: metadata)
        guard isNew else { return success([.init("duplicate", true)]) }
        return success([
            .init("type", .string(type)), .init("call", effect.call.map { .string($0) } ?? .null),
            .init("session", effect.session.map { .string($0) } ?? .null),
        ])
    }

    /// Notes what is told of a conversation and stands in no record of a call or a session.
    private func note(
        _ event: ElevenLabsWebhook.Event, _ effect: ElevenLabsEffect, _ question: VendorQuestion, tenant: String?,
        from origin: RequestOrigin
    ) {
        var outcome = "ok"
        switch event {
        case .initiationFailure(let failure): outcome = failure.reason
        case .conversationStarted, .conversationEnded: break
        default: guard effect.call == nil, effect.session == nil else { return }
        }
        switchboard.audit.note(
            "webhook.taken", "\(event.name): \(effect.call ?? question.name)", by: .vendor, from: origin,
            outcome: outcome, tenant: tenant, isRefusal: false)
    }

    /// - Returns: `nil` when nothing is kept on disk.
    private func keep(_ audio: ByteBuffer, of conversation: String) async throws -> String? {
        guard let files else {
            switchboard.logger.warning("a recording is not kept: the server has no folder for records (--store)")
            return nil
        }
        do {
            return try await files.write(audio, conversation: conversation)
        } catch {
            switchboard.logger.error("a recording cannot be written", metadata: ["reason": "\(error)"])
            throw HTTPError(
                .serviceUnavailable, headers: [.retryAfter: "30"],
                message: "the recording cannot be written just now; send it again")
        }
    }

    // MARK: A tool by a webhook

    private func toolCall(
        _ call: ElevenLabsToolCall, _ webhook: ElevenLabsWebhook, _ body: ByteBuffer, _ proof: ElevenLabsDoor.Proof,
        from origin: RequestOrigin
    ) async throws -> Response {
        var question = VendorQuestion(webhook)
        question.take(call.parameters)
        let run = VendorTools(switchboard, from: origin)
        let prepared = try await run.prepare(call, question)
        // Asking twice does no harm; booking twice does.
        guard !prepared.isRepeatable else {
            Self.count("tool_call", "new")
            return await run.run(prepared).eventAnswer
        }
        let key = Self.key(of: call, question, body, proof)
        let outcome = try await deliveries.run(key, at: switchboard.clock()) { await run.run(prepared) }
        if case .answered(_, isNew: true) = outcome {
            Self.count("tool_call", "new")
        } else {
            Self.count("tool_call", "repeated")
        }
        switch outcome {
        case .answered(let answer, _): return answer.eventAnswer
        case .running:
            var response = VendorRefusal(
                status: .serviceUnavailable, code: "IN_PROGRESS",
                message: "\(call.name) is being run for the same delivery; ask again in \(Self.retrySeconds) seconds"
            ).response
            response.headers[.retryAfter] = "\(Self.retrySeconds)"
            return response
        case .unknown:
            throw VendorRefusal(
                status: .conflict, code: "OUTCOME_UNKNOWN",
                message:
                    "whether \(call.name) was done is not known: the server stopped while it ran. Look it up before it is "
                    + "done again")
        }
    }

    /// Seconds after which a delivery that runs still may be asked for again.
    private static let retrySeconds = 2

    /// What is the same in repetitions of one call of a tool, and in no other: the sender's own name of it; where there is none the
    /// body, with the time at which it was signed.
    private static func key(
        of call: ElevenLabsToolCall, _ question: VendorQuestion, _ body: ByteBuffer, _ proof: ElevenLabsDoor.Proof
    ) -> String {
        if let id = call.id, let conversation = question.conversation {
            let parts = ["tool_call", question.agent ?? "", conversation, id, call.name, call.parameters]
            return hash(ByteBuffer(string: JSONValue.array(parts.map(JSONValue.string)).line))
        }
        let key = hash(body)
        if case .signature(let header) = proof { return hash(ByteBuffer(string: header + key)) }
        return key
    }

    // MARK: What is not signed

    private func tool(_ request: Request, _ context: ControlContext) async throws -> Response {
        let body = try await request.body.collect(upTo: settings.limits.maximumBodyBytes)
        try door.admit(request, context, body)
        let name = context.parameters.get("name") ?? ""
        var question = VendorQuestion()
        question.take(request)
        let run = VendorTools(switchboard, from: request.origin(context, switchboard.options))
        var texts: [JSONValue.Member]?
        if request.method == .get {
            texts = request.uri.queryParameters.map { JSONValue.Member(String($0.key), .string(String($0.value))) }
        } else if Self.isForm(request), body.readableBytesView.first != UInt8(ascii: "{") {
            guard let form = try? FormFields(parsing: body.readableBytesView) else {
                throw VendorRefusal(
                    status: .badRequest, code: "VALIDATION_ERROR", message: "the form cannot be read")
            }
            question.take { form[$0] }
            texts = form.fields.map { JSONValue.Member($0.name, .string($0.value)) }
        }
        if let texts {
            let call = ElevenLabsToolCall(name: name, parameters: JSONValue.object(texts).line)
            return await run.run(try await run.prepare(call, question, isQuery: true)).answer(enveloped: false)
        }
        var call = ElevenLabsToolCall.envelope(body)
        let isEnveloped = call != nil
        let text = body.readableBytes == 0 ? "{}" : String(buffer: body)
        question.take(text)
        call = call ?? ElevenLabsToolCall(name: name, parameters: text)
        call?.name = name
        let prepared = try await run.prepare(call ?? ElevenLabsToolCall(name: name, parameters: "{}"), question)
        return await run.run(prepared).answer(enveloped: isEnveloped)
    }

    /// Tools of ElevenLabs send JSON, or a form where they are set so. Many other clients call JSON a form unless they are told
    /// better.
    private static func isForm(_ request: Request) -> Bool {
        let type = request.headers[.contentType]?.split(separator: ";").first?.trimmingPrefix { $0 == " " }
        return type?.lowercased().hasPrefix("application/x-www-form-urlencoded") == true
    }

    private func initiation(_ request: Request, _ context: ControlContext) async throws -> Response {
        let body = try await request.body.collect(upTo: settings.limits.maximumBodyBytes)
        try door.admit(request, context, body)
        guard let json = JSONValue(parsing: String(buffer: body)), case .object = json else {
            throw HTTPError(.badRequest, message: "the request is no JSON object")
        }
        return try await InitiationAnswer(switchboard).answer(to: json)
    }

    // MARK: Answers

    static func count(_ type: String, _ outcome: String) {
        Counter(
            label: received, dimensions: [("source", source), ("type", type), ("outcome", outcome)]
        ).increment()
    }

    private func success(_ data: [JSONValue.Member]) -> Response {
        vendorResponse([.init("success", true), .init("data", .object(data))])
    }

    private static func hash(_ body: ByteBuffer) -> String {
        var hash = SHA256()
        body.withUnsafeReadableBytes { hash.update(bufferPointer: $0) }
        return hash.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

/// A JSON object as the answer to ElevenLabs.
func vendorResponse(_ members: [JSONValue.Member], _ status: HTTPResponse.Status = .ok) -> Response {
    Response(
        status: status, headers: [.contentType: "application/json; charset=utf-8"],
        body: ResponseBody(byteBuffer: ByteBuffer(string: JSONValue.object(members).line + "\n")))
}

/// Types that nobody knows, so that each is told once. Whoever may send webhooks may make types up, hence the limit.
private final class StrangeTypes: Sendable {
    private static let limit = 50
    private let types = Mutex<Set<String>>([])

    func isNew(_ type: String) -> Bool {
        types.withLock { $0.count < Self.limit && $0.insert(type).inserted }
    }
}

extension ElevenLabsWebhook.Event {
    /// For logs and metrics.
    var name: String {
        switch self {
        case .report: "post_call_transcription"
        case .audio: "post_call_audio"
        case .initiationFailure: "call_initiation_failure"
        case .conversationStarted: "conversation_started"
        case .conversationEnded: "conversation_ended"
        case .toolCall: "tool_call"
        case .unknown: "other"
        }
    }
}
