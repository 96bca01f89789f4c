import PatchbayCore
import PatchbayWire

/// The options of `patchbay simulate websocket`, as they were typed.
public struct AgentSocketSimulatorOptions: Sendable {
    public var common = SimulatorOptions(port: 8765)
    /// `--format`, both ways: `pcm16_16000` and the others of the protocol.
    public var format = "pcm16_16000"
    /// `--input-format`: what clients send, when it differs.
    public var inputFormat: String?
    /// `--output-format`: what the agent sends, when it differs.
    public var outputFormat: String?
    /// `--audio`: `binary` or `base64`.
    public var audio = "binary"
    /// `--token`: needed in the handshake.
    public var token: String?
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
    /// `--tool`, may be repeated: a tool of the pipeline.
    public var tools: [String] = []
    /// `--tool-parameters`: a JSON object, for those that have none of their own.
    public var toolParameters = "{}"
    /// `--tool-after`: the caller's turn after which they are called.
    public var toolAfterTurn = 1
    /// `--mistake`, may be repeated: a name of ``AgentSocketMistake``.
    public var mistakes: [String] = []

    public init() {}

    /// Checks all options at once.
    public func agent() throws(SimulatorOptionFault) -> AgentSocketSimulatedAgent {
        var check = SimulatorOptionCheck()
        var agent = AgentSocketSimulatedAgent(token: token, language: language)
        agent.faults = common.faults(&check)
        agent.inputFormat = Self.format(
            inputFormat ?? format, inputFormat == nil ? "--format" : "--input-format", &check)
        agent.outputFormat = Self.format(
            outputFormat ?? format, outputFormat == nil ? "--format" : "--output-format", &check)
        if let form = AgentSocketAudioForm(rawValue: audio) {
            agent.form = form
        } else {
            check.fail("--audio \(audio.prefix(40)): possible are binary and base64")
        }
        if token == "" { check.fail("--token is empty; leave it out to need none") }
        if language.isEmpty { check.fail("--language is empty; a code such as en or de is needed") }
        if replies.contains("") { check.fail("--reply is empty; a text or a WAV file is needed") }
        let tools = SimulatedAgentScript.Tool.read(
            tools, parameters: toolParameters, afterTurn: toolAfterTurn, &check)
        for name in mistakes {
            if let mistake = AgentSocketMistake(rawValue: name) {
                agent.mistakes.insert(mistake)
            } else {
                let all = AgentSocketMistake.allCases.map(\.rawValue).joined(separator: ", ")
                check.fail("--mistake \(name.prefix(40)): possible are \(all)")
            }
        }
        try check.finish()
        agent.script.greeting = greeting ?? agent.script.greeting
        if !replies.isEmpty { agent.script.replies = replies }
        if let goodbye { agent.script.goodbye = goodbye.isEmpty ? nil : goodbye }
        if !transcripts.isEmpty { agent.script.transcripts = transcripts }
        agent.script.tools = tools
        return agent
    }

    private static func format(
        _ name: String, _ option: String, _ check: inout SimulatorOptionCheck
    ) -> AgentSocketFormat {
        do throws(WireError) {
            return try AgentSocketFormat(name)
        } catch {
            check.fail("\(option): \(error.message)")
            return .init(.pcm16, sampleRate: 16000)
        }
    }
}
