import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import PatchbayConfig
import PatchbayWire

/// Lets ElevenLabs in and nobody else: by the signature of a webhook, or by the secret header of what is not signed.
struct ElevenLabsDoor: Sendable {
    /// How a request proved itself.
    enum Proof: Sendable { case signature(header: String), legacySignature, secretHeader, notAsked }

    private let settings: ServerSettings.ElevenLabs
    private var skipsSignatures: Bool { options.skipsSignatures }
    private let signature: ElevenLabsSignature
    private let logger: Logger
    private let clock: @Sendable () -> Date
    private let audit: AuditTrail
    private let options: ServerOptions
    private let bodies: WebhookBodies

    init(_ switchboard: Switchboard) {
        settings = switchboard.settings.elevenLabs
        options = switchboard.options
        audit = switchboard.audit
        bodies = WebhookBodies(.init(bodyBytes: settings.maximumBodyBytes))
        var secrets = settings.webhookSecrets
        if let secret = switchboard.options.elevenLabsWebhookSecret, !secrets.contains(secret) {
            secrets.append(secret)
        }
        signature = ElevenLabsSignature(secrets: secrets.map { $0.reveal() })
        logger = switchboard.logger
        clock = switchboard.clock
    }

    // MARK: Signed webhooks

    /// Reads the body of a webhook and checks who signed it, then does `work` with it.
    ///
    /// Who shows no signature that could be one is not listened to; see ``WebhookBodies`` for what others may send.
    func webhook<Answer: Sendable>(
        _ request: Request, _ context: ControlContext, _ work: (ByteBuffer, Proof) async throws -> Answer
    ) async throws -> Answer {
        let origin = request.origin(context, options)
        try refusing(request, origin) { () throws(ElevenLabsSignature.Refusal) in try checkForm(request) }
        return try await bodies.read(request.body, from: origin.client) { body in
            let proof = try refusing(request, origin) { () throws(ElevenLabsSignature.Refusal) in
                skipsSignatures ? .notAsked : try signedProof(request, body)
            }
            return try await work(body, proof)
        }
    }

    /// What can be known of a signature before there is a body.
    private func checkForm(_ request: Request) throws(ElevenLabsSignature.Refusal) {
        guard !skipsSignatures else { return }
        let header = Self.value(ElevenLabsSignature.header, request)
        if header == nil, settings.acceptsLegacySignatures,
            let legacy = Self.value(ElevenLabsSignature.legacyHeader, request)
        {
            return try signature.checkLegacyForm(legacy)
        }
        try signature.checkForm(header, now: now)
    }

    private var now: Int { Int(clock().timeIntervalSince1970) }

    private func refusing<Answer>(
        _ request: Request, _ origin: RequestOrigin, _ check: () throws(ElevenLabsSignature.Refusal) -> Answer
    ) throws -> Answer {
        do throws(ElevenLabsSignature.Refusal) {
            return try check()
        } catch {
            throw refusal("\(error)", request, origin)
        }
    }

    private func signedProof(_ request: Request, _ body: ByteBuffer) throws(ElevenLabsSignature.Refusal) -> Proof {
        let header = Self.value(ElevenLabsSignature.header, request)
        // A GET has no body; what is signed is its query.
        let message = request.method == .get ? ByteBuffer(string: request.uri.query ?? "") : body
        if header == nil, let legacy = Self.value(ElevenLabsSignature.legacyHeader, request),
            settings.acceptsLegacySignatures
        {
            try signature.verifyLegacy(legacy, message)
            return .legacySignature
        }
        try signature.verify(header, message, now: now)
        return .signature(header: header ?? "")
    }

    // MARK: What is not signed

    /// Checks a request that the vendor does not sign. A signature is as good as the header.
    func admit(_ request: Request, _ context: ControlContext, _ body: ByteBuffer) throws {
        guard !skipsSignatures else { return }
        if let header = settings.secretHeader, let value = Self.value(header.name, request),
            Secret(value) == header.value
        {
            return
        }
        if (try? signedProof(request, body)) != nil { return }
        let reason: String
        if let header = settings.secretHeader {
            reason =
                "the header \(header.name) " + (Self.value(header.name, request) == nil ? "is missing" : "is wrong")
        } else {
            reason =
                "no \"secretHeader\" is set under \"elevenlabs\" in server.json, so nobody can prove to be the agent's vendor"
        }
        throw refusal(reason, request, request.origin(context, options))
    }

    private func refusal(_ reason: String, _ request: Request, _ origin: RequestOrigin) -> HTTPError {
        logger.warning(
            "webhook refused",
            metadata: ["reason": "\(reason)", "peer": "\(origin.peer)", "path": "\(request.uri.path)"])
        audit.note("webhook.refused", request.uri.path, by: .stranger, from: origin, outcome: reason)
        ElevenLabsRoutes.count("other", "refused")
        return HTTPError(.forbidden, message: reason)
    }

    private static func value(_ header: String, _ request: Request) -> String? {
        HTTPField.Name(header).flatMap { request.headers[$0] }
    }
}
