import Foundation
import PatchbayAudio
import PatchbayCore
import Testing

@testable import PatchbayConfig

@Suite("Pipeline sets")
struct PipelineSetTests {
    static let salon = """
        {
          "name": "salon",
          "description": "Front desk",
          "numbers": {
            "+15551234567": { "agentId": "agent_salon", "greeting": "Welcome!", "chairs": 4 },
            "+15557654321": { "agentId": "agent_spa" },
            "+4930*": { "agentId": "agent_berlin" }
          },
          "variables": { "greeting": "Hello!", "chairs": 2, "home": "${env.BACKEND_URL}/x" },
          "transport": { "type": "twilio", "edge": "dublin" },
          "stages": [
            "decoder",
            { "type": "resampler", "rateHz": 16000 },
            { "type": "vad", "threshold": 1 },
            {
              "type": "agent", "bridge": "One moment, ${context.name}.",
              "backends": [
                {
                  "type": "elevenlabs", "agentId": "${agentId}", "apiKey": { "env": "AGENT_KEY" },
                  "firstMessage": "${greeting} You called ${call.to} from ${call.from} ($${sic}, ${context.missing}).",
                  "dynamicVariables": {
                    "chairs": "${chairs}", "text": "${chairs} chairs", "fixed": 7, "isOpen": true,
                    "none": "${context.missing}", "age": "${context.age}"
                  },
                  "headers": { "X-Call": "${call.sid}", "X-Key": { "env": "AGENT_KEY" } },
                  "hooks": [{ "name": "hours", "url": "${home}", "parameters": { "type": "object", "n": [1, 2.50] } }]
                },
                { "type": "script", "say": "Goodbye", "then": ["${greeting}", "${context.missing}"] }
              ]
            },
            { "type": "resampler", "rateHz": 8000 },
            "encoder"
          ],
          "hooks": [{ "name": "book", "url": "${home}/${call.sid}" }],
          "messages": { "failure": "Sorry." },
          "limits": { "leadMs": 300 },
          "latencyBudgetMs": 60
        }
        """

    private func load(
        _ texts: String..., environment: [String: String] = testEnvironment, options: LoadOptions = LoadOptions()
    ) throws
        -> PipelineSet
    {
        let sources = texts.enumerated().map { SourceText(file: "Pipelines/\($0.offset).json", $0.element) }
        let (set, diagnostics) = PipelineSet.load(
            sources: sources, registry: try .test(), environment: environment, options: options)
        return try #require(set, "\(diagnostics.rendered())")
    }

    @Test("A document keeps what it says")
    func document() throws {
        let document = try #require(try load(Self.salon).document(named: "salon"))
        #expect(document.summary == "Front desk")
        #expect(document.file == "Pipelines/0.json")
        #expect(document.version.count == 12 && document.version.allSatisfy(\.isHexDigit))
        #expect(document.numbers.map(\.pattern.description) == ["+15551234567", "+15557654321", "+4930*"])
        #expect(document.variables == ["greeting": "Hello!", "chairs": 2, "home": "https://backend.example/x"])
        #expect(document.messages[.failure] == "Sorry." && document.messages[.busy] == nil)
        #expect(document.limits.lead == .milliseconds(300) && document.limits.maximumDuration == .seconds(3600))
        #expect(document.latencyBudgetMs == 60)
    }

    @Test("The version changes with the text")
    func version() throws {
        let a = try load(Self.salon).documents[0].version
        #expect(try load(Self.salon).documents[0].version == a)
        #expect(try load(Self.salon + " ").documents[0].version != a)
        #expect(try load(Self.salon.replacing("Sorry.", with: "Sorry!")).documents[0].version != a)
    }

    @Test("A plan has everything substituted, with types kept")
    func plan() throws {
        let route = try #require(try load(Self.salon).route("+15551234567"))
        #expect(route.numberPattern == .exact("+15551234567"))
        let plan = try route.plan(
            for: CallVariables(
                from: "+49301", to: "+15551234567", sid: "CA1", context: ["name": "Ada", "age": 36]))
        #expect(plan.transport.settings.string("edge") == "dublin")
        #expect(plan.agentSettings.bridge?.text == "One moment, Ada.")
        let agent = try #require(plan.backends.first).settings
        #expect(agent.string("agentId") == "agent_salon")
        #expect(agent.string("firstMessage") == "Welcome! You called +15551234567 from +49301 (${sic}, ).")
        #expect(agent.secret("apiKey") == Secret("sk-live-0123456789"))
        #expect(
            agent.variables("dynamicVariables") == [
                "chairs": 4, "text": "4 chairs", "fixed": 7, "isOpen": true, "age": 36,
            ])
        #expect(
            agent.headers("headers").map { "\($0.name)=\($0.value.reveal())" } == [
                "X-Call=CA1", "X-Key=sk-live-0123456789",
            ])
        let tool = try #require(agent.list("hooks").first)
        #expect(tool.string("url") == "https://backend.example/x")
        #expect(tool.integer("timeoutMs") == 5000)
        #expect(tool.json("parameters") == "{ \"type\": \"object\", \"n\": [1, 2.50] }")
        #expect(plan.backends[1].settings.strings("then") == ["Welcome!"])
        #expect(plan.options.list("hooks").first?.string("url") == "https://backend.example/x/CA1")
        #expect(plan.variables["agentId"] == "agent_salon")
    }

    @Test("A plan knows the format at every joint")
    func formats() throws {
        let plan = try #require(try load(Self.salon).documents.first)
            .plan(for: CallVariables(), variables: ["agentId": "a"])
        #expect(plan.stagesBefore.map(\.component.spec.type) == ["decoder", "resampler", "vad"])
        #expect(plan.stagesBefore.map(\.input) == [.telephony, .pcm(8000), .pcm(16_000)])
        #expect(plan.agentFormat == .pcm(16_000))
        #expect(plan.stagesAfter.map(\.output) == [.pcm(8000), .telephony])
        #expect(plan.stagesAfter.map(\.place) == ["stages[4]", "stages[5]"])
        #expect(plan.stagesBefore[2].settings.number("threshold") == 1)
        #expect(plan.stagesBefore[2].settings.bool("debug") == false)
    }

    @Test("A number's variables are needed by a document that has no others")
    func missingVariable() throws {
        let document = try #require(try load(Self.salon).documents.first)
        #expect { try document.plan(for: CallVariables()) } throws: { ($0 as? PipelineError)?.code == .missingVariable }
    }

    @Test(
        "A missing context value falls back to the default",
        arguments: [(["m": "huge"], "huge"), ([:], "standard")] as [([String: VariableValue], String)])
    func fallback(_ context: [String: VariableValue], _ expected: String) throws {
        let stage = ##"{"type": "realtime", "apiKey": {"env": "AGENT_KEY"}, "model": "${context.m}"}"##
        let set = try load(##"{"name": "x", "transport": "wav", "stages": [\##(stage)]}"##)
        let plan = try #require(set.documents.first).plan(for: CallVariables(context: context))
        #expect(plan.backends[0].settings.string("model") == expected)
    }

    @Test("Absent keys come from the environment before their default")
    func environmentDefaults() throws {
        let text = #"{"name": "x", "transport": "wav", "stages": ["elevenlabs"]}"#
        let set = try load(text, environment: ["ELEVENLABS_AGENT_ID": "agent_1", "ELEVENLABS_API_KEY": "k"])
        let settings = try #require(set.documents.first).plan(for: CallVariables()).backends[0].settings
        #expect(settings.string("agentId") == "agent_1")
        #expect(settings.secret("apiKey")?.reveal() == "k")
        #expect(settings.string("firstMessage") == nil)
    }

    @Test("An override replaces every backend, with its defaults")
    func override() throws {
        let set = try load(
            Self.salon, environment: ["REALTIME_API_KEY": "k", "BACKEND_URL": "x"],
            options: LoadOptions(checkEnvironment: true, agentOverride: "realtime"))
        let document = try #require(set.documents.first)
        let plan = try document.plan(for: CallVariables(), variables: ["agentId": "a"])
        #expect(plan.backends.map(\.component.spec.type) == ["realtime"])
        #expect(plan.backends[0].settings.string("model") == "standard")
    }

    @Test(
        "A number goes to the most specific pattern",
        arguments: [
            ("+4930223", "+4930*"), ("+49301234567", "+49301*"), ("+4989", "+49*"), ("+4930", "+4930*"),
            ("+493012345", "+493012345"),
            ("+1555", "*"), ("anonymous", "*"), ("", "*"), ("+49", "+49*"), ("+4", "*"),
        ])
    func routes(_ number: String, _ pattern: String) throws {
        let set = try load(
            #"{"name": "a", "transport": "wav", "stages": ["echo"], "numbers": ["+49*", "+4930*", "+493012345"]}"#,
            #"{"name": "b", "transport": "wav", "stages": ["echo"], "numbers": ["*", "+49301*"]}"#)
        #expect(set.route(number)?.numberPattern.description == pattern)
    }

    @Test("Without a star, strangers have no route")
    func noRoute() throws { #expect(try load(Self.salon).route("+15550000000") == nil) }

    @Test("Many thousands of numbers are found at once")
    func manyNumbers() throws {
        let numbers = (0..<20_000).map { "\"+1555\(1_000_000 + $0)\": {\"n\": \($0)}" }.joined(separator: ",")
        let set = try load(
            #"{"name": "a", "transport": "wav", "stages": [{"type": "script", "say": "${n}"}], "numbers": {"# + numbers
                + "}}")
        #expect(set.route("+15551019999")?.variables["n"] == 19_999)
        #expect(set.route("+15551020000") == nil)
    }

    @Test(
        "Numbers are E.164, a prefix, or the star",
        arguments: [
            ("+15551234567", true), ("+12", true), ("+123456789012345", true), ("+1*", true),
            ("+12345678901234*", true), ("*", true),
            ("+1", false), ("+1234567890123456", false), ("+123456789012345*", false), ("+*", false), ("", false),
            ("+", false),
            ("15551234567", false), ("+0123", false), ("+1 555", false), ("+49*30", false), ("**", false),
            ("+١٢٣", false),
        ])
    func patterns(_ text: String, _ isSound: Bool) {
        #expect((NumberPattern(text) != nil) == isSound)
        if let pattern = NumberPattern(text) { #expect(pattern.description == text) }
    }

    @Test("Where neighbours disagree, the host's converters go in, and useless stages go out")
    func converters() throws {
        let registry = try ComponentRegistry.test { from, to in
            var steps: [ComponentRegistry.Converter] = []
            if from.encoding != .pcm16 { steps.append(.init("decoder")) }
            if from.sampleRate != to.sampleRate {
                steps.append(.init("resampler", ["rateHz": .number(Double(to.sampleRate))]))
            }
            if to.encoding != .pcm16 { steps.append(.init("encoder", ["encoding": .string(to.encoding.rawValue)])) }
            return steps
        }
        let text =
            #"{"name": "x", "transport": "twilio", "stages": ["vad", {"type": "resampler", "rateHz": 16000}, "echo"]}"#
        let (set, diagnostics) = PipelineSet.load(
            sources: [SourceText(file: "x.json", text)], registry: registry, environment: [:])
        let plan = try #require(set?.documents.first, "\(diagnostics.rendered())").plan(for: CallVariables())
        #expect(plan.stagesBefore.map(\.component.spec.type) == ["decoder", "resampler", "vad"])
        #expect(plan.stagesBefore.map(\.isInserted) == [true, true, false])
        #expect(plan.stagesAfter.map(\.component.spec.type) == ["resampler", "encoder"])
        #expect(plan.stagesAfter.last?.output == .telephony)
    }
}
