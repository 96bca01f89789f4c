import COpus

/// Packets of Opus (RFC 6716) to linear samples, by libopus.
///
/// Takes packets of any length and mode, whatever rate and channels they were made from, and gives the format's. When one
/// is lost, ``recover(sampleFrames:from:into:)`` makes it from the next, or ``conceal(sampleFrames:into:)`` from those
/// before. Takes 20 to 30 kB, and about 5 µs for 20 ms of 16 kHz.
public final class OpusDecoder: AudioDecoder {
    public let format: AudioFormat
    private let decoder: OpaquePointer

    /// Zero: the encoder reports the delay of both.
    public var delayNanoseconds: Int64 { 0 }

    /// - Parameters:
    ///   - format: Rate and channels to give. The length of its packets is not looked at.
    ///   - gain: Factor on the samples, in 1/256 dB, as an Ogg header notes it (RFC 7845, section 5.1).
    /// - Throws: ``CodecError/Code/unsupportedFormat``, or ``CodecError/Code/unavailable`` when memory is short.
    public init(_ format: AudioFormat, gain: Int16 = 0) throws(CodecError) {
        try format.checkOpus()
        var code: Int32 = 0
        guard let decoder = opus_decoder_create(Int32(format.sampleRate), Int32(format.channelCount), &code) else {
            throw CodecError(.unavailable, "libopus could not start a decoder: \(opusErrorText(code))")
        }
        _ = patchbay_opus_decoder_set(decoder, OPUS_SET_GAIN_REQUEST, Int32(gain))
        self.format = format
        self.decoder = decoder
    }

    deinit { opus_decoder_destroy(decoder) }

    public func sampleCount(of payload: UnsafeRawBufferPointer) -> Int {
        guard let length = Int32(exactly: payload.count), length > 0, let packet = payload.baseAddress else { return 0 }
        let frames = opus_packet_get_nb_samples(
            packet.assumingMemoryBound(to: UInt8.self), length, Int32(format.sampleRate))
        return max(0, Int(frames)) * format.channelCount
    }

    public func decode(
        _ payload: UnsafeRawBufferPointer, into samples: UnsafeMutableBufferPointer<Int16>
    ) throws(CodecError) -> Int {
        let count = sampleCount(of: payload)
        guard count > 0 else {
            throw CodecError(
                .corruptPayload, "a payload of \(payload.count) bytes is no Opus packet: conceal it and go on")
        }
        try checkRoom(samples.count, needed: count, "samples")
        return try decode(payload, sampleFrames: count / format.channelCount, usingFEC: false, into: samples)
    }

    public func conceal(sampleFrames: Int, into samples: UnsafeMutableBufferPointer<Int16>) -> Int {
        let frames = wholeFrames(sampleFrames, samples.count)
        guard frames > 0, let room = samples.baseAddress else { return 0 }
        let given = opus_decode(decoder, nil, 0, room, Int32(frames), 0)
        return max(0, Int(given)) * format.channelCount
    }

    /// Makes the packet that was lost from the coarse copy of it in the packet after it, which is to be decoded next as
    /// usual. Conceals where there is no copy (RFC 6716, section 2.1.7).
    ///
    /// - Parameters:
    ///   - sampleFrames: The length of the lost packet; rounded down to 2.5 ms.
    ///   - next: The packet after the lost one.
    ///   - samples: Room for as many, for all channels.
    /// - Returns: How many samples were written, all channels together.
    /// - Throws: ``CodecError/Code/corruptPayload`` when `next` is no packet.
    public func recover(
        sampleFrames: Int, from next: UnsafeRawBufferPointer, into samples: UnsafeMutableBufferPointer<Int16>
    ) throws(CodecError) -> Int {
        let frames = wholeFrames(sampleFrames, samples.count)
        guard sampleCount(of: next) > 0 else {
            throw CodecError(.corruptPayload, "the payload after the lost one is no Opus packet: conceal both and go on")
        }
        guard frames > 0 else { return 0 }
        return try decode(next, sampleFrames: frames, usingFEC: true, into: samples)
    }

    public func reset() { _ = patchbay_opus_decoder_reset(decoder) }

    /// The length of a loss in steps of 2.5 ms, at most 120 ms and what there is room for.
    private func wholeFrames(_ sampleFrames: Int, _ room: Int) -> Int {
        let step = format.sampleRate / 400
        return max(0, min(sampleFrames, room / format.channelCount, 48 * step) / step * step)
    }

    private func decode(
        _ payload: UnsafeRawBufferPointer, sampleFrames: Int, usingFEC: Bool,
        into samples: UnsafeMutableBufferPointer<Int16>
    ) throws(CodecError) -> Int {
        guard let packet = payload.baseAddress, let room = samples.baseAddress else { return 0 }
        let given = opus_decode(
            decoder, packet.assumingMemoryBound(to: UInt8.self), Int32(payload.count), room, Int32(sampleFrames),
            usingFEC ? 1 : 0)
        guard given >= 0 else {
            throw CodecError(
                .corruptPayload,
                "libopus cannot read a packet of \(payload.count) bytes (\(opusErrorText(given))): conceal it and go on")
        }
        return Int(given) * format.channelCount
    }
}
