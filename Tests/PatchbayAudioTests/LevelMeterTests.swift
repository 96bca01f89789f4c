import PatchbayAudio
import Testing

@Suite struct LevelMeterTests {
    private func meter(_ blocks: [Int16]...) -> LevelMeter {
        var meter = LevelMeter()
        for block in blocks { block.withUnsafeBufferPointer { meter.add($0) } }
        return meter
    }

    @Test(arguments: [
        ([Int16](repeating: -32768, count: 80), 0.0, 0.0),
        ([32767, -32767], -0.000265, -0.000265),
        ([16384, -16384], -6.0206, -6.0206),
        ([1, -1, 1, -1], -90.309, -90.309),
        ([0, 0, 0, 100], -56.330, -50.309),
        ([0, 0, 0], -120, -120),
        ([], -120, -120),
    ])
    func levels(samples: [Int16], rms: Double, peak: Double) {
        let meter = meter(samples)
        #expect(abs(meter.rms - rms) < 0.001, "\(meter.rms)")
        #expect(abs(meter.peak - peak) < 0.001, "\(meter.peak)")
        #expect(samples.withUnsafeBufferPointer { LevelMeter.rms($0) } == meter.rms)
    }

    @Test func aFullScaleSineIsThreeDecibelsDown() {
        let meter = meter(tone(1000, amplitude: 32767, sampleRate: 8000, count: 8000))
        #expect(abs(meter.rms + 3.0103) < 0.01)
        #expect(abs(meter.peak) < 0.001)
    }

    @Test func blocksAddUp() {
        let samples = tone(440, amplitude: 12_345, sampleRate: 16_000, count: 1000)
        let whole = meter(samples)
        let parts = meter(Array(samples[..<1]), Array(samples[1..<700]), [], Array(samples[700...]))
        #expect(parts.rms == whole.rms)
        #expect(parts.peak == whole.peak)
    }

    @Test func resetForgets() {
        var meter = meter([30_000])
        meter.reset()
        #expect(meter.rms == LevelMeter.silence)
        #expect(meter.peak == LevelMeter.silence)
    }
}
