import Glibc
@testable import PatchbayAudio

extension AudioEncoder {
    /// Encodes in pieces of `piece` samples, into buffers of exactly the promised size.
    func payloads(of samples: [Int16], piece: Int = .max, isEnding: Bool = true) throws(CodecError) -> [[UInt8]] {
        var payloads: [[UInt8]] = []
        var room: [UInt8] = []
        var start = 0
        while start < samples.count {
            let end = start + min(piece, samples.count - start)
            let part = Array(samples[start..<end])
            var taken = 0
            while taken < part.count {
                room = [UInt8](repeating: 0xEE, count: maximumPayload(forSamples: part.count - taken))
                var run = EncodedRun(sampleCount: 0, byteCount: 0)
                try part.withUnsafeBufferPointer { (part) throws(CodecError) in
                    try room.withUnsafeMutableBufferPointer { (room) throws(CodecError) in
                        run = try encode(
                            UnsafeBufferPointer(rebasing: part[taken...]), into: UnsafeMutableRawBufferPointer(room))
                    }
                }
                taken += run.sampleCount
                if run.byteCount > 0 { payloads.append(Array(room.prefix(run.byteCount))) }
            }
            start = end
        }
        guard isEnding else { return payloads }
        return payloads + (try tail())
    }

    func tail() throws(CodecError) -> [[UInt8]] {
        var payloads: [[UInt8]] = []
        while true {
            var room = [UInt8](repeating: 0xEE, count: maximumPayload(forSamples: 0))
            var count = 0
            try room.withUnsafeMutableBufferPointer { (room) throws(CodecError) in
                count = try flush(into: UnsafeMutableRawBufferPointer(room))
            }
            if count == 0 { return payloads }
            payloads.append(Array(room.prefix(count)))
        }
    }
}

extension AudioDecoder {
    /// Decodes one payload into a buffer of exactly the promised size.
    func samples(_ payload: [UInt8]) throws(CodecError) -> [Int16] {
        var room: [Int16] = []
        var count = 0
        try payload.withUnsafeBufferPointer { (payload) throws(CodecError) in
            let payload = UnsafeRawBufferPointer(payload)
            room = [Int16](repeating: -1, count: sampleCount(of: payload))
            try room.withUnsafeMutableBufferPointer { (room) throws(CodecError) in
                count = try decode(payload, into: room)
            }
        }
        return Array(room.prefix(count))
    }

    func samples(_ payloads: [[UInt8]]) throws(CodecError) -> [Int16] {
        var all: [Int16] = []
        for payload in payloads { all += try samples(payload) }
        return all
    }

    func concealed(_ sampleFrames: Int) -> [Int16] {
        var room = [Int16](repeating: -1, count: sampleFrames * format.channelCount)
        let count = room.withUnsafeMutableBufferPointer { conceal(sampleFrames: sampleFrames, into: $0) }
        return Array(room.prefix(count))
    }
}

/// How much of `output` is `input`, `delay` samples later and at any gain near one, in dB over what is not.
func signalToNoise(_ input: [Int16], _ output: [Int16], delay: Int) -> Double {
    let pairs = zip(input, output.dropFirst(delay)).map { (Double($0), Double($1)) }
    let energy = pairs.reduce(0) { $0 + $1.0 * $1.0 }
    let gain = pairs.reduce(0) { $0 + $1.0 * $1.1 } / energy
    let error = pairs.reduce(0) { $0 + ($1.1 - gain * $1.0) * ($1.1 - gain * $1.0) }
    return 10 * log10(gain * gain * energy / max(error, 1e-9))
}

/// By how many samples `output` lags behind `input`, where the two are most alike.
func lag(of output: [Int16], behind input: [Int16], within range: ClosedRange<Int>) -> Int? {
    range.max { first, second in
        func likeness(_ delay: Int) -> Double {
            zip(input, output.dropFirst(delay)).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        }
        return likeness(first) < likeness(second)
    }
}

/// Something like speech: three harmonics of a voice whose pitch glides, in syllables.
func voice(sampleRate: Int, milliseconds: Int, channelCount: Int = 1) -> [Int16] {
    var phase = 0.0
    return (0..<sampleRate * milliseconds / 1000).flatMap { index -> [Int16] in
        let time = Double(index) / Double(sampleRate)
        phase += 2 * .pi * (140 + 30 * sin(2 * .pi * 1.3 * time)) / Double(sampleRate)
        let envelope = 0.55 + 0.45 * sin(2 * .pi * 4 * time)
        let value = 6000 * envelope * (sin(phase) + 0.7 * sin(3 * phase) + 0.4 * sin(7 * phase))
        return [Int16](repeating: Int16(value), count: channelCount)
    }
}
