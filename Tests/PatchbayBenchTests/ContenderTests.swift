import PatchbayAudio
import Testing

@testable import PatchbayBench

/// The wiring of those who take part, with figures that are known from their documentation. Those
/// whose library is not installed are skipped.
@Suite struct ContenderTests {
    private func quality(_ name: String) throws -> BenchRow {
        let contender = try #require(ResamplerContender.all.first { $0.name == name })
        var row = BenchRow(.resampler, name, "8000→16000")
        try ResamplerBench(contender, from: 8000, to: 16000).measureQuality(into: &row, tones: 3)
        return row
    }

    private static func isInstalled(_ library: String) -> Bool { (try? DynamicLibrary(library, package: "")) != nil }

    @Test func libsamplerateLinearIsStraightLines() throws {
        let row = try quality("libsamplerate linear")
        #expect(abs(try #require(row.gain3400) + 4.20) < 0.02)
        #expect(abs(try #require(row.delayMeasured) - 0.125) < 0.01)
        #expect(row.delayReported == nil)
    }

    @Test(.enabled(if: isInstalled("libspeexdsp.so.1"), "needs libspeexdsp1"))
    func speexTellsItsDelay() throws {
        let row = try quality("speexdsp q3")
        #expect(!row.delayDisagrees)
        #expect(abs(try #require(row.delayMeasured) - 3) < 0.02)
        #expect(try #require(row.rejection) > 80)
    }

    @Test(.enabled(if: isInstalled("libsoxr.so.0"), "needs libsoxr0"))
    func soxrHoldsBlocksBack() throws {
        let row = try quality("soxr LQ")
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

    private func delay(of contender: CodecContender) throws -> BenchRow {
        var row = BenchRow(.codec, contender.name, contender.path)
        try CodecBench(contender).measureQuality(into: &row)
        #expect(!row.delayDisagrees, "\(row)")
        return row
    }

    @Test(arguments: CodecContender.all.indices.filter { CodecContender.all[$0].format.encoding == .opus })
    func opusHasTheDelayItClaims(index: Int) throws {
        // Opus keeps the sound, not the wave; its noise says little.
        _ = try delay(of: CodecContender.all[index])
    }

    @Test(.enabled(if: isInstalled("libspandsp.so.2"), "needs libspandsp2"))
    func g722HasTheDelayItClaims() throws {
        let contender = try #require(CodecContender.all.first { $0.format.encoding == .g722 })
        #expect(try #require(try delay(of: contender).signalToNoise) > 25)
    }

    /// A codec that refuses a packet now and then.
    private final class Broken: AudioEncoder, AudioDecoder {
        let format = AudioFormat.telephony
        let delayNanoseconds: Int64 = 0
        private let isRefused: (_ number: Int) -> Bool
        private var number = 0

        init(isRefused: @escaping (Int) -> Bool) { self.isRefused = isRefused }

        private func next() throws(CodecError) {
            number += 1
            // Any error will do; they are made only by codecs.
            if isRefused(number) { _ = try AudioCodecs.decoder(for: AudioFormat(.opus, sampleRate: 1)) }
        }

        func maximumPayload(forSamples count: Int) -> Int { count }
        func encode(
            _ samples: UnsafeBufferPointer<Int16>, into payload: UnsafeMutableRawBufferPointer
        ) throws(CodecError) -> EncodedRun {
            try next()
            return EncodedRun(sampleCount: samples.count, byteCount: samples.count)
        }
        func flush(into payload: UnsafeMutableRawBufferPointer) -> Int { 0 }
        func sampleCount(of payload: UnsafeRawBufferPointer) -> Int { payload.count }
        func decode(
            _ payload: UnsafeRawBufferPointer, into samples: UnsafeMutableBufferPointer<Int16>
        ) throws(CodecError) -> Int {
            try next()
            return payload.count
        }
        func conceal(sampleFrames: Int, into samples: UnsafeMutableBufferPointer<Int16>) -> Int { 0 }
        func reset() {}
    }

    /// The encoder refuses one packet of the first run, the decoder one of the later runs.
    @Test(arguments: [(3, Int.max), (Int.max, 150)])
    func aCodecThatFailsIsNoFastOne(encoded: Int, decoded: Int) {
        let contender = CodecContender("broken", .telephony) {
            CodecPair(Broken { $0 == encoded }, Broken { $0 == decoded })
        }
        #expect(throws: CodecError.self) { try CodecBench(contender).rows(CostMeter(packets: 100, rounds: 1)) }
        let sound = CodecContender("sound", .telephony) {
            CodecPair(Broken { _ in false }, Broken { _ in false })
        }
        #expect(throws: Never.self) { try CodecBench(sound).rows(CostMeter(packets: 5, rounds: 1)) }
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
