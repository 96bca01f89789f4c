import ArgumentParser
import PatchbaySimulators

struct Simulate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Plays an agent vendor or a carrier on a port, for work without an account.",
        subcommands: [
            SimulateElevenLabs.self, SimulateGemini.self, SimulateOpenAI.self, SimulateTwilio.self,
            SimulateWebSocket.self,
        ])
}

struct SimulateElevenLabs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "elevenlabs",
        abstract: "An ElevenLabs agent: signed URLs, conversation, interruptions, client tools, faults on demand.",
        discussion: """
            EXAMPLES
              patchbay simulate elevenlabs
              patchbay simulate elevenlabs --format ulaw_8000 --greeting "Hello!" --reply "One." --reply "Two."
              patchbay simulate elevenlabs --api-key secret --private --stall-after 8

            Point a pipeline at it with ELEVENLABS_BASE_URL=http://127.0.0.1:9000 and any agent id.
            """)

    @Option(help: "Address to listen on.") var host = "127.0.0.1"
    @Option(help: "Port to listen on; 0 takes any free one.") var port = 9000
    @Option(help: "Audio format both ways: ulaw_8000, or pcm_8000 to pcm_48000.") var format = "pcm_16000"
    @Option(help: "Format that clients send, when it differs.") var inputFormat: String?
    @Option(help: "Format that the agent sends, when it differs.") var outputFormat: String?
    @Option(help: "Key that the signed-URL request must carry.") var apiKey: String?
    @Flag(name: .customLong("private"), help: "Conversations need a signed URL.") var isPrivate = false
    @Option(help: "Agent id to answer; may be repeated. (default: any)") var agentId: [String] = []
    @Option(help: "Language, and espeak-ng's voice.") var language = "en"
    @Option(help: "First words: a text or a WAV file; empty waits for the caller.") var greeting: String?
    @Option(help: "Answer to a turn of the caller; may be repeated.") var reply: [String] = []
    @Option(help: "Words before hanging up; empty starts the replies again.") var goodbye: String?
    @Option(help: "What the agent claims to have heard; may be repeated.") var transcript: [String] = []
    @Option(help: "Client tool to call, or NAME={…} with its arguments; may be repeated.") var tool: [String] = []
    @Option(help: "Arguments of tools without their own, a JSON object.") var toolParameters = "{}"
    @Option(help: "Turn of the caller after which the tools are called.") var toolAfter = 1
    @Option(help: "Seconds to wait for a tool's result.") var toolTimeout = 20.0
    @Option(help: "Dynamic variable that must be given; may be repeated.") var requireVariable: [String] = []
    @Flag(help: "Refuse every override, as a new agent does.") var noOverrides = false
    @OptionGroup(title: "Faults") var faults: SimulatorFaultOptions
    @Flag(help: "Tell when each character is spoken.") var alignment = false
    @Flag(help: "Give out signed URLs that are too old.") var expiredUrls = false
    @Flag(help: "Use the account's quota up in mid-sentence.") var quota = false
    @Option(help: "Seconds that a conversation waits for a free place.") var queue: Double?
    @Flag(help: "Let that wait end without one.") var queueFull = false
    @Flag(help: "Send stale audio after an interruption.") var lateAudio = false
    @Flag(help: "Let a reply share the interruption's event id.") var sharedInterruptionId = false
    @Flag(help: "Send one message of 2 MiB.") var hugeAudio = false
    @Flag(help: "Send a message that is no JSON.") var malformedJson = false

    func run() async throws {
        let configuration: ElevenLabsSimulator.Configuration
        do {
            configuration = try options.configuration()
        } catch {
            throw ValidationError(error.description)
        }
        let jitter = configuration.agents.first?.faults.connection.jitter
        try await Simulate.run(ElevenLabsSimulator(configuration), jitter: jitter)
    }

    private var options: ElevenLabsSimulatorOptions {
        var options = ElevenLabsSimulatorOptions()
        options.common = faults.options(host: host, port: port)
        options.format = format
        (options.inputFormat, options.outputFormat) = (inputFormat, outputFormat)
        (options.apiKey, options.isPrivate, options.agentIds) = (apiKey, isPrivate, agentId)
        (options.language, options.greeting, options.replies, options.goodbye) = (language, greeting, reply, goodbye)
        options.transcripts = transcript
        (options.tools, options.toolParameters, options.toolAfterTurn) = (tool, toolParameters, toolAfter)
        (options.toolTimeout, options.requiredVariables, options.refusesOverrides) = (
            toolTimeout, requireVariable, noOverrides
        )
        (options.alignsText, options.expiresURLs, options.exceedsQuota) = (alignment, expiredUrls, quota)
        (options.queue, options.isQueueFull) = (queue, queueFull)
        (options.sendsLateAudio, options.interruptionSharesId) = (lateAudio, sharedInterruptionId)
        (options.sendsHugeAudio, options.sendsMalformedJSON) = (hugeAudio, malformedJson)
        return options
    }
}
