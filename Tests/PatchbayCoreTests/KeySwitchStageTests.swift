import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTesting
import Testing

@Suite struct KeySwitchStageTests {
    private let notes = Notes()

    private func harness(
        _ cases: [Character: [any Processor]], otherwise: [any Processor] = []
    ) -> ProcessorHarness<KeySwitchStage> {
        var keySwitch = KeySwitchStage(
            cases: Dictionary(
                uniqueKeysWithValues: cases.map { key, processors in
                    (key, processors.map { stage($0, "stages[2].cases.\(key)[0]") })
                }),
            otherwise: otherwise.map { stage($0) })
        keySwitch.attach(nowhere)
        return ProcessorHarness(keySwitch)
    }

    @Test func theLastKeyChooses() throws {
        var harness = harness(["1": [Spy("one ", notes)], "2": [Spy("two ", notes)]], otherwise: [Spy("- ", notes)])
        var seen: [String] = []
        for frame in [text("a"), .dtmf("7"), text("b"), .dtmf("1"), text("c"), .dtmf("1"), .dtmf("2"), text("d")] {
            seen += try harness.push(frame).words
        }
        #expect(seen == ["a", "key 7", "b", "key 1", "c", "key 1", "key 2", "d"], "each once, in order")
        let data = notes.lines.filter { !$0.contains("key") }
        #expect(data == ["- a", "- b", "- utterance over", "one c", "one utterance over", "two d"])
        #expect(notes.lines.filter { $0 == "two key 1" }.count == 2, "system frames are shown to every branch")
        #expect(harness.processor.key == "2")
    }

    @Test func aBranchMayBeEmpty() throws {
        var harness = harness(["1": []])
        #expect(try harness.push(text("a")).words == ["a"])
        #expect(try harness.push(.dtmf("1")).words == ["key 1"])
        #expect(try harness.push(text("b")).words == ["b"])
    }

    /// Holds the last samples back until the utterance ends.
    private struct Late: Processor {
        let count: Int
        var held: [Int16] = []

        mutating func receive(
            _ frame: Frame, at now: MediaTime, into output: inout FrameOutput
        ) throws(PipelineError) {
            switch frame {
            case .audio:
                held += [frame].samples
                let ready = max(0, held.count - count)
                if ready > 0 { output.emit(sound(held.prefix(ready))) }
                held.removeFirst(ready)
            case .utteranceEnded:
                if !held.isEmpty { output.emit(sound(held)) }
                held = []
                output.emit(frame)
            default: output.emit(frame)
            }
        }
    }

    @Test func noSampleIsLostDoubledOrMoved() throws {
        var harness = harness(["1": [Late(count: 300)], "2": []], otherwise: [Late(count: 37), Late(count: 100)])
        var seen: [Frame] = []
        for packet in 0..<40 {
            let start = Int16(packet) * 160
            seen += try harness.push(sound(start..<start + 160))
            let keys: [Int: Character] = [3: "1", 9: "2", 11: "1", 12: "2", 20: "1"]
            if let key = keys[packet] { seen += try harness.push(.dtmf(key)) }
            seen += try harness.advance(by: .milliseconds(20))
        }
        #expect(!seen.words.contains("utterance over"), "what flushes a branch is nobody else's business")
        seen += try harness.push(.utteranceEnded(generation: 0))
        #expect(seen.samples == Array(0..<40 * 160))
        #expect(seen.words.last == "utterance over")
    }

    /// Changes the sample rate.
    private struct Resampling: Processor {
        var converter: FormatConverter
        init() throws { converter = try FormatConverter(from: .pcm(8000), to: .pcm(16000)) }
        var delay: TimeSpan { converter.delay }

        mutating func receive(
            _ frame: Frame, at now: MediaTime, into output: inout FrameOutput
        ) throws(PipelineError) {
            switch frame {
            case .audio(let audio):
                output.emit(.audio(AudioFrame(converter.convert(audio.payload), format: .pcm(16000))))
            case .utteranceEnded:
                output.emit(.audio(AudioFrame(converter.flush(), format: .pcm(16000))))
                output.emit(frame)
            default: output.emit(frame)
            }
        }
    }

    @Test func aToneSurvivesTheChange() throws {
        var harness = harness(["1": [try Resampling()]], otherwise: [try Resampling()])
        var alone = ProcessorHarness(try Resampling())
        let tone = Tone(700).samples(count: 1280, sampleRate: 8000)
        var seen: [Frame] = [], expected: [Frame] = []
        for half in 0..<2 {
            for packet in 0..<4 {
                let frame = sound(tone[(half * 4 + packet) * 160..<(half * 4 + packet + 1) * 160])
                seen += try harness.push(frame)
                expected += try alone.push(frame)
            }
            seen += try harness.push(half == 0 ? .dtmf("1") : .utteranceEnded(generation: 0))
            expected += try alone.push(.utteranceEnded(generation: 0))
        }
        #expect(seen.samples == expected.samples)
        // Both tails are longer than the sound by what the filters held back.
        #expect((2560...2640).contains(seen.samples.count), "\(seen.samples.count) samples for 1280 at half the rate")
        let level = Tone.level(of: 700, in: Array(seen.samples.prefix(1280)), sampleRate: 16000)
        #expect(abs(level + 12) < 0.5, "heard at \(level) dBFS")
    }

    @Test func onlyTheChosenBranchIsHeardUpstream() throws {
        var harness = harness(
            ["1": [Spy(notes, requests: [.recording(.pause)])]],
            otherwise: [Spy(notes, requests: [.recording(.resume)])])
        _ = try harness.push(.dtmf("5"))
        #expect(harness.takeUpstream().words == ["resume"])
        _ = try harness.push(.dtmf("1"))
        #expect(harness.takeUpstream().words == ["pause"])
    }

    @Test func protectionFollowsTheChoice() throws {
        var harness = harness(["1": [Spy(notes, requests: [.interruptible(false)])], "2": []])
        _ = try harness.push(.dtmf("5"))
        #expect(harness.takeUpstream().isEmpty, "the branch that asks is not chosen")
        _ = try harness.push(.dtmf("1"))
        #expect(harness.takeUpstream().words == ["lock", "lock"])
        _ = try harness.push(.dtmf("2"))
        #expect(harness.takeUpstream().words == ["unlock"])
    }

    /// Marks what texts say.
    private struct Marker: Processor {
        mutating func receive(
            _ frame: Frame, at now: MediaTime, into output: inout FrameOutput
        ) throws(PipelineError) {
            guard case .text(let text) = frame else { return output.emit(frame) }
            switch text.text {
            case "speech": output.emit(.speechStarted)
            case "silence": output.emit(.speechStopped)
            case "turn": output.emit(.userTurnStarted)
            case "barge": output.emitUpstream(.bargeIn(.started))
            default: break
            }
        }
    }

    @Test func whatABranchBeganIsEndedForIt() throws {
        var harness = harness(["1": []], otherwise: [Marker()])
        for words in ["speech", "turn", "barge"] { _ = try harness.push(text(words)) }
        _ = harness.takeUpstream()
        #expect(try harness.push(.dtmf("1")).words == ["silence", "turn over", "key 1"])
        #expect(harness.takeUpstream().words == ["dismissed"])
    }

    @Test func whatABranchStillTakesForOpenBeginsAgain() throws {
        var harness = harness(["1": [Marker()], "2": []])
        _ = try harness.push(.dtmf("1"))
        for words in ["speech", "turn"] { _ = try harness.push(text(words)) }
        #expect(try harness.push(.dtmf("2")).words == ["silence", "turn over", "key 2"])
        #expect(try harness.push(.dtmf("1")).words == ["speech", "turn", "key 1"])
        #expect(try harness.push(text("silence")).words.contains("silence"), "its end has a beginning")
        #expect(try harness.push(.dtmf("2")).words == ["turn over", "key 2"])
    }

    @Test func whatOthersBeganIsTheirs() throws {
        var harness = harness(["1": []], otherwise: [Marker()])
        _ = try harness.push(.speechStarted)
        _ = try harness.push(text("speech"))
        _ = try harness.push(text("silence"))
        #expect(try harness.push(.dtmf("1")).words == ["key 1"])
    }

    @Test func theTailIsNotStale() throws {
        var harness = harness(["1": []], otherwise: [Late(count: 10), Spy(notes)])
        _ = try harness.push(.interruption(Interruption(generation: 7, cause: "test")))
        _ = try harness.push(.dtmf("1"))
        #expect(notes.lines == ["cut 7", "utterance over", "key 1"])
    }

    @Test func deadlinesOfEveryBranchAreHonoured() throws {
        var harness = harness(
            ["1": [Spy("one ", notes, patience: .milliseconds(50))]],
            otherwise: [Spy("- ", notes, patience: .milliseconds(90))])
        _ = try harness.push(text("x"))
        _ = try harness.push(.dtmf("1"))
        _ = try harness.push(text("y"))
        #expect(harness.processor.deadline == MediaTime(milliseconds: 50))
        #expect(try harness.advance(by: .milliseconds(60)).words == ["late"])
        #expect(try harness.advance(by: .milliseconds(60)).isEmpty, "the other branch is not heard")
        #expect(notes.lines.suffix(2) == ["one late", "- late"])
        #expect(harness.processor.deadline == nil)
    }

    @Test func theLongestDelayAndMarksOfAll() {
        let slow = stage(Spy("", notes, delay: .milliseconds(30), marksSpeech: true))
        let fast = stage(Spy("", notes, delay: .milliseconds(2), marksSpeech: true))
        let deaf = stage(Spy(notes))
        #expect(KeySwitchStage(cases: ["1": [fast, fast]], otherwise: [slow]).delay == .milliseconds(30))
        #expect(KeySwitchStage(cases: ["1": [fast, deaf]], otherwise: [slow]).marksSpeech)
        #expect(!KeySwitchStage(cases: ["1": [deaf]], otherwise: [slow]).marksSpeech)
        #expect(!KeySwitchStage(cases: ["1": [fast]], otherwise: []).marksSpeech)
    }

    @Test func anErrorSaysWhere() {
        var harness = harness(["1": [Spy(notes, throwsAt: "bomb")]])
        #expect {
            _ = try harness.push(.dtmf("1"))
            _ = try harness.push(text("bomb"))
        } throws: {
            ($0 as? PipelineError)?.place == "stages[2].cases.1[0] (spy)"
        }
    }

    // MARK: Asynchronous stages

    @Test func resultsComeBackBehindTheirStage() throws {
        let door = Patient.Door()
        var harness = harness(
            ["1": [Spy("a ", notes), Patient(door: door), Spy("b ", notes)]], otherwise: [Spy("- ", notes)])
        _ = try harness.push(.dtmf("1"))
        notes.clear()
        door.deliver([text("result")])
        #expect(harness.processor.deadline == harness.now)
        #expect(try harness.advance(by: .milliseconds(20)).words == ["result"])
        #expect(notes.lines == ["b result"])
    }

    @Test func resultsOfABranchThatIsNotChosenAreDropped() throws {
        let door = Patient.Door()
        var harness = harness(["1": [Patient(door: door), Spy("b ", notes)]])
        door.deliver([text("result"), .interruption(Interruption(generation: 1, cause: "it wants to"))])
        #expect(try harness.advance(by: .milliseconds(20)).isEmpty)
        #expect(notes.lines == ["b result"] && harness.takeUpstream().isEmpty)
    }

    @Test func aResultMayCutTheAgent() throws {
        let door = Patient.Door()
        var harness = harness(["1": []], otherwise: [Patient(door: door)])
        door.deliver([.interruption(Interruption(generation: 1, cause: "it wants to"))])
        #expect(try harness.advance(by: .milliseconds(20)).isEmpty)
        #expect(harness.takeUpstream().words == ["cut 1"])
    }

    @Test func anErrorThereEndsTheCall() throws {
        let door = Patient.Door()
        var alone = harness(["1": [Patient(door: door)]])
        door.fail(PipelineError(.stageFailed, "the service is gone"))
        #expect { _ = try alone.advance(by: .milliseconds(20)) } throws: {
            "\($0)" == "stages[2].cases.1[0] (spy): the service is gone [stage-failed]"
        }
    }
}
