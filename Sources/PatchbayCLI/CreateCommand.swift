import ArgumentParser
import Foundation
import Patchbay

struct CreateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Prints a pipeline file to start from.",
        discussion: """
            EXAMPLES
              patchbay create                                      a first pipeline
              patchbay create --list                               the starting points there are
              patchbay create ivr --output Pipelines/menu.json
              patchbay create twilio/vad,turns/elevenlabs,script   transport / stages / agents, in the order of trying
              patchbay create twilio/vad/echo/mixer                a fourth part: stages behind the agent

            What it prints lints clean; stages that are needed for the formats are added. Secrets are taken from the
            environment, and it says which variables they are. Exit code 64 for a name that it does not know.
            """)

    @Argument(help: "A starting point, or TRANSPORT/STAGES/AGENTS.") var what = "first"
    @Option(help: "The file to write. (default: standard output)") var output: String?
    @Option(help: "The pipeline's name. (default: the name of the file)") var name: String?
    @Option(help: "The number that it answers, in E.164.") var number = "+15550100009"
    @Flag(help: "Overwrite the file if there is one.") var force = false
    @Flag(help: "List the starting points.") var list = false

    func run() throws {
        if list {
            for point in StartingPoint.all { Terminal.result("\(point.name.padded(to: 14))\(point.summary)") }
            return
        }
        guard NumberPattern(number) != nil else {
            throw ValidationError(
                "--number is \"\(number)\"; write \"+\" and 2 to 15 digits, a prefix such as +4930*, or *")
        }
        if let name, !Self.isName(name) {
            throw ValidationError(
                "--name is \"\(name)\"; a name is made of 1 to 64 letters of ASCII, digits, \"-\" and \"_\"")
        }
        if let output { try checkEnding(output) }
        let (text, skeleton) = try draft()
        guard let output else { return finish(text, skeleton, folder: nil) }
        try OutputFile.check(output, option: "--output")
        guard force || !FileManager.default.fileExists(atPath: output) else {
            throw CommandFailure(description: "\(output) is there already; --force overwrites it")
        }
        do {
            try text.write(toFile: output, atomically: true, encoding: .utf8)
        } catch {
            throw CommandFailure(description: "\(output) cannot be written: \(error.localizedDescription)")
        }
        let next =
            output.hasSuffix(".test.json")
            ? "patchbay test \(output)" : "patchbay lint \(output), patchbay graph \(output)"
        Terminal.note("wrote \(output); next: \(next)")
        finish(nil, skeleton, folder: (output as NSString).deletingLastPathComponent)
    }

    private static func isName(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count)
            && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") }
    }

    /// By the name of a file other commands know what is in it.
    private func checkEnding(_ output: String) throws {
        let file = (output as NSString).lastPathComponent
        if what == "test" {
            guard file.hasSuffix(".test.json"), !file.hasPrefix(".") else {
                throw ValidationError("--output is \"\(output)\"; the name of a test ends in .test.json")
            }
            return
        }
        guard file.hasSuffix(".json"), !file.hasPrefix(".") else {
            throw ValidationError("--output is \"\(output)\"; the name of a pipeline's file ends in .json")
        }
        guard !file.hasSuffix(".test.json"), !file.hasSuffix(".fragment.json"), file != "server.json" else {
            throw ValidationError(
                "--output is \"\(output)\", which is no name for a pipeline: *.test.json, *.fragment.json and "
                    + "server.json are read as something else")
        }
    }

    private func draft() throws -> (text: String, skeleton: Skeleton?) {
        guard what.contains("/") else {
            guard let point = StartingPoint.named(what) else {
                let known = StartingPoint.all.map(\.name)
                let hint = closestMatch(to: what, in: known).map { "did you mean \"\($0)\"? " } ?? ""
                throw ValidationError(
                    "there is no starting point \"\(what)\"; \(hint)there are \(known.joined(separator: ", ")), or "
                        + "write TRANSPORT/STAGES/AGENTS")
            }
            return (point.text(name: documentName, number: number), nil)
        }
        do {
            let skeleton = try Skeleton(
                what, name: documentName ?? "first", number: number, registry: .standard())
            return (skeleton.text, skeleton)
        } catch let fault as Diagnostic {
            throw ValidationError(fault.message + (fault.suggestion.map { "; \($0.text)" } ?? ""))
        }
    }

    /// The given name, or that of the file as far as it is one.
    private var documentName: String? {
        if let name { return name }
        guard let output else { return nil }
        let stem = (output as NSString).lastPathComponent.prefix { $0 != "." }
        let letters = stem.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") ? $0 : "-" }
        return letters.isEmpty ? nil : String(letters.prefix(64))
    }

    /// Prints the document, and what is to be known about it.
    private func finish(_ text: String?, _ skeleton: Skeleton?, folder: String?) {
        if let text { Terminal.print(text) }
        for note in skeleton?.notes ?? [] { Terminal.note("note: \(note)") }
        for sound in skeleton?.sounds ?? [] { provide(sound, folder) }
        let variables = skeleton?.environment ?? []
        if !variables.isEmpty { Terminal.note("note: set \(variables.joined(separator: ", "))") }
    }

    /// Writes the sound where the document looks for it, unless there is one.
    private func provide(_ sound: String, _ folder: String?) {
        guard let folder else {
            Terminal.note("note: \(sound) is yours to provide, beside the file; --output writes an example")
            return
        }
        let path = folder.isEmpty ? sound : "\(folder)/\(sound)"
        guard !FileManager.default.fileExists(atPath: path) else { return }
        do {
            try FileManager.default.createDirectory(
                atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
            try Data(try ExampleSound.file.bytes()).write(to: URL(fileURLWithPath: path))
            Terminal.note("wrote \(path), a sound to begin with")
        } catch {
            Terminal.note("note: \(path) could not be written; \(sound) is yours to provide")
        }
    }
}
