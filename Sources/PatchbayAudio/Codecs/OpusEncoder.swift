import COpus

/// Linear samples to packets of Opus (RFC 6716), by libopus.
///
/// Every packet has the format's `packetMicroseconds`; samples that do not fill one wait for the next run. Takes about
/// 30 kB and, at the default complexity, 70 µs for 20 ms of 16 kHz.
public final class OpusEncoder: AudioEncoder {
    public let format: AudioFormat
    public let options: OpusOptions
    /// By how many sample frames a decoder's output lags behind the encoder's input: 6.5 ms, or 2.5 for `lowDelay`.
    public let lookahead: Int

    private let encoder: OpaquePointer
    /// Samples of one packet, all channels.
    private let packetSamples: Int
    /// The beginning of the packet that is not yet full.
    private let waiting: UnsafeMutableBufferPointer<Int16>
    private var waitingCount = 0
    private var isUsed = false
    /// Sample frames that have yet to be pushed out, while a tail is given out.
    private var owed: Int?

    /// The most bytes that libopus writes into one packet, and the room it wants.
    private static let maximumPacket = 4000

    /// - Throws: ``CodecError/Code/unsupportedFormat``, ``CodecError/Code/invalidOption``, or
    ///   ``CodecError/Code/unavailable`` when memory is short.
    public init(_ format: AudioFormat, options: OpusOptions = OpusOptions()) throws(CodecError) {
        try format.checkOpus()
        guard AudioFormat.opusPacketMicroseconds.contains(format.packetMicroseconds) else {
            throw CodecError(
                .unsupportedFormat,
                "no Opus packets of \(format.packetMilliseconds) ms: 2.5, 5, 10, 20, 40 or 60 ms are possible")
        }
        if let problem = options.problem(packetMicroseconds: format.packetMicroseconds) { throw problem }
        let application =
            switch options.application {
            case .voip: OPUS_APPLICATION_VOIP
            case .audio: OPUS_APPLICATION_AUDIO
            case .lowDelay: OPUS_APPLICATION_RESTRICTED_LOWDELAY
            }
        var code: Int32 = 0
        guard
            let encoder = opus_encoder_create(
                Int32(format.sampleRate), Int32(format.channelCount), application, &code)
        else { throw CodecError(.unavailable, "libopus could not start an encoder: \(opusErrorText(code))") }
        let settings: [(Int32, Int32)] = [
            (OPUS_SET_BITRATE_REQUEST, options.bitrate.map { Int32($0) } ?? OPUS_AUTO),
            (OPUS_SET_COMPLEXITY_REQUEST, Int32(options.complexity)),
            (OPUS_SET_INBAND_FEC_REQUEST, options.usesFEC ? 1 : 0),
            (OPUS_SET_PACKET_LOSS_PERC_REQUEST, Int32(options.expectedLossPercent)),
            (OPUS_SET_DTX_REQUEST, options.usesDTX ? 1 : 0),
        ]
        for (request, value) in settings {
            let code = patchbay_opus_encoder_set(encoder, request, value)
            guard code == OPUS_OK else {
                opus_encoder_destroy(encoder)
                throw CodecError(.invalidOption, "libopus refused request \(request): \(opusErrorText(code))")
            }
        }
        var lookahead: Int32 = 0
        _ = patchbay_opus_encoder_get(encoder, OPUS_GET_LOOKAHEAD_REQUEST, &lookahead)
        self.format = format
        self.options = options
        self.encoder = encoder
        self.lookahead = Int(lookahead)
        packetSamples = format.sampleFramesPerPacket * format.channelCount
        waiting = .allocate(capacity: packetSamples)
        waiting.initialize(repeating: 0)
    }

    deinit {
        opus_encoder_destroy(encoder)
        waiting.deallocate()
    }

    /// The look-ahead, in nanoseconds: the delay of encoder and decoder together.
    public var delayNanoseconds: Int64 { Int64(lookahead) * 1_000_000_000 / Int64(format.sampleRate) }

    public func maximumPayload(forSamples count: Int) -> Int { OpusEncoder.maximumPacket }

    public func encode(
        _ samples: UnsafeBufferPointer<Int16>, into payload: UnsafeMutableRawBufferPointer
    ) throws(CodecError) -> EncodedRun {
        try checkRoom(payload.count, needed: OpusEncoder.maximumPacket, "bytes")
        owed = nil
        let available = samples.count / format.channelCount * format.channelCount
        guard available > 0 else { return EncodedRun(sampleCount: samples.count, byteCount: 0) }
        isUsed = true
        let taken = min(available, packetSamples - waitingCount)
        if taken == packetSamples {
            return EncodedRun(sampleCount: taken, byteCount: try encodePacket(samples, into: payload))
        }
        _ = waiting[waitingCount...].update(fromContentsOf: samples.prefix(taken))
        waitingCount += taken
        guard waitingCount == packetSamples else { return EncodedRun(sampleCount: taken, byteCount: 0) }
        waitingCount = 0
        return EncodedRun(sampleCount: taken, byteCount: try encodePacket(UnsafeBufferPointer(waiting), into: payload))
    }

    public func flush(into payload: UnsafeMutableRawBufferPointer) throws(CodecError) -> Int {
        try checkRoom(payload.count, needed: OpusEncoder.maximumPacket, "bytes")
        guard isUsed else { return 0 }
        let remaining = owed ?? waitingCount / format.channelCount + lookahead
        guard remaining > 0 else {
            owed = nil
            isUsed = false
            return 0
        }
        waiting[waitingCount...].update(repeating: 0)
        waitingCount = 0
        owed = remaining - format.sampleFramesPerPacket
        return try encodePacket(UnsafeBufferPointer(waiting), into: payload)
    }

    public func reset() {
        _ = patchbay_opus_encoder_reset(encoder)
        waitingCount = 0
        isUsed = false
        owed = nil
    }

    /// Encodes the first samples as one packet; there are enough.
    private func encodePacket(
        _ samples: UnsafeBufferPointer<Int16>, into payload: UnsafeMutableRawBufferPointer
    ) throws(CodecError) -> Int {
        guard let source = samples.baseAddress, let target = payload.baseAddress else { return 0 }
        let count = opus_encode(
            encoder, source, Int32(format.sampleFramesPerPacket), target.assumingMemoryBound(to: UInt8.self),
            Int32(OpusEncoder.maximumPacket))
        guard count >= 0 else { throw CodecError(.failed, "libopus did not encode a packet: \(opusErrorText(count))") }
        return Int(count)
    }
}
