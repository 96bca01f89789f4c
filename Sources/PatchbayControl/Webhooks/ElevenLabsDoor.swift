import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import PatchbayConfig
import PatchbayWire
import Synchronization

/// Lets ElevenLabs in and nobody else: by the signature of a webhook, or by the secret header of what is not signed.
struct ElevenLabsDoor: Sendable {
    /// Bodies up to this are read from anybody who shows a signature; of larger ones ``maximumLargeBodies`` at once.
    static let largeBodyBytes = 1 << 20
    /// Recordings that are received at once: each is in memory while its signature is checked.
    static let maximumLargeBodies = 2

    /// How a request proved itself.
    enum Proof: Sendable { case signature(header: String), legacySignature, secretHeader, notAsked }

    private let settings: ServerSettings.ElevenLabs
    private let skipsSignatures: Bool
    private let signature: ElevenLabsSignature
    private let logger: Logger
    private let clock: @Sendable () -> Date
    private let largeBodies = LargeBodies()

    init(_ switchboard: Switchboard) {
        settings = switchboard.settings.elevenLabs
        skipsSignatures = switchboard.options.skipsSignatures
        var secrets = settings.webhookSecrets
        if let secret = switchboard.options.elevenLabsWebhookSecret, !secrets.contains(secret) {
            secrets.append(secret)
        }
        signature = ElevenLabsSignature(secrets: secrets.map { $0.reveal() })
        logger = switchboard.logger
        clock = switchboard.clock
    }

    private final class LargeBodies: Sendable {
        private let count = Mutex(0)

        func enter() -> Bool {
            count.withLock { count in
                guard count < ElevenLabsDoor.maximumLargeBodies else { return false }
                count += 1
                return true
            }
        }

        func leave() { count.withLock { $0 -= 1 } }
    }

    // MARK: Signed webhooks

    /// Reads the body of a webhook and checks who signed it, then does `work` with it.
    ///
    /// A large body keeps one of few places until the work is done.
    func webhook<Answer: Sendable>(
        _ request: Request, _ work: (ByteBuffer, Proof) async throws -> Answer
    ) async throws -> Answer {
        let shown = [ElevenLabsSignature.header, ElevenLabsSignature.legacyHeader].contains {
            Self.value($0, request) != nil
        }
        // Who shows nothing sends nothing.
        guard skipsSignatures || shown else { throw refusal("\(ElevenLabsSignature.Refusal.missing)", request) }
        var body = ByteBuffer()
        var isLarge = false
        defer { if isLarge { largeBodies.leave() } }
        for try await chunk in request.body {
            let count = body.readableBytes + chunk.readableBytes
            guard count <= settings.maximumBodyBytes else {
                throw HTTPError(
                    .contentTooLarge, message: "the body has more than \(settings.maximumBodyBytes) bytes")
            }
            if count > Self.largeBodyBytes, !isLarge {
                guard largeBodies.enter() else {
                    throw HTTPError(
                        .serviceUnavailable, headers: [.retryAfter: "30"],
                        message: "\(Self.maximumLargeBodies) large bodies are being received")
                }
                isLarge = true
            }
            body.writeImmutableBuffer(chunk)
        }
        return try await work(body, try proof(request, body))
    }

    private func proof(_ request: Request, _ body: ByteBuffer) throws -> Proof {
        guard !skipsSignatures else { return .notAsked }
        do throws(ElevenLabsSignature.Refusal) {
            return try signedProof(request, body)
        } catch {
            throw refusal("\(error)", request)
        }
    }

    private func signedProof(_ request: Request, _ body: ByteBuffer) throws(ElevenLabsSignature.Refusal) -> Proof {
        let header = Self.value(ElevenLabsSignature.header, request)
        if header == nil, let legacy = Self.value(ElevenLabsSignature.legacyHeader, request),
            settings.acceptsLegacySignatures
        {
            var message = body
            if request.method == .get { message = ByteBuffer(string: request.uri.query ?? "") }
            try signature.verifyLegacy(legacy, message)
            return .legacySignature
        }
        try signature.verify(header, body, now: Int(clock().timeIntervalSince1970))
        return .signature(header: header ?? "")
    }

    // MARK: What is not signed

    /// Checks a request that the vendor does not sign. A signature is as good as the header.
    func admit(_ request: Request, _ body: ByteBuffer) throws {
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
        throw refusal(reason, request)
    }

    private func refusal(_ reason: String, _ request: Request) -> HTTPError {
        logger.warning("webhook refused", metadata: ["reason": "\(reason)", "path": "\(request.uri.path)"])
        return HTTPError(.forbidden, message: reason)
    }

    private static func value(_ header: String, _ request: Request) -> String? {
        HTTPField.Name(header).flatMap { request.headers[$0] }
    }
}
