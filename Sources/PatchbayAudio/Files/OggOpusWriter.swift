import COgg

/// Writes an Ogg Opus file (RFC 7845) as the sound comes in.
///
/// A page is given out whenever it holds one second, so that a process that dies loses no more than the last; what was
/// written until then plays everywhere. ``finish()`` notes the exact length. Belongs to one stream; not `Sendable`.
public final class OggOpusWriter {
    /// Takes the file's next bytes, which are valid during the call only.
    public typealias Output = (UnsafeRawBufferPointer) throws(OggOpusError) -> Void

    /// Rate and channels of the samples it takes.
    public let format: AudioFormat
    /// Sample frames taken so far.
    public private(set) var sampleFrameCount = 0
    /// Bytes given out so far.
    public private(set) var byteCount = 0

    private let encoder: OpusEncoder
    private let output: Output
    private let stream: UnsafeMutablePointer<ogg_stream_state>
    private let room: UnsafeMutableRawBufferPointer
    /// The latest packet, kept back because only what follows tells whether it is the last.
    private var latest: [UInt8] = []
    private var page: [UInt8] = []
    private var packetNumber: Int64 = 0
    /// Where the packets on pages end, in sample frames of 48 kHz from the first that a decoder gives.
    private var granulePosition = 0
    /// Where the page that is being filled begins.
    private var pageStart = 0
    /// Nothing is taken any more: it was finished, or what follows would stand behind a torn page.
    private var isFinished = false
    /// Closes what `output` writes to, where that is the writer's own.
    private var close: (() throws(OggOpusError) -> Void)?

    /// Writes the headers at once.
    ///
    /// - Parameters:
    ///   - sampleRate: 8,000, 12,000, 16,000, 24,000 or 48,000 Hz.
    ///   - channelCount: 1, or 2 for interleaved stereo.
    ///   - packetMilliseconds: 2.5, 5, 10, 20, 40 or 60; longer ones make smaller files.
    ///   - comments: `NAME=value`, such as `TITLE=…` (RFC 7845, section 5.2).
    ///   - serialNumber: Tells the stream from others in one file; random when not given.
    ///   - output: Takes the bytes of one page, or one after the other. Called within ``append(_:)`` and ``finish()``.
    /// - Throws: ``OggOpusError``, also what `output` throws.
    public init(
        sampleRate: Int, channelCount: Int = 1, packetMilliseconds: Double = 20, options: OpusOptions = OpusOptions(),
        comments: [String] = [], serialNumber: UInt32 = .random(in: 0 ... .max), to output: @escaping Output
    ) throws(OggOpusError) {
        let format = AudioFormat(
            .opus, sampleRate: sampleRate, channelCount: channelCount, packetMilliseconds: packetMilliseconds)
        do throws(CodecError) {
            encoder = try OpusEncoder(format, options: options)
        } catch {
            throw OggOpusError(.codecFailed, at: 0, "\(error)")
        }
        self.format = format
        self.output = output
        stream = .allocate(capacity: 1)
        stream.initialize(to: ogg_stream_state())
        room = .allocate(byteCount: encoder.maximumPayload(forSamples: 0), alignment: 16)
        guard ogg_stream_init(stream, Int32(bitPattern: serialNumber)) == 0 else {
            throw OggOpusError(.codecFailed, at: 0, "libogg could not start a stream: no memory")
        }
        let header = OggOpusHeader(
            preSkip: encoder.lookahead * 48_000 / sampleRate, channelCount: channelCount, inputSampleRate: sampleRate)
        // Each of the two has pages of its own (section 3).
        for bytes in [header.bytes, OggOpusTags(vendor: "Patchbay", comments: comments).bytes] {
            put(bytes, endingAt: 0, isLast: false)
            try writePages()
        }
    }

    deinit {
        ogg_stream_clear(stream)
        stream.deallocate()
        room.deallocate()
    }

    /// Takes interleaved samples, any number of whole sample frames. Encodes every packet that is full and gives out a page
    /// a second. Takes nothing after ``finish()``, nor after an error, since what came then would stand behind a torn page.
    public func append(_ samples: UnsafeBufferPointer<Int16>) throws(OggOpusError) {
        guard !isFinished else { return }
        sampleFrameCount += samples.count / format.channelCount
        do throws(OggOpusError) {
            try encode(samples)
        } catch {
            isFinished = true
            throw error
        }
    }

    /// Takes interleaved samples, any number of whole sample frames.
    public func append(_ samples: [Int16]) throws(OggOpusError) {
        try samples.withUnsafeBufferPointer { (samples) throws(OggOpusError) in try append(samples) }
    }

    /// Gives out the encoder's tail and the last page, which notes where the sound ends to the sample. Does nothing the
    /// second time, nor after an error.
    public func finish() throws(OggOpusError) {
        guard !isFinished else { return }
        isFinished = true
        // The last page ends the stream, so there has to be a packet for it even when nothing was recorded.
        if sampleFrameCount == 0 {
            let silence = [Int16](repeating: 0, count: format.channelCount)
            try silence.withUnsafeBufferPointer { (silence) throws(OggOpusError) in try encode(silence) }
        }
        while true {
            let count: Int
            do throws(CodecError) {
                count = try encoder.flush(into: room)
            } catch {
                throw OggOpusError(.codecFailed, at: byteCount, "\(error)")
            }
            if count == 0 { break }
            try add(count)
        }
        // The last position says how much of the last packet is sound (section 4.4).
        let end = (sampleFrameCount + encoder.lookahead) * 48_000 / format.sampleRate
        put(latest, endingAt: end, isLast: true)
        try writePages()
        try close?()
    }

    private func encode(_ samples: UnsafeBufferPointer<Int16>) throws(OggOpusError) {
        var rest = samples[...]
        while !rest.isEmpty {
            let run: EncodedRun
            do throws(CodecError) {
                run = try encoder.encode(UnsafeBufferPointer(rebasing: rest), into: room)
            } catch {
                throw OggOpusError(.codecFailed, at: byteCount, "\(error)")
            }
            rest = rest.dropFirst(run.sampleCount)
            if run.byteCount > 0 { try add(run.byteCount) }
        }
    }

    /// Puts the latest packet on a page and keeps the one that was just written to `room`.
    private func add(_ count: Int) throws(OggOpusError) {
        if !latest.isEmpty {
            let length = format.packetMicroseconds * 48 / 1000
            if granulePosition + length > pageStart + 48_000 { try writePages() }
            granulePosition += length
            put(latest, endingAt: granulePosition, isLast: false)
        }
        latest.removeAll(keepingCapacity: true)
        latest.append(contentsOf: room.prefix(count))
    }

    private func put(_ packet: [UInt8], endingAt position: Int, isLast: Bool) {
        packet.withUnsafeBytes { bytes in
            var packet = ogg_packet()
            // It is only read from: libogg copies it.
            packet.packet = UnsafeMutableRawPointer(mutating: bytes.baseAddress)?.assumingMemoryBound(to: UInt8.self)
            packet.bytes = bytes.count
            packet.b_o_s = packetNumber == 0 ? 1 : 0
            packet.e_o_s = isLast ? 1 : 0
            packet.granulepos = Int64(position)
            packet.packetno = packetNumber
            packetNumber += 1
            // It fails only for want of memory.
            _ = ogg_stream_packetin(stream, &packet)
        }
    }

    /// Gives out all that is on pages. There are several when packets are so short that 255 of them take less than 1 s.
    private func writePages() throws(OggOpusError) {
        pageStart = granulePosition
        var next = ogg_page()
        while ogg_stream_flush(stream, &next) != 0 {
            page.removeAll(keepingCapacity: true)
            page.append(contentsOf: UnsafeBufferPointer(start: next.header, count: next.header_len))
            page.append(contentsOf: UnsafeBufferPointer(start: next.body, count: next.body_len))
            byteCount += page.count
            try page.withUnsafeBufferPointer { (bytes) throws(OggOpusError) in try output(UnsafeRawBufferPointer(bytes))
            }
        }
    }
}

extension OggOpusWriter {
    /// Writes to a file on disk, replacing what is there, blocking the calling thread once a second.
    ///
    /// ``finish()`` closes the file; without it, it is closed when the writer goes. Parameters as for ``init(sampleRate:channelCount:packetMilliseconds:options:comments:serialNumber:to:)``.
    public convenience init(
        path: String, sampleRate: Int, channelCount: Int = 1, packetMilliseconds: Double = 20,
        options: OpusOptions = OpusOptions(), comments: [String] = []
    ) throws(OggOpusError) {
        let file: FileOutput
        do throws(FileFault) {
            file = try FileOutput(path: path)
        } catch {
            throw OggOpusError(error).naming(path)
        }
        try self.init(
            sampleRate: sampleRate, channelCount: channelCount, packetMilliseconds: packetMilliseconds,
            options: options,
            comments: comments
        ) { (bytes) throws(OggOpusError) in
            do throws(FileFault) {
                try file.write(bytes)
            } catch {
                throw OggOpusError(error).naming(path)
            }
        }
        close = { () throws(OggOpusError) in
            do throws(FileFault) {
                try file.close()
            } catch {
                throw OggOpusError(error).naming(path)
            }
        }
    }
}

extension OggOpusError {
    init(_ fault: FileFault) {
        let code: Code =
            switch fault.kind {
            case .unreadable: .unreadable
            case .tooLarge: .tooLarge
            case .unwritable: .unwritable
            }
        self.init(code, at: fault.offset, fault.message)
    }
}
