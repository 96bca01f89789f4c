import PatchbayAudio
import PatchbayCore

@testable import PatchbayConfig

/// Stand-ins with the shapes of the stock components. They are checked and planned, never run.
struct TestTransport: TransportComponent {
    var spec = ComponentSpec("twilio", .transport, summary: "A telephone carrier.") {
        Field("edge", .choice(["ashburn", "dublin"]), isAdvanced: true, "Where the carrier enters.")
    }
    var format = AudioFormat.telephony
}

struct TestStage: StageComponent {
    var spec: ComponentSpec
    var convert: @Sendable (AudioFormat, Settings) -> Result<AudioFormat, FormatMismatch>
    var identity: @Sendable (AudioFormat, Settings) -> Bool = { _, _ in false }
    var objections: @Sendable (Settings) -> [SettingsProblem] = { _ in [] }

    func output(for input: AudioFormat, settings: Settings) throws(FormatMismatch) -> AudioFormat {
        try convert(input, settings).get()
    }
    func isIdentity(for input: AudioFormat, settings: Settings) -> Bool { identity(input, settings) }
    func makeProcessor(taking input: AudioFormat, settings: Settings) throws(PipelineError) -> any Processor {
        throw PipelineError(.stageFailed, "a stand-in makes nothing")
    }
    func problems(in settings: Settings) -> [SettingsProblem] { objections(settings) }
}

struct TestAgent: AgentComponent {
    var spec: ComponentSpec
    var neverFails = false
    func makeBackend(_ settings: Settings) throws(PipelineError) -> any AgentBackend {
        throw PipelineError(.agentFailed, "a stand-in makes nothing")
    }
}

extension TestStage {
    static let decoder = TestStage(
        spec: ComponentSpec("decoder", .stage, summary: "Turns G.711 into linear samples."),
        convert: { input, _ in
            if input.encoding == .pcm16 {
                return .failure(FormatMismatch("takes mulaw or alaw", remedy: "remove the decoder"))
            }
            return .success(.pcm(input.sampleRate))
        })

    static let encoder = TestStage(
        spec: ComponentSpec("encoder", .stage, summary: "Turns linear samples into G.711.") {
            Field("encoding", .choice(["mulaw", "alaw"]), default: "mulaw", "The law.")
        },
        convert: { input, settings in
            guard input.encoding == .pcm16 else {
                return .failure(FormatMismatch("takes pcm16", remedy: "put \"decoder\" before it"))
            }
            let encoding = AudioFormat.Encoding(rawValue: settings.string("encoding") ?? "") ?? .mulaw
            return .success(AudioFormat(encoding, sampleRate: input.sampleRate))
        })

    static let resampler = TestStage(
        spec: ComponentSpec("resampler", .stage, summary: "Changes the sample rate.") {
            Field(
                "rateHz", .integer(8000...48_000), isRequired: true, example: "16000", "Rate of what it gives, in Hz.")
        },
        convert: { input, settings in
            guard input.encoding == .pcm16 else {
                return .failure(
                    FormatMismatch("takes pcm16", remedy: "put \"decoder\" before it", wanted: .pcm(input.sampleRate)))
            }
            return .success(.pcm(settings.integer("rateHz") ?? input.sampleRate))
        },
        identity: { input, settings in settings.integer("rateHz") == input.sampleRate })

    static let vad = TestStage(
        spec: ComponentSpec("vad", .stage, summary: "Hears where speech begins and ends.") {
            Field("silenceMs", .integer(100...5000), default: 700, "Silence that ends speech, in milliseconds.")
            Field("minimumSpeechMs", .integer(0...2000), default: 120, "Sound that speech needs, in milliseconds.")
            Field("threshold", .number(0...1), default: 0.5, "How sure it must be.")
            Field("debug", .boolean, default: false, isAdvanced: true, "Whether to explain itself.")
        },
        convert: { input, _ in
            if input.encoding == .pcm16, input.sampleRate == 16_000 { return .success(input) }
            return .failure(
                FormatMismatch(
                    "takes pcm16 16000 Hz mono", remedy: "put \"resampler\" with \"rateHz\": 16000 before it",
                    wanted: .pcm(16_000)))
        },
        objections: { settings in
            guard let silence = settings.integer("silenceMs"), let speech = settings.integer("minimumSpeechMs"),
                silence < speech
            else { return [] }
            return [
                SettingsProblem(
                    field: "silenceMs", .outOfRange, severity: .warning,
                    "\"silenceMs\" is shorter than \"minimumSpeechMs\"",
                    remedy: "raise it to \(speech)")
            ]
        })
}

extension TestAgent {
    static let echo = TestAgent(spec: ComponentSpec("echo", .agent, summary: "Gives every frame back."))

    static let script = TestAgent(
        spec: ComponentSpec("script", .agent, summary: "Says what it is told to.") {
            Field("say", .string, isRequired: true, "Words or a WAV file.")
            Field("then", .strings, "What it says after that.")
        })

    static let elevenlabs = TestAgent(
        spec: ComponentSpec("elevenlabs", .agent, summary: "A vendor's conversational agent.") {
            Field("agentId", .string, environmentDefault: "ELEVENLABS_AGENT_ID", "Which agent.")
            Field("apiKey", .secret, environmentDefault: "ELEVENLABS_API_KEY", "Key of the account.")
            Field("firstMessage", .string, "What it says first.")
            Field("dynamicVariables", .variables, "Variables of the prompt.")
            Field("headers", .headers, isAdvanced: true, "Sent along at connect.")
            Field(
                "turn",
                .object([
                    Field("eagerness", .choice(["low", "normal", "high"]), default: "normal", "How soon it answers.")
                ]), "Turn-taking.")
            Field(
                "hooks",
                .objects([
                    Field("name", .string, isRequired: true, "Its name."),
                    Field("url", .string, isRequired: true, "Its address."),
                    Field("timeoutMs", .integer(100...60_000), default: 5000, "Time it has, in milliseconds."),
                    Field("parameters", .json, "JSON Schema of its parameters."),
                ]), "What it can call.")
        })

    static let realtime = TestAgent(
        spec: ComponentSpec("realtime", .agent, summary: "Another vendor's agent.") {
            Field("apiKey", .secret, isRequired: true, environmentDefault: "REALTIME_API_KEY", "Key of the account.")
            Field("model", .string, default: "standard", "Which model.")
        })
}

extension ComponentRegistry {
    static func test(findConverters: @escaping ConverterFinder = { _, _ in nil }) throws -> ComponentRegistry {
        try ComponentRegistry(
            transports: [
                TestTransport(),
                TestTransport(spec: ComponentSpec("wav", .transport, summary: "A file."), format: .pcm(16_000)),
            ],
            stages: [TestStage.decoder, TestStage.resampler, TestStage.vad, TestStage.encoder],
            agents: [TestAgent.echo, TestAgent.script, TestAgent.elevenlabs, TestAgent.realtime],
            documentFields: [
                Field(
                    "hooks",
                    .objects([
                        Field("name", .string, isRequired: true, "Its name."),
                        Field("url", .string, isRequired: true, "Its address."),
                    ]),
                    "Hooks of every agent.")
            ],
            findConverters: findConverters)
    }
}

/// The environment that the tests pretend to run in.
let testEnvironment = ["AGENT_KEY": "sk-live-0123456789", "BACKEND_URL": "https://backend.example", "EMPTY": ""]
