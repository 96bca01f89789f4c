import Foundation
import Patchbay
import PatchbayScenarios
import PatchbayTesting
import Testing

/// A folder with a pipeline, a test of it and sounds, removed at the end.
final class ScenarioFolder {
    static let echo = #"{"name": "desk", "numbers": ["+15550100001"], "transport": "twilio", "stages": ["echo"]}"#
    /// µ-law through and through, so that no conversion costs time.
    static let vendor = """
        {"name": "desk", "numbers": ["+15550100001"], "transport": "twilio", "stages": [
          {"type": "agent", "backends": [{"type": "elevenlabs", "agentId": "one"}, {"type": "elevenlabs", "agentId": "two"}]}]}
        """

    let path: String
    private let registry: ComponentRegistry

    init(_ pipeline: String = ScenarioFolder.echo, adding agents: [any AgentComponent] = []) throws {
        path = NSTemporaryDirectory() + "patchbay-scenarios-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        registry = try ComponentRegistry.standard().adding(agents: agents)
        try write(pipeline, to: "desk.json")
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ text: String, to name: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
    }

    func files() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: path) }

    /// A tone as a sound file at 8 kHz.
    func writeTone(_ frequency: Double, milliseconds: Int, to name: String) throws {
        try WAVFile(
            samples: Tone(frequency).samples(count: 8 * milliseconds, sampleRate: 8000), sampleRate: 8000
        ).write(to: "\(path)/\(name)")
    }

    /// Runs one test whose members are given.
    func run(_ test: String) throws -> ScenarioResult {
        try write(#"{"tests": [{"name": "one", \#(test)}]}"#, to: "desk.test.json")
        return try #require(try runAll().first)
    }

    /// Runs what is in the folder.
    func runAll(filter: String = "") throws -> [ScenarioResult] {
        let (file, diagnostics) = ScenarioFile.load(path: "\(path)/desk.test.json")
        var runner = ScenarioRunner(registry: registry)
        let (results, faults) = runner.run(
            try #require(file, "\(diagnostics.rendered())"), filter: filter)
        #expect(faults.isEmpty, "\(faults.rendered())")
        return results
    }
}

extension ScenarioResult {
    /// What was seen for an expectation, from 0.
    func seen(_ index: Int) -> String { checks.indices.contains(index) ? checks[index].seen : "" }
    var met: [Bool] { checks.map(\.isMet) }
}
