import Foundation
import Testing

@testable import PatchbayConfig

@Suite("A file whose rules lead to pipelines beside it")
struct CompanionTests {
    /// Writes files into a folder of their own, which is removed when it is done.
    private func inFolder(_ files: [String: String], _ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("companions-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, text) in files { try Data(text.utf8).write(to: folder.appendingPathComponent(name)) }
        try body(folder.path)
    }

    private func pipeline(_ name: String, _ number: String? = nil, leadingTo others: String..., stage: String = "echo")
        -> String
    {
        let numbers = number.map { #""numbers": ["\#($0)"], "# } ?? ""
        let rules = others.map { #"{ "callers": ["anonymous"], "pipeline": "\#($0)" }"# }
        return """
            { "name": "\(name)", \(numbers)"transport": "twilio", "when": [\(rules.joined(separator: ", "))],
              "stages": ["\(stage)"] }
            """
    }

    private func load(_ path: String) throws -> (set: PipelineSet?, diagnostics: [Diagnostic]) {
        PipelineSet.load([path], registry: try .test(), environment: [:])
    }

    @Test("They come along, and those that they lead to, and no others")
    func reached() throws {
        let files = [
            "salon.json": pipeline("salon", "+15551", leadingTo: "vip", "night"),
            "b.json": pipeline("vip", leadingTo: "attic"), "c.json": pipeline("night", leadingTo: "salon"),
            "d.json": pipeline("attic", leadingTo: "vip"), "e.json": pipeline("other", stage: "ecco"), "f.json": "{",
            "vip.test.json": pipeline("vip"), "server.json": "{}",
        ]
        try inFolder(files) { folder in
            let (set, diagnostics) = try load("\(folder)/salon.json")
            #expect(diagnostics.isEmpty, "\(diagnostics.rendered())")
            #expect(set?.documents.map(\.name) == ["salon", "vip", "night", "attic"])
            let lint = DocumentLint(registry: try .test(), environment: [:]).check(["\(folder)/salon.json"])
            #expect(lint.diagnostics.isEmpty, "\(lint.diagnostics.rendered())")
        }
    }

    @Test("What is wrong with one of them is told with its file")
    func wrong() throws {
        let files = ["salon.json": pipeline("salon", leadingTo: "vip"), "vip.json": pipeline("vip", stage: "ecco")]
        try inFolder(files) { folder in
            let (set, diagnostics) = try load("\(folder)/salon.json")
            #expect(set == nil && diagnostics.map(\.code) == [.unknownType])
            #expect(diagnostics.first?.file == "\(folder)/vip.json")
        }
    }

    @Test("A name that nobody beside it has is still unknown")
    func missing() throws {
        let files = ["salon.json": pipeline("salon", leadingTo: "vap"), "vip.json": pipeline("vip")]
        try inFolder(files) { folder in
            #expect(try load("\(folder)/salon.json").diagnostics.map(\.code) == [.unknownPipeline])
            let lint = DocumentLint(registry: try .test(), environment: [:]).check(["\(folder)/salon.json"])
            #expect(lint.diagnostics.map(\.code) == [.unknownPipeline])
        }
    }

    @Test("Two who claim a number are found, whichever is named")
    func collision() throws {
        let files = [
            "salon.json": pipeline("salon", "+15551", leadingTo: "vip"),
            "vip.json": pipeline("vip", "+15551", leadingTo: "salon"),
        ]
        try inFolder(files) { folder in
            for name in files.keys {
                let (_, diagnostics) = try load("\(folder)/\(name)")
                #expect(diagnostics.map(\.code) == [.duplicateNumber])
            }
        }
    }

    @Test("A folder and one of its files are read once")
    func both() throws {
        try inFolder(["salon.json": pipeline("salon", leadingTo: "vip"), "vip.json": pipeline("vip")]) { folder in
            let paths = ["\(folder)/salon.json", folder]
            let (set, diagnostics) = PipelineSet.load(paths, registry: try .test(), environment: [:])
            #expect(diagnostics.isEmpty && set?.documents.map(\.name) == ["salon", "vip"])
        }
    }
}
