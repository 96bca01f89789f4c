import Foundation
import PatchbayAudio
import Testing

/// Every sample encoded by others: they may differ from ITU-T G.191's form at decision boundaries, by one step.
@Suite struct G711PeerTests {
    private static let samples = (Int16.min...Int16.max).map { $0 }

    /// Runs a shell command over all samples, 16-bit little endian, and gives what it prints.
    private func run(_ command: String) throws -> [UInt8] {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("patchbay-g711-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let input = folder.appendingPathComponent("in"), output = folder.appendingPathComponent("out")
        try Self.samples.withUnsafeBytes { try Data($0).write(to: input) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "\(command) < '\(input.path)' > '\(output.path)'"]
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(command)")
        return [UInt8](try Data(contentsOf: output))
    }

    /// Each code's place in the order of the values; the two zeros of µ-law share one.
    private func ranks(_ decode: (UInt8) -> Int16) -> [Int] {
        let codes = (0...255).map { UInt8($0) }
        let values = Set(codes.map(decode)).sorted()
        return codes.map { code in values.firstIndex(of: decode(code)) ?? 0 }
    }

    private static let audioop =
        "python3 -W ignore -c 'import audioop, sys; sys.stdout.buffer.write(audioop.%(sys.stdin.buffer.read(), 2))'"
    private static let sox = "sox -D -t raw -r 8000 -e signed-integer -b 16 -c 1 - -t raw -e % -"

    @Test(arguments: [audioop.replacing("%", with: "lin2ulaw"), sox.replacing("%", with: "mu-law")])
    func mulawIsWithinOneStep(command: String) throws {
        let theirs = try run(command)
        let ranks = ranks(G711.decodeMulaw)
        try #require(theirs.count == Self.samples.count)
        let distances = zip(Self.samples, theirs).map { abs(ranks[Int(G711.encodeMulaw($0))] - ranks[Int($1)]) }
        #expect(distances.max() ?? 0 <= 1)
        #expect(distances.count { $0 > 0 } < 1100)
    }

    @Test(arguments: [audioop.replacing("%", with: "lin2alaw"), sox.replacing("%", with: "a-law")])
    func alawIsWithinOneStep(command: String) throws {
        let theirs = try run(command)
        let ranks = ranks(G711.decodeAlaw)
        try #require(theirs.count == Self.samples.count)
        let distances = zip(Self.samples, theirs).map { abs(ranks[Int(G711.encodeAlaw($0))] - ranks[Int($1)]) }
        #expect(distances.max() ?? 0 <= 1)
        #expect(distances.count { $0 > 0 } < 1100)
    }
}
