import PatchbayCore
import PatchbayWire

/// The options of `patchbay simulate elevenlabs`, as they were typed.
public struct ElevenLabsSimulatorOptions: Sendable {
    public var common = SimulatorOptions(port: 9000)
    /// `--format`, both ways: `ulaw_8000` or `pcm_8000` to `pcm_48000`.
    public var format = "pcm_16000"
    /// `--input-format`: what clients send, when it differs.
    public var inputFormat: String?
    /// `--output-format`: what the agent sends, when it differs.
    public var outputFormat: String?
    /// `--api-key`: needed for signed URLs.
    public var apiKey: String?
    /// `--private`: conversations need a signed URL.
    public var isPrivate = false
    /// `--agent-id`, may be repeated; without it every id is answered.
    public var agentIds: [String] = []
    /// `--language`, which is also the voice of espeak-ng.
    public var language = "en"
    /// `--greeting`: a text, a WAV file's path, or nothing, to wait for the caller.
    public var greeting: String?
    /// `--reply`, may be repeated: a text or a WAV file's path.
    public var replies: [String] = []
    /// `--goodbye`: said after the replies, before hanging up; empty to start the replies again instead.
    public var goodbye: String?
    /// `--transcript`, may be repeated: what the agent claims to have heard.
    public var transcripts: [String] = []
    /// `--tool`, may be repeated: a tool of the client.
    public var tools: [String] = []
    /// `--tool-parameters`: a JSON object, for those that have none of their own.
    public var toolParameters = "{}"
    /// `--tool-after`: the caller's turn after which they are called.
    public var toolAfterTurn = 1
    /// `--tool-timeout`, in seconds.
    public var toolTimeout = 20.0
    /// `--require-variable`, may be repeated.
    public var requiredVariables: [String] = []
    /// `--no-overrides`: refuse every override, as a new agent of the vendor does.
    public var refusesOverrides = false
    /// `--alignment`: audio tells when each character is spoken.
    public var alignsText = false
    /// `--expired-urls`: signed URLs are too old at once.
    public var expiresURLs = false
    /// `--quota`: it is used up half a second into a conversation.
    public var exceedsQuota = false
    /// `--queue`: seconds that a conversation waits for a free place.
    public var queue: Double?
    /// `--queue-full`: the wait ends without a place.
    public var isQueueFull = false
    /// `--late-audio`
    public var sendsLateAudio = false
    /// `--shared-interruption-id`
    public var interruptionSharesId = false
    /// `--huge-audio`
    public var sendsHugeAudio = false
    /// `--malformed-json`
    public var sendsMalformedJSON = false

    public init() {}

    private static let formats = [
        "ulaw_8000", "pcm_8000", "pcm_16000", "pcm_22050", "pcm_24000", "pcm_44100", "pcm_48000",
    ]

    /// Checks all options at once.
    public func configuration() throws(SimulatorOptionFault) -> ElevenLabsSimulator.Configuration {
        var check = SimulatorOptionCheck()
        var faults = ElevenLabsSimulatedAgent.Faults()
        faults.connection = common.faults(&check)
        let input = Self.format(
            inputFormat ?? format, option: inputFormat == nil ? "--format" : "--input-format", &check)
        let output = Self.format(
            outputFormat ?? format, option: outputFormat == nil ? "--format" : "--output-format", &check)
        if apiKey == "" { check.fail("--api-key is empty; leave it out to need none") }
        if agentIds.contains("") { check.fail("--agent-id is empty; leave it out to answer every id") }
        if language.isEmpty { check.fail("--language is empty; a code such as en or de is needed") }
        if replies.contains("") { check.fail("--reply is empty; a text or a WAV file is needed") }
        let tools = SimulatedAgentScript.Tool.read(
            tools, parameters: toolParameters, afterTurn: toolAfterTurn, &check)
        let toolTimeout = check.seconds(toolTimeout, option: "--tool-timeout")

        faults.exceedsQuota = exceedsQuota
        if let queue {
            let wait = check.seconds(queue, option: "--queue")
            faults.queue = isQueueFull ? .timesOut(after: wait) : .admits(after: wait)
        } else if isQueueFull {
            faults.queue = .timesOut(after: .seconds(3))
        }
        faults.lateAudio = sendsLateAudio
        faults.interruptionSharesId = interruptionSharesId
        faults.hugeAudio = sendsHugeAudio
        faults.malformedJSON = sendsMalformedJSON
        try check.finish()

        var agent = ElevenLabsSimulatedAgent(
            inputFormat: input, outputFormat: output, isPrivate: isPrivate, requiredVariables: requiredVariables,
            language: language, script: script, faults: faults)
        agent.script.tools = tools
        if refusesOverrides { agent.allowedOverrides = [] }
        agent.timing.toolTimeout = toolTimeout
        agent.alignsText = alignsText
        let ids: [String?] = agentIds.isEmpty ? [nil] : agentIds
        let agents = ids.map { id in
            var named = agent
            named.id = id
            return named
        }
        return ElevenLabsSimulator.Configuration(
            host: common.host, port: common.port, apiKey: apiKey, agents: agents,
            signedURLLifetime: expiresURLs ? .zero : .seconds(15 * 60))
    }

    private var script: SimulatedAgentScript {
        var script = SimulatedAgentScript()
        script.greeting = greeting ?? script.greeting
        if !replies.isEmpty { script.replies = replies }
        if let goodbye { script.goodbye = goodbye.isEmpty ? nil : goodbye }
        if !transcripts.isEmpty { script.transcripts = transcripts }
        return script
    }

    private static func format(
        _ name: String, option: String, _ check: inout SimulatorOptionCheck
    ) -> ElevenLabsAudioFormat {
        if formats.contains(name), let format = try? ElevenLabsAudioFormat(name) { return format }
        check.fail("\(option) \(name.prefix(40)): possible are \(formats.joined(separator: ", "))")
        return .pcm16000
    }
}
