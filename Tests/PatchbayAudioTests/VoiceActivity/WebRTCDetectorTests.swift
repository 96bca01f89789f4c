import PatchbayAudio
import Testing

@Suite(.enabled(if: (try? WebRTCDetector.checkAvailability()) != nil, "needs libwebrtc-audio-processing1"))
struct WebRTCDetectorTests {
    /// Decisions over `buzzInNoise` at 8 kHz, made with the library's own C interface: value and count of each run.
    struct Golden: Sendable, CustomStringConvertible {
        var milliseconds: Int
        var modes: ClosedRange<Int>
        var runs: [(score: Double, count: Int)]
        var description: String { "\(milliseconds) ms, modes \(modes)" }
    }

    static let golden = [
        Golden(milliseconds: 10, modes: 0...1, runs: [(1, 9), (0, 91), (1, 116), (0, 84)]),
        Golden(milliseconds: 10, modes: 2...2, runs: [(1, 7), (0, 93), (1, 111), (0, 89)]),
        Golden(milliseconds: 10, modes: 3...3, runs: [(1, 7), (0, 93), (1, 110), (0, 90)]),
        Golden(milliseconds: 20, modes: 0...1, runs: [(1, 5), (0, 45), (1, 58), (0, 42)]),
        Golden(milliseconds: 20, modes: 2...3, runs: [(1, 4), (0, 46), (1, 56), (0, 44)]),
        Golden(milliseconds: 30, modes: 0...1, runs: [(1, 4), (0, 29), (1, 40), (0, 27)]),
        Golden(milliseconds: 30, modes: 2...3, runs: [(1, 3), (0, 30), (1, 37), (0, 30)]),
    ]

    @Test(arguments: golden)
    func decidesAsTheLibraryDoes(golden: Golden) throws {
        let expected = golden.runs.flatMap { [Double](repeating: $0.score, count: $0.count) }
        for mode in golden.modes {
            var detector = try WebRTCDetector(
                sampleRate: 8000, mode: mode, windowMilliseconds: golden.milliseconds)
            #expect(detector.scores(buzzInNoise) == expected, "mode \(mode)")
            detector.reset()
            #expect(detector.scores(buzzInNoise) == expected, "mode \(mode), after a reset")
        }
    }

    @Test func takesItsRatesAndNoOthers() throws {
        for rate in WebRTCDetector.sampleRates {
            var detector = try WebRTCDetector(sampleRate: rate, mode: 3)
            #expect(detector.windowLength == rate / 50)
            let quiet = [Int16](repeating: 0, count: rate)
            #expect(detector.scores(quiet).allSatisfy { $0 == 0 })
        }
        for (rate, mode, window) in [
            (24_000, 3, 20), (44_100, 3, 20), (0, 0, 20), (8000, 4, 20), (8000, -1, 20), (8000, 0, 25),
        ] {
            #expect(throws: VoiceActivityError.self) {
                try WebRTCDetector(sampleRate: rate, mode: mode, windowMilliseconds: window)
            }
        }
    }
}
