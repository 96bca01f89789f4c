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

    @Test func aFullDiskIsAnError() throws {
        let full = open("/dev/full", O_WRONLY)
        try #require(full >= 0)
        let error = #expect(throws: WAVError.self) {
            try WAVStreamWriter(descriptor: full, sampleRate: 8000, channelCount: 1)
        }
        #expect(error?.code == .unwritable)
        #expect(error?.message.contains("space") == true)

    }

    /// A disk that is full from the moment it is told so: for what is written at offsets of a range, half of which still fits.
    private final class Disk {
        var full: Range<Int>?

        func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, _ offset: Int) -> Int {
            guard full?.contains(offset) == true else {
                return pwrite(descriptor, bytes.baseAddress, bytes.count, off_t(offset))
            }
            if bytes.count > 8 { return pwrite(descriptor, bytes.baseAddress, bytes.count / 2, off_t(offset)) }
            errno = ENOSPC
            return -1
        }
    }

    /// What fails: the samples, the size of their chunk, the size of the file.
    @Test(arguments: [44..<100_000, 40..<44, 4..<8])
    func aDiskThatFillsLaterLeavesWhatWasFlushedAndTheRestFollows(full: Range<Int>) throws {
        let place = Place(), disk = Disk()
        let writer = try WAVStreamWriter(
            descriptor: place.descriptor, sampleRate: 8000, channelCount: 1, write: disk.write)
        try writer.append(ramp(160))
        try writer.flush()
        disk.full = full
        try writer.append(Array(ramp(320)[160...]))
        let error = #expect(throws: WAVError.self) { try writer.flush() }
        #expect(error?.code == .unwritable && error?.message.contains("space") == true)
        let left = try WAVFile(bytes: place.bytes).samples()
        #expect(left == ramp(full.lowerBound == 4 ? 320 : 160), "the size of the file is not what readers go by")
        disk.full = nil
        try writer.flush()
        #expect(try place.bytes == WAVFile(samples: ramp(320), sampleRate: 8000).bytes())
        try writer.append(Array(ramp(480)[320...]))
        try writer.close()
        #expect(try place.bytes == WAVFile(samples: ramp(480), sampleRate: 8000).bytes())
    }

    @Test(arguments: [44..<100_000, 40..<44])
    func aDiskThatStaysFullIsSaidWhenTheFileIsClosed(full: Range<Int>) throws {
        let place = Place(), disk = Disk()
        let writer = try WAVStreamWriter(
            descriptor: place.descriptor, sampleRate: 8000, channelCount: 1, write: disk.write)
        try writer.append(ramp(160))
        try writer.flush()
        disk.full = full
        try writer.append(ramp(160))
        #expect(throws: WAVError.self) { try writer.flush() }
        let error = #expect(throws: WAVError.self) { try writer.close() }
        #expect(error?.code == .unwritable)
        #expect(try WAVFile(bytes: place.bytes).samples() == ramp(160))
        try writer.close()
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
