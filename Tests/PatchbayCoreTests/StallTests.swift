import NIOCore
import PatchbayAudio
import PatchbayTesting
import Synchronization
import Testing

@testable import PatchbayCore

@Suite struct StallTests {
    /// An agent that sends its audio as it speaks it, silence included: speech for a second, a pause for a second.
    private func live(_ call: inout CallHarness, _ tick: Int) {
        call.agent(tick % 100 < 50 ? "audio 10 160" : "audio ff 160")
    }

    @Test func afterAStallNoWordIsLostAndNoDelayStays() throws {
        var call = try makeHarness()
        call.begin()
        var tick = 0
        call.advance(2100) { call in
            call.carrier("audio 7f 160 \(tick + 1) \(tick * 20)")
            self.live(&call, tick)
            tick += 1
        }
        let delayBefore = call.call.ledger.unplayed(at: call.now)
        // The process stands still for 500 ms; then everything that came meanwhile is read at once.
        call.stall(500)
        let heard = call.agentTexts("heard 160").count
        for _ in 0..<25 {
            call.carrier("audio 7f 160 \(tick + 1) \(tick * 20)")
            live(&call, tick)
            tick += 1
        }
        #expect(call.agentTexts("heard 160").count == heard + 25, "the backlog goes to the agent at once")
        let behind = call.call.ledger.unplayed(at: call.now).milliseconds + Int64(call.call.waitingAgentBytes / 8)
        #expect(behind > 300, "playback has fallen behind")
        call.advance(3000) { call in
            call.carrier("audio 7f 160 \(tick + 1) \(tick * 20)")
            self.live(&call, tick)
            tick += 1
        }
        let delay = call.call.ledger.unplayed(at: call.now).milliseconds + Int64(call.call.waitingAgentBytes / 8)
        #expect(delay <= delayBefore.milliseconds + 20, "after the next pause the delay is what it was")
        let spoken = call.carrierTexts("audio 10").count
        let expected = (0..<tick).filter { $0 % 100 < 50 }.count
        #expect(spoken == expected, "every packet of speech was played")
        #expect(call.call.counters.silenceSkipped > .milliseconds(200))
        #expect(call.call.counters.lateDropped == .zero)
        #expect(call.call.ledger.debt <= .milliseconds(40))
    }

    @Test func jitterIsNoStall() throws {
        var call = try makeHarness()
        call.begin()
        // Live silence that comes 0 to 39 ms late.
        for packet in 0..<500 {
            let due = MediaTime(milliseconds: 1000 + Int64(packet) * 20 + Int64(packet * 7 % 40))
            while call.now < due { call.advance(min(1, (due - call.now).milliseconds)) }
            call.agent("audio ff 160")
        }
        #expect(call.carrierTexts("audio").count == 500, "every packet is played")
        #expect(call.call.counters.silenceSkipped == .zero)
    }

    @Test func aPauseKeepsWhatSpeechNeeds() throws {
        var skipper = SilenceSkipper()
        let silence = AudioFrame(ByteBuffer(repeating: 0xFF, count: 160), format: .telephony)
        let skipped = (0..<10).map { _ in skipper.canSkip(silence) }
        #expect(skipped == [false, false, false, true, true, true, true, true, true, true])
        let speech = AudioFrame(ByteBuffer(repeating: 0x10, count: 160), format: .telephony)
        let isSkipped = skipper.canSkip(speech)
        #expect(!isSkipped)
    }

    @Test func whatIsOlderThanTwoSecondsIsNotGivenToTheAgent() throws {
        var call = try makeHarness()
        call.begin()
        for tick in 0..<10 {
            call.carrier("audio 7f 160 \(tick + 1) \(tick * 20)")
            call.advance(20)
        }
        call.stall(3000)
        for tick in 10..<160 { call.carrier("audio 7f 160 \(tick + 1) \(tick * 20)") }
        let heard = call.agentTexts("heard 160").count
        #expect((108...112).contains(heard), "ten before the stall, and the newest two seconds: \(heard)")
        #expect(call.call.counters.lateDropped >= .milliseconds(960))
    }

    @Test func holesAreFoundByTimestamp() {
        var track = CallerTrack(start: MediaTime(milliseconds: 1000))
        let packet = TimeSpan.milliseconds(20)
        func at(_ milliseconds: Int64) -> MediaTime { MediaTime(milliseconds: 1000 + milliseconds) }
        let first = track.place(0, lasting: packet, at: at(20))
        let second = track.place(20, lasting: packet, at: at(45))
        let third = track.place(100, lasting: packet, at: at(120))
        #expect(first == .init(position: .zero, gap: .zero, lateness: .zero))
        #expect(second == .init(position: packet, gap: .zero, lateness: .milliseconds(5)))
        #expect(third == .init(position: .milliseconds(100), gap: .milliseconds(60), lateness: .zero))
        let restarted = track.place(0, lasting: packet, at: at(140))
        #expect(restarted.position == .milliseconds(120) && restarted.gap == .zero)
        let absurd = track.place(.max, lasting: packet, at: at(160))
        #expect(absurd.position == .milliseconds(140) && absurd.gap == .zero)
    }

    @Test func aCarrierThatLeavesOutSilenceDoesNotMakeTheAgentDeaf() throws {
        var call = try makeHarness()
        call.begin()
        // No timestamps, and five seconds of silence that are not sent.
        for tick in 0..<50 {
            call.carrier("audio 7f 160 \(tick + 1)")
            call.advance(20)
        }
        call.advance(5000)
        for tick in 50..<200 {
            call.carrier("audio 7f 160 \(tick + 1)")
            call.advance(20)
        }
        let dropped = call.call.counters.lateDropped
        #expect(dropped > .zero && dropped <= .milliseconds(1040), "a second, and then the clock is set anew: \(dropped)")
        #expect(call.agentTexts("heard 160").count >= 148)
    }

    @Test func tapsHearBothSidesOnOneClock() throws {
        let tap = TapLog()
        var call = try makeHarness(taps: [tap])
        call.begin()
        call.agent("audio 40 16000")
        call.advance(500) { call in
            let elapsed = (call.now - MediaTime(milliseconds: 1000)).milliseconds
            call.carrier("audio 7f 160 \(elapsed / 20 + 1) \(elapsed)")
        }
        call.agent("interrupt")
        call.hangUp(EndReason(.operatorHungUp))
        let entries = tap.entries
        let agent = entries.filter { $0.hasPrefix("agent") }
        #expect(agent.first == "agent 160 at 0 ms")
        #expect(Array(agent.prefix(3)) == ["agent 160 at 0 ms", "agent 160 at 20 ms", "agent 160 at 40 ms"])
        #expect(entries.contains("caller 160 at 20 ms") && entries.contains("caller 160 at 480 ms"))
        #expect(entries.contains { $0.hasPrefix("cut at 5") || $0 == "cut at 500 ms" })
    }
}

private final class TapLog: MediaTap {
    private let state = Mutex<[String]>([])
    var entries: [String] { state.withLock { $0 } }
    private func write(_ text: String) { state.withLock { $0.append(text) } }
    func callerAudio(_ payload: ByteBuffer, at position: TimeSpan) {
        write("caller \(payload.readableBytes) at \(position.milliseconds) ms")
    }
    func agentAudio(_ payload: ByteBuffer, at position: TimeSpan) {
        write("agent \(payload.readableBytes) at \(position.milliseconds) ms")
    }
    func agentCut(at position: TimeSpan) { write("cut at \(position.milliseconds) ms") }
    func recording(_ command: RecordingCommand, at position: TimeSpan) {
        write("\(command) at \(position.milliseconds) ms")
    }
    func ended(at position: TimeSpan) { write("ended at \(position.milliseconds) ms") }
}
