import Foundation
import PatchbayAudio
import Testing

@testable import PatchbayConfig

/// The schemas of the stand-ins, kept as files: an independent implementation judges documents by them (see
/// `Tests/Interop/test_schema.py`). With `PATCHBAY_WRITE_GOLDENS=1` in the environment they are written instead of
/// compared.
@Suite("Schemas")
struct SchemaTests {
    static let folder = GoldenFile.folder.appendingPathComponent("Schema")

    @Test("The schema is exactly as written", arguments: DocumentSchema.Kind.allCases)
    func golden(_ kind: DocumentSchema.Kind) throws { try check(DocumentSchema(try .test())[kind], kind.rawValue) }

    @Test("Names of earlier versions are in it, as deprecated")
    func formerNames() throws { try check(DocumentSchema(try .extended())[.pipeline], "extended") }

    private func check(_ schema: JSONValue, _ name: String) throws {
        let text = schema.text() + "\n"
        let url = Self.folder.appendingPathComponent("\(name).schema.json")
        if ProcessInfo.processInfo.environment["PATCHBAY_WRITE_GOLDENS"] == "1" {
            try FileManager.default.createDirectory(at: Self.folder, withIntermediateDirectories: true)
            try text.write(to: url, atomically: true, encoding: .utf8)
        } else {
            #expect(try String(contentsOf: url, encoding: .utf8) == text)
        }
    }

    @Test(
        "Every reference leads to a definition, and every definition is needed", arguments: DocumentSchema.Kind.allCases
    )
    func references(_ kind: DocumentSchema.Kind) throws {
        let schema = DocumentSchema(try .test())[kind]
        var names: Set<String> = []
        if case .object(let members)? = schema["$defs"] { names = Set(members.map { JSONValue.pointer(to: $0.key) }) }
        let used = Set(Self.values(of: "$ref", in: schema).compactMap(\.variable?.description))
        #expect(used == names)
    }

    @Test("Plug-ins are in it, whatever they are called")
    func plugin() throws {
        let odd = TestStage(
            spec: ComponentSpec("a/b ~c%", .stage, summary: "Odd.") { Field("x", .boolean, isRequired: true, "X.") },
            convert: { input, _ in .success(input) })
        let registry = try ComponentRegistry(transports: [TestTransport()], stages: [odd], agents: [TestAgent.echo])
        let schema = DocumentSchema(registry)[.pipeline]
        #expect(schema["$defs"]?["stage-a/b ~c%"]?["required"] == ["type", "x"])
        #expect(Self.values(of: "$ref", in: schema).contains("#/$defs/stage-a~1b%20~0c%25"))
    }

    @Test("A field says its range, default, unit and where else its value comes from")
    func fields() throws {
        let schema = DocumentSchema(try .test())[.pipeline]
        let silence = schema["$defs"]?["stage-vad"]?["properties"]?["silenceMs"]
        #expect(
            silence == [
                "description": "Silence that ends speech, in milliseconds.", "type": "integer", "minimum": 100,
                "maximum": 5000, "default": 700,
            ])
        let key = schema["$defs"]?["agent-realtime"]?["properties"]?["apiKey"]
        #expect(key?["$ref"] == "#/$defs/secret")
        #expect(key?["description"]?.variable?.description.contains("REALTIME_API_KEY") == true)
        // The environment may provide what is required.
        #expect(schema["$defs"]?["agent-realtime"]?["required"] == ["type"])
        #expect(schema["$defs"]?["agent-script"]?["required"] == ["type", "say"])
    }

    @Test("Another document is described by its fields")
    func document() throws {
        let schema = DocumentSchema(try .test()).document(
            "test", title: "Tests", summary: "Tests of a pipeline.",
            fields: [Field("calls", .objects([Field("stages", .stages, "Stages.")]), isRequired: true, "The calls.")])
        #expect(schema["$id"] == "urn:patchbay:schema:test" && schema["required"] == ["calls"])
        #expect(schema["$defs"]?["sideStage"] != nil && schema["$defs"]?["rule"] == nil)
    }

    private static func values(of key: String, in value: JSONValue) -> [JSONValue] {
        switch value {
        case .array(let elements): elements.flatMap { values(of: key, in: $0) }
        case .object(let members):
            members.flatMap { ($0.key == key ? [$0.value] : []) + values(of: key, in: $0.value) }
        case .null, .boolean, .number, .string: []
        }
    }
}
