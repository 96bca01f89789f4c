import PatchbayAudio
import Testing

@Suite struct SpeechSegmenterTests {
    /// Windows of 10 samples at 1000 Hz, so that samples are milliseconds.
    private func edges(
        _ scores: [Double], window: Int = 10, _ parameters: SpeechSegmenter.Parameters
    ) -> [SpeechEdge] {
        var segmenter = SpeechSegmenter(parameters, sampleRate: 1000)
        return scores.compactMap { segmenter.add(score: $0, sampleCount: window) }
    }

    private func scores(_ runs: [(Double, Int)]) -> [Double] {
        runs.flatMap { [Double](repeating: $0.0, count: $0.1) }
    }

    private let parameters = SpeechSegmenter.Parameters(
        threshold: 0.5, exitThreshold: 0.35, minimumSpeech: 50, minimumSilence: 100)

    @Test func edgesLieWhereSpeechTrulyWas() {
        let found = edges(scores([(0, 20), (1, 30), (0, 20)]), parameters)
        #expect(
            found == [
                SpeechEdge(kind: .speechStarted, offset: 200, decidedAt: 250),
                SpeechEdge(kind: .speechStopped, offset: 500, decidedAt: 600),
            ])
    }

    @Test func hysteresisHoldsSpeechAndBelongsToSpeechOnly() {
        #expect(edges(scores([(0.4, 100)]), parameters) == [], "the exit threshold starts nothing")
        let found = edges(scores([(0.5, 5), (0.35, 50), (0.34, 10)]), parameters)
        #expect(found.map(\.offset) == [0, 550])
        #expect(edges(scores([(0.9, 5), (0.4, 50)]), .init(threshold: 0.5, minimumSilence: 100)).count == 0)
    }

    @Test func clicksAreNoSpeechAndGapsNoPause() {
        #expect(edges(scores([(1, 4), (0, 4), (1, 4), (0, 10)]), parameters) == [])
        let stuttering = edges(scores([(1, 3), (0, 1), (1, 3)]), parameters)
        #expect(stuttering == [SpeechEdge(kind: .speechStarted, offset: 0, decidedAt: 70)])
        let paused = edges(scores([(1, 10), (0, 9), (1, 10), (0, 9)]), parameters)
        #expect(paused.count == 1)
    }

    @Test func anOnsetThatCameToNothingIsForgotten() {
        let found = edges(scores([(1, 3), (0, 5), (1, 10)]), parameters)
        #expect(found == [SpeechEdge(kind: .speechStarted, offset: 80, decidedAt: 130)])
    }

    @Test func durationsRoundUpToWholeWindows() {
        let found = edges(scores([(1, 10), (0, 10)]), window: 32, parameters)
        #expect(found.map(\.decidedAt) == [64, 448])
    }

    @Test func resetBeginsAnew() {
        var segmenter = SpeechSegmenter(parameters, sampleRate: 1000)
        for _ in 0..<5 { _ = segmenter.add(score: 1, sampleCount: 10) }
        #expect(segmenter.isSpeaking && segmenter.activeUntil == 50)
        segmenter.reset()
        #expect(!segmenter.isSpeaking && segmenter.position == 0 && segmenter.activeUntil == nil)
    }

    @Test func theCutOfTheStreamChangesNothing() {
        let samples =
            silence(sampleRate: 8000, milliseconds: 300) + tone(400, level: -20, sampleRate: 8000, milliseconds: 500)
            + silence(sampleRate: 8000, milliseconds: 800)
        let parameters = SpeechSegmenter.Parameters(threshold: 9)
        var whole = SpeechDetector(EnergyDetector(sampleRate: 8000), parameters)
        let expected = whole.windows(samples, block: samples.count)
        #expect(expected.count == 160 && expected.compactMap(\.edge).map(\.offset) == [2400, 6400])
        for block in [1, 37, 80, 81, 160, 999] {
            var detector = SpeechDetector(EnergyDetector(sampleRate: 8000), parameters)
            #expect(detector.windows(samples, block: block) == expected, "blocks of \(block)")
        }
        whole.reset()
        #expect(whole.windows(samples) == expected)
    }
}

@Suite struct SpeechGateTests {
    private func run(_ gate: inout SpeechGate, _ samples: [Int16]) -> [Int16] {
        var samples = samples
        samples.withUnsafeMutableBufferPointer { gate.process($0) }
        return samples
    }

    @Test func whatWaitsGoesOutWhenTheGateOpens() {
        var gate = SpeechGate(preRoll: 4, hangover: 2)
        #expect(run(&gate, [1, 2, 3, 4, 5, 6]) == [0, 0, 0, 0, 0, 0])
        gate.speechHeard(until: 8)
        // Samples 3 to 6 wait; 8 are speech and two more pass.
        #expect(run(&gate, [7, 8, 9, 10]) == [3, 4, 5, 6])
        #expect(run(&gate, [11, 12, 13, 14, 15, 16]) == [7, 8, 9, 10, 0, 0])
        gate.reset()
        gate.speechHeard(until: 8)
        #expect(run(&gate, [1, 2, 3, 4, 5]) == [0, 0, 0, 0, 1])
    }

    @Test func withoutPreRollNothingIsDelayed() {
        var gate = SpeechGate(preRoll: 0, hangover: 0)
        #expect(run(&gate, [1, 2]) == [0, 0])
        gate.speechHeard(until: 4)
        #expect(run(&gate, [3, 4, 5]) == [3, 4, 0])
        #expect(run(&gate, []) == [])
    }
}
