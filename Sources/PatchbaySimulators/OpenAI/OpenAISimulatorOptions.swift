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
    /// `--tool-parameters`: a JSON object, for those that have none of their own.
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
        let tools = SimulatedAgentScript.Tool.read(
            tools, parameters: toolParameters, afterTurn: toolAfterTurn, earliest: 0, &check)
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
        model.script.tools = tools
        return OpenAIRealtimeSimulator.Configuration(
            host: common.host, port: common.port, apiKey: apiKey, model: model)
    }
}
