import Testing

@testable import PatchbayBench

/// The wiring of those who take part, with figures that are known from their documentation. Peers that are not installed are
/// passed over.
@Suite struct ContenderTests {
    private func quality(_ name: String) throws -> BenchRow? {
        let contender = try #require(ResamplerContender.all.first { $0.name == name })
        var row = BenchRow(.resampler, name, "8000→16000")
        do {
            try ResamplerBench(contender, from: 8000, to: 16000).measureQuality(into: &row, tones: 3)
        } catch {
            #expect("\(error)".contains("apt-get install"))
            return nil
        }
        return row
    }

    @Test func libsamplerateLinearIsStraightLines() throws {
        let row = try #require(try quality("libsamplerate linear"))
        #expect(abs(try #require(row.gain3400) + 4.20) < 0.02)
        #expect(abs(try #require(row.delayMeasured) - 0.125) < 0.01)
        #expect(row.delayReported == nil)
    }

    @Test func speexTellsItsDelay() throws {
        guard let row = try quality("speexdsp q3") else { return }
        #expect(!row.delayDisagrees)
        #expect(abs(try #require(row.delayMeasured) - 3) < 0.02)
        #expect(try #require(row.rejection) > 80)
    }

    @Test func soxrHoldsBlocksBack() throws {
        guard let row = try quality("soxr LQ") else { return }
        #expect(!row.delayDisagrees)
        #expect(try #require(row.delayMeasured) > 20)
        #expect(try #require(row.rejection) > 90)
    }

    @Test(arguments: ["µ-law", "A-law"])
    func g711HasTheNoiseOfItsTable(name: String) throws {
        let contender = try #require(CodecContender.all.first { $0.name == name })
        var row = BenchRow(.codec, name, contender.path)
        try CodecBench(contender).measureQuality(into: &row)
        #expect(abs(try #require(row.delayMeasured)) < 1e-3)
        // G.712 asks for 33 dB or more at this level; the tables give about 38.
        #expect((36...40).contains(try #require(row.signalToNoise)))
    }

    @Test(
        arguments: CodecContender.all.filter { $0.format.encoding == .opus || $0.format.encoding == .g722 }.map(\.path))
    func codecsWithMemoryHaveTheDelayTheyClaim(path: String) throws {
        for contender in CodecContender.all where contender.path == path && contender.format.encoding != .l16 {
            var row = BenchRow(.codec, contender.name, path)
            do {
                try CodecBench(contender).measureQuality(into: &row)
            } catch {
                #expect("\(error)".contains("apt-get install"))
                continue
            }
            #expect(!row.delayDisagrees, "\(row)")
            // Opus keeps the sound, not the wave; its noise says little.
            if contender.format.encoding == .g722 { #expect(try #require(row.signalToNoise) > 25) }
        }
    }

    @Test func theEnergyDetectorHearsTheVoice() throws {
        let contender = try #require(DetectorContender.all().first { $0.name == "energy" })
        var row = BenchRow(.vad, contender.name, "8000 Hz")
        try DetectorBench(contender).measureReaction(into: &row)
        #expect((80...160).contains(try #require(row.delayMeasured)))
        #expect(row.note?.contains("hears its end") == true)
    }

    @Test func withoutAModelTheNeuralDetectorSaysSo() throws {
        let plan = BenchPlan(only: ["silero"], rates: [], seconds: 0.2, rounds: 1, sileroModel: "no/such.onnx")
        let rows = plan.run().rows
        #expect(rows.map(\.path) == ["8000 Hz", "16000 Hz"])
        #expect(rows.allSatisfy { $0.cost == nil && $0.note?.contains("no/such.onnx") == true })
    }
}
