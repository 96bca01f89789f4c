import ArgumentParser
import PatchbaySimulators

struct SimulateOpenAI: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "openai-realtime",
        abstract: "OpenAI's Realtime API: sessions, turns, interruptions, functions, faults on demand.",
        discussion: """
            EXAMPLES
              patchbay simulate openai-realtime
              patchbay simulate openai-realtime --reply "One." --reply "Two." --tool look_up
              patchbay simulate openai-realtime --api-key secret --fail-responses insufficient_quota

            Point a pipeline at it with OPENAI_BASE_URL=http://127.0.0.1:9100/v1 and any key.
            """)

    @Option(help: "Address to listen on.") var host = "127.0.0.1"
    @Option(help: "Port to listen on; 0 takes any free one.") var port = 9100
    @Option(help: "Key that clients must have. (default: any)") var apiKey: String?
    @Option(help: "Model that is there; may be repeated. (default: any)") var model: [String] = []
    @Option(help: "Language, and espeak-ng's voice.") var language = "en"
    @Option(help: "First words when no others are asked for: a text or a WAV file.") var greeting: String?
    @Option(help: "Answer to a turn of the caller; may be repeated.") var reply: [String] = []
    @Option(help: "What the model claims to have heard; may be repeated.") var transcript: [String] = []
    @Option(help: "Function to call when the session has it, or NAME={…} with its arguments; may be repeated.")
    var tool: [String] = []
    @Option(help: "Arguments of functions without their own, a JSON object.") var toolParameters = "{}"
    @Option(help: "Turn of the caller after which they are called.") var toolAfter = 1
    @Option(help: "Code with which every response fails, for instance insufficient_quota.") var failResponses: String?
    @Option(help: "Seconds after which a session expires. (default: 3600)") var sessionLimit: Double?
    @OptionGroup(title: "Faults") var faults: SimulatorFaultOptions
    @Flag(help: "Send stale audio after a response was cancelled.") var lateAudio = false
    @Flag(help: "Send a message that is no JSON.") var malformedJson = false

    func run() async throws {
        let configuration: OpenAIRealtimeSimulator.Configuration
        do {
            configuration = try options.configuration()
        } catch {
            throw ValidationError(error.description)
        }
        try await Simulate.run(
            OpenAIRealtimeSimulator(configuration), jitter: configuration.model.faults.connection.jitter)
    }

    private var options: OpenAISimulatorOptions {
        var options = OpenAISimulatorOptions()
        options.common = faults.options(host: host, port: port)
        (options.apiKey, options.models, options.language) = (apiKey, model, language)
        (options.greeting, options.replies, options.transcripts) = (greeting, reply, transcript)
        (options.tools, options.toolParameters, options.toolAfterTurn) = (tool, toolParameters, toolAfter)
        (options.failResponses, options.sessionLimit) = (failResponses, sessionLimit)
        (options.sendsLateAudio, options.sendsMalformedJSON) = (lateAudio, malformedJson)
        return options
    }
}
