import PatchbayCore
import PatchbayProcessors
import PatchbayTesting
import Testing

/// Timelines are drawn with one character for 20 ms: a letter is a packet of that letter, a dot is nothing.
@Suite struct StereoTimelineTests {
    private static let cell = 160

    private func packet(_ letter: Character) -> [Int16] {
        Array(repeating: Int16(letter.asciiValue ?? 0), count: Self.cell)
    }

    private func millis(_ cells: Int) -> TimeSpan { .milliseconds(Int64(cells) * 20) }

    /// What each 20 ms of a channel hold; `?` where they are not the same throughout.
    private func drawn(_ stereo: [Int16], channel: Int) -> String {
        let samples = stride(from: channel, to: stereo.count, by: 2).map { stereo[$0] }
        return String(
            stride(from: 0, to: samples.count, by: Self.cell).map { start -> Character in
                let part = Set(samples[start..<min(start + Self.cell, samples.count)])
                guard part.count == 1, let value = part.first else { return "?" }
                return value == 0 ? "." : Character(UnicodeScalar(UInt8(truncatingIfNeeded: value)))
            })
    }

    /// Draws both channels of a recording that ends with its last sound, or at `end` cells.
    private func expect(
        _ timeline: inout StereoTimeline, caller: String, agent: String, end: Int? = nil,
        _ location: SourceLocation = #_sourceLocation
    ) {
        timeline.end(at: end.map(millis))
        var stereo: [Int16] = []
        timeline.takeFinal(into: &stereo)
        #expect(drawn(stereo, channel: 0) == caller, sourceLocation: location)
        #expect(drawn(stereo, channel: 1) == agent, sourceLocation: location)
    }

    private func feed(_ timeline: inout StereoTimeline, caller: String = "", agent: String = "") {
        for (index, letter) in caller.enumerated() where letter != "." {
            packet(letter).withUnsafeBufferPointer { timeline.callerAudio($0, at: millis(index)) }
        }
        for (index, letter) in agent.enumerated() where letter != "." {
            packet(letter).withUnsafeBufferPointer { timeline.agentAudio($0, at: millis(index)) }
        }
    }

    @Test func bothSidesStandWhereTheyWereHeard() {
        var timeline = StereoTimeline(sampleRate: 8000)
        feed(&timeline, caller: "aab..cc", agent: "..xxy")
        expect(&timeline, caller: "aab..cc", agent: "..xxy..")
    }

    @Test(arguments: ["ab.cdefghijklmnopqrstuvwxyz", "ab.c", ".ab", "a...........b", "abc.d.e..fghijklmnopqrs"])
    func aHoleIsSilenceOfItsLength(picture: String) {
        var timeline = StereoTimeline(sampleRate: 8000)
        feed(&timeline, caller: picture)
        expect(&timeline, caller: picture, agent: String(repeating: ".", count: picture.count))
    }

    @Test func aCutTakesAwayWhatWasNotHeard() {
        var timeline = StereoTimeline(sampleRate: 8000)
        feed(&timeline, caller: "aaaa", agent: "xxxxxxxx")
        timeline.agentCut(at: millis(3))
        packet("y").withUnsafeBufferPointer { timeline.agentAudio($0, at: millis(5)) }
        feed(&timeline, caller: "....aaaa")
        expect(&timeline, caller: "aaaaaaaa", agent: "xxx..y..")
    }

    @Test func theEndCutsWhatIsStillToBePlayedAndPadsToTheTrueLength() {
        var timeline = StereoTimeline(sampleRate: 8000)
        feed(&timeline, caller: "aaa", agent: ".xxxxxx")
        expect(&timeline, caller: "aaa..", agent: ".xxxx", end: 5)
        // Nothing is taken afterwards.
        feed(&timeline, caller: ".....bbb")
        var more: [Int16] = []
        timeline.takeFinal(into: &more)
        #expect(more.isEmpty)
    }

    @Test func aPauseSilencesBothSidesForItsTrueLength() {
        var timeline = StereoTimeline(sampleRate: 8000)
        feed(&timeline, caller: "aaa", agent: "xxxxxx")
        timeline.pause(at: millis(3))
        // Heard while it is paused, although the carrier's clock is behind ours.
        packet("S").withUnsafeBufferPointer { timeline.callerAudio($0, at: millis(3)) }
        packet("S").withUnsafeBufferPointer { timeline.callerAudio($0, at: millis(4)) }
        timeline.resume(at: millis(5))
        feed(&timeline, caller: ".....bbb", agent: "......yy")
        expect(&timeline, caller: "aaa..bbb", agent: "xxx..xyy")
    }

    @Test func aPauseWithoutEndLastsToTheEndAndRepeatedCommandsChangeNothing() {
        var timeline = StereoTimeline(sampleRate: 8000)
        feed(&timeline, caller: "aa")
        timeline.resume(at: millis(1))
        timeline.pause(at: millis(2))
        timeline.pause(at: millis(4))
        feed(&timeline, caller: "..SSSS", agent: "..SSSS")
        expect(&timeline, caller: "aa....", agent: "......")
    }

    @Test func latePacketsFillTheirHoleAndDuplicatesChangeNothing() {
        var timeline = StereoTimeline(sampleRate: 8000)
        feed(&timeline, caller: "ab.d....i")
        packet("c").withUnsafeBufferPointer { timeline.callerAudio($0, at: millis(2)) }
        packet("f").withUnsafeBufferPointer { timeline.callerAudio($0, at: millis(5)) }
        packet("B").withUnsafeBufferPointer { timeline.callerAudio($0, at: millis(1)) }
        packet("j").withUnsafeBufferPointer { timeline.callerAudio($0, at: millis(9)) }
        expect(&timeline, caller: "abcd.f..ij", agent: "..........")
        #expect(timeline.trimmedSamples == Self.cell)
    }

    @Test func anOverlapIsTrimmed() {
        var timeline = StereoTimeline(sampleRate: 8000)
        feed(&timeline, agent: "xxxx")
        packet("y").withUnsafeBufferPointer { timeline.agentAudio($0, at: .milliseconds(70)) }
        timeline.end(at: nil)
        var stereo: [Int16] = []
        timeline.takeFinal(into: &stereo)
        let agent = stride(from: 1, to: stereo.count, by: 2).map { stereo[$0] }
        #expect(agent == Array(repeating: 120, count: 640) + Array(repeating: 121, count: 80))
    }

    @Test func jitterOfPositionsMakesNeitherGapsNorOverlaps() {
        var generator = SplitMix(seed: 4)
        var timeline = StereoTimeline(sampleRate: 8000)
        var expected: [Int16] = []
        var stereo: [Int16] = []
        for index in 0..<200 {
            let run = (0..<160).map { Int16(1 + ($0 + index * 160) % 30_000) }
            expected += run
            let jitter = index == 0 ? 0 : Int64(generator.next() % 25) - 12
            run.withUnsafeBufferPointer {
                timeline.callerAudio($0, at: .milliseconds(Int64(index) * 20 + jitter))
            }
            if index % 10 == 9 { timeline.takeFinal(into: &stereo) }
        }
        timeline.end(at: nil)
        timeline.takeFinal(into: &stereo)
        #expect(stride(from: 0, to: stereo.count, by: 2).map { stereo[$0] } == expected, "seed 4")
    }

    @Test func roundedPositionsOfOddRatesAddUp() {
        // 20 ms of 11,025 Hz are 220.5 samples; a carrier sends 220 and rounds its timestamps to milliseconds.
        var timeline = StereoTimeline(sampleRate: 11_025)
        let run = [Int16](repeating: 5, count: 220)
        for index in 0..<1000 {
            let start = Int64(index) * 220 * 1_000_000_000 / 11_025
            run.withUnsafeBufferPointer {
                timeline.callerAudio($0, at: .milliseconds(start / 1_000_000))
                timeline.agentAudio($0, at: TimeSpan(nanoseconds: start))
            }
        }
        timeline.end(at: nil)
        var stereo: [Int16] = []
        timeline.takeFinal(into: &stereo)
        #expect(stereo == [Int16](repeating: 5, count: 2 * 220_000))
    }

    @Test(arguments: 1...20)
    func anyHolesAndCutsAgreeWithPaintingOnACanvas(seed: UInt64) {
        var generator = SplitMix(seed: seed)
        var timeline = StereoTimeline(sampleRate: 8000)
        var canvas = [Int16](repeating: 0, count: 2 * 160 * 300)
        var stereo: [Int16] = []
        var agentEnd = 0
        for index in 0..<250 {
            let now = index * 160
            if generator.next() % 6 != 0 {
                let run = (0..<160).map { Int16(1 + $0 + index) }
                run.withUnsafeBufferPointer { timeline.callerAudio($0, at: millis(index)) }
                for (offset, sample) in run.enumerated() { canvas[2 * (now + offset)] = sample }
            }
            if generator.next() % 20 == 0 {
                timeline.agentCut(at: millis(index))
                for sample in min(now, agentEnd)..<max(now, agentEnd) { canvas[2 * sample + 1] = 0 }
                agentEnd = min(now, agentEnd)
            } else if generator.next() % 4 != 0, agentEnd < now + 3200 {
                // Gaps of less than 10 ms are taken for jitter.
                var start = max(agentEnd, now) + (generator.next() % 3 == 0 ? 100 + Int(generator.next() % 900) : 0)
                if start > agentEnd, start < agentEnd + 81 { start = agentEnd + 81 }
                let run = (0..<160).map { Int16(1000 + $0 + index) }
                run.withUnsafeBufferPointer {
                    timeline.agentAudio($0, at: TimeSpan(nanoseconds: Int64(start) * 125_000))
                }
                for (offset, sample) in run.enumerated() { canvas[2 * (start + offset) + 1] = sample }
                agentEnd = start + 160
            }
            if generator.next() % 7 == 0 { timeline.takeFinal(into: &stereo) }
        }
        timeline.end(at: millis(300))
        timeline.takeFinal(into: &stereo)
        #expect(stereo.count == canvas.count, "seed \(seed)")
        let wrong = zip(stereo, canvas).enumerated().first { $0.element.0 != $0.element.1 }?.offset
        #expect(wrong == nil, "seed \(seed), frame \((wrong ?? 0) / 2)")
    }

    @Test func samplesAreFinalOneHorizonBehindTheNewest() {
        var timeline = StereoTimeline(sampleRate: 8000)
        var stereo: [Int16] = []
        feed(&timeline, caller: String(repeating: "a", count: 50))
        timeline.takeFinal(into: &stereo)
        #expect(stereo.isEmpty)
        feed(&timeline, caller: String(repeating: ".", count: 50) + "a")
        timeline.takeFinal(into: &stereo)
        #expect(stereo.count == 2 * 160)
        #expect(timeline.finalFrames == 160)
    }

    @Test func aSilentCallerDoesNotHoldTheAgentBack() {
        var timeline = StereoTimeline(sampleRate: 8000)
        var stereo: [Int16] = []
        feed(&timeline, caller: "a", agent: String(repeating: "x", count: 100))
        timeline.takeFinal(into: &stereo)
        #expect(drawn(stereo, channel: 1) == String(repeating: "x", count: 49))
        feed(&timeline, caller: String(repeating: ".", count: 100) + "bb")
        expect(
            &timeline, caller: String(repeating: ".", count: 51) + "bb", agent: String(repeating: "x", count: 51) + ".."
        )
    }

    @Test func aClockThatJumpsAheadByMinutesLeavesNoHole() {
        var timeline = StereoTimeline(sampleRate: 8000)
        feed(&timeline, caller: "aaa")
        for index in 0..<3 {
            packet("b").withUnsafeBufferPointer {
                timeline.callerAudio($0, at: .milliseconds(3_600_000 + Int64(index) * 20))
            }
        }
        expect(&timeline, caller: "aaabbb", agent: "......")
    }

    @Test func aStepOfTheClockBetweenBothSidesDoesNotTearTheAgentsSpeech() {
        // 3 ms are within what nobody hears and stay; 8 ms are made good where they came.
        for (step, gap) in [(Int64(3), 0), (8, 64)] {
            var timeline = StereoTimeline(sampleRate: 8000)
            for index in 0..<60 {
                packet("x").withUnsafeBufferPointer {
                    timeline.agentAudio($0, at: .milliseconds(Int64(index) * 20 + (index < 10 ? 0 : step)))
                }
            }
            timeline.end(at: nil)
            var stereo: [Int16] = []
            timeline.takeFinal(into: &stereo)
            let agent = stride(from: 1, to: stereo.count, by: 2).map { stereo[$0] }
            let x = [Int16](repeating: 120, count: 1600)
            #expect(agent == x + [Int16](repeating: 0, count: gap) + x + x + x + x + x)
        }
    }

    @Test func nonsenseTrapsNowhere() {
        var timeline = StereoTimeline(sampleRate: 8000, maximumDuration: .seconds(1))
        let positions = [Int64.min, -1, 0, .max, .max / 2, 1, -5_000_000_000]
        for position in positions {
            packet("a").withUnsafeBufferPointer {
                timeline.callerAudio($0, at: TimeSpan(nanoseconds: position))
                timeline.agentAudio($0, at: TimeSpan(nanoseconds: position))
            }
            timeline.agentCut(at: TimeSpan(nanoseconds: position))
            timeline.pause(at: TimeSpan(nanoseconds: position))
            timeline.resume(at: TimeSpan(nanoseconds: position == .min ? .max : -position))
        }
        timeline.end(at: TimeSpan(nanoseconds: .max))
        var stereo: [Int16] = []
        timeline.takeFinal(into: &stereo)
        #expect(stereo.count <= 2 * 8000)
    }

    @Test func theLongestDurationEndsTheRecording() {
        var timeline = StereoTimeline(sampleRate: 8000, maximumDuration: .milliseconds(200))
        var stereo: [Int16] = []
        feed(&timeline, caller: String(repeating: "a", count: 9))
        timeline.takeFinal(into: &stereo)
        #expect(!timeline.isFull)
        feed(&timeline, caller: ".........aaaa")
        timeline.takeFinal(into: &stereo)
        #expect(timeline.isFull)
        #expect(stereo.count == 2 * 1600)
    }
}

/// The generator of Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
struct SplitMix: RandomNumberGenerator {
    var seed: UInt64

    mutating func next() -> UInt64 {
        seed &+= 0x9E37_79B9_7F4A_7C15
        var value = seed
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
