import Foundation
import Patchbay
import Testing

/// What `patchbay create` and `patchbay schema` say with the components that come with Patchbay.
@Suite("Documents to start from, with all components")
struct DescribeTests {
    private static let registry = Result { try ComponentRegistry.standard() }

    private func load(_ text: String, in folder: String = ".") throws -> (set: PipelineSet?, findings: [Diagnostic]) {
        let (set, findings) = PipelineSet.load(
            sources: [SourceText(file: "\(folder)/x.json", text)], registry: try Self.registry.get(), environment: [:],
            options: LoadOptions(checkEnvironment: false))
        return (set, findings)
    }

    /// Findings that say something of this machine and nothing of the document.
    private func isAboutMachine(_ finding: Diagnostic) -> Bool {
        ["unavailable", "missing-library", "not-speakable"].contains(finding.code.description)
    }

    /// A folder with the sound that some stages need.
    private func withSounds(_ body: (String) throws -> Void) throws {
        let folder = NSTemporaryDirectory() + "describe-\(UUID().uuidString)"
        let files = FileManager.default
        try files.createDirectory(atPath: folder + "/audio", withIntermediateDirectories: true)
        defer { try? files.removeItem(atPath: folder) }
        try Data(try ExampleSound.file.bytes()).write(to: URL(fileURLWithPath: folder + "/audio/office.wav"))
        try body(folder)
    }

    @Test("Every stage with every agent lints clean and can be made")
    func product() throws {
        let registry = try Self.registry.get()
        try withSounds { folder in
            for transport in registry.transports.map(\.spec.type) {
                for stage in registry.stages.map(\.spec.type) {
                    for agent in registry.agents.map(\.spec.type) {
                        let path = "\(transport)/\(stage)/\(agent)"
                        let skeleton = try Skeleton(path, registry: registry)
                        #expect(skeleton.sounds.allSatisfy { $0 == "audio/office.wav" })
                        let (set, findings) = try load(skeleton.text, in: folder)
                        let found = findings.filter { !isAboutMachine($0) }
                        #expect(found.isEmpty, "\(path)\n\(skeleton.text)\n\(found.rendered())")
                        guard let plan = try set?.documents.first?.plan(for: CallVariables(sid: "CA1")) else {
                            continue
                        }
                        for planned in plan.stagesBefore + plan.stagesAfter { _ = try planned.makeProcessor() }
                        // A codec that has nothing to do stands in the document and does not run.
                        let all = plan.stagesBefore + plan.leftOut.before + plan.stagesAfter + plan.leftOut.after
                        #expect(all.contains { $0.component.spec.type == stage }, "\(path)")
                    }
                }
            }
        }
    }

    @Test("All stages at once lint clean")
    func all() throws {
        let registry = try Self.registry.get()
        let stages = registry.stages.map(\.spec.type).joined(separator: ",")
        try withSounds { folder in
            let skeleton = try Skeleton("twilio/\(stages)/elevenlabs,script", registry: registry)
            let found = try load(skeleton.text, in: folder).findings.filter { !isAboutMachine($0) }
            #expect(found.isEmpty, "\(skeleton.text)\n\(found.rendered())")
        }
    }

    @Test("Every starting point lints clean", arguments: StartingPoint.all.map(\.name).filter { $0 != "test" })
    func startingPoints(_ name: String) throws {
        let point = try #require(StartingPoint.named(name))
        let found = try load(point.text).findings.filter { !isAboutMachine($0) }
        #expect(found.isEmpty, "\(found.rendered())")
    }

    @Test("Every component says what it takes")
    func formats() throws {
        let registry = try Self.registry.get()
        for spec in registry.specs {
            let page = try #require(registry.pages(named: spec.type).first)
            #expect(page.json["formats"]?["takes"] != nil, "\(spec.type)")
        }
        let words = { (name: String) in registry.pages(named: name).first?.json["formats"] }
        #expect(words("denoiser") == ["takes": "pcm16 mono at 8000 or 16000 Hz", "gives": "what it takes"])
        #expect(words("twilio") == ["takes": "mulaw 8000 Hz mono", "gives": "the same"])
        #expect(words("echo") == ["takes": "what the chain has there", "gives": "what the chain has there"])
    }
}
