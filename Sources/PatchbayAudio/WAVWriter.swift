extension WAVFile {
    /// The file as bytes: header, a `fact` chunk for G.711, and the samples.
    ///
    /// The header is the 16 byte `fmt ` chunk for linear samples; other encodings have one of 18 bytes and must say in
    /// `fact` how many sample frames there are (Microsoft, "New Multimedia Data Types and Data Techniques", revision
    /// 3.0, 1994).
    ///
    /// - Throws: `WAVError` with code `tooLarge` for more than 4 GiB, `unsupportedLayout` for other rates and channel
    ///   counts than the reader takes, `invalidFormat` if `data` is not whole sample frames.
    public func bytes() throws(WAVError) -> [UInt8] {
        guard WAVFormat.channelCounts.contains(format.channelCount), WAVFormat.sampleRates.contains(format.sampleRate)
        else {
            throw WAVError(
                .unsupportedLayout, at: 22,
                "cannot write \(format): 1 or 2 channels and 4000 to 192000 Hz "
                    + "are possible; resample or mix down first")
        }
        guard WAVFormat.encodings.contains(format.encoding) else {
            throw WAVError(
                .unsupportedEncoding, at: 20,
                "cannot write \(format): WAV files hold pcm16, mulaw or alaw; decode it first")
        }
        guard data.count % format.bytesPerSampleFrame == 0 else {
            throw WAVError(
                .invalidFormat, at: 40,
                "\(data.count) bytes are not whole sample frames of "
                    + "\(format.bytesPerSampleFrame) bytes; drop the rest first")
        }
        let isLinear = format.encoding == .pcm16
        let padding = data.count & 1
        let riffSize = (isLinear ? 36 : 50) + data.count + padding
        guard let riffSize32 = UInt32(exactly: riffSize), let dataSize = UInt32(exactly: data.count) else {
            throw WAVError(
                .tooLarge, at: 4,
                "\(data.count) bytes of samples do not fit into a WAV file, which holds "
                    + "4 GiB; split the recording")
        }
        var out: [UInt8] = []
        out.reserveCapacity(riffSize + 8)
        out.append(text: "RIFF")
        out.append(littleEndian: riffSize32)
        out.append(text: "WAVEfmt ")
        out.append(littleEndian: UInt32(isLinear ? 16 : 18))
        out.append(littleEndian: tag)
        out.append(littleEndian: UInt16(truncatingIfNeeded: format.channelCount))
        out.append(littleEndian: UInt32(truncatingIfNeeded: format.sampleRate))
        out.append(littleEndian: UInt32(truncatingIfNeeded: format.bytesPerSecond))
        out.append(littleEndian: UInt16(truncatingIfNeeded: format.bytesPerSampleFrame))
        out.append(littleEndian: UInt16(truncatingIfNeeded: format.encoding == .pcm16 ? 16 : 8))
        if !isLinear {
            out.append(littleEndian: UInt16(0))
            out.append(text: "fact")
            out.append(littleEndian: UInt32(4))
            out.append(littleEndian: UInt32(truncatingIfNeeded: sampleFrameCount))
        }
        out.append(text: "data")
        out.append(littleEndian: dataSize)
        out.append(contentsOf: data)
        if padding == 1 { out.append(0) }
        return out
    }

    /// Writes the file to disk, replacing what is there, blocking the calling thread.
    ///
    /// - Throws: `WAVError`, with the path in it; the file may then be incomplete.
    public func write(to path: String) throws(WAVError) {
        do throws(WAVError) {
            let bytes = try self.bytes()
            do throws(FileFault) {
                let file = try FileOutput(path: path)
                try file.write(bytes)
                try file.close()
            } catch {
                throw WAVError(error)
            }
        } catch {
            throw error.naming(path)
        }
    }

    private var tag: UInt16 {
        switch format.encoding {
        case .pcm16, .l16, .g722, .opus: WAVFormat.Tag.pcm
        case .mulaw: WAVFormat.Tag.mulaw
        case .alaw: WAVFormat.Tag.alaw
        }
    }
}

extension [UInt8] {
    fileprivate mutating func append(text: StaticString) {
        text.withUTF8Buffer { append(contentsOf: $0) }
    }

    /// Appends all bytes of an integer.
    fileprivate mutating func append(littleEndian value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }
}
