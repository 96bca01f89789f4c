import Foundation
import PatchbayCore

/// The options of `patchbay simulate openai-realtime`, as they were typed.
public struct OpenAISimulatorOptions: Sendable {
    public var common = SimulatorOptions(port: 9100)
    /// `--api-key`: the one that clients must have.
    public var apiKey: String?
    /// `--model`, may be repeated; without it every model is there.
    public var models: [String] = []
    /// `--language`, which is also the voice of espeak-ng.
    public var language = "en"
    /// `--greeting`: a text, a WAV file's path, or nothing.
    public var greeting: String?
    /// `--reply`, may be repeated.
    public var replies: [String] = []
    /// `--transcript`, may be repeated: what the model claims to have heard.
    public var transcripts: [String] = []
    /// `--tool`, may be repeated: a function that sessions declare.
    public var tools: [String] = []
    /// `--tool-parameters`: a JSON object, for all of them.
    public var toolParameters = "{}"
    /// `--tool-after`: the caller's turn after which they are called.
    public var toolAfterTurn = 1
    /// `--fail-responses`: a code, such as insufficient_quota.
    public var failResponses: String?
    /// `--session-limit`, in seconds.
    public var sessionLimit: Double?
    /// `--late-audio`
    public var sendsLateAudio = false
    /// `--malformed-json`
    public var sendsMalformedJSON = false

    public init() {}

    /// Checks all options at once.
    public func configuration() throws(SimulatorOptionFault) -> OpenAIRealtimeSimulator.Configuration {
        var check = SimulatorOptionCheck()
        var model = OpenAISimulatedModel(names: models, language: language)
        model.faults.connection = common.faults(&check)
        if apiKey == "" { check.fail("--api-key is empty; leave it out to take any") }
        if models.contains("") { check.fail("--model is empty; leave it out to have every model") }
        if language.isEmpty { check.fail("--language is empty; a code such as en or de is needed") }
        if replies.contains("") { check.fail("--reply is empty; a text or a WAV file is needed") }
        if tools.contains("") { check.fail("--tool is empty; the name of a function is needed") }
        let parameters = try? JSONSerialization.jsonObject(with: Data(toolParameters.utf8))
        if !(parameters is [String: Any]) {
            check.fail("--tool-parameters \(toolParameters.prefix(60)): a JSON object is needed, such as {\"id\": 1}")
        }
        if toolAfterTurn < 0 { check.fail("--tool-after \(toolAfterTurn): turns count from 1; 0 calls at once") }
        if let sessionLimit {
            model.timing.maximumDuration = check.seconds(sessionLimit, option: "--session-limit")
        }
        try check.finish()
        model.faults.failResponses = failResponses
        model.faults.lateAudio = sendsLateAudio
        model.faults.malformedJSON = sendsMalformedJSON
        model.script.greeting = greeting ?? model.script.greeting
        if !replies.isEmpty { model.script.replies = replies }
        if !transcripts.isEmpty { model.script.transcripts = transcripts }
        model.script.tools = tools.map { .init($0, parameters: toolParameters, afterTurn: toolAfterTurn) }
        return OpenAIRealtimeSimulator.Configuration(
            host: common.host, port: common.port, apiKey: apiKey, model: model)
    }
}
