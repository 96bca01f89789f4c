/// The encodings in which every sample stands for itself: linear in either byte order, µ-law and A-law.
public final class PCMDecoder: AudioDecoder {
    public let format: AudioFormat
    public var delayNanoseconds: Int64 { 0 }

    /// - Throws: ``CodecError/Code/unsupportedFormat`` for other encodings, and for rates and channels that make no sense.
    public init(_ format: AudioFormat) throws(CodecError) {
        try format.checkPCM()
        self.format = format
    }

    public func sampleCount(of payload: UnsafeRawBufferPointer) -> Int {
        format.sampleFrames(byteCount: payload.count) * format.channelCount
    }

    public func decode(
        _ payload: UnsafeRawBufferPointer, into samples: UnsafeMutableBufferPointer<Int16>
    ) throws(CodecError) -> Int {
        let count = sampleCount(of: payload)
        try checkRoom(samples.count, needed: count, "samples")
        let room = UnsafeMutableBufferPointer(rebasing: samples.prefix(count))
        switch format.encoding {
        case .mulaw: return G711.decodeMulaw(payload, into: room)
        case .alaw: return G711.decodeAlaw(payload, into: room)
        case .l16:
            for index in room.indices {
                room[index] = Int16(bigEndian: payload.loadUnaligned(fromByteOffset: 2 * index, as: Int16.self))
            }
        case .pcm16, .g722, .opus:
            for index in room.indices {
                room[index] = Int16(littleEndian: payload.loadUnaligned(fromByteOffset: 2 * index, as: Int16.self))
            }
        }
        return count
    }

    public func conceal(sampleFrames: Int, into samples: UnsafeMutableBufferPointer<Int16>) -> Int {
        samples.writeSilence(sampleFrames: sampleFrames, channelCount: format.channelCount)
    }

    public func reset() {}
}

/// The encodings in which every sample stands for itself: linear in either byte order, µ-law and A-law.
public final class PCMEncoder: AudioEncoder {
    public let format: AudioFormat
    public var delayNanoseconds: Int64 { 0 }

    /// - Throws: ``CodecError/Code/unsupportedFormat`` for other encodings, and for rates and channels that make no sense.
    public init(_ format: AudioFormat) throws(CodecError) {
        try format.checkPCM()
        self.format = format
    }

    public func maximumPayload(forSamples count: Int) -> Int {
        format.byteCount(sampleFrames: count / format.channelCount)
    }

    public func encode(
        _ samples: UnsafeBufferPointer<Int16>, into payload: UnsafeMutableRawBufferPointer
    ) throws(CodecError) -> EncodedRun {
        let count = samples.count / format.channelCount * format.channelCount
        let byteCount = maximumPayload(forSamples: count)
        try checkRoom(payload.count, needed: byteCount, "bytes")
        let run = UnsafeBufferPointer(rebasing: samples.prefix(count))
        switch format.encoding {
        case .mulaw: G711.encodeMulaw(run, into: payload)
        case .alaw: G711.encodeAlaw(run, into: payload)
        case .l16:
            for index in run.indices {
                payload.storeBytes(of: run[index].bigEndian, toByteOffset: 2 * index, as: Int16.self)
            }
        case .pcm16, .g722, .opus:
            for index in run.indices {
                payload.storeBytes(of: run[index].littleEndian, toByteOffset: 2 * index, as: Int16.self)
            }
        }
        return EncodedRun(sampleCount: samples.count, byteCount: byteCount)
    }

    public func flush(into payload: UnsafeMutableRawBufferPointer) throws(CodecError) -> Int { 0 }

    public func reset() {}
}

extension AudioFormat {
    fileprivate func checkPCM() throws(CodecError) {
        guard encoding != .g722, encoding != .opus, StreamResampler.sampleRates.contains(sampleRate), channelCount > 0
        else {
            throw CodecError(
                .unsupportedFormat,
                "no codec for \(self): pcm16, l16, mulaw and alaw have one channel or more at 4000 to 192000 Hz")
        }
    }
}

extension UnsafeMutableBufferPointer<Int16> {
    /// Writes zeros for so many sample frames, as far as there is room for. Returns how many were written.
    func writeSilence(sampleFrames: Int, channelCount: Int) -> Int {
        let frames = Swift.max(0, Swift.min(sampleFrames, count / channelCount))
        prefix(frames * channelCount).update(repeating: 0)
        return frames * channelCount
    }
}

/// - Throws: ``CodecError/Code/insufficientRoom``.
func checkRoom(_ count: Int, needed: Int, _ unit: String) throws(CodecError) {
    guard count >= needed else {
        throw CodecError(.insufficientRoom, "room for \(count) \(unit), needs \(needed); ask the codec before each call")
    }
}
