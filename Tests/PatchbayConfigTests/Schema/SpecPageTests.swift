import Foundation
import Testing

@testable import PatchbayConfig

@Suite("Pages about components and documents")
struct SpecPageTests {
    private func page(_ name: String, width: Int = 100) throws -> String {
        try #require(try ComponentRegistry.test().pages(named: name).first).text(width: width)
    }

    @Test("A component's page is exactly as written")
    func component() throws {
        #expect(
            try page("vad") == """
                vad (stage): Hears where speech begins and ends.

                  takes  pcm16 at 16000 Hz
                  gives  what it takes

                  setting          value          default  meaning
                  silenceMs        100 to 5000    700      Silence that ends speech, in milliseconds.
                  minimumSpeechMs  0 to 2000      120      Sound that speech needs, in milliseconds.
                  threshold        0 to 1         0.5      How sure it must be.
                  debug            true or false  false    Whether to explain itself. (advanced)

                """)
        #expect(
            try page("echo") == """
                echo (agent): Gives every frame back.

                  takes  what the chain has there
                  gives  what the chain has there

                  setting  value            default  meaning
                  tools    list of objects           Tools of this agent alone, beside those of the document; see
                                                     `patchbay describe tools`.

                """)
        #expect(
            try page("resampler", width: 60) == """
                resampler (stage): Changes the sample rate.

                  takes  pcm16
                  gives  pcm16 at 16000 Hz with "rateHz": 16000

                  setting  value          default
                  rateHz   8000 to 48000  required
                      Rate of what it gives, in Hz. For instance 16000

                """)
    }

    @Test("Names of earlier versions are told")
    func formerNames() throws {
        let page = try #require(try ComponentRegistry.extended().pages(named: "cutter").first)
        #expect(page.name == "gate" && page.text().contains("Formerly \"cutter\" or \"trimmer\"."))
        #expect(page.text(width: 300).contains("(formerly \"open\" or \"openTime\")"))
        #expect(page.json["formerTypes"] == ["cutter", "trimmer"])
        #expect(page.json.line.contains("\"deprecation\": \"remove it"))
    }

    @Test("What an object repeats of another is not said twice")
    func repetition() throws {
        let text = try page("when")
        #expect(text.contains("object, as"))
        #expect(text.components(separatedBy: "timeZone").count == 2)
    }

    @Test("Pages keep to their width", arguments: [80, 100, 140])
    func width(_ width: Int) throws {
        let registry = try ComponentRegistry.test()
        for name in registry.pageNames {
            for line in try page(name, width: width).split(separator: "\n") {
                #expect(line.count <= width, "\(name): \(line)")
            }
        }
        for line in registry.list(width: width).split(separator: "\n") { #expect(line.count <= width, "\(line)") }
    }

    /// With `PATCHBAY_WRITE_GOLDENS=1` in the environment they are written instead of compared.
    @Test(
        "Long pages are exactly as written",
        arguments: ["list", "elevenlabs", "pipeline", "when", "fragment", "server", "tenants"])
    func golden(_ name: String) throws {
        let text = name == "list" ? try ComponentRegistry.test().list(width: 78) : try page(name)
        let folder = GoldenFile.folder.appendingPathComponent("Pages")
        let url = folder.appendingPathComponent("\(name).txt")
        if ProcessInfo.processInfo.environment["PATCHBAY_WRITE_GOLDENS"] == "1" {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try text.write(to: url, atomically: true, encoding: .utf8)
        } else {
            #expect(try String(contentsOf: url, encoding: .utf8) == text)
        }
    }

    @Test("A page is JSON for tools")
    func json() throws {
        let list = try #require(
            try JSONSerialization.jsonObject(with: Data(try ComponentRegistry.test().json.text().utf8))
                as? [[String: Any]])
        #expect(
            list.compactMap { $0["type"] as? String } == [
                "twilio", "wav", "decoder", "resampler", "vad", "encoder", "echo", "script", "elevenlabs", "realtime",
                "agent", "tee", "switch", "include",
            ])
        #expect(list.last?["kind"] as? String == "structure")
        let vad = try #require(list.first { $0["type"] as? String == "vad" })
        #expect((vad["formats"] as? [String: String])?["takes"] == "pcm16 at 16000 Hz")
        let silence = try #require((vad["fields"] as? [[String: Any]])?.first)
        #expect(silence["minimum"] as? Int == 100 && silence["default"] as? Int == 700)
        #expect(silence["unit"] as? String == "milliseconds" && silence["required"] as? Bool == false)
        for page in try ComponentRegistry.test().documentPages {
            let object = try JSONSerialization.jsonObject(with: Data(page.json.text().utf8)) as? [String: Any]
            #expect((object?["fields"] as? [Any])?.isEmpty == false)
        }
    }

    @Test("The page of a pipeline has every key that a pipeline may have")
    func keys() throws {
        let described = Set(DocumentKeys.pipeline.map(\.name))
        #expect(described.isSuperset(of: PipelineDocument.keys))
        let (_, findings) = PipelineSet.load(
            sources: [SourceText(file: "x.json", #"{"name": 1}"#)], registry: try .test(), environment: [:])
        #expect(findings.hasErrors)
    }

    @Test(
        "Texts are wrapped at words",
        arguments: [
            ("", 10, 0, [""]), ("one two", 10, 0, ["one two"]), ("one two three", 8, 2, ["one two", "  three"]),
            ("  one two", 5, 2, ["  one", "  two"]), ("longerthanwide x", 5, 0, ["longerthanwide", "x"]),
            ("a  b", 10, 0, ["a  b"]),
        ] as [(String, Int, Int, [String])])
    func wrap(_ text: String, _ width: Int, _ hanging: Int, _ lines: [String]) {
        #expect(wrapped(text, width: width, hanging: hanging) == lines)
    }
}
