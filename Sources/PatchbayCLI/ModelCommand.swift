import ArgumentParser
import Foundation
import Patchbay

struct ModelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model",
        abstract: "Gets the model files that stages can use and that do not come with Patchbay.",
        subcommands: [Silero.self])

    struct Silero: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Gets silero_vad.onnx, for the engine \"silero\" of the stage \"vad\".",
            discussion: """
                EXAMPLES
                  patchbay model silero
                  patchbay model silero --output models/silero_vad.onnx
                  patchbay model silero --wheel silero_vad-\(SileroPackage.version)-py3-none-any.whl

                Downloads version \(SileroPackage.version) of the Python package silero-vad (11 MB) with pip and your own \
                settings of it, checks it against a SHA-256 that is part of this command, and keeps the one file. \
                Nothing is installed.

                The model is by the Silero Team, https://github.com/snakers4/silero-vad, under the MIT licence.
                """)

        @Option(help: "Where to put the file. (default: the place where the stage looks for it)") var output: String?
        @Option(help: "Take this wheel instead of downloading it.") var wheel: String?

        func run() throws {
            let path = output ?? SileroModel.defaultPath
            if (try? SileroPackage.sha256(ofFile: path)) == SileroPackage.modelSHA256 {
                Terminal.result("\(path): is there already")
                return
            }
            let folder = try TemporaryFolder()
            defer { folder.remove() }
            let wheel = try wheel ?? SileroPackage.download(into: folder.path)
            try SileroPackage.check(wheel, SileroPackage.wheelSHA256)
            let extracted = try SileroPackage.extract(wheel, into: folder.path)
            try SileroPackage.check(extracted, SileroPackage.modelSHA256)
            let model = try SileroModel(path: extracted)
            try SileroPackage.install(extracted, at: path)
            let rates = model.sampleRates.map { "\($0) Hz" }.joined(separator: " and ")
            Terminal.result("\(path): Silero VAD \(SileroPackage.version), \(rates) (MIT licence, Silero Team)")
        }
    }
}

/// The published package that holds the model, pinned.
private enum SileroPackage {
    static let version = "6.2.3"
    static let wheelSHA256 = "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8"
    static let modelSHA256 = "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3"
    static let member = "silero_vad/data/silero_vad.onnx"

    /// - Returns: The wheel's path.
    static func download(into folder: String) throws -> String {
        Terminal.note("downloading silero-vad \(version) with pip")
        let pip = [
            "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps",
            "--only-binary", ":all:", "--dest", folder, "silero-vad==\(version)",
        ]
        do {
            _ = try python(pip)
        } catch let failure as PythonFailure {
            throw CommandFailure(
                description: "pip could not download silero-vad \(version): \(failure.words)\n"
                    + "without a network: take the wheel from a machine that has one, and give it with --wheel")
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        guard let name = names.first(where: { $0.hasSuffix(".whl") }) else {
            throw CommandFailure(description: "pip said that it succeeded, but left no wheel in \(folder)")
        }
        return "\(folder)/\(name)"
    }

    static func check(_ file: String, _ expected: String) throws {
        let found = try sha256(ofFile: file)
        guard found == expected else {
            throw CommandFailure(
                description:
                    "\(file) has the SHA-256 \(found), but \(expected) is expected: it is damaged, or not what "
                    + "was published as silero-vad \(version). It is not used.")
        }
    }

    static func sha256(ofFile path: String) throws -> String {
        guard FileManager.default.isReadableFile(atPath: path) else {
            throw CommandFailure(description: "\(path) cannot be read")
        }
        let program = "import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())"
        return try python(["-c", program, path]).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    static func extract(_ wheel: String, into folder: String) throws -> String {
        _ = try python(["-m", "zipfile", "--extract", wheel, "\(folder)/wheel"])
        return "\(folder)/wheel/\(member)"
    }

    /// Puts the file in its place at once, so that nobody ever reads half of it.
    static func install(_ file: String, at path: String) throws {
        let folder = (path as NSString).deletingLastPathComponent
        let draft = "\(path).\(ProcessInfo.processInfo.processIdentifier)"
        do {
            if !folder.isEmpty {
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            }
            try FileManager.default.copyItem(atPath: file, toPath: draft)
        } catch {
            throw CommandFailure(
                description:
                    "\(path) cannot be written: \(error.localizedDescription); choose another place with --output")
        }
        guard rename(draft, path) == 0 else {
            let reason = String(cString: strerror(errno))
            try? FileManager.default.removeItem(atPath: draft)
            throw CommandFailure(
                description: "\(path) cannot be written: \(reason); choose another place with --output")
        }
    }

    /// What Python had to say before it gave up.
    private struct PythonFailure: Error, CustomStringConvertible {
        var words: String
        var description: String { words }
    }

    /// Runs Python and gives what it printed.
    private static func python(_ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3"] + arguments
        let output = Pipe(), errors = Pipe()
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        // Neither stream can fill up: what pip says quietly and a hash are a few lines.
        let printed = try output.fileHandleForReading.readToEnd() ?? Data()
        let complaint = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw PythonFailure(words: explanation(complaint, status: process.terminationStatus))
        }
        return String(decoding: printed, as: UTF8.self)
    }

    private static func explanation(_ complaint: String, status: Int32) -> String {
        if status == 127 { return "python3 is not installed (apt-get install python3 python3-pip)" }
        if complaint.contains("No module named pip") { return "Python has no pip (apt-get install python3-pip)" }
        // Of an index that it cannot reach, pip's last word is that the version does not exist.
        let signs = [
            "NewConnectionError", "Failed to establish", "NameResolution", "ConnectTimeout", "ReadTimeout",
            "ProxyError",
        ]
        if signs.contains(where: complaint.contains) { return "the package index cannot be reached" }
        let lines = complaint.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
        return lines.last { $0.hasPrefix("ERROR") } ?? lines.last ?? "it ended with code \(status)"
    }
}

/// A folder that is gone afterwards.
private struct TemporaryFolder {
    let path: String

    init() throws {
        var template = Array((NSTemporaryDirectory() + "/patchbay-model-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw CommandFailure(description: "no temporary folder: \(String(cString: strerror(errno)))")
        }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }
}
