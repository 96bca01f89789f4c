import COgg

/// One pass over the pages of a file.
final class OggOpusReader {
    private let wantedRate: Int?
    private let maximumSamples: Int
    private let sync: UnsafeMutablePointer<ogg_sync_state>
    /// The stream's packets, from its first page on.
    private let stream: UnsafeMutablePointer<ogg_stream_state>
    private var serialNumber: Int32?

    private var header: OggOpusHeader?
    private var tags: OggOpusTags?
    private var decoder: OpusDecoder?
    private var samples: [Int16] = []
    private var scratch: [Int16] = []
    /// Samples of the packet before, all channels.
    private var packetSamples = 0
    private var concealed = 0
    /// Sample frames of 48 kHz in the packets so far.
    private var decodedFrames = 0
    /// The position at which the first packet begins: not 0 where a broadcast was joined (RFC 7845, section 4.6).
    private var firstPosition: Int?
    /// The position that the last page notes.
    private var lastPosition: Int?
    /// Where the page that is read begins in the file.
    private var offset = 0

    init(sampleRate: Int?, maximumSamples: Int) throws(OggOpusError) {
        if let sampleRate, !AudioFormat.opusSampleRates.contains(sampleRate) {
            throw OggOpusError(
                .unsupportedLayout, at: 0,
                "Opus is not decoded to \(sampleRate) Hz: 8000, 12000, 16000, 24000 or 48000 Hz are possible")
        }
        wantedRate = sampleRate
        self.maximumSamples = maximumSamples
        sync = .allocate(capacity: 1)
        sync.initialize(to: ogg_sync_state())
        ogg_sync_init(sync)
        stream = .allocate(capacity: 1)
        stream.initialize(to: ogg_stream_state())
    }

    deinit {
        ogg_sync_clear(sync)
        sync.deallocate()
        ogg_stream_clear(stream)
        stream.deallocate()
    }

    func read(_ bytes: [UInt8]) throws(OggOpusError) -> OggOpusFile {
        guard bytes.starts(with: Array("OggS".utf8)) else {
            throw OggOpusError(
                .notOggOpus, at: 0,
                "the file does not begin with \"OggS\"; convert it: ffmpeg -i in -c:a libopus out.opus")
        }
        var fed = 0
        var isOver = false
        while !isOver {
            var page = ogg_page()
            let size = ogg_sync_pageseek(sync, &page)
            if size > 0 {
                isOver = try take(&page)
                offset += size
            } else if size < 0 {
                throw OggOpusError(
                    .corruptPage, at: offset,
                    "a page is damaged: its checksum is wrong or bytes are missing; copy it again")
            } else if fed < bytes.count {
                let count = min(1 << 16, bytes.count - fed)
                guard let room = ogg_sync_buffer(sync, count) else {
                    throw OggOpusError(.codecFailed, at: offset, "libogg could not read on: no memory")
                }
                bytes.withUnsafeBytes {
                    UnsafeMutableRawBufferPointer(start: room, count: count)
                        .copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[fed..<fed + count]))
                }
                ogg_sync_wrote(sync, count)
                fed += count
            } else {
                break
            }
        }
        guard let header, let tags, let decoder else {
            throw OggOpusError(.truncated, at: bytes.count, "the file ends before its headers do; copy it again")
        }
        // Where one stream follows another (RFC 3533, section 4), half a file must not pass for the whole.
        if isOver, bytes[offset...].starts(with: Array("OggS".utf8)), offset + 5 < bytes.count,
            bytes[offset + 5] & 2 != 0
        {
            throw OggOpusError(
                .unsupportedLayout, at: offset, "several streams in a row; make them one: ffmpeg -i in.opus out.opus")
        }
        trim(header, decoder.format)
        return OggOpusFile(
            samples: samples, sampleRate: decoder.format.sampleRate, header: header, tags: tags, concealed: concealed,
            isComplete: isOver)
    }

    /// - Returns: Whether it is the stream's last page.
    private func take(_ page: inout ogg_page) throws(OggOpusError) -> Bool {
        let number = ogg_page_serialno(&page)
        if serialNumber == nil {
            // All streams begin before any goes on (RFC 3533, section 4), so there is another chance up to here.
            guard ogg_page_bos(&page) != 0 else {
                throw OggOpusError(
                    .notOggOpus, at: 0,
                    "none of the streams in the file is Opus; convert it: ffmpeg -i in -c:a libopus out.opus")
            }
            guard Self.beginsOpus(page) else { return false }
            serialNumber = number
            guard ogg_stream_init(stream, number) == 0 else {
                throw OggOpusError(.codecFailed, at: offset, "libogg could not start a stream: no memory")
            }
        }
        guard number == serialNumber else { return false }
        guard ogg_stream_pagein(stream, &page) == 0 else {
            throw OggOpusError(.corruptPage, at: offset, "a page is of another version of Ogg; convert the file again")
        }
        while true {
            var packet = ogg_packet()
            let found = ogg_stream_packetout(stream, &packet)
            if found == 0 { break }
            guard found > 0 else {
                throw OggOpusError(
                    .corruptPage, at: offset, "a page is missing before this one, or out of order; copy the file again")
            }
            try take(packet)
        }
        return ogg_page_eos(&page) != 0
    }

    /// Whether a first page is that of an Opus stream: its body begins with the identification header (RFC 7845, section 5.1).
    private static func beginsOpus(_ page: ogg_page) -> Bool {
        UnsafeRawBufferPointer(start: page.body, count: page.body_len).starts(with: "OpusHead".utf8)
    }

    private func take(_ packet: ogg_packet) throws(OggOpusError) {
        let bytes = UnsafeRawBufferPointer(start: packet.packet, count: packet.bytes)
        if let decoder, tags != nil {
            try decode(bytes, decoder)
            if packet.granulepos >= 0 { notePosition(Int(packet.granulepos), isLast: packet.e_o_s != 0) }
        } else if header == nil {
            try begin(OggOpusHeader(bytes, at: offset))
        } else {
            tags = try OggOpusTags(bytes, at: offset)
        }
    }

    private func begin(_ header: OggOpusHeader) throws(OggOpusError) {
        self.header = header
        let noted = AudioFormat.opusSampleRates.first { $0 == header.inputSampleRate }
        let format = AudioFormat(.opus, sampleRate: wantedRate ?? noted ?? 48_000, channelCount: header.channelCount)
        do throws(CodecError) {
            decoder = try OpusDecoder(format, gain: header.gain)
        } catch {
            throw OggOpusError(.codecFailed, at: offset, "\(error)")
        }
    }

    private func decode(_ packet: UnsafeRawBufferPointer, _ decoder: OpusDecoder) throws(OggOpusError) {
        let step = decoder.format.sampleRate / 400 * decoder.format.channelCount
        let needed = max(decoder.sampleCount(of: packet), packetSamples, 8 * step)
        if scratch.count < needed { scratch = [Int16](repeating: 0, count: needed) }
        var isConcealed = false
        let count = scratch.withUnsafeMutableBufferPointer { room in
            do throws(CodecError) {
                return try decoder.decode(packet, into: room)
            } catch {
                isConcealed = true
                // As long as the packet before; 20 ms when it is the first.
                let missing = packetSamples > 0 ? packetSamples : 8 * step
                return decoder.conceal(sampleFrames: missing / decoder.format.channelCount, into: room)
            }
        }
        if isConcealed { concealed += 1 }
        packetSamples = count
        guard samples.count + count <= maximumSamples else {
            throw OggOpusError(
                .tooLarge, at: offset, "more than the \(maximumSamples) samples that are read at once; split the file")
        }
        samples.append(contentsOf: scratch.prefix(count))
        decodedFrames += count / decoder.format.channelCount * (48_000 / decoder.format.sampleRate)
    }

    private func notePosition(_ position: Int, isLast: Bool) {
        // A first position below what was decoded means trimming at the end, which only the last page may do.
        if firstPosition == nil { firstPosition = isLast ? 0 : max(0, position - decodedFrames) }
        if isLast { lastPosition = position }
    }

    /// Drops the encoder's look-ahead from the start and its padding from the end (RFC 7845, sections 4.2 and 4.4).
    private func trim(_ header: OggOpusHeader, _ format: AudioFormat) {
        let ratio = 48_000 / format.sampleRate
        if let lastPosition, let firstPosition {
            // Neither is negative. What the last claims may be far beyond what there is.
            let present = samples.count / format.channelCount
            let kept = min(max(0, lastPosition - firstPosition) / ratio, present)
            samples.removeLast(samples.count - kept * format.channelCount)
        }
        samples.removeFirst(min(samples.count, header.preSkip / ratio * format.channelCount))
    }
}
