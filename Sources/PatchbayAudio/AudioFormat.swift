/// How audio is laid out on one link: encoding, rate, channels and the duration of one packet.
///
/// Two formats are equal when their bytes mean the same samples at the same times.
public struct AudioFormat: Hashable, Sendable {
    /// How one sample is written.
    public enum Encoding: String, Hashable, Sendable, CaseIterable {
        /// Signed 16-bit linear samples, little endian.
        case pcm16
        /// G.711 µ-law, one byte a sample (ITU-T G.711, table 2).
        case mulaw
        /// G.711 A-law, one byte a sample (ITU-T G.711, table 1).
        case alaw

        /// Bytes one sample of one channel takes.
        public var bytesPerSample: Int {
            switch self {
            case .pcm16: 2
            case .mulaw, .alaw: 1
            }
        }

        /// The byte that repeats to make silence: 0 for linear samples, 0xFF for µ-law, 0xD5 for A-law.
        public var silenceByte: UInt8 {
            switch self {
            case .pcm16: 0x00
            case .mulaw: 0xFF
            case .alaw: 0xD5
            }
        }
    }

    public var encoding: Encoding
    /// Samples per second and channel, in Hz.
    public var sampleRate: Int
    /// 1 for mono, 2 for stereo (interleaved).
    public var channelCount: Int
    /// Duration of one packet in milliseconds; 20 for telephony.
    public var packetMilliseconds: Int

    public init(_ encoding: Encoding, sampleRate: Int, channelCount: Int = 1, packetMilliseconds: Int = 20) {
        self.encoding = encoding
        self.sampleRate = sampleRate
        self.channelCount = channelCount
        self.packetMilliseconds = packetMilliseconds
    }

    /// What telephone carriers speak: µ-law, 8 kHz, mono, 20 ms.
    public static let telephony = AudioFormat(.mulaw, sampleRate: 8000)

    /// Linear 16-bit mono at `sampleRate` Hz in packets of 20 ms.
    public static func pcm(_ sampleRate: Int) -> AudioFormat { AudioFormat(.pcm16, sampleRate: sampleRate) }

    /// Bytes of one sample frame (one sample for each channel).
    public var bytesPerSampleFrame: Int { encoding.bytesPerSample * channelCount }

    /// Bytes of one second.
    public var bytesPerSecond: Int { bytesPerSampleFrame * sampleRate }

    /// Bytes of one packet, rounded down to whole sample frames (441 sample frames at 22.05 kHz).
    public var bytesPerPacket: Int { byteCount(milliseconds: packetMilliseconds) }

    /// Bytes of `milliseconds`, rounded down to whole sample frames.
    public func byteCount(milliseconds: Int) -> Int { sampleRate * milliseconds / 1000 * bytesPerSampleFrame }

    /// How long `byteCount` bytes play, in nanoseconds.
    public func nanoseconds(byteCount: Int) -> Int64 {
        Int64(byteCount / bytesPerSampleFrame) * 1_000_000_000 / Int64(sampleRate)
    }
}

extension AudioFormat: CustomStringConvertible {
    /// For people: `mulaw 8000 Hz mono`.
    public var description: String {
        let channels = channelCount == 1 ? "mono" : channelCount == 2 ? "stereo" : "\(channelCount) channels"
        return "\(encoding.rawValue) \(sampleRate) Hz \(channels)"
    }
}
