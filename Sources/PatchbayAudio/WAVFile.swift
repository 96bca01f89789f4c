/// A RIFF WAVE file in memory: its format and its sample bytes as they stand in the file.
///
/// Read and written are 16-bit linear samples, µ-law and A-law (format tags 1, 7 and 6 of RFC 2361), mono and stereo.
/// Reading also takes WAVE_FORMAT_EXTENSIBLE around these.
public struct WAVFile: Hashable, Sendable {
    /// Encoding, rate and channels. A file knows no packets; `packetMilliseconds` is 20 when read.
    public var format: AudioFormat
    /// The samples in `format`'s encoding, interleaved, little endian.
    public var data: [UInt8]

    /// A file of bytes that are already in `format`'s encoding.
    public init(format: AudioFormat, data: [UInt8]) {
        self.format = format
        self.data = data
    }

    /// A file of 16-bit linear samples, interleaved.
    public init(samples: [Int16], sampleRate: Int, channelCount: Int = 1) {
        format = AudioFormat(.pcm16, sampleRate: sampleRate, channelCount: channelCount)
        data = [UInt8](unsafeUninitializedCapacity: 2 * samples.count) { bytes, count in
            for sample in samples {
                bytes[count] = UInt8(truncatingIfNeeded: sample)
                bytes[count + 1] = UInt8(truncatingIfNeeded: sample >> 8)
                count += 2
            }
        }
    }

    /// How many sample frames (one sample of each channel) the file holds.
    public var sampleFrameCount: Int {
        format.sampleFrames(byteCount: data.count)
    }

    /// How long the file plays, in nanoseconds.
    public var durationNanoseconds: Int64 {
        format.sampleRate > 0 ? format.nanoseconds(byteCount: data.count) : 0
    }

    /// The samples as 16-bit linear ones, interleaved, decoded where the file is G.711. Allocates the array. Empty for an
    /// encoding that WAV files do not hold here.
    public func samples() -> [Int16] {
        guard WAVFormat.encodings.contains(format.encoding) else { return [] }
        let count = sampleFrameCount * format.channelCount
        return [Int16](unsafeUninitializedCapacity: count) { samples, initialized in
            data.withUnsafeBytes { bytes in
                switch format.encoding {
                case .pcm16:
                    for index in 0..<count {
                        let sample = bytes.loadUnaligned(fromByteOffset: 2 * index, as: Int16.self)
                        samples.initializeElement(at: index, to: Int16(littleEndian: sample))
                    }
                case .mulaw: G711.decodeMulaw(bytes, into: samples)
                case .alaw: G711.decodeAlaw(bytes, into: samples)
                case .l16, .g722, .opus: break
                }
            }
            initialized = count
        }
    }
}

extension AudioFormat {
    /// Bytes of one sample of each channel, as a WAV header states them.
    var bytesPerSampleFrame: Int { byteCount(sampleFrames: 1) }
}

/// Numbers of the format that the reader and the writer share.
enum WAVFormat {
    /// Format tags, as RFC 2361 lists them.
    enum Tag {
        static let pcm: UInt16 = 1
        static let alaw: UInt16 = 6
        static let mulaw: UInt16 = 7
        static let extensible: UInt16 = 0xFFFE
    }

    static let sampleRates = StreamResampler.sampleRates
    static let channelCounts = 1...2
    static let encodings: Set<AudioFormat.Encoding> = [.pcm16, .mulaw, .alaw]
}
