import NIOCore
import PatchbayAudio
import PatchbayCore

/// Decodes every payload as it comes. What cannot be decoded is concealed, as long as the payload before.
///
/// Forgets the sound so far when a turn is cut. Frames of any other kind pass.
struct DecoderStage: Processor {
    private let decoder: any AudioDecoder
    private let target: AudioFormat
    /// Sample frames of the payload before.
    private var packetFrames: Int
    private var result = ByteBuffer()

    init(_ source: AudioFormat, to target: AudioFormat) throws(PipelineError) {
        do throws(CodecError) {
            decoder = try AudioCodecs.decoder(for: source)
        } catch {
            throw PipelineError(.unsupportedFormat, "cannot decode \(source)", cause: error)
        }
        self.target = target
        packetFrames = source.sampleFramesPerPacket
    }

    var delay: TimeSpan { TimeSpan(nanoseconds: decoder.delayNanoseconds) }

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        switch frame {
        case .audio(var audio):
            try audio.check(decoder.format)
            decode(audio.payload)
            guard result.readableBytes > 0 else { return }
            audio.payload = result
            audio.format = target
            output.emit(.audio(audio))
        case .interruption:
            decoder.reset()
            output.emit(frame)
        default:
            output.emit(frame)
        }
    }

    private mutating func decode(_ payload: ByteBuffer) {
        result.clear()
        guard payload.readableBytes > 0 else { return }
        let channels = target.channelCount
        payload.withUnsafeReadableBytes { bytes in
            let needed = max(decoder.sampleCount(of: bytes), packetFrames * channels)
            _ = result.writeWithUnsafeMutableBytes(minimumWritableBytes: 2 * needed) { room in
                // A buffer that was just cleared is written from its start, which is aligned for any type.
                let samples = room.bindMemory(to: Int16.self)
                do throws(CodecError) {
                    let count = try decoder.decode(bytes, into: samples)
                    packetFrames = count / channels
                    return 2 * count
                } catch {
                    return 2 * decoder.conceal(sampleFrames: packetFrames, into: samples)
                }
            }
        }
    }
}

extension AudioFrame {
    /// - Throws: ``PipelineError/Code/unsupportedFormat`` when its samples are not those of `format`. Packets may be of any
    ///   length.
    func check(_ format: AudioFormat) throws(PipelineError) {
        guard self.format.encoding == format.encoding, self.format.sampleRate == format.sampleRate,
            self.format.channelCount == format.channelCount
        else { throw PipelineError(.unsupportedFormat, "takes \(format), was given \(self.format)") }
    }
}
