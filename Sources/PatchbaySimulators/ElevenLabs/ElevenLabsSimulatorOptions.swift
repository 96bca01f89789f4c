import Foundation
import PatchbayCore
import PatchbayWire

/// The options of `patchbay simulate elevenlabs`, as they were typed.
public struct ElevenLabsSimulatorOptions: Sendable {
    /// `--host`
    public var host = "127.0.0.1"
    /// `--port`: 0 for any free one.
    public var port = 9000
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
    /// `--tool-parameters`: a JSON object, for all of them.
    public var toolParameters = "{}"
    /// `--tool-after`: the caller's turn after which they are called.
    public var toolAfterTurn = 1
    /// `--tool-timeout`, in seconds.
    public var toolTimeout = 20.0
    /// `--require-variable`, may be repeated.
    public var requiredVariables: [String] = []
    /// `--no-overrides`: refuse every override, as a new agent of the vendor does.
    public var refusesOverrides = false
    /// `--slow-start`: seconds before the metadata comes.
    public var slowStart: Double?
    /// `--never-start`: no metadata at all.
    public var neverStarts = false
    /// `--stall-after`: seconds into a conversation after which nothing is said any more.
    public var stallAfter: Double?
    /// `--close-with`: 1006 cuts the connection without a close frame.
    public var closeWith: Int?
    /// `--close-reason`
    public var closeReason = ""
    /// `--close-after`: seconds into a conversation at which `--close-with` happens.
    public var closeAfter = 5.0
    /// `--late-audio`
    public var sendsLateAudio = false
    /// `--shared-interruption-id`
    public var interruptionSharesId = false
    /// `--huge-audio`
    public var sendsHugeAudio = false
    /// `--malformed-json`
    public var sendsMalformedJSON = false

    public init() {}

    /// Everything that is wrong with the options.
    public struct Fault: Error, Sendable, Equatable, CustomStringConvertible {
        /// One for each option, in the order of the options.
        public var problems: [String]
        public var description: String { problems.joined(separator: "\n") }
    }

    private static let formats = [
        "ulaw_8000", "pcm_8000", "pcm_16000", "pcm_22050", "pcm_24000", "pcm_44100", "pcm_48000",
    ]

    /// Checks all options at once.
    public func configuration() throws(Fault) -> ElevenLabsSimulator.Configuration {
        var check = Check()
        if !(0...65_535).contains(port) { check.fail("--port \(port): 0 to 65535 are possible") }
        if host.isEmpty { check.fail("--host is empty; 127.0.0.1 serves this machine, 0.0.0.0 all") }
        let input = check.format(inputFormat ?? format, option: inputFormat == nil ? "--format" : "--input-format")
        let output = check.format(outputFormat ?? format, option: outputFormat == nil ? "--format" : "--output-format")
        if apiKey == "" { check.fail("--api-key is empty; leave it out to need none") }
        if agentIds.contains("") { check.fail("--agent-id is empty; leave it out to answer every id") }
        if language.isEmpty { check.fail("--language is empty; a code such as en or de is needed") }
        if replies.contains("") { check.fail("--reply is empty; a text or a WAV file is needed") }
        if tools.contains("") { check.fail("--tool is empty; the name of a tool is needed") }
        let parameters = try? JSONSerialization.jsonObject(with: Data(toolParameters.utf8))
        if !(parameters is [String: Any]) {
            check.fail("--tool-parameters \(toolParameters.prefix(60)): a JSON object is needed, such as {\"id\": 1}")
        }
        if toolAfterTurn < 1 { check.fail("--tool-after \(toolAfterTurn): turns count from 1") }
        let toolTimeout = check.seconds(toolTimeout, option: "--tool-timeout")

        var faults = ElevenLabsSimulatedAgent.Faults()
        if let slowStart { faults.delayMetadata = check.seconds(slowStart, option: "--slow-start") }
        if let stallAfter { faults.stallAfter = check.seconds(stallAfter, option: "--stall-after") }
        if let closeWith {
            let after = check.seconds(closeAfter, option: "--close-after")
            switch closeWith {
            case 1000...1003, 1006...1014, 3000...4999:
                faults.closeWith = .init(code: UInt16(closeWith), reason: closeReason, after: after)
            default:
                check.fail("--close-with \(closeWith): 1000 to 1003, 1006 to 1014 and 3000 to 4999 are possible")
            }
        }
        if closeReason.utf8.count > 123 {
            check.fail("--close-reason has \(closeReason.utf8.count) bytes; a close frame holds 123")
        }
        faults.neverMetadata = neverStarts
        faults.lateAudio = sendsLateAudio
        faults.interruptionSharesId = interruptionSharesId
        faults.hugeAudio = sendsHugeAudio
        faults.malformedJSON = sendsMalformedJSON
        guard check.problems.isEmpty else { throw Fault(problems: check.problems) }

        var agent = ElevenLabsSimulatedAgent(
            inputFormat: input, outputFormat: output, isPrivate: isPrivate, requiredVariables: requiredVariables,
            language: language, script: script, faults: faults)
        if refusesOverrides { agent.allowedOverrides = [] }
        agent.timing.toolTimeout = toolTimeout
        let ids: [String?] = agentIds.isEmpty ? [nil] : agentIds
        let agents = ids.map { id in
            var named = agent
            named.id = id
            return named
        }
        return ElevenLabsSimulator.Configuration(host: host, port: port, apiKey: apiKey, agents: agents)
    }

    private var script: ElevenLabsAgentScript {
        var script = ElevenLabsAgentScript()
        script.greeting = greeting ?? script.greeting
        if !replies.isEmpty { script.replies = replies }
        if let goodbye { script.goodbye = goodbye.isEmpty ? nil : goodbye }
        if !transcripts.isEmpty { script.transcripts = transcripts }
        script.tools = tools.map { .init($0, parameters: toolParameters, afterTurn: toolAfterTurn) }
        return script
    }

    private struct Check {
        private(set) var problems: [String] = []

        mutating func fail(_ problem: String) {
            if !problems.contains(problem) { problems.append(problem) }
        }

        mutating func format(_ name: String, option: String) -> ElevenLabsAudioFormat {
            if formats.contains(name), let format = try? ElevenLabsAudioFormat(name) { return format }
            fail("\(option) \(name.prefix(40)): possible are \(formats.joined(separator: ", "))")
            return .pcm16000
        }

        mutating func seconds(_ value: Double, option: String) -> TimeSpan {
            guard value.isFinite, (0...86_400).contains(value) else {
                fail("\(option) \(value): 0 to 86400 seconds are possible")
                return .zero
            }
            return TimeSpan(nanoseconds: Int64(value * 1e9))
        }
    }
}
