import Foundation
import PatchbayAudio
import Testing

private enum OpusTools {
    static let areInstalled = ["opusenc", "opusdec", "opusinfo"].allSatisfy { tool in
        ["/usr/bin", "/usr/local/bin"].contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(tool)") }
    }
}

/// Files to and from the tools of the Opus project (Debian package opus-tools).
@Suite(.enabled(if: OpusTools.areInstalled, "opus-tools are not installed: apt-get install opus-tools"))
struct OpusToolsTests {
    /// Runs a shell command in a folder of its own, which `prepare` fills, and gives what it prints.
    private func run(
        _ command: String, prepare: (String) throws -> Void, check: (String) throws -> Void = { _ in }
    ) throws -> String {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("patchbay-opus-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try prepare(folder.path)
        let process = Process(), pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "cd '\(folder.path)' && { \(command); } 2>&1"]
        process.standardOutput = pipe
        try process.run()
        let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(command): \(text)")
        try check(folder.path)
        return text
    }

    @Test(arguments: [(8000, 1, 20.0), (16_000, 2, 60), (48_000, 1, 2.5), (24_000, 1, 20)])
    func theyReadWhatWeWrite(rate: Int, channels: Int, milliseconds: Double) throws {
        let mono = voice(sampleRate: rate, milliseconds: 1330) + [1, 2, 3]
        let sound = channels == 1 ? mono : mono.flatMap { [$0, $0] }
        let text = try run("opusinfo a.opus && opusdec --quiet --rate \(rate) a.opus a.wav") { folder in
            let writer = try OggOpusWriter(
                path: folder + "/a.opus", sampleRate: rate, channelCount: channels, packetMilliseconds: milliseconds,
                options: OpusOptions(bitrate: 64_000, complexity: 1), comments: ["TITLE=a call"])
            try writer.append(sound)
            try writer.finish()
        } check: { folder in
            let theirs = try SoundFile(path: folder + "/a.wav")
            let ours = try SoundFile(path: folder + "/a.opus")
            #expect(theirs.sampleFrameCount == mono.count && ours.sampleFrameCount == mono.count)
            #expect(theirs.format == ours.format)
            let heard = stride(from: 0, to: ours.samples.count, by: channels).map { ours.samples[$0] }
            let other = stride(from: 0, to: theirs.samples.count, by: channels).map { theirs.samples[$0] }
            #expect(lag(of: heard, behind: other, within: 0...(rate / 500)) ?? 99 <= rate / 8000)
        }
        #expect(text.contains("TITLE=a call") && text.contains("Original sample rate: \(rate) Hz"))
        #expect(!text.lowercased().contains("warning") && !text.lowercased().contains("error"), "\(text)")
        #expect(text.contains("Pre-skip: 312"))
    }

    @Test(arguments: [
        (8000, ""), (16_000, "--framesize 60"), (48_000, "--speech --framesize 2.5"), (44_100, "--music"),
    ])
    func weReadWhatTheyWrite(rate: Int, options: String) throws {
        let mono = voice(sampleRate: rate, milliseconds: 1200)
        _ = try run("opusenc --quiet --comp 2 --bitrate 64 --comment A=b \(options) a.wav a.opus") { folder in
            try WAVFile(samples: mono, sampleRate: rate).write(to: folder + "/a.wav")
        } check: { folder in
            let file = try OggOpusFile(path: folder + "/a.opus")
            #expect(file.isComplete && file.concealedPacketCount == 0 && file.inputSampleRate == rate)
            #expect(file.comments.contains("A=b") && file.vendor.contains("libopus"))
            let expected = rate == 44_100 ? 48_000 : rate
            #expect(file.sampleRate == expected && abs(file.sampleFrameCount - expected * 12 / 10) <= 1)
            let same = voice(sampleRate: expected, milliseconds: 1200)
            #expect(lag(of: file.samples, behind: same, within: 0...(expected / 500)) ?? 99 <= expected / 4000)
        }
    }
}
