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
    private let answers = AnsweredTools()
    private var settings: ServerSettings { switchboard.settings }

    init(switchboard: Switchboard) {
        self.switchboard = switchboard
        door = ElevenLabsDoor(switchboard)
        files = switchboard.options.dataDirectory.map(RecordingFiles.init)
    }

    func add(to router: some RouterMethods<ControlContext>) {
        for path in settings.paths(.postCall) {
            router.post(RouterPath(path)) { request, _ in try await webhook(request) }
        }
        for path in settings.paths(.initiation) {
            router.post(RouterPath(path)) { request, _ in try await initiation(request) }
        }
        for path in settings.paths(.tools) {
            router.post(RouterPath("\(path)/:name")) { try await tool($0, $1) }
            router.get(RouterPath("\(path)/:name")) { try await tool($0, $1) }
        }
    }

    // MARK: Webhooks

    private func webhook(_ request: Request) async throws -> Response {
        try await door.webhook(request) { body, proof in
            var audio = ByteBuffer()
            let webhook: ElevenLabsWebhook
            do throws(WireError) {
                webhook = try ElevenLabsWebhook(body, audio: &audio, maximumAudio: settings.elevenLabs.maximumBodyBytes)
            } catch {
                count("other", "unreadable")
                throw HTTPError(.badRequest, message: "the webhook cannot be read: \(error)")
            }
            do {
                return try await take(webhook, audio, body, proof)
            } catch let error as StoreError {
                switchboard.logger.error("webhook not taken", metadata: ["reason": "\(error)"])
                throw HTTPError(
                    .serviceUnavailable, headers: [.retryAfter: "30"],
                    message: "it cannot be kept just now; send it again")
            }
        }
    }

    private func take(
        _ webhook: ElevenLabsWebhook, _ audio: ByteBuffer, _ body: ByteBuffer, _ proof: ElevenLabsDoor.Proof
    ) async throws -> Response {
        let type = webhook.event.name
        let effect: ElevenLabsEffect
        switch webhook.event {
        case .toolCall(let call): return try await toolCall(call, webhook, body, proof)
        case .unknown(let type):
            if strangers.isNew(type) {
                switchboard.logger.notice(
                    "a webhook of a type that means nothing here", metadata: ["type": "\(CallLog.line(type))"])
            }
            count("other", "unknown")
            return success([])
        case .report, .initiationFailure, .conversationStarted, .conversationEnded:
            effect = try await ElevenLabsEffect(of: webhook, in: switchboard.records, at: switchboard.clock())
        case .audio:
            let path = try await keep(audio, of: webhook.conversationId ?? "")
            effect = try await ElevenLabsEffect(
                of: webhook, in: switchboard.records, at: switchboard.clock(), recording: path)
        }
        let isNew = try await switchboard.records.deliver(
            source: Self.source, key: Self.hash(body), at: switchboard.clock(), effect.delivery)
        count(type, isNew ? "new" : "repeated")
        var metadata: Logger.Metadata = ["type": "\(type)", "new": "\(isNew)"]
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
        _ call: ElevenLabsToolCall, _ webhook: ElevenLabsWebhook, _ body: ByteBuffer, _ proof: ElevenLabsDoor.Proof
    ) async throws -> Response {
        var question = VendorQuestion()
        question.agent = webhook.agentId
        question.conversation = webhook.conversationId ?? webhook.sessionId
        question.take(webhook.variables)
        question.take(call.parameters)
        let run = VendorTools(switchboard)
        let prepared = try await run.prepare(call, question)
        // Asking twice does no harm; booking twice does.
        guard !prepared.isRepeatable else {
            count("tool_call", "new")
            return await run.run(prepared).eventAnswer
        }
        var key = Self.hash(body)
        if case .signature(let header) = proof { key = Self.hash(ByteBuffer(string: header + key)) }
        let isNew = try await switchboard.records.deliver(
            source: Self.source, key: key, at: switchboard.clock(), DeliveryEffect())
        count("tool_call", isNew ? "new" : "repeated")
        guard isNew else { return answers.known(key)?.eventAnswer ?? success([.init("duplicate", true)]) }
        let answer = await run.run(prepared)
        answers.remember(answer, key)
        return answer.eventAnswer
    }

    // MARK: What is not signed

    private func tool(_ request: Request, _ context: ControlContext) async throws -> Response {
        let body = try await request.body.collect(upTo: settings.limits.maximumBodyBytes)
        try door.admit(request, body)
        let name = context.parameters.get("name") ?? ""
        var question = VendorQuestion()
        question.take(request)
        let run = VendorTools(switchboard)
        if request.method == .get {
            let members = request.uri.queryParameters.map {
                JSONValue.Member(String($0.key), .string(String($0.value)))
            }
            let call = ElevenLabsToolCall(name: name, parameters: JSONValue.object(members).line)
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

    private func initiation(_ request: Request) async throws -> Response {
        let body = try await request.body.collect(upTo: settings.limits.maximumBodyBytes)
        try door.admit(request, body)
        guard let json = JSONValue(parsing: String(buffer: body)), case .object = json else {
            throw HTTPError(.badRequest, message: "the request is no JSON object")
        }
        return try await InitiationAnswer(switchboard).answer(to: json)
    }

    // MARK: Answers

    private func count(_ type: String, _ outcome: String) {
        Counter(
            label: Self.received, dimensions: [("source", Self.source), ("type", type), ("outcome", outcome)]
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

/// What the last tools answered that must not run twice, for a delivery that is repeated.
private final class AnsweredTools: Sendable {
    private static let limit = 256
    private let answers = Mutex<[(key: String, answer: VendorTools.Answer)]>([])

    func known(_ key: String) -> VendorTools.Answer? {
        answers.withLock { answers in answers.first { $0.key == key }?.answer }
    }

    func remember(_ answer: VendorTools.Answer, _ key: String) {
        answers.withLock { answers in
            if answers.count >= Self.limit { answers.removeFirst() }
            answers.append((key, answer))
        }
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
