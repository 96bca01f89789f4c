/// Everything that is measured of one voice detector.
struct DetectorBench {
    private let contender: DetectorContender

    init(_ contender: DetectorContender) { self.contender = contender }

    /// Where the voice of the test signal begins and ends, in seconds.
    private static let speech = 1.5..<3.5

    func row(_ meter: CostMeter) throws -> BenchRow {
        var row = BenchRow(.vad, contender.name, "\(contender.sampleRate) Hz")
        row.cost = try cost(meter)
        try measureReaction(into: &row)
        row.bytes = try HeapMeter.bytes {
            let detector = try contender.make()
            withUnsafeTemporaryAllocation(of: Int16.self, capacity: packet) { silence in
                silence.initialize(repeating: 0)
                for _ in 0..<10 { _ = detector.process(UnsafeBufferPointer(silence)) }
            }
            return detector
        }
        return row
    }

    private var packet: Int { contender.sampleRate / 50 }

    /// When it notices a voice and when that the voice has gone; counted to the end of the packet that told.
    func measureReaction(into row: inout BenchRow) throws {
        let rate = contender.sampleRate
        let signal = SyntheticSpeech.samples(seconds: 5.5, sampleRate: rate, speech: Self.speech, gaps: false)
        let detector = try contender.make()
        var onset: Double?
        var end: Double?
        for start in stride(from: 0, to: signal.count - packet, by: packet) {
            let edge = signal.withUnsafeBufferPointer {
                detector.process(UnsafeBufferPointer(rebasing: $0[start..<start + packet]))
            }
            let time = Double(start + packet) / Double(rate)
            if edge == .speechStarted, onset == nil, time > Self.speech.lowerBound {
                onset = time - Self.speech.lowerBound
            }
            if edge == .speechStopped, time > Self.speech.upperBound { end = end ?? time - Self.speech.upperBound }
        }
        row.delayMeasured = onset.map { $0 * 1000 }
        row.note =
            onset == nil
            ? "heard no voice in the synthetic one" : end.map { "hears its end after \(fixed($0 * 1000, 0)) ms" }
    }

    private func cost(_ meter: CostMeter) throws -> Cost {
        let detector = try contender.make()
        let speech = SyntheticSpeech.samples(seconds: 2, sampleRate: contender.sampleRate)
        return speech.withUnsafeBufferPointer { speech in
            meter.measure { number in
                let start = number % 100 * packet
                _ = detector.process(UnsafeBufferPointer(rebasing: speech[start..<start + packet]))
            }
        }
    }
}
