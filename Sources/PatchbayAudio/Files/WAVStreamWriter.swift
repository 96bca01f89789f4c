import Glibc

/// Writes a WAV file of 16-bit linear samples while they come, so that the file is valid at every moment.
///
/// Samples are collected and written by ``flush()``: first the samples, then the two sizes in the header (RIFF and `data`
/// chunk; Microsoft, "Multimedia Programming Interface and Data Specifications 1.0", 1991). A process that is killed at any
/// point leaves a file that is complete up to the last flush. Every write names its place in the file, so one that
/// failed half-way is simply written over when it is tried again.
///
/// A WAV file holds 4 GiB: 37 hours of stereo at 8 kHz, 6 at 48 kHz. Blocks the calling thread; not for the media path.
/// Not `Sendable`: a writer belongs to one thread at a time.
public final class WAVStreamWriter {
    /// Bytes before the samples.
    static let headerBytes = 44
    /// Sample bytes that fit: RIFF's size is 32 bits wide and counts the rest of the header too.
    static let largestData = Int(UInt32.max) - (headerBytes - 8)

    public let sampleRate: Int
    public let channelCount: Int
    /// Sample frames taken so far, written or waiting.
    public var sampleFrameCount: Int { (writtenBytes + waiting.count) / bytesPerFrame }

    /// Writes at an offset of a file, as `pwrite` does: gives the bytes written, or -1 and `errno`.
    typealias Write = (_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, _ offset: Int) -> Int

    private let maximumDataBytes: Int
    private let systemWrite: Write
    private var descriptor: Int32
    /// Sample bytes that are in the file.
    private var writtenBytes = 0
    /// Sample bytes that the header counts; fewer than there are while its last update failed.
    private var countedBytes = 0
    private var waiting: [UInt8] = []

    private var bytesPerFrame: Int { 2 * channelCount }

    /// Begins a file on an open descriptor, which the writer owns from now on and closes, also when this fails.
    ///
    /// - Parameters:
    ///   - descriptor: An empty file, open for writing.
    ///   - sampleRate: 4,000 to 192,000 Hz.
    ///   - channelCount: 1 or 2.
    /// - Throws: ``WAVError`` with code `unsupportedLayout` or `unwritable`.
    public convenience init(descriptor: Int32, sampleRate: Int, channelCount: Int) throws(WAVError) {
        try self.init(
            descriptor: descriptor, sampleRate: sampleRate, channelCount: channelCount,
            maximumDataBytes: Self.largestData)
    }

    /// Begins a file, replacing what is there.
    ///
    /// - Throws: ``WAVError`` with the path in it.
    public convenience init(path: String, sampleRate: Int, channelCount: Int) throws(WAVError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw WAVError(.unwritable, at: 0, "cannot open the file for writing: \(systemErrorText(errno))")
                .naming(path)
        }
        do throws(WAVError) {
            try self.init(descriptor: descriptor, sampleRate: sampleRate, channelCount: channelCount)
        } catch {
            throw error.naming(path)
        }
    }

    /// - Parameter write: What stands in for the operating system.
    init(
        descriptor: Int32, sampleRate: Int, channelCount: Int, maximumDataBytes: Int = largestData,
        write: @escaping Write = { pwrite($0, $1.baseAddress, $1.count, off_t($2)) }
    ) throws(WAVError) {
        self.descriptor = descriptor
        systemWrite = write
        self.sampleRate = sampleRate
        self.channelCount = channelCount
        self.maximumDataBytes = maximumDataBytes
        guard WAVFormat.channelCounts.contains(channelCount), WAVFormat.sampleRates.contains(sampleRate) else {
            throw WAVError(
                .unsupportedLayout, at: 22,
                "cannot write \(channelCount) channels at \(sampleRate) Hz: 1 or 2 channels and 4000 to 192000 Hz are "
                    + "possible; resample or mix down first")
        }
        try self.write(header(), at: 0)
    }

    deinit {
        if descriptor >= 0 { _ = Glibc.close(descriptor) }
    }

    /// Takes interleaved samples; they are in the file after the next ``flush()``.
    ///
    /// - Parameter samples: Whole sample frames; an incomplete last one is ignored.
    /// - Throws: ``WAVError/Code/tooLarge`` when they do not all fit; those that fit have been taken.
    public func append(_ samples: UnsafeBufferPointer<Int16>) throws(WAVError) {
        let frames = samples.count / channelCount
        let room = (maximumDataBytes - writtenBytes - waiting.count) / bytesPerFrame
        let count = min(frames, room) * channelCount
        waiting.reserveCapacity(waiting.count + 2 * count)
        for sample in samples.prefix(count) {
            waiting.append(UInt8(truncatingIfNeeded: sample))
            waiting.append(UInt8(truncatingIfNeeded: sample >> 8))
        }
        guard frames <= room else {
            throw WAVError(
                .tooLarge, at: Self.headerBytes + writtenBytes + waiting.count,
                "a WAV file holds 4 GiB and this one is full; begin another, or record to Opus")
        }
    }

    /// Takes interleaved samples.
    public func append(_ samples: [Int16]) throws(WAVError) {
        let result: Result<Void, WAVError> = samples.withUnsafeBufferPointer { samples in
            do throws(WAVError) { return .success(try append(samples)) } catch { return .failure(error) }
        }
        try result.get()
    }

    /// Brings what was taken into the file and the header up to date. Does not force it onto the disk itself.
    ///
    /// - Throws: ``WAVError/Code/unwritable``. What is missing in the file is written by the next flush then, and the file is
    ///   valid up to the flush before.
    public func flush() throws(WAVError) {
        guard descriptor >= 0 else { return }
        if !waiting.isEmpty {
            try write(waiting, at: Self.headerBytes + writtenBytes)
            writtenBytes += waiting.count
            waiting.removeAll(keepingCapacity: true)
        }
        guard countedBytes != writtenBytes else { return }
        // The size of `data` first: that is the one readers go by.
        let header = header()
        try write(Array(header.suffix(4)), at: Self.headerBytes - 4)
        try write(Array(header[4..<8]), at: 4)
        countedBytes = writtenBytes
    }

    /// Flushes and closes the file. Nothing can be written afterwards; closing again does nothing.
    ///
    /// - Throws: ``WAVError/Code/unwritable`` when the last samples could not be written. The file is closed all the same and
    ///   valid as far as it goes.
    public func close() throws(WAVError) {
        guard descriptor >= 0 else { return }
        var failure: WAVError?
        do throws(WAVError) { try flush() } catch { failure = error }
        // A write that failed half-way may have left bytes that no header counts.
        if failure != nil { _ = ftruncate(descriptor, off_t(Self.headerBytes + writtenBytes)) }
        // Some file systems report a full disk only here.
        if Glibc.close(descriptor) != 0, failure == nil {
            failure = WAVError(.unwritable, at: 0, "cannot close the file: \(systemErrorText(errno))")
        }
        descriptor = -1
        if let failure { throw failure }
    }

    private func header() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.headerBytes)
        func append(_ value: some FixedWidthInteger) {
            withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
        }
        bytes += "RIFF".utf8
        append(UInt32(truncatingIfNeeded: writtenBytes + Self.headerBytes - 8))
        bytes += "WAVEfmt ".utf8
        append(UInt32(16))
        append(WAVFormat.Tag.pcm)
        append(UInt16(truncatingIfNeeded: channelCount))
        append(UInt32(truncatingIfNeeded: sampleRate))
        append(UInt32(truncatingIfNeeded: sampleRate * bytesPerFrame))
        append(UInt16(truncatingIfNeeded: bytesPerFrame))
        append(UInt16(16))
        bytes += "data".utf8
        append(UInt32(truncatingIfNeeded: writtenBytes))
        return bytes
    }

    private func write(_ bytes: [UInt8], at start: Int) throws(WAVError) {
        var offset = 0
        var failure: Int32 = 0
        bytes.withUnsafeBytes { bytes in
            while offset < bytes.count && failure == 0 {
                let count = systemWrite(
                    descriptor, UnsafeRawBufferPointer(rebasing: bytes[offset...]), start + offset)
                if count > 0 {
                    offset += count
                } else if count == 0 {
                    failure = ENOSPC
                } else if errno != EINTR {
                    failure = errno
                }
            }
        }
        guard failure == 0 else {
            throw WAVError(
                .unwritable, at: start + offset,
                "cannot write the file: \(systemErrorText(failure)); free some space, or choose another place")
        }
    }
}
