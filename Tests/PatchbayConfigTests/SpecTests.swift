import Foundation
import PatchbayCore
import Testing

@testable import PatchbayConfig

@Suite("Specs, settings, secrets")
struct SpecTests {
    @Test("A registry refuses two of one name")
    func registry() throws {
        func registry(
            _ transports: [any TransportComponent], _ stages: [any StageComponent], _ agents: [any AgentComponent]
        ) throws {
            _ = try ComponentRegistry(transports: transports, stages: stages, agents: agents)
        }
        let stageEcho = TestStage(
            spec: ComponentSpec("echo", .stage, summary: "x"), convert: { input, _ in .success(input) })
        let stageAgent = TestStage(
            spec: ComponentSpec("agent", .stage, summary: "x"), convert: { input, _ in .success(input) })
        let transportEcho = TestTransport(spec: ComponentSpec("echo", .transport, summary: "x"))
        try registry([transportEcho], [TestStage.vad], [TestAgent.echo])
        #expect(throws: PipelineError.self) { try registry([], [TestStage.vad, TestStage.vad], []) }
        #expect(throws: PipelineError.self) { try registry([], [], [TestAgent.echo, TestAgent.echo]) }
        #expect(throws: PipelineError.self) { try registry([TestTransport(), TestTransport()], [], []) }
        #expect(throws: PipelineError.self) { try registry([], [stageEcho], [TestAgent.echo]) }
        #expect(throws: PipelineError.self) { try registry([], [stageAgent], []) }
        #expect(try ComponentRegistry.test().specs(named: "echo").map(\.kind) == [.agent])
    }

    @Test("A secret prints itself nowhere")
    func secret() {
        let secret = Secret("sk-live")
        var dumped = ""
        dump(["key": secret], to: &dumped)
        let texts = [
            "\(secret)", String(reflecting: secret), String(describing: [secret]), "\(Optional(secret) as Any)", dumped,
        ]
        for text in texts { #expect(text.contains("[secret]") || !text.contains("sk"), "\(text)") }
        #expect(!texts.joined().contains("sk-live"))
        #expect(secret.reveal() == "sk-live")
        var settings = Settings([], directory: ".")
        settings.set("apiKey", .secret(secret))
        #expect(!"\(settings)".contains("sk-live"))
    }

    @Test(
        "Secrets are equal when their values are",
        arguments: [
            ("", "", true), ("a", "a", true), ("a", "b", false), ("a", "ab", false), ("ab", "a", false),
            ("", "a", false),
        ])
    func secretEquality(_ a: String, _ b: String, _ isEqual: Bool) { #expect((Secret(a) == Secret(b)) == isEqual) }

    @Test("Settings made in code have defaults, and leave out what does not fit")
    func settingsInCode() {
        let settings = Settings(
            TestStage.vad.spec.fields, ["silenceMs": 250, "threshold": "high", "debug": true, "other": 1])
        #expect(settings.integer("silenceMs") == 250)
        #expect(settings.integer("minimumSpeechMs") == 120)
        #expect(settings.number("minimumSpeechMs") == 120)
        #expect(settings.number("threshold") == nil)
        #expect(settings.bool("debug") == true)
        #expect(settings.integer("other") == nil && settings.string("silenceMs") == nil)
        #expect(Settings(TestStage.vad.spec.fields, ["silenceMs": 0.5]).integer("silenceMs") == nil)
        #expect(Settings(TestStage.vad.spec.fields, ["silenceMs": .number(.infinity)]).integer("silenceMs") == nil)
        let agent = Settings(TestAgent.realtime.spec.fields, secrets: ["apiKey": Secret("k"), "model": Secret("x")])
        #expect(agent.secret("apiKey")?.reveal() == "k" && agent.string("model") == "standard")
    }

    @Test(
        "Texts are taken apart at their references",
        arguments: [
            ("", []), ("plain $5 {x}", [.literal("plain $5 {x}")]), ("${a}", [.reference("a", 0..<4)]),
            ("x${a}y", [.literal("x"), .reference("a", 1..<5), .literal("y")]), ("$${a}", [.literal("${a}")]),
            ("$$${a}", [.literal("$${a}")]), ("é${", [.literal("é"), .unclosed(2..<4)]), ("$", [.literal("$")]),
            ("${a}${b}", [.reference("a", 0..<4), .reference("b", 4..<8)]), ("${}", [.reference("", 0..<3)]),
            ("${${a}}", [.reference("${a", 0..<6), .literal("}")]),
        ] as [(String, [TemplatePiece])])
    func templates(_ text: String, _ pieces: [TemplatePiece]) { #expect(TemplatePiece.pieces(of: text) == pieces) }

    @Test(
        "Values insert as people write them",
        arguments: [
            (VariableValue.number(3), "3"), (.number(-0.5), "-0.5"), (.number(1e20), "1e+20"), (.bool(true), "true"),
            (.string("x"), "x"),
        ])
    func variableValues(_ value: VariableValue, _ text: String) { #expect(value.description == text) }

    @Test("A value cannot change the structure of a document, nor refer to others")
    func injection() throws {
        let text = #"{"name": "x", "transport": "wav", "stages": [{"type": "script", "say": "${context.name}"}]}"#
        let set = PipelineSet.load(sources: [SourceText(file: "x.json", text)], registry: try .test(), environment: [:])
            .set
        let hostile = "\", \"x\": \"${call.from} ${env.HOME}"
        let plan = try #require(set?.documents.first).plan(
            for: CallVariables(from: "+1", context: ["name": .string(hostile)]))
        #expect(plan.backends[0].settings.string("say") == hostile)
    }
}

@Suite("Speech")
struct SpeechTests {
    @Test(
        "A text of the author's may be a file; a text with anything of the call in it is words",
        arguments: [
            ("Hello.", .words("Hello.")), ("audio/hello.wav", .file("audio/hello.wav")),
            ("HELLO.WAV", .file("HELLO.WAV")),
            ("${greeting}", .file("audio/de.wav")), ("audio/${language}.wav", .file("audio/de.wav")),
            ("${call.from}", .words("../secret.wav")), ("${context.name}", .words("/etc/x.wav")),
            ("audio/${context.name}", .words("audio//etc/x.wav")), ("${call.sid}.wav", .words("CA.wav")),
            ("${greeting}${call.sid}.wav", .words("audio/de.wavCA.wav")),
        ] as [(String, Speech)])
    func rule(_ text: String, _ expected: Speech) throws {
        let document = """
            {"name": "x", "transport": "wav", "variables": {"greeting": "audio/de.wav", "language": "de"},
             "stages": [{"type": "script", "say": \(jsonQuoted(text)), "then": [\(jsonQuoted(text))]}]}
            """
        let set = PipelineSet.load(
            sources: [SourceText(file: "x.json", document)], registry: try .test(), environment: [:]
        ).set
        let call = CallVariables(from: "../secret.wav", sid: "CA", context: ["name": "/etc/x.wav"])
        let settings = try #require(set?.documents.first).plan(for: call).backends[0].settings
        #expect(settings.speech("say") == expected)
        #expect(settings.speeches("then") == [expected])
    }

    @Test("So it is with the values of an object")
    func values() throws {
        let document = """
            {"name": "x", "transport": "wav",
             "stages": [{"type": "elevenlabs", "agentId": "a", "dynamicVariables": {"a": "${call.from}", "b": "b.wav", "c": 5}}]}
            """
        let set = PipelineSet.load(
            sources: [SourceText(file: "x.json", document)], registry: try .test(), environment: [:]
        ).set
        let settings = try #require(set?.documents.first).plan(for: CallVariables(from: "a.wav")).backends[0].settings
        #expect(
            settings.speeches(byName: "dynamicVariables")
                == ["a": .words("a.wav"), "b": .file("b.wav"), "c": .words("5")])
    }
}
