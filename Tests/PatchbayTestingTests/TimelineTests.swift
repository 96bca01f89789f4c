import Patchbay
import PatchbayTesting
import Testing

@Suite struct TimelineTests {
    private func processor(
        _ component: any StageComponent, _ values: [String: VariableValue] = [:], rate: Int = 8000
    ) throws -> any Processor {
        try component.makeProcessor(taking: .pcm(rate), settings: Settings(component.spec.fields, values))
    }

    @Test func drawingsBecomeFrames() {
        let frames = Timeline(.pcm(8000)).frames(".#S[S#]5")
        #expect(frames.map(\.count) == [1, 1, 1, 2, 1])
        #expect(frames.map(Timeline.draw) == [".", ".", "S", "S", "5"])
        let levels = frames.flatMap { $0 }.compactMap { frame -> Double? in
            guard case .audio(let audio) = frame else { return nil }
            #expect(audio.format == .pcm(8000) && audio.payload.readableBytes == 320)
            var scratch: [Int16] = []
            return audio.payload.withUnsafeSamples(copyingInto: &scratch) {
                Tone.level(of: 300, in: Array($0), sampleRate: 8000)
            }
        }
        #expect(levels.map { $0 > -20 } == [false, true, true])
        #expect(Timeline.draw([.speechStarted, .userTurnStarted, .bargeIn(.started)]) == "[SUP]")
        #expect(Timeline(.telephony).frames("#.").flatMap { $0 }.isEmpty, "no sound can be drawn in µ-law")
    }

    @Test func aVADHearsADrawing() throws {
        let vad = try processor(VAD(), ["minimumSpeechMs": 60, "minimumSilenceMs": 100])
        let marks = try Timeline().play("....#.....#####..#####..........", through: vad)
        #expect(marks == "............S............ps.....")
    }

    @Test func aVADAndTurnsOneBehindTheOther() throws {
        let vad = try processor(VAD(), ["minimumSpeechMs": 60, "minimumSilenceMs": 100], rate: 16000)
        let turns = try processor(Turns(), ["pauseMs": 40, "minimumBargeInMs": 60, "confirmMs": 60])
        let marks = try Timeline(.pcm(16000)).play("....######..........A.######......", through: vad)
        #expect(marks == "......S......ps.....A...S......ps.")
        let floor = try Timeline().play(marks, through: turns)
        #expect(floor == "......U........u....A.....P..[CU]...u")
    }
}
