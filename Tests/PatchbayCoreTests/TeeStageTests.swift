import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTesting
import Synchronization
import Testing

@Suite struct TeeStageTests {
    private let notes = Notes()

    private func harness(_ stages: [Stage], capacity: Int = 64) -> ProcessorHarness<TeeStage> {
        var tee = TeeStage(stages, capacity: capacity)
        tee.attach(nowhere)
        return ProcessorHarness(tee)
    }

    @Test func theMainChainComesFirst() throws {
        var harness = harness([stage(Spy(notes))])
        let frames: [Frame] = [
            .callStarted(CallStart(callSid: "CA1", streamSid: "MZ1")), sound([1, 2, 3]), .dtmf("5"), text("hello"),
            .utteranceEnded(generation: 0),
        ]
        for frame in frames { #expect(try harness.push(frame).words == [word(frame)]) }
        #expect(notes.lines.isEmpty, "nothing runs before the step is over")
        #expect(harness.processor.deadline == harness.now)
        #expect(try harness.advance(by: .zero).isEmpty, "what leaves the side chain is dropped")
        #expect(notes.lines == frames.words)
        #expect(harness.processor.deadline == nil)
    }

    @Test func copiesCarryTheSameSamples() throws {
        final class Ear: Sendable { let heard = Mutex<[Int16]>([]) }
        struct Listener: Processor {
            let ear: Ear
            mutating func receive(
                _ frame: Frame, at now: MediaTime, into output: inout FrameOutput
            ) throws(PipelineError) {
                ear.heard.withLock { $0 += [frame].samples }
            }
        }
        let ear = Ear()
        var harness = harness([stage(Listener(ear: ear))])
        for start in stride(from: Int16(0), to: 4000, by: 160) {
            _ = try harness.push(sound(start..<start + 160))
            if start % 480 == 0 { _ = try harness.advance(by: .milliseconds(20)) }
        }
        _ = try harness.advance(by: .milliseconds(20))
        #expect(ear.heard.withLock { $0 } == Array(0..<4000))
    }

    @Test func nobodyElseHoldsABufferOfTheMainChain() throws {
        var harness = harness([stage(Spy(notes))])
        var payload = ByteBuffer(repeating: 7, count: 160)
        _ = try harness.push(.audio(AudioFrame(payload, format: .telephony)))
        #expect(payload.modifyIfUniquelyOwned { $0.clear() } != nil, "a stage in front can write it again")
    }

    @Test func aFullQueueGivesUpTheOldestDataOnly() throws {
        var harness = harness([stage(Spy(notes))], capacity: 3)
        for frame in [
            text("1"), .dtmf("*"), text("2"), .speechStarted, text("3"), .hangup(EndReason(.idle)), .dtmf("#"),
        ] {
            #expect(try harness.push(frame).count == 1)
        }
        _ = try harness.advance(by: .zero)
        #expect(notes.lines == ["key *", "speech", "?", "key #"])
        #expect(harness.processor.droppedCount == 3)
        notes.clear()
        for index in 0..<5 { _ = try harness.push(text("\(index)")) }
        _ = try harness.advance(by: .zero)
        #expect(notes.lines == ["2", "3", "4"])
    }

    @Test func whatWasCutDiesWhereItWaits() throws {
        var harness = harness([stage(Spy(notes))])
        for frame in [
            text("old", generation: 1), .interruption(Interruption(generation: 2, cause: "test")),
            text("stale", generation: 1), text("new", generation: 2),
        ] { _ = try harness.push(frame) }
        _ = try harness.advance(by: .zero)
        #expect(notes.lines == ["cut 2", "new"])
    }

    @Test func theSideChainCannotAskForAnything() throws {
        var harness = harness([stage(Spy(notes, requests: [.bargeIn(.confirmed), .interruptible(false)]))])
        _ = try harness.push(.dtmf("1"))
        _ = try harness.advance(by: .milliseconds(20))
        #expect(harness.takeUpstream().isEmpty)
        #expect(notes.lines == ["key 1"])
    }

    @Test func deadlinesInsideAreHonoured() throws {
        var harness = harness([
            stage(Spy("a ", notes, patience: .milliseconds(50))), stage(Spy("b ", notes)),
        ])
        _ = try harness.push(text("x"))
        _ = try harness.advance(by: .milliseconds(40))
        #expect(notes.lines == ["a x", "b x"])
        #expect(harness.processor.deadline == MediaTime(milliseconds: 50))
        #expect(try harness.advance(by: .milliseconds(20)).isEmpty)
        #expect(notes.lines == ["a x", "b x", "a late", "b late"])
        #expect(harness.processor.deadline == nil)
    }

    @Test func theEndIsHeardAtOnce() throws {
        var harness = harness([stage(Spy(notes))])
        _ = try harness.push(text("goodbye"))
        #expect(try harness.push(.callEnded(EndReason(.callerHungUp))).words == ["end"])
        #expect(notes.lines == ["goodbye", "end"])
    }

    @Test func aFailureSwitchesTheSideChainOff() throws {
        var harness = harness([
            stage(Spy("a ", notes)), stage(Spy("b ", notes, throwsAt: "bomb"), "stages[0].stages[1]"),
        ])
        for frame in [text("fine"), text("bomb"), text("bomb")] { #expect(try harness.push(frame).count == 1) }
        let failures = try harness.advance(by: .milliseconds(40))
        #expect(
            failures.words == [
                "failure stages[0].stages[1] (spy): bomb is too much; the side chain is off from here on, the call goes on [stage-failed]"
            ])
        #expect(notes.lines == ["a fine", "b fine", "a bomb", "b bomb"])
        #expect(try harness.push(text("on")).words == ["on"], "the main chain goes on")
        #expect(try harness.advance(by: .milliseconds(40)).isEmpty)
        #expect(harness.processor.deadline == nil && !harness.processor.isRunning)
        #expect(notes.lines.count == 4)
    }

    @Test func noDelayAndNoMarks() {
        let tee = TeeStage([stage(Spy("", notes, delay: .milliseconds(30), marksSpeech: true))])
        #expect(tee.delay == .zero && !tee.marksSpeech)
    }

    // MARK: Asynchronous stages

    @Test func resultsStayInTheSideChain() throws {
        let door = Patient.Door()
        var harness = harness([stage(Spy("a ", notes)), stage(Patient(door: door)), stage(Spy("b ", notes))])
        door.deliver([text("result"), .interruption(Interruption(generation: 9, cause: "it wants to"))])
        #expect(notes.lines.isEmpty, "not before the call's next step")
        #expect(harness.processor.deadline == harness.now)
        #expect(try harness.advance(by: .milliseconds(20)).isEmpty)
        #expect(notes.lines == ["b result"])
        #expect(harness.takeUpstream().isEmpty && harness.processor.deadline == nil)
    }

    @Test func staleResultsDie() throws {
        let door = Patient.Door()
        var harness = harness([stage(Patient(door: door)), stage(Spy(notes))])
        _ = try harness.push(.interruption(Interruption(generation: 2, cause: "test")))
        door.deliver([text("old", generation: 1), text("new", generation: 2)])
        _ = try harness.advance(by: .milliseconds(20))
        #expect(notes.lines == ["cut 2", "new"])
    }

    @Test func resultsThatNobodyFetchesAreBounded() throws {
        let door = Patient.Door()
        var harness = harness([stage(Patient(door: door)), stage(Spy(notes))])
        door.deliver((0..<300).map { text("\($0)") })
        _ = try harness.advance(by: .milliseconds(20))
        #expect(notes.lines == (44..<300).map { "\($0)" })
    }

    @Test func anErrorThereSwitchesItOff() throws {
        let door = Patient.Door()
        var harness = harness([stage(Spy(notes)), stage(Patient(door: door), "stages[3].stages[1]")])
        door.fail(PipelineError(.stageFailed, "the service is gone"))
        door.fail(PipelineError(.stageFailed, "still gone"))
        let failures = try harness.advance(by: .milliseconds(20))
        #expect(failures.count == 1)
        #expect(failures.words.first?.hasPrefix("failure stages[3].stages[1] (spy): the service is gone;") == true)
        door.deliver([text("too late")])
        #expect(try harness.advance(by: .milliseconds(20)).isEmpty)
        #expect(try harness.push(text("on")).words == ["on"])
    }

    @Test func aRealAsyncStageComesBackBehindItself() async throws {
        /// Answers in capitals, and tells when it has begun with a frame: what came before has been delivered then.
        struct Shout: AsyncProcessor {
            let begun: AsyncStream<Void>.Continuation
            func process(_ frame: Frame) async throws -> [Frame] {
                begun.yield()
                guard case .text(let words) = frame else { return [] }
                return [text(words.text.uppercased())]
            }
        }
        let (begun, source) = AsyncStream<Void>.makeStream()
        var harness = harness([stage(AsyncStage(Shout(begun: source))), stage(Spy(notes))])
        _ = try harness.push(text("a"))
        _ = try harness.push(text("b"))
        #expect(try harness.advance(by: .milliseconds(20)).isEmpty)
        var count = 0
        for await _ in begun {
            count += 1
            if count == 2 { break }
        }
        #expect(try harness.advance(by: .milliseconds(20)).isEmpty)
        #expect(notes.lines.first == "A")
    }

    // MARK: In a call

    /// Collects what a call notes as a whole.
    private final class Events: CallObserver {
        let failures = Notes()
        func observe(_ frame: Frame, at joint: Joint, time: MediaTime) {}
        func observe(_ event: CallEvent, time: MediaTime) {
            if case .stageFailed(let error) = event { failures.add(error.place) }
        }
    }

    @Test(arguments: [Leg.toAgent, .toCaller]) func aCallSurvivesItsSideChain(leg: Leg) throws {
        struct Bomb: Processor {
            mutating func receive(
                _ frame: Frame, at now: MediaTime, into output: inout FrameOutput
            ) throws(PipelineError) {
                if case .audio = frame { throw PipelineError(.stageFailed, "no") }
            }
        }
        let events = Events()
        let tee = [stage(TeeStage([stage(Bomb(), "stages[1].stages[0]")]), "stages[1]")]
        var harness = try makeHarness(
            toAgent: leg == .toAgent ? tee : [], toCaller: leg == .toCaller ? tee : [], observers: [events])
        harness.begin()
        harness.agent("audio 40 1600")
        harness.advance(200) { $0.carrier("audio 7F 160") }
        #expect(events.failures.lines == ["stages[1].stages[0] (spy)"])
        #expect(harness.end == nil)
        #expect(harness.carrierTexts("audio").count == 10)
        #expect(harness.agentTexts("heard").count == 10)
        #expect(harness.agentTexts("?").isEmpty && harness.carrierTexts("failure").isEmpty)
    }
}
