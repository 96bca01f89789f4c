import PatchbayConfig
import PatchbayCore
import PatchbayWire
import Testing

@testable import PatchbayTransports

@Suite struct ElevenLabsFailureTests {
    @Test(arguments: [
        (
            401, #"{"detail":{"status":"invalid_api_key","message":"Invalid API key"}}"#,
            PipelineError.Code.agentUnauthorized, false
        ),
        (401, #"{"detail":{"status":"quota_exceeded","message":"You have 0 credits"}}"#, .agentQuota, false),
        (403, "Forbidden", .agentUnauthorized, false),
        (404, #"{"detail":{"type":"not_found","code":"agent_not_found","message":"No agent"}}"#, .agentUnknown, false),
        (
            422, #"{"detail":[{"loc":["query","agent_id"],"msg":"Field required","type":"missing"}]}"#,
            .agentSettingRefused, false
        ),
        (429, #"{"detail":{"status":"too_many_concurrent_requests","message":"Too many"}}"#, .agentQuota, true),
        (429, #"{"detail":{"status":"system_busy","message":"Busy"}}"#, .agentUnreachable, true),
        (500, "", .agentUnreachable, true), (503, #"{"detail":"down"}"#, .agentUnreachable, true),
        (302, "<html>", .agentUnreachable, false),
    ])
    func everyRefusalHasItsCode(status: Int, body: String, code: PipelineError.Code, isRetryable: Bool) {
        let error = ElevenLabsFailure.refused("no signed URL", status: status, body: body, apiKey: nil)
        #expect(error.code == code && error.isRetryable == isRetryable && error.message.contains("HTTP \(status)"))
    }

    @Test func aSignedURLThatIsTooOldIsWorthAnotherTry() {
        let close = ElevenLabsClose(code: 1008, reason: "The signed URL has expired")
        let error = ElevenLabsFailure.closed(close, after: nil, isReady: false)
        #expect(error.code == .agentUnreachable && error.isRetryable && !error.message.contains("; check"))
        let refused = ElevenLabsFailure.closed(
            ElevenLabsClose(code: 1008, reason: "Invalid API key"), after: nil, isReady: false)
        #expect(
            refused.code == .agentUnauthorized && !refused.isRetryable && refused.message.contains("; check apiKey"))
    }

    @Test func aKeyIsNeverRepeated() {
        let body = #"{"detail":{"status":"invalid_api_key","message":"planted-key is no key"}}"#
        let error = ElevenLabsFailure.refused("no", status: 401, body: body, apiKey: Secret("planted-key"))
        #expect(!error.description.contains("planted-key") && error.message.contains("is no key"))
        let long = ElevenLabsFailure.refused(
            "no", status: 500, body: String(repeating: "x", count: 60_000), apiKey: nil)
        #expect(long.message.count < 1000)
    }
}
