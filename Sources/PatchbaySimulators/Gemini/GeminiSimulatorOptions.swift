import PatchbayCore

/// The options of `patchbay simulate gemini-live`, as they were typed.
public struct GeminiSimulatorOptions: Sendable {
    public var common = SimulatorOptions(port: 9000)
    /// `--api-key`: the key that conversations need.
    public var apiKey: String?
    /// `--model`, may be repeated; without it every name is answered.
    public var models: [String] = []
    /// `--language`, which is also the voice of espeak-ng.
    public var language = "en"
    /// `--greeting`: a text, a WAV file's path, or nothing.
    public var greeting: String?
    /// `--reply`, may be repeated: a text or a WAV file's path.
    public var replies: [String] = []
    /// `--transcript`, may be repeated: what the model claims to have heard.
    public var transcripts: [String] = []
    /// `--tool`, may be repeated: a function of the client.
    public var tools: [String] = []
    /// `--tool-parameters`: a JSON object, for those that have none of their own.
    public var toolParameters = "{}"
    /// `--tool-after`: the caller's turn after which they are called.
    public var toolAfterTurn = 1
    /// `--go-away-after`: seconds from the opening of each connection.
    public var goAwayAfter: Double?
    /// `--go-away-time-left`: seconds that are granted then.
    public var goAwayTimeLeft = 10.0
    /// `--no-quota`
    public var hasNoQuota = false
    /// `--no-resumption`
    public var isNotResumable = false
    /// `--forget-handles`
    public var forgetsHandles = false
    /// `--bundle`
    public var bundlesMembers = false
    /// `--malformed-json`
    public var sendsMalformedJSON = false

    public init() {}

    /// Checks all options at once.
    public func configuration() throws(SimulatorOptionFault) -> GeminiSimulator.Configuration {
        var check = SimulatorOptionCheck()
        var model = GeminiSimulatedModel(language: language, script: script)
        model.faults.connection = common.faults(&check)
        if apiKey == "" { check.fail("--api-key is empty; leave it out to need none") }
        if models.contains("") { check.fail("--model is empty; leave it out to answer every name") }
        if language.isEmpty { check.fail("--language is empty; a code such as en or de is needed") }
        if replies.contains("") { check.fail("--reply is empty; a text or a WAV file is needed") }
        let tools = SimulatedAgentScript.Tool.read(
            tools, parameters: toolParameters, afterTurn: toolAfterTurn, &check)
        model.script.tools = tools
        if let goAwayAfter { model.timing.goAwayAfter = check.seconds(goAwayAfter, option: "--go-away-after") }
        model.timing.goAwayTimeLeft = check.seconds(goAwayTimeLeft, option: "--go-away-time-left")
        try check.finish()

        model.faults.hasNoQuota = hasNoQuota
        model.faults.isNotResumable = isNotResumable
        model.faults.forgetsHandles = forgetsHandles
        model.faults.bundlesMembers = bundlesMembers
        model.faults.malformedJSON = sendsMalformedJSON
        let names: [String?] = models.isEmpty ? [nil] : models
        let named = names.map { name in
            var named = model
            named.name = name
            return named
        }
        return GeminiSimulator.Configuration(host: common.host, port: common.port, apiKey: apiKey, models: named)
    }

    private var script: SimulatedAgentScript {
        var script = SimulatedAgentScript()
        script.greeting = greeting ?? script.greeting
        if !replies.isEmpty { script.replies = replies }
        if !transcripts.isEmpty { script.transcripts = transcripts }
        return script
    }
}
