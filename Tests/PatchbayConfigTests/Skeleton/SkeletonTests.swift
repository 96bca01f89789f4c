import PatchbayAudio
import Testing

@testable import PatchbayConfig

@Suite("Documents to start from")
struct SkeletonTests {
    private func skeleton(_ path: String) throws -> Skeleton { try Skeleton(path, registry: .test()) }

    private func findings(_ text: String) throws -> [Diagnostic] {
        PipelineSet.load(
            sources: [SourceText(file: "x.json", text)], registry: try .test(), environment: [:],
            options: LoadOptions(checkEnvironment: false)
        ).diagnostics
    }

    @Test("A document has what it needs, and nothing else")
    func document() throws {
        let skeleton = try skeleton("twilio/vad/elevenlabs,script")
        #expect(
            skeleton.text == """
                {
                  "name": "first",
                  "numbers": ["+15550100009"],
                  "transport": "twilio",
                  "stages": [
                    "decoder",
                    { "type": "resampler", "rateHz": 16000 },
                    "vad",
                    {
                      "type": "agent",
                      "backends": [
                        {
                          "type": "elevenlabs",
                          "agentId": "${env.ELEVENLABS_AGENT_ID}",
                          "apiKey": { "env": "ELEVENLABS_API_KEY" }
                        },
                        { "type": "script", "say": "…" }
                      ]
                    },
                    { "type": "resampler", "rateHz": 8000 },
                    "encoder"
                  ]
                }

                """)
        #expect(skeleton.environment == ["ELEVENLABS_AGENT_ID", "ELEVENLABS_API_KEY"])
        #expect(try findings(skeleton.text).isEmpty)
    }

    @Test("Every stage with every agent, over every transport, lints clean")
    func product() throws {
        let registry = try ComponentRegistry.test()
        let stages = registry.stages.map(\.spec.type) + [""]
        for transport in registry.transports.map(\.spec.type) {
            for first in stages {
                for second in stages {
                    for agent in registry.agents.map(\.spec.type) {
                        let path = "\(transport)/\(first),\(second)/\(agent)"
                        let text = try skeleton(path).text
                        let found = try findings(text)
                        #expect(found.isEmpty, "\(path)\n\(text)\n\(found.rendered())")
                    }
                }
            }
        }
    }

    @Test(
        "Stages stand where they make sense",
        arguments: [
            ("twilio//echo", [#"{ "type": "echo" }"#]), ("twilio/echo", [#"{ "type": "echo" }"#]),
            ("wav/vad/echo", [#""vad""#, #"{ "type": "echo" }"#]),
            // An encoder ends the way back.
            ("twilio/encoder,decoder/echo", [#""decoder""#, #"{ "type": "echo" }"#, #""encoder""#]),
            (
                "twilio//echo/vad",
                [
                    #"{ "type": "echo" }"#, #""decoder""#, #"{ "type": "resampler", "rateHz": 16000 }"#, #""vad""#,
                    #"{ "type": "resampler", "rateHz": 8000 }"#, #""encoder""#,
                ]
            ),
        ])
    func places(_ path: String, _ stages: [String]) throws {
        guard case .array(let list)? = try skeleton(path).document["stages"] else {
            Issue.record("no stages")
            return
        }
        #expect(list.map(\.line) == stages)
    }

    @Test("What cannot stand is left out, with a note")
    func leftOut() throws {
        let skeleton = try skeleton("wav/decoder/echo")
        #expect(skeleton.document["stages"] == [["type": "echo"]])
        #expect(skeleton.notes == ["\"decoder\" is left out: it takes nothing that can be made of pcm16 16000 Hz mono"])
    }

    @Test(
        "Names that nobody has are answered with those that are meant",
        arguments: [
            ("", "is no path of a pipeline"), ("twilio", "is no path of a pipeline"), ("twilio/vad/", "is no path"),
            ("twilio/a/echo/c/d", "is no path"), ("twlio//echo", "did you mean \"twilio\"?"),
            ("twilio/vda/echo", "did you mean \"vad\"?"), ("twilio//scrip", "did you mean \"script\"?"),
            ("twilio/echo/echo", "is an agent, not a stage"), ("a,b//echo", "is no path"),
        ])
    func unknown(_ path: String, _ words: String) throws {
        let error = #expect(throws: Diagnostic.self) { _ = try Skeleton(path, registry: .test()) }
        let text = "\(error?.message ?? "") \(error?.suggestion?.text ?? "")"
        #expect(text.contains(words), "\(text)")
    }

    @Test("Starting points are JSON, laid out as we lay it out, and named after themselves")
    func startingPoints() throws {
        #expect(Set(StartingPoint.all.map(\.name)).count == StartingPoint.all.count)
        for point in StartingPoint.all {
            let value = try #require(JSONValue(parsing: point.text), "\(point.name)")
            guard point.name != "test" else { continue }
            #expect(value["name"]?.variable?.description == point.name)
            let renamed = try #require(JSONValue(parsing: point.text(name: "desk", number: "+49301234")))
            #expect(renamed["name"] == "desk" && renamed["numbers"]?.line.contains("+49301234") == true)
            #expect(point.text.split(separator: "\n").allSatisfy { $0.count <= 120 })
        }
        #expect(StartingPoint.named("first")?.name == "first" && StartingPoint.named("x") == nil)
    }

    @Test("The example sound is audible, soft, and goes round without a click")
    func sound() throws {
        let samples = ExampleSound.file.samples()
        #expect(samples.count == 16_000)
        let loudest = samples.map { abs(Int($0)) }.max() ?? 0
        #expect((500...16_000).contains(loudest))
        let steps = zip(samples, samples.dropFirst()).map { abs(Int($1) - Int($0)) }.max() ?? 0
        #expect(abs(Int(samples[0]) - Int(samples[15_999])) <= steps)
        #expect(try ExampleSound.file.bytes().count == 32_044)
    }
}
