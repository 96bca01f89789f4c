import Glibc
import PatchbayAudio
import PatchbayCore

/// Where the finished samples of a recording go. Belongs to one recording; blocks.
protocol RecordingSink: AnyObject {
    /// Takes interleaved stereo samples.
    func append(_ samples: [Int16]) throws
    /// Brings the file up to date, so that a process that is killed afterwards leaves it valid up to here.
    func flush() throws
    /// Completes and closes the file, as far as it goes even when it throws.
    func finish() throws
}

extension WAVStreamWriter: RecordingSink {
    func finish() throws { try close() }
}

/// Ogg Opus: a page with every second, each of them complete in itself.
///
/// Two people are no stereo picture: below 40 kbit/s libopus codes both channels together and each side can be heard in the
/// other, 25 to 35 dB down; from there on nearly 60 dB and more (tones of 440 and 1000 Hz, libopus 1.3.1, both sides at 8 and 16 kHz).
/// For the same reason the encoder is not told that this is speech, whose coder mixes the sides first.
final class OpusSink: RecordingSink {
    static let bitrates = 40_000...256_000
    static let defaultBitrate = 48_000

    private let file: DescriptorFile
    private let writer: OggOpusWriter

    /// - Parameter descriptor: An empty file, which the sink owns from now on, also when this fails.
    init(descriptor: Int32, sampleRate: Int, bitrate: Int?) throws {
        let file = DescriptorFile(descriptor)
        self.file = file
        writer = try OggOpusWriter(
            sampleRate: sampleRate, channelCount: 2,
            options: OpusOptions(
                application: .audio, bitrate: bitrate ?? Self.defaultBitrate)
        ) { file.write($0) }
        try file.check()
    }

    func append(_ samples: [Int16]) throws {
        try writer.append(samples)
        try file.check()
    }

    func flush() throws {}

    func finish() throws {
        do {
            // After a fault of the disk there is no last page to write.
            try file.check()
            try writer.finish()
        } catch {
            file.close()
            throw error
        }
        file.close()
        try file.check()
    }
}

/// Writes one piece after the other to a descriptor that it owns, and remembers the first fault.
private final class DescriptorFile {
    private var descriptor: Int32
    private var fault: Int32 = 0

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close() }

    func check() throws {
        if fault != 0 { throw RecordingFileError("write", "the file", fault) }
    }

    func write(_ bytes: UnsafeRawBufferPointer) {
        var offset = 0
        while offset < bytes.count, fault == 0 {
            let count = Glibc.write(descriptor, bytes.baseAddress.map { $0 + offset }, bytes.count - offset)
            if count > 0 {
                offset += count
            } else if count == 0 || errno != EINTR {
                fault = count == 0 ? ENOSPC : errno
            }
        }
    }

    /// Some file systems report a full disk only here.
    func close() {
        guard descriptor >= 0 else { return }
        if Glibc.close(descriptor) != 0, fault == 0 { fault = errno }
        descriptor = -1
    }
}

extension RecordingRequest {
    /// - Parameter descriptor: An empty file, which the sink owns from now on.
    func makeSink(_ descriptor: Int32) throws -> any RecordingSink {
        switch format {
        case .wav: try WAVStreamWriter(descriptor: descriptor, sampleRate: sampleRate, channelCount: 2)
        case .opus: try OpusSink(descriptor: descriptor, sampleRate: sampleRate, bitrate: bitrate)
        }
    }
}
