import Foundation
import PatchbayAudio
import PatchbayConfig
import PatchbayCore
import PatchbayProcessors
import PatchbayTesting
import Testing

@Suite struct MixerTests {
    /// A sound in a file that goes when the test does.
    private final class SoundFile {
        let path: String

        init(_ samples: [Int16], rate: Int = 8000, channels: Int = 1) throws {
            path = FileManager.default.temporaryDirectory.appendingPathComponent("mixer-\(UUID()).wav").path
            try WAVFile(samples: samples, sampleRate: rate, channelCount: channels).write(to: path)
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    private let mixer = Mixer(sounds: SoundLibrary())

    private func values(
        _ file: SoundFile, level: Double = 0, duck: Double = 0
    ) -> [String: VariableValue] {
        ["sound": .string(file.path), "levelDb": .number(level), "duckDb": .number(duck)]
    }

    /// A sound in which every sample tells its place, half a second long.
    private func ramp() throws -> (file: SoundFile, loop: [Int16]) {
        let samples = (0..<4000).map { Int16($0 * 5 - 10000) }
        var loop = SoundLoop(samples, blend: 400), round = [Int16](repeating: 0, count: 3600)
        round.withUnsafeMutableBufferPointer { loop.read(into: $0) }
        return (try SoundFile(samples), round)
    }

    @Test func fromTheStartOfTheCallItSoundsWithoutAnAgent() throws {
        let (file, loop) = try ramp()
        var harness = try mixer.harness(values(file))
        #expect(try harness.advance(by: .milliseconds(100)).isEmpty, "nobody listens yet")
        var frames = try harness.push(callStart)
        #expect(frames.audio.count == 3, "60 ms in advance")
        for _ in 0..<50 {
            frames += try harness.advance(by: .milliseconds(20))
            let ahead = frames.samples.count / 8 - Int(harness.now.milliseconds - 100)
            #expect((60...80).contains(ahead), "\(ahead) ms ahead")
        }
        #expect(frames.audio.allSatisfy { $0.isBackground && $0.format == .pcm(8000) && $0.samples.count == 160 })
        let all = frames.samples
        #expect(all == (0..<all.count).map { loop[$0 % loop.count] }, "the sound, round and round")
        _ = try harness.push(.hangup(EndReason(.agentHungUp)))
        #expect(try harness.advance(by: .milliseconds(500)).isEmpty)
    }

    @Test func afterAStallItDoesNotCatchUp() throws {
        let (file, _) = try ramp()
        var processor = try mixer.harness(values(file)).processor
        var output = FrameOutput()
        try processor.receive(callStart, at: .zero, into: &output)
        _ = output.takeDownstream()
        try processor.deadlineReached(at: MediaTime(milliseconds: 507), into: &output)
        #expect(output.takeDownstream().count == 3)
        #expect(processor.deadline == MediaTime(milliseconds: 520), "the grid stays")
    }

    @Test func theBackgroundGoesDownUnderTheVoice() throws {
        let file = try SoundFile(Tone(1000, level: -10).samples(count: 8000, sampleRate: 8000))
        var harness = try mixer.harness(values(file, level: -10, duck: 14))
        func background(_ samples: [Int16]) -> Double { Tone.level(of: 1000, in: samples, sampleRate: 8000) }
        var before = try harness.push(callStart).samples
        before += try harness.advance(by: .milliseconds(200)).samples
        #expect(abs(background(before) + 20) < 0.5)
        let voice = Tone(400, level: -12).samples(count: 3200, sampleRate: 8000)
        var under: [Int16] = []
        for start in stride(from: 0, to: 3200, by: 160) {
            let frames = try harness.push(audio(voice[start..<start + 160], generation: 2))
            #expect(frames.audio.allSatisfy { !$0.isBackground && $0.generation == 2 })
            under += frames.samples
        }
        #expect(abs(background(Array(under[1600...])) + 34) < 0.7)
        #expect(abs(Tone.level(of: 400, in: under, sampleRate: 8000) + 12) < 0.2)
        _ = try harness.push(.utteranceEnded(generation: 2))
        var after: [Int16] = []
        for _ in 0..<150 {
            let frames = try harness.advance(by: .milliseconds(20))
            #expect(frames.audio.allSatisfy { $0.isBackground && $0.generation == 2 })
            after += frames.samples
        }
        #expect(abs(background(Array(after.suffix(1600))) + 20) < 0.5)
    }

    /// An agent that sends 200 ms ahead keeps the background out of its sentences.
    @Test func nothingComesBetweenTheWordsOfAnUtterance() throws {
        let (file, loop) = try ramp()
        var harness = try mixer.harness(values(file))
        var frames = try harness.push(callStart)
        let packet = [Int16](repeating: 0, count: 160)
        for _ in 0..<7 { frames += try harness.push(audio(packet)) }
        var between: [Frame] = []
        for _ in 0..<40 {
            between += try harness.advance(by: .milliseconds(20))
            between += try harness.push(audio(packet))
        }
        #expect(between.audio.allSatisfy { !$0.isBackground })
        frames += between
        // The agent stops in the middle: background comes with 20 ms to spare.
        let rest = frames.samples.count / 8 - Int(harness.now.milliseconds)
        let waiting = try harness.advance(by: .milliseconds(Int64(rest - 30)))
        #expect(waiting.isEmpty)
        let gap = try harness.advance(by: .milliseconds(30))
        #expect(gap.audio.count >= 1 && gap.audio.allSatisfy(\.isBackground))
        let all = (frames + gap).samples
        #expect(all == (0..<all.count).map { loop[$0 % loop.count] }, "one sound, whoever else speaks")
    }

    @Test func theLastPacketOfAnUtteranceIsFilledWithBackground() throws {
        let (file, loop) = try ramp()
        var harness = try mixer.harness(values(file))
        var all = try harness.push(callStart).samples
        all += try harness.push(audio([Int16](repeating: 0, count: 203))).samples
        let ending = try harness.push(.utteranceEnded(generation: 0))
        guard ending.count == 2, case .utteranceEnded? = ending.last else {
            Issue.record("background, then the end")
            return
        }
        all += ending.samples
        #expect(ending.samples.count == 117 && ending.audio.allSatisfy(\.isBackground) && all.count % 160 == 0)
        #expect(all == (0..<all.count).map { loop[$0 % loop.count] })
    }

    @Test func afterAnInterruptionItGoesOnWhereItWasCut() throws {
        let (file, loop) = try ramp()
        var harness = try mixer.harness(values(file))
        _ = try harness.push(callStart)
        _ = try harness.advance(by: .milliseconds(110))
        for _ in 0..<10 { _ = try harness.push(audio([Int16](repeating: 0, count: 160), generation: 1)) }
        _ = try harness.advance(by: .milliseconds(37))
        let frames = try harness.push(.interruption(Interruption(generation: 2, cause: "test")))
        guard case .interruption? = frames.first else {
            Issue.record("the interruption goes first")
            return
        }
        #expect(frames.audio.count == 3 && frames.audio.allSatisfy { $0.generation == 2 })
        // 147 ms of the call have been heard, at the 22nd sample of a millisecond that is 147 · 8.
        #expect(frames.samples == (0..<480).map { loop[(147 * 8 + $0) % loop.count] })
    }

    /// A false barge-in: the carrier is emptied, the call keeps what was not heard and hands it over again by itself.
    @Test func whileABargeInHoldsTheAgentBackTheBackgroundGoesOn() throws {
        let (file, loop) = try ramp()
        var harness = try mixer.harness(values(file))
        let packet = [Int16](repeating: 0, count: 160)
        _ = try harness.push(callStart)
        _ = try harness.advance(by: .milliseconds(100))
        for _ in 0..<10 { _ = try harness.push(audio(packet)) }
        _ = try harness.advance(by: .milliseconds(30))
        // 230 to 250 ms are ahead; 130 ms have been heard.
        var inPause = try harness.push(.bargeIn(.started))
        guard case .bargeIn(.started)? = inPause.first else {
            Issue.record("the barge-in goes first")
            return
        }
        for _ in 0..<50 {
            inPause += try harness.advance(by: .milliseconds(20))
            let ahead = inPause.samples.count / 8 - Int(harness.now.milliseconds - 130)
            #expect((60...80).contains(ahead), "\(ahead) ms ahead")
        }
        #expect(inPause.audio.allSatisfy { $0.isBackground })
        let all = inPause.samples
        #expect(all == (0..<all.count).map { loop[(130 * 8 + $0) % loop.count] }, "from where it was cut")
        // The rest of the 260 ms that were ahead, and of the 60 ms of background, is played by the call.
        let resumed = try harness.push(.bargeIn(.dismissed))
        #expect(resumed.audio.isEmpty)
        // The agent goes on, 200 ms ahead as before; nothing may come between its packets.
        var after: [Frame] = []
        for _ in 0..<60 {
            after += try harness.push(audio(packet))
            after += try harness.advance(by: .milliseconds(20))
        }
        #expect(after.audio.count == 60 && after.audio.allSatisfy { !$0.isBackground })
    }

    /// The call does not keep the background behind the last word; what follows comes in time all the same.
    @Test func aBargeInOnTheLastWordLeavesNoHole() throws {
        let (file, _) = try ramp()
        var harness = try mixer.harness(values(file))
        _ = try harness.push(callStart)
        _ = try harness.push(audio([Int16](repeating: 0, count: 160)))
        _ = try harness.push(.utteranceEnded(generation: 0))
        _ = try harness.advance(by: .milliseconds(70))
        // The word ends in 10 ms, 60 to 80 ms are ahead.
        _ = try harness.push(.bargeIn(.started))
        let resumed = try harness.push(.bargeIn(.dismissed))
        #expect(resumed.audio.isEmpty)
        var background = 0
        for _ in 0..<20 { background += try harness.advance(by: .milliseconds(20)).audio.count }
        #expect((19...20).contains(background))
    }

    @Test func aConfirmedBargeInLeavesNothingBehind() throws {
        let (file, _) = try ramp()
        var harness = try mixer.harness(values(file))
        _ = try harness.push(callStart)
        for _ in 0..<10 { _ = try harness.push(audio([Int16](repeating: 0, count: 160))) }
        _ = try harness.push(.bargeIn(.started))
        _ = try harness.advance(by: .milliseconds(400))
        #expect(try harness.push(.interruption(Interruption(generation: 1, cause: "test"))).audio.count == 3)
        #expect(try harness.push(.bargeIn(.dismissed)).audio.isEmpty, "there is no pause to end")
        var background = 0
        for _ in 0..<50 { background += try harness.advance(by: .milliseconds(20)).audio.count }
        #expect(background == 50)
    }

    @Test func anySoundFileOfReasonableLengthWillDo() throws {
        let stereo = try SoundFile(
            Tone(500, level: -10).samples(count: 32000, sampleRate: 16000), rate: 16000, channels: 2)
        var harness = try mixer.harness(values(stereo), taking: .pcm(8000))
        let out = try harness.push(callStart).samples
        #expect(
            Tone.strongest(of: [250, 500, 1000, 2000], in: out, sampleRate: 8000) == 1000, "two channels, one rate up")
        let short = try SoundFile([Int16](repeating: 0, count: 1000))
        for path in [short.path, "/nowhere/at/all.wav", "relative.wav"] {
            let problems = mixer.problems(["sound": .string(path)])
            #expect(problems.count == 1 && problems[0].field == "sound" && problems[0].message.contains(path))
            #expect(throws: PipelineError.self) { try mixer.harness(["sound": .string(path)]) }
        }
        #expect(mixer.problems(["sound": "sounds/${name}.wav"]).isEmpty, "not known before the call")
        #expect(mixer.problems(["sound": .string(stereo.path)]).isEmpty)
    }

    @Test func aChangedFileIsReadAgain() throws {
        let file = try SoundFile([Int16](repeating: 100, count: 8000))
        let sounds = SoundLibrary()
        var loop = try sounds.loop(ofFile: file.path, sampleRate: 8000)
        try WAVFile(samples: [Int16](repeating: 200, count: 9000), sampleRate: 8000).write(to: file.path)
        loop = try sounds.loop(ofFile: file.path, sampleRate: 8000)
        #expect(loop.length == 9000 - 400)
    }
}
