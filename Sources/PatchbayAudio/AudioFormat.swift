/// How audio is laid out on one link: encoding, rate, channels and the duration of one packet.
///
/// Two formats are equal when their bytes mean the same samples at the same times.
public struct AudioFormat: Hashable, Sendable {
    /// How samples are written.
    public enum Encoding: String, Hashable, Sendable, CaseIterable {
        /// Signed 16-bit linear samples, little endian.
        case pcm16
        /// Signed 16-bit linear samples, big endian, as RTP carries them (RFC 3551, section 4.5.11).
        case l16
        /// G.711 µ-law, one byte a sample (ITU-T G.711, table 2).
        case mulaw
        /// G.711 A-law, one byte a sample (ITU-T G.711, table 1).
        case alaw
        /// G.722 at 64 kbit/s, one byte for two samples of 16 kHz.
        case g722
        /// Opus (RFC 6716). One payload is one packet; its length says nothing of its duration.
        case opus

        /// The byte that repeats to make silence, for encodings that have one: 0 for linear samples, 0xFF for µ-law, 0xD5 for
        /// A-law. A G.722 decoder remembers, so no byte of it is silence; 0xFA is what its encoder settles at.
        public var silenceByte: UInt8 {
            switch self {
            case .pcm16, .l16, .opus: 0x00
            case .mulaw: 0xFF
            case .alaw: 0xD5
            case .g722: 0xFA
            }
        }
    }

    public var encoding: Encoding
    /// Samples per second and channel, in Hz. For G.722 the true 16,000, not the 8,000 of its RTP clock; for Opus the rate it
    /// is decoded to.
    public var sampleRate: Int
    /// 1 for mono, 2 for stereo (interleaved).
    public var channelCount: Int
    /// Duration of one packet in microseconds; 20,000 for telephony.
    public var packetMicroseconds: Int

    /// - Parameter packetMilliseconds: Duration of one packet, kept to the microsecond. Opus has packets of 2.5 ms.
    public init(_ encoding: Encoding, sampleRate: Int, channelCount: Int = 1, packetMilliseconds: Double = 20) {
        self.encoding = encoding
        self.sampleRate = sampleRate
        self.channelCount = channelCount
        packetMicroseconds = Int((packetMilliseconds * 1000).rounded())
    }

    /// What telephone carriers speak: µ-law, 8 kHz, mono, 20 ms.
    public static let telephony = AudioFormat(.mulaw, sampleRate: 8000)

    /// Linear 16-bit mono at `sampleRate` Hz in packets of 20 ms.
    public static func pcm(_ sampleRate: Int) -> AudioFormat { AudioFormat(.pcm16, sampleRate: sampleRate) }

    /// Duration of one packet in milliseconds.
    public var packetMilliseconds: Double { Double(packetMicroseconds) / 1000 }

    /// Sample frames (one sample for each channel) of one packet, rounded down: 441 for 20 ms at 22.05 kHz.
    public var sampleFramesPerPacket: Int { sampleRate * packetMicroseconds / 1_000_000 }

    /// Bytes of one second; 0 where a byte has no fixed duration.
    public var bytesPerSecond: Int { byteCount(sampleFrames: sampleRate) }

    /// Bytes of one packet; 0 where a byte has no fixed duration.
    public var bytesPerPacket: Int { byteCount(sampleFrames: sampleFramesPerPacket) }

    /// Bytes of `milliseconds`, rounded down to whole sample frames.
    public func byteCount(milliseconds: Int) -> Int { byteCount(sampleFrames: sampleRate * milliseconds / 1000) }

    /// Bytes of so many sample frames; 0 where a byte has no fixed duration.
    public func byteCount(sampleFrames: Int) -> Int {
        switch encoding {
        case .pcm16, .l16: sampleFrames * channelCount * 2
        case .mulaw, .alaw: sampleFrames * channelCount
        case .g722: sampleFrames / 2 * channelCount
        case .opus: 0
        }
    }

    /// Whole sample frames that a payload of `byteCount` bytes holds. For Opus, where the payload is one packet, those of a
    /// packet.
    public func sampleFrames(byteCount: Int) -> Int {
        let channels = max(1, channelCount)
        return switch encoding {
        case .pcm16, .l16: byteCount / (2 * channels)
        case .mulaw, .alaw: byteCount / channels
        case .g722: byteCount / channels * 2
        case .opus: byteCount > 0 ? sampleFramesPerPacket : 0
        }
    }

    /// How long a payload of `byteCount` bytes plays, in nanoseconds.
    public func nanoseconds(byteCount: Int) -> Int64 {
        Int64(sampleFrames(byteCount: byteCount)) * 1_000_000_000 / Int64(max(1, sampleRate))
    }
}

extension AudioFormat: CustomStringConvertible {
    /// For people: `mulaw 8000 Hz mono`.
    public var description: String {
        let channels = channelCount == 1 ? "mono" : channelCount == 2 ? "stereo" : "\(channelCount) channels"
        return "\(encoding.rawValue) \(sampleRate) Hz \(channels)"
    }
}
