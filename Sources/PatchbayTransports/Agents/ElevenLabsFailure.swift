import AsyncHTTPClient
import Foundation
import NIOCore
import NIOPosix
import PatchbayConfig
import PatchbayCore
import PatchbayWire

/// What ElevenLabs' refusals and ends mean to a pipeline.
enum ElevenLabsFailure {
    private static let place = "agent elevenlabs"

    // MARK: Conversations

    static func silent(for patience: TimeSpan) -> PipelineError {
        PipelineError(
            .agentTimeout, "nothing came from the agent for \(patience.milliseconds / 1000) s, not even a ping",
            place: place, isRetryable: true)
    }

    static let queueTimedOut = PipelineError(
        .agentQuota,
        "no free conversation: the queue timed out; check the account's limit of conversations at once", place: place,
        isRetryable: true)

    /// The end of a conversation that was no goodbye.
    ///
    /// - Parameter fault: What the agent had said about itself just before
    ///   (elevenlabs.io/docs/agents-platform/api-reference/agents-platform/websocket: `error`).
    static func closed(
        _ close: ElevenLabsClose, after fault: ElevenLabsServerMessage.Fault?, isReady: Bool
    ) -> PipelineError {
        var words = close.description
        if let fault {
            let type = fault.type.map { "\($0.prefix(60)): " } ?? ""
            words += "; it had said: \(type)\(fault.message.prefix(ElevenLabsConversation.maximumWords))"
        }
        if !isReady { words = "closed before the conversation began: " + words }
        let (code, retries) = verdict(close, fault)
        // It was reached, so nothing is wrong with the network.
        if code != .agentUnreachable, let remedy = remedy(code) { words += "; \(remedy)" }
        return PipelineError(code, words, place: place, isRetryable: retries)
    }

    private static func verdict(
        _ close: ElevenLabsClose, _ fault: ElevenLabsServerMessage.Fault?
    ) -> (code: PipelineError.Code, isRetryable: Bool) {
        let retries = close.retry != .never
        switch fault?.type ?? "" {
        case "override_error": return (.agentSettingRefused, false)
        case "missing_dynamic_variable", "missing_dynamic_variable_transfer": return (.agentNotConfigured, false)
        case "safety_violation": return (.agentFailed, false)
        default: break
        }
        let said = [close.reason, fault?.message ?? "", fault?.reason ?? ""].joined(separator: " ").lowercased()
        func says(_ words: String...) -> Bool { words.contains { said.contains($0) } }
        switch close.meaning {
        case .quotaExceeded: return (.agentQuota, false)
        case .concurrencyExceeded: return (.agentQuota, retries)
        case .requestRefused: return (.agentSettingRefused, false)
        case .contractViolation:
            if says("override") { return (.agentSettingRefused, false) }
            if says("dynamic variable") { return (.agentNotConfigured, false) }
            // The next try has another URL.
            if says("expired") { return (.agentUnreachable, true) }
            if says("authori", "authenti", "api key", "signature", "signed url", "allowlist", "permission") {
                return (.agentUnauthorized, false)
            }
            if says("not found", "does not exist", "no agent", "unknown agent") { return (.agentUnknown, false) }
            return (.agentFailed, false)
        case .operational where says("quota"): return (.agentQuota, false)
        case .ended, .operational, .misconfigured, .connectionLost, .serverFailure, .unknown:
            return (.agentFailed, retries)
        }
    }

    // MARK: Signed URLs and handshakes

    /// An HTTP answer that is no success, to the request for a signed URL or to the handshake.
    ///
    /// - Parameters:
    ///   - body: `detail` may be an object with `status` or `code`, a text, or a list
    ///     (elevenlabs.io/docs/developers/resources/error-messages).
    ///   - apiKey: Is blotted out of what is repeated of the body.
    static func refused(_ what: String, status: Int, body: String, apiKey: Secret?) -> PipelineError {
        let detail = Detail(body)
        let (code, retries) = verdict(status, detail.code)
        var said = detail.message ?? body
        if let key = apiKey?.reveal(), !key.isEmpty { said = said.replacingOccurrences(of: key, with: "…") }
        said = String(said.prefix(ElevenLabsConversation.maximumWords))
        var words = "\(what): HTTP \(status)"
        if let code = detail.code { words += " \(code.prefix(60))" }
        if !said.isEmpty { words += " \"\(said)\"" }
        // A status is an answer, so nothing is wrong with the network.
        if code != .agentUnreachable, let remedy = remedy(code) { words += "; \(remedy)" }
        return PipelineError(code, words, place: place, isRetryable: retries)
    }

    /// No answer at all to the request for a signed URL.
    static func unanswered(_ error: any Error, origin: String) -> PipelineError {
        var words = "ElevenLabs could not be asked for a signed URL: "
        switch error {
        case let error as HTTPClientError: words += error.shortDescription
        case let error as IOError:
            words += "cannot connect to \(origin): \(String(cString: strerror(error.errnoCode)))"
        case let error as NIOConnectionError: words += WebSocketConnectError.connecting(to: origin, error).message
        default: words += "\(error)"
        }
        if let remedy = remedy(.agentUnreachable) { words += "; \(remedy)" }
        return PipelineError(.agentUnreachable, words, place: place, isRetryable: true)
    }

    private static func verdict(_ status: Int, _ detail: String?) -> (PipelineError.Code, isRetryable: Bool) {
        switch detail ?? "" {
        case "quota_exceeded": return (.agentQuota, false)
        case "too_many_concurrent_requests", "concurrent_limit_exceeded": return (.agentQuota, true)
        case "system_busy", "rate_limit_exceeded": return (.agentUnreachable, true)
        default: break
        }
        switch status {
        case 401, 403: return (.agentUnauthorized, false)
        case 402: return (.agentQuota, false)
        case 404: return (.agentUnknown, false)
        case 400, 422: return (.agentSettingRefused, false)
        case 429: return (.agentQuota, true)
        default: return (.agentUnreachable, status >= 500 || status == 408)
        }
    }

    static func remedy(_ code: PipelineError.Code) -> String? {
        switch code {
        case .agentUnreachable: "check the network, and baseUrl if it is set"
        case .agentUnauthorized: "check apiKey and its permissions; an agent that needs authentication needs a key"
        case .agentUnknown: "check agentId"
        case .agentQuota: "check the account's quota and its limit of conversations at once"
        case .agentSettingRefused:
            "check agentId and the agent's security settings: each of firstMessage, language, prompt and voiceId has "
                + "to be allowed there as an override"
        case .agentNotConfigured: "give the agent's variables in dynamicVariables"
        default: nil
        }
    }

    /// The vendor's words about an HTTP error.
    private struct Detail {
        var code: String?
        var message: String?

        init(_ body: String) {
            guard body.utf8.count <= 64 * 1024,
                let object = try? JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any]
            else { return }
            switch object["detail"] {
            case let text as String: message = text
            case let detail as [String: Any]:
                code = detail["status"] as? String ?? detail["code"] as? String
                message = detail["message"] as? String
            case let list as [[String: Any]]: message = list.first?["msg"] as? String
            default: break
            }
        }
    }
}
