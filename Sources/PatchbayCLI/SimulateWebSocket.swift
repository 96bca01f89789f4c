import ArgumentParser
import PatchbaySimulators

struct SimulateWebSocket: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "websocket",
        abstract: "An agent of one's own, over Patchbay's open agent protocol, with the mistakes that authors make.",
        discussion: """
            EXAMPLES
              patchbay simulate websocket
              patchbay simulate websocket --format mulaw_8000 --greeting "Hello!" --reply "One." --tool book
              patchbay simulate websocket --mistake no-turn-end --mistake no-pong

            Point a pipeline at it with { "type": "websocket", "url": "ws://127.0.0.1:8765" }, or patchbay check-agent.
            Mistakes: \(AgentSocketMistake.allCases.map(\.rawValue).joined(separator: ", ")).
            """)

    @Option(help: "Address to listen on.") var host = "127.0.0.1"
    @Option(help: "Port to listen on; 0 takes any free one.") var port = 8765
    @Option(help: "Audio format both ways: mulaw, alaw or pcm16 with _8000, _16000, _24000 or _48000.")
    var format = "pcm16_16000"
    @Option(help: "Format that clients send, when it differs.") var inputFormat: String?
    @Option(help: "Format that the agent sends, when it differs.") var outputFormat: String?
    @Option(help: "How sound travels: binary or base64.") var audio = "binary"
    @Option(help: "Bearer token that the handshake must carry.") var token: String?
    @Option(help: "espeak-ng's voice.") var language = "en"
    @Option(help: "First words: a text or a WAV file; empty waits for the caller.") var greeting: String?
    @Option(help: "Answer to a turn of the caller; may be repeated.") var reply: [String] = []
    @Option(help: "Words before hanging up; empty starts the replies again.") var goodbye: String?
    @Option(help: "What the agent claims to have heard; may be repeated.") var transcript: [String] = []
    @Option(help: "Tool to call, or NAME={…} with its arguments; may be repeated.") var tool: [String] = []
    @Option(help: "Arguments of tools without their own, a JSON object.") var toolParameters = "{}"
    @Option(help: "Turn of the caller after which the tools are called.") var toolAfter = 1
    @Option(help: "Mistake to make; may be repeated.") var mistake: [String] = []
    @OptionGroup(title: "Faults") var faults: SimulatorFaultOptions

    func run() async throws {
        let agent: AgentSocketSimulatedAgent
        do {
            agent = try options.agent()
        } catch {
            throw ValidationError(error.description)
        }
        let simulator = AgentSocketSimulator(agent, host: host, port: port)
        try await Simulate.run(simulator, jitter: agent.faults.jitter)
    }

    private var options: AgentSocketSimulatorOptions {
        var options = AgentSocketSimulatorOptions()
        options.common = faults.options(host: host, port: port)
        (options.format, options.inputFormat, options.outputFormat) = (format, inputFormat, outputFormat)
        (options.audio, options.token, options.language) = (audio, token, language)
        (options.greeting, options.replies, options.goodbye) = (greeting, reply, goodbye)
        options.transcripts = transcript
        (options.tools, options.toolParameters, options.toolAfterTurn) = (tool, toolParameters, toolAfter)
        options.mistakes = mistake
        return options
    }
}
