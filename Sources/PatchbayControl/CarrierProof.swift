import HTTPTypes
import PatchbayConfig
import PatchbayCore
import PatchbayWire

/// Tells whether Twilio made a request: by the account's auth token, or by a shared key that the request names.
struct CarrierProof {
    private let options: ServerOptions
    private let settings: ServerSettings

    init(_ options: ServerOptions, _ settings: ServerSettings) {
        self.options = options
        self.settings = settings
    }

    /// Why a request is not taken for Twilio's; `nil` when it is.
    ///
    /// - Parameters:
    ///   - url: What was asked, for the words.
    ///   - fits: Whether a signature belongs to the request.
    func fault(of headers: HTTPFields, url: String, fits: (TwilioSignature, String) -> Bool) -> String? {
        let named: TwilioSignature.Settings
        do throws(WireError) {
            named = try TwilioSignature.Settings(header: Self.value("X-Twilio-Webhooks-Signature-Settings", headers))
        } catch {
            return error.description
        }
        let verifier = TwilioSignature(settings: named, secrets: secrets)
        if let id = named.keyID, secrets(id).isEmpty {
            return
                "the request is signed with the shared key \"\(id.prefix(64))\", which \"twilio\" in server.json does "
                + "not name: add it to sharedKeys"
        }
        guard named.keyID != nil || options.twilioAuthToken != nil else {
            return "TWILIO_AUTH_TOKEN is not set, so no signature can be checked"
        }
        guard let signature = Self.value("X-Twilio-Signature", headers) else { return "X-Twilio-Signature is missing" }
        return fits(verifier, signature) ? nil : "X-Twilio-Signature does not fit \(url.prefix { $0 != "?" })"
    }

    /// The secrets of a shared key, or of the account.
    private func secrets(_ keyID: String?) -> [String] {
        guard let keyID else { return options.twilioAuthToken.map { [$0.reveal()] } ?? [] }
        return settings.twilio.sharedKeys.filter { $0.id == keyID }.map { $0.secret.reveal() }
    }

    private static func value(_ name: String, _ headers: HTTPFields) -> String? {
        HTTPField.Name(name).flatMap { headers[$0] }
    }
}
