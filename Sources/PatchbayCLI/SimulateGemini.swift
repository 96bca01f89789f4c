import ArgumentParser
import PatchbaySimulators

struct SimulateGemini: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gemini-live",
        abstract:
            "Gemini's Live API: conversation, interruptions, functions, going away and resuming, faults on demand.",
        discussion: """
            EXAMPLES
              patchbay simulate gemini-live
              patchbay simulate gemini-live --api-key secret --greeting "Hello!" --reply "One." --reply "Two."
              patchbay simulate gemini-live --go-away-after 20 --go-away-time-left 5

            Point a pipeline at it with GEMINI_BASE_URL=http://127.0.0.1:9000 and any GEMINI_API_KEY. The greeting is
            said when the model is first asked for an answer in writing, which "firstMessage" does.
            """)

    @Option(help: "Address to listen on.") var host = "127.0.0.1"
    @Option(help: "Port to listen on; 0 takes any free one.") var port = 9000
    @Option(help: "Key that conversations need.") var apiKey: String?
    @Option(help: "Model to answer for; may be repeated. (default: any)") var model: [String] = []
    @Option(help: "Language, and espeak-ng's voice.") var language = "en"
    @Option(help: "First words: a text or a WAV file.") var greeting: String?
    @Option(help: "Answer to a turn of the caller; may be repeated.") var reply: [String] = []
    @Option(help: "What the model claims to have heard; may be repeated.") var transcript: [String] = []
    @Option(help: "Function to call, or NAME={…} with its arguments; may be repeated.") var tool: [String] = []
    @Option(help: "Arguments of functions without their own, a JSON object.") var toolParameters = "{}"
    @Option(help: "Turn of the caller after which the functions are called.") var toolAfter = 1
    @OptionGroup(title: "Faults") var faults: SimulatorFaultOptions
    @Option(help: "Seconds from the opening of each connection until the server goes away.") var goAwayAfter: Double?
    @Option(help: "Seconds that it grants then.") var goAwayTimeLeft = 10.0
    @Flag(help: "Refuse every conversation for want of quota.") var noQuota = false
    @Flag(help: "Give out no handles for resuming.") var noResumption = false
    @Flag(help: "Refuse the handles that were given out.") var forgetHandles = false
    @Flag(help: "Send several members in one message.") var bundle = false
    @Flag(help: "Send a message that is no JSON.") var malformedJson = false

    func run() async throws {
        let configuration: GeminiSimulator.Configuration
        do {
            configuration = try options.configuration()
        } catch {
            throw ValidationError(error.description)
        }
        let jitter = configuration.models.first?.faults.connection.jitter
        try await Simulate.run(GeminiSimulator(configuration), jitter: jitter)
    }

    private var options: GeminiSimulatorOptions {
        var options = GeminiSimulatorOptions()
        options.common = faults.options(host: host, port: port)
        (options.apiKey, options.models, options.language) = (apiKey, model, language)
        (options.greeting, options.replies, options.transcripts) = (greeting, reply, transcript)
        (options.tools, options.toolParameters, options.toolAfterTurn) = (tool, toolParameters, toolAfter)
        (options.goAwayAfter, options.goAwayTimeLeft) = (goAwayAfter, goAwayTimeLeft)
        (options.hasNoQuota, options.isNotResumable, options.forgetsHandles) = (noQuota, noResumption, forgetHandles)
        (options.bundlesMembers, options.sendsMalformedJSON) = (bundle, malformedJson)
        return options
    }
}
