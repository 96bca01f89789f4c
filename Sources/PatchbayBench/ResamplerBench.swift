/// Everything that is measured of one resampler on one pair of rates.
struct ResamplerBench {
    private let contender: ResamplerContender
    private let from: Int
    private let to: Int

    init(_ contender: ResamplerContender, from: Int, to: Int) {
        self.contender = contender
        self.from = from
        self.to = to
    }

    func row(_ meter: CostMeter) throws -> BenchRow {
        var row = BenchRow(.resampler, contender.name, "\(from)→\(to)")
        row.cost = try cost(meter)
        try measureQuality(into: &row)
        row.bytes = try HeapMeter.bytes {
            let converter = try contender.make(from, to)
            feed(converter)
            return converter
        }
        return row
    }

    /// Delay, noise and the filter's response. Depends on nothing but the contender.
    func measureQuality(into row: inout BenchRow, tones: Int = 24) throws {
        let signal = Multitone.speechBand
        let run = StreamRun(
            try contender.make(from, to), signal.samples(seconds: 0.8, sampleRate: from), from: from, to: to)
        if let window = AnalysisWindow.last(of: run.output, sampleRate: to) {
            let fit = DelayFit(of: signal, in: window, startingAt: window.startIndex, sampleRate: to)
            row.delayMeasured = (run.heldBack + fit.delay) * 1000
        }
        row.delayReported = run.reportedDelay
        let tone = Multitone.tone(Multitone.referenceFrequency, level: -6)
        let output = try convert(tone.samples(seconds: 0.6, sampleRate: from))
        row.signalToNoise = AnalysisWindow.last(of: output, sampleRate: to).map {
            ToneNoise.ratio(of: Multitone.referenceFrequency, in: $0, sampleRate: to)
        }
        let sweep = try FilterSweep(from: from, to: to, tones: tones, convert: convert)
        row.ripple = sweep.ripple
        row.gain3400 = sweep.gain3400
        row.rejection = sweep.rejection
    }

    private func convert(_ input: [Int16]) throws -> [Int16] {
        StreamRun(try contender.make(from, to), input, from: from, to: to).output
    }

    private func cost(_ meter: CostMeter) throws -> Cost {
        let converter = try contender.make(from, to)
        let packet = from / 50
        let speech = SyntheticSpeech.samples(seconds: 2, sampleRate: from)
        var output = [Int16](repeating: 0, count: to / 2 + to / 25)
        return speech.withUnsafeBufferPointer { speech in
            output.withUnsafeMutableBufferPointer { output in
                meter.measure { number in
                    let start = number % 100 * packet
                    _ = converter.process(UnsafeBufferPointer(rebasing: speech[start..<start + packet]), into: output)
                }
            }
        }
    }

    /// Half a second of silence, after which every resampler has the buffers it wants.
    private func feed(_ converter: any StreamConverter) {
        withUnsafeTemporaryAllocation(of: Int16.self, capacity: from / 50) { silence in
            silence.initialize(repeating: 0)
            withUnsafeTemporaryAllocation(of: Int16.self, capacity: to / 2 + to / 25) { output in
                output.initialize(repeating: 0)
                for _ in 0..<25 { _ = converter.process(UnsafeBufferPointer(silence), into: output) }
            }
        }
    }
}
