import Foundation
import PatchbayAudio
import PatchbayConfig

extension ScenarioRecorder {
    /// Writes the test and the files that it needs beside it.
    ///
    /// - Parameters:
    ///   - path: Ends in `.test.json`.
    ///   - pipeline: The pipeline's file; the one that the log names without.
    ///   - overwrites: Whether files that are there already are replaced.
    /// - Throws: ``Diagnostic`` before anything is written, when one of the files is there already.
    /// - Returns: The files that were written, the test first.
    public func write(to path: String, pipeline: String?, overwrites: Bool = false) throws -> [String] {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let name = URL(fileURLWithPath: path).lastPathComponent
        let stem = name.hasSuffix(ScenarioFile.suffix) ? String(name.dropLast(ScenarioFile.suffix.count)) : name
        let made = make(
            stem: stem, pipeline: relative(pipeline ?? call.header["file"] ?? "", to: folder),
            isAnother: pipeline != nil,
            expecting: RecordedExpectations(call, start: start).lines)
        let (soundFile, messageFile) = ("\(folder)/\(made.soundFile)", "\(folder)/\(made.messageFile)")
        let files = [path, soundFile] + (made.messages.isEmpty ? [] : [messageFile])
        if !overwrites, let file = files.first(where: { FileManager.default.fileExists(atPath: $0) }) {
            throw Diagnostic(file: file, .notAllowed, "the file is there already, and would be replaced")
        }
        try WAVFile(samples: made.sound, sampleRate: SoundTrack.sampleRate).write(to: soundFile)
        if !made.messages.isEmpty {
            try Data((made.messages.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: messageFile))
        }
        try Data(made.test.utf8).write(to: URL(fileURLWithPath: path))
        return files
    }

    /// The way from one folder to a file, both as the system sees them.
    private func relative(_ file: String, to folder: String) -> String {
        let target = URL(fileURLWithPath: file).standardizedFileURL.pathComponents
        let base = URL(fileURLWithPath: folder).standardizedFileURL.pathComponents
        let common = zip(target, base).prefix { $0 == $1 }.count
        guard common > 1 else { return URL(fileURLWithPath: file).standardizedFileURL.path }
        return (Array(repeating: "..", count: base.count - common) + target.dropFirst(common)).joined(separator: "/")
    }
}
