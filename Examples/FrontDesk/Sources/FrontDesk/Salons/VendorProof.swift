import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Patchbay
import PatchbayWire

/// How an agent vendor proves that a request is its own: a secret header, or a signature.
struct VendorProof: Sendable {
    /// The header that the vendor's tools are configured with, where no other is named.
    static let header = "X-Tool-Secret"

    /// The backend's own token, for the house itself.
    var token: Secret
    var vendor: ServerSettings.ElevenLabs
    var now: @Sendable () -> Date = { Date() }

    /// - Parameter signed: The raw body, or the query of a GET as it was sent.
    /// - Throws: ``Refusal`` when nothing proves it.
    func check(_ request: Request, signed: [UInt8]) throws {
        if BearerGate.holds(token, request) { return }
        if let secret = vendor.secretHeader, let given = request[secret.name], Secret(given) == secret.value { return }
        let signature = ElevenLabsSignature(secrets: vendor.webhookSecrets.map { $0.reveal() })
        let message = ByteBuffer(bytes: signed)
        if let header = request[ElevenLabsSignature.header] {
            return try reporting { () throws(ElevenLabsSignature.Refusal) in
                try signature.verify(header, message, now: Int(now().timeIntervalSince1970))
            }
        }
        if vendor.acceptsLegacySignatures, let header = request[ElevenLabsSignature.legacyHeader] {
            return try reporting { () throws(ElevenLabsSignature.Refusal) in try signature.verifyLegacy(header, message)
            }
        }
        throw Refusal(
            .unauthorized,
            "nothing proves who asks: send \(vendor.secretHeader?.name ?? Self.header) with the secret of the tools, or sign"
        )
    }

    private func reporting(_ check: () throws(ElevenLabsSignature.Refusal) -> Void) throws {
        do throws(ElevenLabsSignature.Refusal) {
            try check()
        } catch {
            throw Refusal(.unauthorized, "\(error)")
        }
    }
}

extension Request {
    /// The value of a header field.
    fileprivate subscript(name: String) -> String? { HTTPField.Name(name).flatMap { headers[$0] } }
}
