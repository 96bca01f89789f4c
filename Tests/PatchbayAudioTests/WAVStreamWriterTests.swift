import Foundation
import Glibc
import Testing

@testable import PatchbayAudio

@Suite struct WAVStreamWriterTests {
    /// A file below the temporary folder that goes with the test.
    private final class Place {
        let path = NSTemporaryDirectory() + "wav-stream-\(UUID().uuidString).wav"
        deinit { unlink(path) }
        var descriptor: Int32 { open(path, O_RDWR | O_CREAT, 0o600) }
        var bytes: [UInt8] { get throws { Array(try Data(contentsOf: URL(fileURLWithPath: path))) } }
    }

    private func ramp(_ count: Int) -> [Int16] { (0..<count).map { Int16(truncatingIfNeeded: $0 * 37) } }

    @Test func theFileIsValidAfterEveryFlushAndEqualToOneWrittenAtOnce() throws {
        let place = Place()
        let writer = try WAVStreamWriter(path: place.path, sampleRate: 8000, channelCount: 2)
        #expect(try WAVFile(bytes: place.bytes).sampleFrameCount == 0)
        let samples = ramp(1000)
        var taken = 0
        for count in [2, 100, 0, 398, 500] {
            try writer.append(Array(samples[taken..<taken + count]))
            taken += count
            // What waits is not in the file yet, and the header does not claim it.
            #expect(try WAVFile(bytes: place.bytes).sampleFrameCount <= taken / 2)
            try writer.flush()
            let file = try WAVFile(bytes: place.bytes)
            #expect(file.samples() == Array(samples[..<taken]))
            #expect(writer.sampleFrameCount == taken / 2)
        }
        try writer.close()
        try writer.close()
        #expect(try place.bytes == WAVFile(samples: samples, sampleRate: 8000, channelCount: 2).bytes())
    }

    @Test func aFileWhoseLastBytesAreInNoHeaderIsStillRead() throws {
        let place = Place()
        let writer = try WAVStreamWriter(path: place.path, sampleRate: 16_000, channelCount: 1)
        try writer.append(ramp(320))
        try writer.flush()
        // A process that dies between the samples and the header leaves this.
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: place.path))
        try file.seekToEnd()
        try file.write(contentsOf: Data(repeating: 7, count: 100))
        try file.close()
        #expect(try WAVFile(bytes: place.bytes).samples() == ramp(320))
    }

    @Test func whatDoesNotFitIsRefusedAndTheRestIsKept() throws {
        let place = Place()
        let writer = try WAVStreamWriter(
            descriptor: place.descriptor, sampleRate: 8000, channelCount: 2, maximumDataBytes: 402)
        try writer.append(ramp(150))
        let error = #expect(throws: WAVError.self) { try writer.append(ramp(100)) }
        #expect(error?.code == .tooLarge)
        try writer.close()
        #expect(try WAVFile(bytes: place.bytes).sampleFrameCount == 100)
        #expect(WAVStreamWriter.largestData + 36 == Int(UInt32.max))
    }

    @Test func aFullDiskIsAnErrorAndLeavesWhatWasFlushed() throws {
        let full = open("/dev/full", O_WRONLY)
        try #require(full >= 0)
        let error = #expect(throws: WAVError.self) {
            try WAVStreamWriter(descriptor: full, sampleRate: 8000, channelCount: 1)
        }
        #expect(error?.code == .unwritable)
        #expect(error?.message.contains("space") == true)

        // A file that may not grow beyond a limit, as on a full disk: reading side only, so every write fails.
        let place = Place()
        close(place.descriptor)
        let readOnly = open(place.path, O_RDONLY)
        #expect(throws: WAVError.self) {
            try WAVStreamWriter(descriptor: readOnly, sampleRate: 8000, channelCount: 1)
        }
    }

    @Test(arguments: [(8000, 0), (8000, 3), (3999, 1), (192_001, 2)])
    func otherLayoutsAreRefused(rate: Int, channels: Int) throws {
        let place = Place()
        let error = #expect(throws: WAVError.self) {
            try WAVStreamWriter(path: place.path, sampleRate: rate, channelCount: channels)
        }
        #expect(error?.code == .unsupportedLayout)
        #expect(error?.path == place.path)
    }

    @Test func anUnwritableFolderIsNamed() {
        let error = #expect(throws: WAVError.self) {
            try WAVStreamWriter(path: "/nowhere/at/all.wav", sampleRate: 8000, channelCount: 2)
        }
        #expect(error?.code == .unwritable)
        #expect(error?.description.contains("/nowhere/at/all.wav") == true)
    }
}
