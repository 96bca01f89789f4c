/// Everything that is measured of one codec: a row for each direction. Delay and noise are those of the way through both.
struct CodecBench {
    private let contender: CodecContender
    private let length: Int

    init(_ contender: CodecContender) {
        self.contender = contender
        length = contender.format.sampleFramesPerPacket
    }

    func rows(_ meter: CostMeter) throws -> [BenchRow] {
        var encode = BenchRow(.codec, contender.name, "\(contender.path) encode")
        try measureQuality(into: &encode)
        var decode = encode
        decode.path = "\(contender.path) decode"
        (encode.cost, decode.cost) = try costs(meter)
        encode.bytes = try HeapMeter.bytes {
            let pair = try contender.make()
            RoundTrip(pair, packetLength: length).feed(packets: 5)
            try pair.check()
            return pair
        }
        return [encode, decode]
    }

    func measureQuality(into row: inout BenchRow) throws {
        let rate = contender.format.sampleRate
        let signal = Multitone.speechBand
        let pair = try contender.make()
        let trip = RoundTrip(pair, packetLength: length)
        let run = StreamRun(trip, signal.samples(seconds: 1.2, sampleRate: rate), from: rate, to: rate)
        try pair.check()
        row.delayReported = run.reportedDelay
        if let window = AnalysisWindow.last(of: run.output, sampleRate: rate) {
            let fit = DelayFit(of: signal, in: window, startingAt: window.startIndex, sampleRate: rate)
            row.delayMeasured = (run.heldBack + fit.delay) * 1000
            row.signalToNoise = fit.signalToNoise
        }
    }

    private func costs(_ meter: CostMeter) throws -> (Cost, Cost) {
        let speech = SyntheticSpeech.samples(seconds: 2, sampleRate: contender.format.sampleRate)
        let count = speech.count / length
        let milliseconds = contender.format.packetMilliseconds
        let encoder = try contender.make()
        var payloads: [[UInt8]] = []
        var room = [UInt8](repeating: 0, count: encoder.maximumPayload)
        let encoding = speech.withUnsafeBufferPointer { speech in
            room.withUnsafeMutableBytes { room in
                let encode = { (number: Int) -> Int in
                    let start = number % count * length
                    return encoder.encode(UnsafeBufferPointer(rebasing: speech[start..<start + length]), into: room)
                }
                for number in 0..<count {
                    let size = encode(number)
                    payloads.append(Array(room[..<size]))
                }
                return meter.measure(milliseconds: milliseconds) { _ = encode($0) }
            }
        }
        try encoder.check()
        let decoder = try contender.make()
        var samples = [Int16](repeating: 0, count: 2 * length)
        let decoding = samples.withUnsafeMutableBufferPointer { samples in
            meter.measure(milliseconds: milliseconds) { number in
                payloads[number % count].withUnsafeBytes { _ = decoder.decode($0, into: samples) }
            }
        }
        try decoder.check()
        return (encoding, decoding)
    }
}

/// A codec's two ends as one converter: what the other side hears.
private final class RoundTrip: StreamConverter {
    private let pair: CodecPair
    private let packetLength: Int
    private var payload: [UInt8]

    init(_ pair: CodecPair, packetLength: Int) {
        self.pair = pair
        self.packetLength = packetLength
        payload = Array(repeating: 0, count: pair.maximumPayload)
    }

    var reportedDelay: Double? { pair.reportedDelay }

    func process(_ input: UnsafeBufferPointer<Int16>, into output: UnsafeMutableBufferPointer<Int16>) -> Int {
        var written = 0
        var start = 0
        while start + packetLength <= input.count {
            let packet = UnsafeBufferPointer(rebasing: input[start..<start + packetLength])
            let size = payload.withUnsafeMutableBytes { pair.encode(packet, into: $0) }
            written += payload.withUnsafeBytes { payload in
                pair.decode(
                    UnsafeRawBufferPointer(rebasing: payload[..<size]),
                    into: UnsafeMutableBufferPointer(rebasing: output[written...]))
            }
            start += packetLength
        }
        return written
    }

    /// Lets both ends take what memory they want.
    func feed(packets: Int) {
        let silence = [Int16](repeating: 0, count: packetLength)
        var output = [Int16](repeating: 0, count: 2 * packetLength)
        for _ in 0..<packets {
            _ = silence.withUnsafeBufferPointer { silence in
                output.withUnsafeMutableBufferPointer { process(silence, into: $0) }
            }
        }
    }
}
