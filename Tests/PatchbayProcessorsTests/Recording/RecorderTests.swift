import Foundation
import Glibc
import NIOCore
import PatchbayAudio
import PatchbayConfig
import PatchbayCore
import PatchbayTesting
import Testing

@testable import PatchbayProcessors

@Suite struct RecorderTests {
    @Test func tonesOfBothSidesStandAtTheirSample() throws {
        let desk = Desk()
        let tap = try desk.tap()
        // The caller's tone begins 500.000 ms into the call, the agent's at 733.625, which is sample 5869.
        let caller = Tone(440, level: -6).samples(count: 8000, sampleRate: 8000, offset: 4)
        let agent = Tone(1000, level: -6).samples(count: 4000, sampleRate: 8000, offset: 2)
        var agentPosition = TimeSpan(nanoseconds: 733_625_000)
        for packet in 0..<75 {
            let now = Int64(packet) * 20
            let payload =
                packet < 25
                ? ByteBuffer(repeating: 0xFF, count: 160)
                : mulaw(Array(caller[((packet - 25) * 160)..<min((packet - 24) * 160, 8000)]))
            tap.callerAudio(payload, at: millis(now))
            // The agent is 200 ms ahead of its playback.
            if packet >= 27, packet < 52 {
                tap.agentAudio(mulaw(Array(agent[((packet - 27) * 160)..<((packet - 26) * 160)])), at: agentPosition)
                agentPosition = agentPosition + millis(20)
            }
            if packet % 10 == 0 { desk.writer.drain() }
        }
        tap.ended(at: millis(1600))
        desk.writer.drain()
        let file = try desk.wav()
        #expect(file.format.channelCount == 2)
        #expect(file.sampleFrameCount == 12_800)
        let left = channel(0, of: file.samples()), right = channel(1, of: file.samples())
        #expect(onset(left) == 4000)
        #expect(onset(right) == 5869)
        #expect(left.lastIndex { abs(Int($0)) > 200 }.map { abs($0 - 11_999) <= 1 } == true)
        #expect(right.lastIndex { abs(Int($0)) > 200 }.map { abs($0 - 9868) <= 1 } == true)
        let both = 6000..<9600
        #expect(Tone.level(of: 440, in: Array(left[both]), sampleRate: 8000) > -7)
        #expect(Tone.level(of: 1000, in: Array(left[both]), sampleRate: 8000) < -45)
        #expect(Tone.level(of: 1000, in: Array(right[both]), sampleRate: 8000) > -7)
        #expect(Tone.level(of: 440, in: Array(right[both]), sampleRate: 8000) < -45)
        #expect(desk.report?.failure == nil)
        #expect(desk.report?.duration == millis(1600))
        #expect(desk.writer.activeCount == 0)
    }

    @Test func whatWasCutIsNotInTheRecording() throws {
        let desk = Desk()
        let tap = try desk.tap(format: .pcm(8000))
        let loud = pcm([Int16](repeating: 9000, count: 160))
        for packet in 0..<20 { tap.agentAudio(loud, at: millis(Int64(packet) * 20)) }
        tap.agentCut(at: millis(130))
        for packet in 0..<50 { tap.callerAudio(pcm([Int16](repeating: 1, count: 160)), at: millis(Int64(packet) * 20)) }
        tap.ended(at: millis(1000))
        desk.writer.drain()
        let right = channel(1, of: try desk.wav().samples())
        #expect(right == [Int16](repeating: 9000, count: 1040) + [Int16](repeating: 0, count: 8000 - 1040))
    }

    @Test func aCopyTakenInMidCallIsAWholeFileUpToTheLastSecond() throws {
        let desk = Desk()
        let tap = try desk.tap(format: .pcm(4000))
        let ramp = (0..<16_000).map { Int16($0) }
        for packet in 0..<200 {
            tap.callerAudio(pcm(Array(ramp[(packet * 80)..<((packet + 1) * 80)])), at: millis(Int64(packet) * 20))
            guard packet % 10 == 9 else { continue }
            desk.writer.drain()
            // What a process that is killed here leaves behind. One second waits to become final, one to be flushed.
            guard packet >= 110 else { continue }
            let left = channel(0, of: try desk.wav().samples())
            #expect(left == Array(ramp[..<left.count]))
            #expect((packet + 1) * 80 - left.count <= 8080)
        }
        tap.ended(at: millis(4000))
        desk.writer.drain()
        #expect(channel(0, of: try desk.wav().samples()) == ramp)
    }

    @Test func aFullRingIsCountedAndSilentAndNobodyWaits() throws {
        let desk = Desk()
        let tap = try desk.tap(format: .pcm(4000))
        let payload = pcm([Int16](repeating: 5, count: 80))
        // Thirteen seconds of both sides without a writer; the ring holds ten and a little.
        for packet in 0..<650 {
            tap.callerAudio(payload, at: millis(Int64(packet) * 20))
            tap.agentAudio(payload, at: millis(Int64(packet) * 20))
        }
        desk.writer.drain()
        for packet in 650..<660 { tap.callerAudio(payload, at: millis(Int64(packet) * 20)) }
        tap.ended(at: millis(13_200))
        desk.writer.drain()
        #expect((200...320).contains(try #require(desk.report?.droppedPayloads)))
        let left = channel(0, of: try desk.wav().samples())
        #expect(left.count == 13_200 * 4)
        func hears(_ seconds: Range<Int>) -> Set<Int16> {
            Set(left[(seconds.lowerBound * 4)..<(seconds.upperBound * 4)])
        }
        #expect(hears(0..<10_000) == [5])
        #expect(hears(12_000..<13_000) == [0])
        #expect(hears(13_000..<13_200) == [5])
    }

    @Test func theThreadWorksUntilNothingIsLeft() async throws {
        let folder = NSTemporaryDirectory() + "recorder-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let (reports, source) = AsyncStream<RecordingReport>.makeStream()
        let writer = RecordingWriter(interval: .milliseconds(1)) { source.yield($0) }
        let recorder = Recorder(writer: writer)
        var next = reports.makeAsyncIterator()
        // The second call comes when the thread may be gone already.
        for name in ["a.wav", "b.wav"] {
            let make = try recorder.makeTap(
                Settings(recorder.spec.fields, ["path": .string(name)], directory: folder))
            let tap = try make(CallInfo(id: name, callSid: "CA", from: "", to: "", pipeline: "p"), .pcm(8000))
            tap.callerAudio(pcm([Int16](repeating: 5, count: 160)), at: .zero)
            tap.ended(at: .milliseconds(20))
            let report = try #require(await next.next())
            #expect(report.path == "\(folder)/\(name)")
            #expect(try WAVFile(path: "\(folder)/\(name)").sampleFrameCount == 160)
        }
    }

    @Test func aPauseHoldsWithBothChannelsSilent() throws {
        let desk = Desk()
        let tap = try desk.tap(format: .pcm(8000))
        let payload = pcm([Int16](repeating: 5, count: 160))
        for packet in 0..<150 {
            let now = Int64(packet) * 20
            if packet == 50 { tap.recording(.pause, at: millis(1005)) }
            if packet == 100 { tap.recording(.resume, at: millis(1995)) }
            tap.callerAudio(payload, at: millis(now))
            tap.agentAudio(payload, at: millis(now))
        }
        tap.ended(at: millis(3000))
        desk.writer.drain()
        let file = try desk.wav()
        let right = channel(1, of: file.samples())
        #expect(right[..<8040].allSatisfy { $0 == 5 })
        #expect(right[8040..<15_960].allSatisfy { $0 == 0 })
        #expect(right[15_960...].allSatisfy { $0 == 5 })
        // What came in during the pause is silent from its first sample to its last.
        let left = channel(0, of: file.samples())
        #expect(left[8000..<16_000].allSatisfy { $0 == 0 })
        #expect(left[16_000...].allSatisfy { $0 == 5 } && left[..<8000].allSatisfy { $0 == 5 })
    }

    @Test func twoCallsAtOnceAndTheSameNameMakeTwoFiles() throws {
        let desk = Desk()
        var taps: [any MediaTap] = []
        for number in 1...3 { taps.append(try desk.tap(sid: "CA\(number)", format: .pcm(8000))) }
        for packet in 0..<100 {
            for (index, tap) in taps.enumerated() {
                tap.callerAudio(
                    pcm([Int16](repeating: Int16(index + 1), count: 160)), at: millis(Int64(packet) * 20))
            }
            desk.writer.drain()
        }
        taps.removeLast().ended(at: millis(2000))
        desk.writer.drain()
        #expect(desk.writer.activeCount == 2)
        // The server stops while the others go on.
        desk.writer.finish()
        #expect(desk.writer.activeCount == 0)
        for (index, name) in ["call.wav", "call-2.wav", "call-3.wav"].enumerated() {
            let left = channel(0, of: try desk.wav(name).samples())
            #expect(left == [Int16](repeating: Int16(index + 1), count: 16_000), "\(name)")
        }
        var status = stat()
        #expect(stat("\(desk.folder)/call.wav", &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
    }

    @Test func aFreeNumberIsFoundWhereverOneIs() throws {
        let desk = Desk()
        let path = RecordingPath("call.wav", in: desk.folder)
        for number in 1...20 {
            let (descriptor, name) = try path.create()
            close(descriptor)
            #expect(name == RecordingPath.numbered("\(desk.folder)/call.wav", number))
        }
    }

    @Test func aCallThatVanishesLeavesACompleteFile() throws {
        let desk = Desk()
        var tap: (any MediaTap)? = try desk.tap(["path": "a/b/${c}/call.wav"], format: .pcm(8000))
        tap?.callerAudio(pcm([Int16](repeating: 5, count: 160)), at: .zero)
        tap = nil
        desk.writer.drain()
        #expect(try desk.wav("a/b/${c}/call.wav").sampleFrameCount == 160)
        #expect(desk.writer.activeCount == 0)
    }

    @Test func aCallWithoutSoundLeavesNoFile() throws {
        let desk = Desk()
        try desk.tap().ended(at: .zero)
        desk.writer.drain()
        #expect(desk.report?.path == nil)
        #expect(desk.report?.failure == nil)
        #expect(throws: WAVError.self) { try desk.wav() }
    }

    @Test func anUnwritablePlaceIsReportedOnceAndTheCallGoesOn() throws {
        let desk = Desk()
        // A file stands where a folder is needed: nobody, not even the superuser, creates anything below it.
        #expect(FileManager.default.createFile(atPath: "\(desk.folder)/blocked", contents: nil))
        let tap = try desk.tap(["path": "blocked/call.wav"])
        for packet in 0..<200 {
            tap.callerAudio(ByteBuffer(repeating: 0x10, count: 160), at: millis(Int64(packet) * 20))
            if packet % 10 == 9 { desk.writer.drain() }
        }
        tap.ended(at: millis(4000))
        desk.writer.drain()
        let failure = try #require(desk.report?.failure)
        #expect(failure.contains("blocked"))
        #expect(desk.report?.droppedPayloads == 0)
        #expect(desk.writer.activeCount == 0)
    }

    @Test func theLongestDurationEndsTheFileAndNotTheCall() throws {
        let desk = Desk()
        let tap = try desk.tap(["path": "call.wav", "maximumMinutes": 1], format: .pcm(4000))
        let payload = pcm([Int16](repeating: 5, count: 800))
        for packet in 0..<310 {
            tap.callerAudio(payload, at: millis(Int64(packet) * 200))
            if packet % 20 == 0 { desk.writer.drain() }
        }
        desk.writer.drain()
        #expect(desk.writer.activeCount == 0)
        #expect(try desk.wav().sampleFrameCount == 240_000)
        tap.ended(at: millis(62_000))
    }
}
