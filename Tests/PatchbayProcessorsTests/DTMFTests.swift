import PatchbayAudio
import PatchbayConfig
import PatchbayCore
import PatchbayProcessors
import PatchbayTesting
import Testing

@Suite struct DTMFTests {
    /// Sends samples in packets of 20 ms, one each 20 ms.
    private func send(_ samples: [Int16], to harness: inout ProcessorHarness<TimedBox>) throws -> [Frame] {
        var frames: [Frame] = []
        for start in stride(from: 0, to: samples.count, by: 160) {
            frames += try harness.push(audio(samples[start..<min(start + 160, samples.count)]))
            frames += try harness.advance(by: .milliseconds(20))
        }
        return frames
    }

    private func tones(_ digits: String, tone: Int = 100, pause: Int = 60) throws -> [Int16] {
        var parameters = DTMFGenerator.Parameters()
        parameters.toneMilliseconds = tone
        parameters.pauseMilliseconds = pause
        return try DTMFGenerator.samples(of: digits, sampleRate: 8000, parameters: parameters)
    }

    private let silence = [Int16](repeating: 0, count: 480)

    @Test func keysAreHeardAndTheAudioPassesUnchanged() throws {
        var harness = try DTMF().harness()
        let samples = silence + (try tones("19#A"))
        let frames = try send(samples, to: &harness)
        #expect(frames.keys == "19#A")
        #expect(frames.samples == samples)
    }

    // MARK: Two reports of one key

    @Test func aKeyThatTheCarrierReportsTooCountsOnce() throws {
        var harness = try DTMF().harness()
        let heard = try send(silence + (try tones("5")), to: &harness)
        #expect(heard.keys == "5")
        #expect(try harness.push(.dtmf("5")).isEmpty, "the carrier's word for the same press")
        #expect(try harness.push(.dtmf("5")).keys == "5", "another press, told by the carrier first")
        #expect(try send(silence + (try tones("5")), to: &harness).keys == "", "and then heard")
    }

    @Test func twoQuickPressesCountTwiceHoweverTheyAreTold() throws {
        var harness = try DTMF().harness()
        var keys = try send(silence + (try tones("77")), to: &harness).keys
        keys += try harness.push(.dtmf("7")).keys
        keys += try harness.push(.dtmf("7")).keys
        #expect(keys == "77")
    }

    @Test func otherKeysAndLateReportsCount() throws {
        var harness = try DTMF().harness(["duplicateMs": 300])
        #expect(try send(silence + (try tones("1")), to: &harness).keys == "1")
        #expect(try harness.push(.dtmf("2")).keys == "2")
        _ = try harness.advance(by: .milliseconds(300))
        #expect(try harness.push(.dtmf("1")).keys == "1")
    }

    @Test(arguments: [(80, "3"), (0, "33")])
    func aBrokenToneIsOnePress(debounce: Int, expected: String) throws {
        var harness = try DTMF().harness(["debounceMs": .number(Double(debounce))])
        let samples = silence + (try tones("33", tone: 60, pause: 60))
        #expect(try send(samples, to: &harness).keys == expected)
    }

    // MARK: Silencing

    @Test(arguments: [0, 37, 81, 120, 159])
    func theAgentHearsNoMoreThanTheBeginning(offset: Int) throws {
        var harness = try DTMF().harness(["mute": true])
        let hum = Tone(300, level: -20).samples(count: 4000, sampleRate: 8000)
        let start = 480 + offset
        var samples = hum
        let key = try tones("8", tone: 120, pause: 0)
        samples.replaceSubrange(start..<start + key.count, with: key)
        let frames = try send(samples, to: &harness)
        #expect(frames.keys == "8")
        let heard = frames.samples
        #expect(heard.count == samples.count)
        #expect(heard[..<start].elementsEqual(samples[..<start]))
        // 28 ms and the ramp of 2.
        let end = start + key.count
        #expect(heard[(start + 240)..<end].allSatisfy { $0 == 0 })
        #expect(heard[(end + 80 * 8)...].elementsEqual(samples[(end + 80 * 8)...]), "the sound comes back")
        #expect(Tone.level(of: 1336, in: Array(heard[(start + 240)...]), sampleRate: 8000) < -60)
    }

    @Test func silencingWithoutEffectIsPointedOut() {
        #expect(DTMF().problems(["mode": "generate", "mute": true]).map(\.severity) == [.warning])
        #expect(DTMF().problems(["mute": true]).isEmpty)
    }

    // MARK: - Generating

    private func detected(_ samples: [Int16]) throws -> String {
        var detector = try DTMFDetector(sampleRate: 8000)
        var keys = ""
        (samples + silence).withUnsafeBufferPointer {
            detector.process($0) { if case .began(let digit, _) = $0 { keys.append(digit) } }
        }
        return keys
    }

    @Test func aKeyBecomesItsTonesAndPassesOnBehindThem() throws {
        var harness = try DTMF().harness(["mode": "generate"])
        _ = try harness.push(.agentTurnStarted(generation: 4))
        let frames = try harness.push(.dtmf("6"))
        guard case .dtmf("6")? = frames.last else {
            Issue.record("the key itself must pass on")
            return
        }
        #expect(frames.audio.count == 10 && frames.audio.allSatisfy { $0.generation == 4 && !$0.isBackground })
        let tone = Array(frames.samples[..<800])
        for (frequency, level) in [(770.0, -12.2), (1477, -10.2)] {
            #expect(abs(Tone.level(of: frequency, in: tone, sampleRate: 8000) - level) < 0.5)
        }
        #expect(frames.samples[800...].allSatisfy { $0 == 0 })
        #expect(try harness.push(.dtmf("x")).keys == "x", "no key of a telephone has no tones")
        #expect(harness.processor.deadline == nil)
    }

    @Test func aBurstIsPlayedInOrderAndNeverFarAhead() throws {
        var harness = try DTMF().harness(["mode": "generate"])
        var frames: [Frame] = []
        for digit in "123456" { frames += try harness.push(.dtmf(digit)) }
        for _ in 0..<80 {
            let sent = frames.samples.count / 8
            #expect(sent - Int(harness.now.milliseconds) <= 440)
            frames += try harness.advance(by: .milliseconds(20))
        }
        #expect(frames.keys == "123456")
        #expect(try detected(frames.samples) == "123456")
        #expect(harness.processor.deadline == nil)
    }

    /// The carrier throws away what it has not played; whoever listens still hears every key, and none twice.
    @Test(arguments: [10, 60, 90, 130, 250, 424, 440, 650])
    func anInterruptionLosesNoKey(at milliseconds: Int) throws {
        var harness = try DTMF().harness(["mode": "generate"])
        var played: [Int16] = []
        for digit in "4715" { played += try harness.push(.dtmf(digit)).samples }
        var time = 0
        while time < 2000 {
            let step = time < milliseconds ? min(20, milliseconds - time) : 20
            played += try harness.advance(by: .milliseconds(Int64(step))).samples
            time += step
            guard time == milliseconds else { continue }
            played = Array(played[..<min(played.count, milliseconds * 8)])
            let frames = try harness.push(.interruption(Interruption(generation: 9, cause: "test")))
            guard case .interruption? = frames.first else {
                Issue.record("the interruption itself must pass on first")
                return
            }
            #expect(frames.audio.allSatisfy { $0.generation == 9 })
            played += frames.samples
        }
        #expect(try detected(played) == "4715")
    }

    /// What the call kept is played when the agent goes on: no key is lost and none comes twice, however it ends. Not here: a
    /// tone that was stopped in its middle, of which both halves can be heard.
    @Test(arguments: [10, 130, 180, 350, 424, 550], [true, false])
    func aBargeInLosesNoKey(at milliseconds: Int, isDismissed: Bool) throws {
        var harness = try DTMF().harness(["mode": "generate"])
        var played: [Int16] = []
        for digit in "4715" { played += try harness.push(.dtmf(digit)).samples }
        var time = 0
        while time < 2600 {
            let step = time < milliseconds ? min(20, milliseconds - time) : 20
            played += try harness.advance(by: .milliseconds(Int64(step))).samples
            time += step
            guard time == milliseconds else { continue }
            let kept = Array(played.dropFirst(milliseconds * 8))
            played = Array(played.prefix(milliseconds * 8))
            _ = try harness.push(.bargeIn(.started))
            #expect(try harness.advance(by: .milliseconds(700)).isEmpty, "the keys wait too")
            time += 700
            played += [Int16](repeating: 0, count: 5600)
            if isDismissed {
                played += kept
                played += try harness.push(.bargeIn(.dismissed)).samples
            } else {
                played += try harness.push(.interruption(Interruption(generation: 1, cause: "test"))).samples
            }
        }
        #expect(try detected(played) == "4715")
    }

    @Test func aHangupWaitsForTheKeys() throws {
        var harness = try DTMF().harness(["mode": "generate"])
        for digit in "98" { _ = try harness.push(.dtmf(digit)) }
        _ = try harness.push(.dtmf("7"))
        let frames = try harness.push(.hangup(EndReason(.agentHungUp)))
        guard case .hangup? = frames.last else {
            Issue.record("the hangup must come last")
            return
        }
        #expect(frames.keys.hasSuffix("7") && harness.processor.deadline == nil)
    }
}
