import Foundation
import NIOCore
import PatchbayAudio
import PatchbayCore

/// Sound to put into a stage in its format, and the samples of what comes out.
enum ConformanceSound {
    /// A tone with some noise, loud enough to be told from anything else: −12 dBFS.
    static func voice(milliseconds: Int, sampleRate: Int, seed: UInt64) -> [Int16] {
        var random = SeededGenerator(seed: seed)
        return Tone(440).samples(count: sampleRate * milliseconds / 1000, sampleRate: sampleRate).map {
            $0 &+ Int16.random(in: -500...500, using: &random)
        }
    }

    /// A short sound whose place in a stream can be found again: a tone of 800 Hz under a bell of 4 ms.
    static func pulse(at milliseconds: Double, lasting total: Int, sampleRate: Int) -> [Int16] {
        (0..<sampleRate * total / 1000).map { index in
            let time = Double(index) / Double(sampleRate) - milliseconds / 1000
            return Int16(12_000 * exp(-time * time / (2 * 0.004 * 0.004)) * cos(2 * .pi * 800 * time))
        }
    }

    /// The place of a pulse in seconds, and its energy relative to full scale; `nil` for silence.
    static func place(in samples: [Int16], sampleRate: Int) -> (seconds: Double, energy: Double)? {
        let peak = samples.reduce(0) { max($0, abs(Double($1))) }
        guard peak > 100 else { return nil }
        var weighted = 0.0, energy = 0.0
        for (index, sample) in samples.enumerated() where abs(Double(sample)) > peak / 10 {
            let power = Double(sample) * Double(sample)
            weighted += power * Double(index)
            energy += power
        }
        let rate = Double(sampleRate)
        return (weighted / energy / rate, energy / (32768 * 32768) / rate)
    }

    /// Mono samples as payloads of `format`, a packet each; a shorter one at the end.
    static func payloads(_ samples: [Int16], format: AudioFormat) throws(CodecError) -> [ByteBuffer] {
        let encoder = try AudioCodecs.encoder(for: format)
        let channels = max(1, format.channelCount)
        var payloads: [ByteBuffer] = []
        for start in stride(from: 0, to: samples.count, by: max(1, format.sampleFramesPerPacket)) {
            let packet = samples[start..<min(start + format.sampleFramesPerPacket, samples.count)]
            var rest = channels == 1 ? packet : packet.flatMap { Array(repeating: $0, count: channels) }[...]
            while !rest.isEmpty {
                var room = [UInt8](repeating: 0, count: encoder.maximumPayload(forSamples: rest.count))
                let run = try encode(encoder, rest, into: &room)
                guard run.sampleCount > 0 else { break }
                rest = rest.dropFirst(run.sampleCount)
                if run.byteCount > 0 { payloads.append(ByteBuffer(bytes: room.prefix(run.byteCount))) }
            }
        }
        return payloads
    }

    private static func encode(
        _ encoder: any AudioEncoder, _ samples: ArraySlice<Int16>, into room: inout [UInt8]
    ) throws(CodecError) -> EncodedRun {
        var result = Result<EncodedRun, CodecError>.success(EncodedRun(sampleCount: 0, byteCount: 0))
        samples.withUnsafeBufferPointer { samples in
            room.withUnsafeMutableBytes { room in
                do throws(CodecError) { result = .success(try encoder.encode(samples, into: room)) } catch {
                    result = .failure(error)
                }
            }
        }
        return try result.get()
    }

    /// The samples of the first channel of audio in `format`; what cannot be decoded is left out.
    static func samples(of frames: [AudioFrame], format: AudioFormat) -> [Int16] {
        guard let decoder = try? AudioCodecs.decoder(for: format) else { return [] }
        let channels = max(1, format.channelCount)
        var result: [Int16] = []
        for frame in frames {
            frame.payload.withUnsafeReadableBytes { bytes in
                var samples = [Int16](repeating: 0, count: decoder.sampleCount(of: bytes))
                let count = samples.withUnsafeMutableBufferPointer { (try? decoder.decode(bytes, into: $0)) ?? 0 }
                for index in stride(from: 0, to: count, by: channels) { result.append(samples[index]) }
            }
        }
        return result
    }
}

extension AudioFormat {
    /// Bytes that cannot be cut in two; `nil` where a payload is one packet.
    var bytesPerUnit: Int? {
        switch encoding {
        case .pcm16, .l16: 2 * max(1, channelCount)
        case .mulaw, .alaw, .g722: max(1, channelCount)
        case .opus: nil
        }
    }

    /// Whether samples of both mean the same; packets may differ.
    func hasSamples(like other: AudioFormat) -> Bool {
        encoding == other.encoding && sampleRate == other.sampleRate && channelCount == other.channelCount
    }
}
