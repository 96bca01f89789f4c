import NIOCore
import PatchbayConfig
import PatchbayCore
import PatchbayWire
import Testing

@testable import PatchbayTransports

@Suite struct GeminiAgentTests {
    private let component = GeminiAgent()
    private let key = ["apiKey": Secret("the-key")]

    private func settings(
        _ values: [String: VariableValue] = [:], secrets: [String: Secret] = [:]
    ) -> Settings {
        Settings(component.spec.fields, values, secrets: secrets)
    }

    private func open(_ settings: Settings) async throws -> (GeminiSetup, AgentTarget) {
        let call = CallInfo(id: "1", callSid: "CA1", from: "+1", to: "+2", pipeline: "p")
        var session = try component.makeBackend(settings).open(AgentRequest(call: call, joint: .telephony))
        guard case .webSocket(let resolve) = session.endpoint else { throw CancellationError() }
        var output = AgentOutput()
        session.conversation.opened(at: .zero, into: &output)
        var audio = ByteBuffer()
        guard case .setup(let setup) = try GeminiClientMessage.decode(output.messages.message(at: 0), audio: &audio)
        else { throw CancellationError() }
        return (setup, try await resolve())
    }

    @Test func theKeyIsAHeaderAndDefaultsAreSafe() async throws {
        let (setup, target) = try await open(settings(secrets: key))
        #expect(
            target.url
                == "wss://generativelanguage.googleapis.com/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
        )
        #expect(target.headers.map(\.0) == ["x-goog-api-key"] && target.headers.map(\.1) == ["the-key"])
        #expect(setup.model == "models/\(GeminiAgent.defaultModel)")
        #expect(setup.isResumable && setup.compressesContext && setup.transcribesInput && setup.transcribesOutput)
        #expect(setup.turnDetection == .automatic(.init()) && setup.otherFields.isEmpty)
        #expect(setup.temperature == nil && setup.thinkingBudget == nil && setup.voice == nil)
    }

    @Test func everyFieldGoesToItsPlace() async throws {
        let (setup, target) = try await open(
            settings(
                [
                    "model": "models/gemini-3.8-live", "voice": "Puck", "instructions": "Be kind.", "language": "de-DE",
                    "startSensitivity": "low", "endSensitivity": "high", "prefixPaddingMs": 20, "silenceMs": 500,
                    "transcription": false, "contextWindowCompression": false, "sessionResumption": false,
                    "temperature": 0.5, "thinkingBudget": 0, "baseUrl": "http://127.0.0.1:9000/",
                ], secrets: key))
        #expect(target.url.hasPrefix("ws://127.0.0.1:9000/ws/google.ai."))
        #expect(setup.model == "models/gemini-3.8-live" && setup.voice == "Puck" && setup.languageCode == "de-DE")
        #expect(setup.instructions == "Be kind." && setup.temperature == 0.5 && setup.thinkingBudget == 0)
        #expect(
            setup.turnDetection
                == .automatic(.init(start: .low, end: .high, prefixPaddingMs: 20, silenceMs: 500)))
        #expect(!setup.isResumable && !setup.compressesContext && !setup.transcribesInput && !setup.transcribesOutput)
    }

    @Test func withAnAccessTokenItIsVertex() async throws {
        let token = ["accessToken": Secret("the-token")]
        let (setup, target) = try await open(
            settings(["project": "my-project", "model": "gemini-live-2.5-flash-native-audio"], secrets: token))
        #expect(
            target.url
                == "wss://us-central1-aiplatform.googleapis.com/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent"
        )
        #expect(target.headers.map(\.1) == ["Bearer the-token"])
        #expect(
            setup.model
                == "projects/my-project/locations/us-central1/publishers/google/models/gemini-live-2.5-flash-native-audio"
        )
        let (_, global) = try await open(settings(["project": "p", "location": "global"], secrets: token))
        #expect(global.url.hasPrefix("wss://aiplatform.googleapis.com/ws/"))
    }

    @Test func whatIsMissingIsNamed() {
        let token = ["accessToken": Secret("the-token")]
        for (settings, word) in [
            (settings(), "GEMINI_API_KEY"), (settings(secrets: token), "project"),
            (settings(["project": "p/../x"], secrets: token), "project"),
        ] {
            do throws(PipelineError) {
                _ = try component.makeBackend(settings)
                Issue.record("\(word) is missing")
            } catch {
                #expect(error.code == .agentNotConfigured && error.message.contains(word))
            }
        }
    }

    @Test func fieldsWithoutEffectAreTold() {
        let key = ["apiKey": Secret("the-key")]
        let problems = component.problems(in: settings(["turnDetection": "none", "silenceMs": 300], secrets: key))
        #expect(problems.map(\.field) == ["silenceMs"] && problems.first?.severity == .warning)
        #expect(component.problems(in: settings(["silenceMs": 300], secrets: key)).isEmpty)
    }

    @Test(arguments: [
        ("models/gemini-2.5-flash-native-audio-preview-12-2025", 2), ("models/gemini-3.1-flash-live-preview", 3),
        ("projects/p1/locations/l/publishers/google/models/gemini-live-2.5-flash", 2), ("models/tuned", 2),
        ("models/gemini-99999999999999999999", 2),
    ])
    func generations(model: String, generation: Int) {
        #expect(GeminiOptions.generation(of: model) == generation)
    }
}
