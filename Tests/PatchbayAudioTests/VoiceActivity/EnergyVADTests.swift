import PatchbayAudio
import Testing

@Suite struct EnergyVADTests {
    struct Event: Equatable, CustomStringConvertible {
        var edge: EnergyVAD.Edge
        /// End of the block that brought the edge, in milliseconds from the start.
        var at: Int
        var description: String { "\(edge == .speechStarted ? "start" : "stop")@\(at)" }
    }

    private func events(
        _ samples: [Int16], sampleRate: Int = 8000, block: Int? = nil, with vad: inout EnergyVAD
    ) -> [Event] {
        var events: [Event] = []
        var start = 0
        while start < samples.count {
            let end = min(samples.count, start + (block ?? sampleRate / 50))
            if let edge = samples[start..<end].withUnsafeBufferPointer({ vad.process($0, sampleRate: sampleRate) }) {
                events.append(Event(edge: edge, at: end * 1000 / sampleRate))
            }
            start = end
        }
        return events
    }

    private func events(_ samples: [Int16], sampleRate: Int = 8000, block: Int? = nil) -> [Event] {
        var vad = EnergyVAD()
        return events(samples, sampleRate: sampleRate, block: block, with: &vad)
    }

    @Test(arguments: [8000, 16_000, 22_050, 24_000, 48_000])
    func findsABurst(sampleRate: Int) {
        let samples =
            silence(sampleRate: sampleRate, milliseconds: 1000)
            + tone(500, level: -20, sampleRate: sampleRate, milliseconds: 1000)
            + silence(sampleRate: sampleRate, milliseconds: 1000)
        let found = events(samples, sampleRate: sampleRate)
        #expect(found.map(\.edge) == [.speechStarted, .speechStopped])
        guard found.count == 2 else { return }
        #expect(abs(found[0].at - 1100) <= 20, "\(found)")
        #expect(abs(found[1].at - 2500) <= 30, "\(found)")
    }

    @Test func silenceAndLineNoiseAreNoSpeech() {
        for seed in UInt64(1)...5 {
            var generator = SeededGenerator(seed: seed)
            #expect(events(silence(sampleRate: 8000, milliseconds: 10_000)) == [])
            for level in [-80.0, -60, -45, -42] {
                let samples = noise(level: level, sampleRate: 8000, milliseconds: 20_000, using: &generator)
                #expect(events(samples) == [], "seed \(seed), \(level) dBFS")
            }
        }
    }

    @Test func findsSpeechOverNoise() {
        var generator = SeededGenerator(seed: 3)
        let background = noise(level: -45, sampleRate: 8000, milliseconds: 6000, using: &generator)
        var samples = background
        for (index, sample) in tone(300, level: -25, sampleRate: 8000, milliseconds: 1000).enumerated() {
            samples[16_000 + index] += sample
        }
        let found = events(samples)
        #expect(found.map(\.edge) == [.speechStarted, .speechStopped], "\(found)")
        #expect(found.first.map { abs($0.at - 2100) <= 20 } == true, "\(found)")
    }

    @Test func aClickIsNoSpeechAndAShortGapNoPause() {
        let quiet = silence(sampleRate: 8000, milliseconds: 1000)
        let word = tone(400, level: -20, sampleRate: 8000, milliseconds: 300)
        let click = tone(400, level: -10, sampleRate: 8000, milliseconds: 60)
        let gap = silence(sampleRate: 8000, milliseconds: 400)
        #expect(events(quiet + click + quiet + click + quiet) == [])
        let found = events(quiet + word + gap + word + gap + word + quiet)
        #expect(found == [Event(edge: .speechStarted, at: 1100), Event(edge: .speechStopped, at: 3200)])
    }

    @Test func parametersMoveTheEdges() {
        let samples =
            silence(sampleRate: 8000, milliseconds: 500)
            + tone(500, level: -55, sampleRate: 8000, milliseconds: 500) + silence(sampleRate: 8000, milliseconds: 500)
        #expect(events(samples) == [])
        var sensitive = EnergyVAD(.init(minimumLevel: -60, minimumSpeech: 40, minimumSilence: 200))
        let found = events(samples, block: 80, with: &sensitive)
        #expect(found == [Event(edge: .speechStarted, at: 540), Event(edge: .speechStopped, at: 1200)])
        var deaf = EnergyVAD(.init(threshold: 100, minimumLevel: -60))
        #expect(events(samples, with: &deaf) == [])
    }

    @Test func blocksOfAnyLengthGiveTheSameEdges() {
        let samples =
            silence(sampleRate: 8000, milliseconds: 700)
            + tone(500, level: -20, sampleRate: 8000, milliseconds: 700) + silence(sampleRate: 8000, milliseconds: 700)
        for block in [1, 37, 80, 160, 161, 240, 800] {
            let found = events(samples, block: block)
            #expect(found.map(\.edge) == [.speechStarted, .speechStopped], "blocks of \(block)")
            for (event, exact) in zip(found, [800, 1900]) {
                #expect((exact - 1...exact + block / 8 + 1).contains(event.at), "blocks of \(block): \(found)")
            }
        }
        #expect(events(samples, block: samples.count) == [], "both edges in one block cancel out")
    }

    @Test func constantNoiseBecomesTheFloorWithinItsBound() {
        var generator = SeededGenerator(seed: 4)
        var vad = EnergyVAD()
        let quiet = noise(level: -70, sampleRate: 8000, milliseconds: 5000, using: &generator)
        #expect(events(quiet, with: &vad) == [])
        #expect(abs(vad.noiseFloor + 70) < 4, "\(vad.noiseFloor)")

        let loud = noise(level: -35, sampleRate: 8000, milliseconds: 20_000, using: &generator)
        let found = events(loud, with: &vad)
        #expect(found.map(\.edge) == [.speechStarted, .speechStopped], "\(found)")
        #expect(found.last.map { (3000...4700).contains($0.at) } == true, "\(found)")
        #expect(abs(vad.noiseFloor + 35) < 4, "\(vad.noiseFloor)")

        let word = tone(300, level: -15, sampleRate: 8000, milliseconds: 500)
        #expect(events(word, with: &vad).map(\.edge) == [.speechStarted], "speech over the new floor")
    }

    @Test func theFloorFallsAtOnce() {
        var generator = SeededGenerator(seed: 5)
        var vad = EnergyVAD()
        _ = events(noise(level: -35, sampleRate: 8000, milliseconds: 6000, using: &generator), with: &vad)
        _ = events(noise(level: -65, sampleRate: 8000, milliseconds: 150, using: &generator), with: &vad)
        #expect(vad.noiseFloor < -60, "\(vad.noiseFloor)")
    }

    @Test func speechWithPausesNeverBecomesTheFloor() {
        var generator = SeededGenerator(seed: 6)
        var samples: [Int16] = []
        for _ in 0..<120 {
            samples += tone(300, level: -20, sampleRate: 8000, milliseconds: 350)
            samples += noise(level: -60, sampleRate: 8000, milliseconds: 150, using: &generator)
        }
        var vad = EnergyVAD()
        #expect(events(samples, with: &vad).map(\.edge) == [.speechStarted])
        #expect(vad.isSpeaking)
        #expect(vad.noiseFloor < -50, "\(vad.noiseFloor)")
    }

    @Test func aCallThatBeginsInMidWordIsHeard() {
        let samples =
            tone(300, level: -18, sampleRate: 8000, milliseconds: 400)
            + silence(sampleRate: 8000, milliseconds: 600)
        #expect(events(samples) == [Event(edge: .speechStarted, at: 100), Event(edge: .speechStopped, at: 900)])
    }

    @Test func aLostPacketInNoiseStartsNoSpeech() {
        var generator = SeededGenerator(seed: 7)
        var samples = noise(level: -45, sampleRate: 8000, milliseconds: 10_000, using: &generator)
        for index in 24_000..<24_160 { samples[index] = 0 }
        #expect(events(samples) == [])
    }

    @Test func resetForgetsFloorAndSpeech() {
        var vad = EnergyVAD()
        _ = events(tone(300, level: -20, sampleRate: 8000, milliseconds: 6000), with: &vad)
        vad.reset()
        #expect(vad.isSpeaking == false)
        let found = events(tone(300, level: -20, sampleRate: 8000, milliseconds: 200), with: &vad)
        #expect(found == [Event(edge: .speechStarted, at: 100)])
    }

    @Test func rubbishRatesAndEmptyBlocksChangeNothing() {
        var vad = EnergyVAD()
        let samples = [Int16](repeating: 20_000, count: 4000)
        for rate in [0, -8000, 99, .min] {
            #expect(samples.withUnsafeBufferPointer { vad.process($0, sampleRate: rate) } == nil)
        }
        #expect(vad.process(UnsafeBufferPointer(start: nil, count: 0), sampleRate: 8000) == nil)
        #expect(vad.level == LevelMeter.silence)
    }
}
