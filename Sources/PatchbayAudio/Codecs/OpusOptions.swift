import COpus

/// How an Opus encoder works. The defaults suit speech.
public struct OpusOptions: Hashable, Sendable {
    /// What the encoder is tuned for.
    public enum Application: String, Hashable, Sendable, CaseIterable {
        /// Speech: the linear-prediction coder where it helps, with high-pass and emphasis of formants. 6.5 ms of look-ahead.
        case voip
        /// Music and mixed sound, true to the input. 6.5 ms of look-ahead.
        case audio
        /// The transform coder alone: 2.5 ms of look-ahead, and no in-band FEC.
        case lowDelay
    }

    public var application: Application
    /// In bit/s, ``bitrates``; `nil` leaves it to libopus, which takes about 20 kbit/s for 8 kHz mono and 64 for 48 kHz.
    public var bitrate: Int?
    /// 0 (fast) to 10 (good). At 5, 20 ms of 16 kHz speech take some 70 µs.
    public var complexity: Int
    /// Whether packets carry a coarse copy of the one before, for ``OpusDecoder/recover(sampleFrames:from:into:)``. Speech
    /// coder only, and only where ``expectedLossPercent`` and the bitrate leave room for it.
    public var usesFEC: Bool
    /// How many packets in a hundred the network loses, for the encoder to prepare for.
    public var expectedLossPercent: Int
    /// Whether silence is sent as packets of one or two bytes, most of which a transport that keeps time may leave out.
    public var usesDTX: Bool

    /// Rates that libopus takes, in bit/s for all channels.
    public static let bitrates = 6_000...510_000

    public init(
        application: Application = .voip, bitrate: Int? = nil, complexity: Int = 5, usesFEC: Bool = false,
        expectedLossPercent: Int = 0, usesDTX: Bool = false
    ) {
        self.application = application
        self.bitrate = bitrate
        self.complexity = complexity
        self.usesFEC = usesFEC
        self.expectedLossPercent = expectedLossPercent
        self.usesDTX = usesDTX
    }

    /// What is wrong with these options beside packets of that length, or `nil`.
    public func problem(packetMicroseconds: Int) -> CodecError? {
        if let bitrate, !OpusOptions.bitrates.contains(bitrate) {
            return CodecError(.invalidOption, "Opus has 6000 to 510000 bit/s, not \(bitrate)")
        }
        guard (0...10).contains(complexity) else {
            return CodecError(.invalidOption, "an Opus encoder's complexity is 0 to 10, not \(complexity)")
        }
        guard (0...100).contains(expectedLossPercent) else {
            return CodecError(.invalidOption, "loss is 0 to 100 percent, not \(expectedLossPercent)")
        }
        if usesFEC, application == .lowDelay || packetMicroseconds < 10_000 {
            return CodecError(
                .invalidOption,
                "Opus has in-band FEC only in packets of 10 ms or more and not for lowDelay; "
                    + "use longer packets and voip, or no FEC")
        }
        return nil
    }
}

extension AudioFormat {
    /// Rates that Opus is encoded from and decoded to, in Hz (RFC 6716, section 2).
    public static let opusSampleRates = [8000, 12_000, 16_000, 24_000, 48_000]

    /// Lengths that packets of an Opus encoder have, in microseconds (RFC 6716, section 2.1.4). Decoders take up to 120 ms.
    public static let opusPacketMicroseconds = [2500, 5000, 10_000, 20_000, 40_000, 60_000]

    /// - Throws: ``CodecError/Code/unsupportedFormat``.
    func checkOpus() throws(CodecError) {
        guard encoding == .opus, AudioFormat.opusSampleRates.contains(sampleRate), (1...2).contains(channelCount) else {
            throw CodecError(
                .unsupportedFormat,
                "no codec for \(self): Opus has 1 or 2 channels at 8000, 12000, 16000, 24000 or 48000 Hz; resample first")
        }
    }
}

/// libopus' text for an error code.
func opusErrorText(_ code: Int32) -> String {
    opus_strerror(code).map { String(cString: $0) } ?? "error \(code)"
}
