import Foundation
import Glibc
import NIOCore
import PatchbayAudio
import PatchbayConfig
import PatchbayCore
import PatchbayTesting
import Synchronization
import Testing

@testable import PatchbayProcessors

/// A folder that goes with the test, and a writer that works when it is told to.
private final class Desk {
    let folder = NSTemporaryDirectory() + "recorder-\(UUID().uuidString)"
    let reports = Reports()
    let writer: RecordingWriter

    final class Reports: Sendable {
        let all = Mutex<[RecordingReport]>([])
    }

    init() {
        let reports = reports
        writer = RecordingWriter(hasThread: false) { report in reports.all.withLock { $0.append(report) } }
        mkdir(folder, 0o755)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func tap(
        _ values: [String: VariableValue] = ["path": "call.wav"], sid: String = "CA1",
        format: AudioFormat = .telephony
    ) throws -> any MediaTap {
        let recorder = Recorder(writer: writer)
        let make = try recorder.makeTap(Settings(recorder.spec.fields, values, directory: folder))
        return try make(
            CallInfo(id: "id-\(sid)", callSid: sid, from: "+15550100001", to: "+15550100002", pipeline: "p"), format)
    }

    func wav(_ name: String = "call.wav") throws -> WAVFile { try WAVFile(path: "\(folder)/\(name)") }

    var report: RecordingReport? { reports.all.withLock { $0.last } }
}

private func mulaw(_ samples: [Int16]) -> ByteBuffer {
    ByteBuffer(bytes: samples.map(G711.encodeMulaw))
}

private func pcm(_ samples: [Int16]) -> ByteBuffer {
    var buffer = ByteBuffer()
    samples.withUnsafeBytes { _ = buffer.writeBytes($0) }
    return buffer
}

private func channel(_ index: Int, of stereo: [Int16]) -> [Int16] {
    stride(from: index, to: stereo.count, by: 2).map { stereo[$0] }
}

/// The first sample that is not silence.
private func onset(_ samples: [Int16]) -> Int? { samples.firstIndex { abs(Int($0)) > 200 } }

private func millis(_ value: Int64) -> TimeSpan { .milliseconds(value) }

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

    @Test(arguments: [AudioFormat.Encoding.mulaw, .alaw, .pcm16, .l16])
    func everyEncodingIsDecoded(encoding: AudioFormat.Encoding) throws {
        let desk = Desk()
        let tap = try desk.tap(format: AudioFormat(encoding, sampleRate: 8000))
        let payload: ByteBuffer =
            switch encoding {
            case .mulaw: ByteBuffer(repeating: G711.encodeMulaw(4096), count: 160)
            case .alaw: ByteBuffer(repeating: G711.encodeAlaw(4096), count: 160)
            case .l16: ByteBuffer(bytes: Array(repeatElement([0x10, 0x00], count: 160).joined()))
            case .pcm16, .g722, .opus: ByteBuffer(bytes: Array(repeatElement([0x00, 0x10], count: 160).joined()))
            }
        for packet in 0..<10 { tap.callerAudio(payload, at: millis(Int64(packet) * 20)) }
        tap.ended(at: millis(200))
        desk.writer.drain()
        let left = channel(0, of: try desk.wav().samples())
        #expect(left.count == 1600)
        #expect(left.allSatisfy { abs(Int($0) - 4096) < 150 })
    }

    @Test(arguments: [(8000, 48_000), (8000, 40_000), (16_000, 40_000)])
    func anOpusFileKeepsTheTimeAndTheSidesApart(rate: Int, bitrate: Int) throws {
        let desk = Desk()
        let tap = try desk.tap(["path": "call.opus", "bitrate": .number(Double(bitrate))], format: .pcm(rate))
        let caller = Tone(440).samples(count: rate * 2, sampleRate: rate)
        let agent = Tone(1000).samples(count: rate, sampleRate: rate)
        let packet = rate / 50
        for number in 0..<100 {
            tap.callerAudio(
                pcm(Array(caller[(number * packet)..<((number + 1) * packet)])), at: millis(Int64(number) * 20))
            if number >= 50 {
                let start = (number - 50) * packet
                tap.agentAudio(pcm(Array(agent[start..<(start + packet)])), at: millis(Int64(number) * 20))
            }
            if number % 10 == 9 { desk.writer.drain() }
        }
        tap.ended(at: millis(2000))
        desk.writer.drain()
        #expect(desk.report?.failure == nil)
        let file = try OggOpusFile(
            bytes: Array(try Data(contentsOf: URL(fileURLWithPath: "\(desk.folder)/call.opus"))), sampleRate: rate)
        #expect(file.isComplete)
        #expect(file.sampleFrameCount == 2 * rate)
        let left = channel(0, of: file.samples), right = channel(1, of: file.samples)
        #expect(abs(try #require(onset(right)) - rate) < rate / 200)
        let both = (rate * 5 / 4)..<(rate * 7 / 4)
        #expect(abs(Tone.level(of: 440, in: Array(left[both]), sampleRate: rate) + 12) < 2)
        #expect(abs(Tone.level(of: 1000, in: Array(right[both]), sampleRate: rate) + 12) < 2)
        #expect(Tone.level(of: 1000, in: Array(left[both]), sampleRate: rate) < -60)
        #expect(Tone.level(of: 440, in: Array(right[both]), sampleRate: rate) < -60)
    }

    @Test func anotherRateKeepsTheTime() throws {
        let desk = Desk()
        let tap = try desk.tap(["path": "call.wav", "rateHz": 16_000], format: .pcm(8000))
        let tone = Tone(440).samples(count: 8000, sampleRate: 8000)
        for packet in 0..<50 {
            tap.callerAudio(pcm(Array(tone[(packet * 160)..<((packet + 1) * 160)])), at: millis(Int64(packet) * 20))
            if packet % 10 == 9 { desk.writer.drain() }
        }
        tap.ended(at: millis(1000))
        desk.writer.drain()
        let file = try desk.wav()
        #expect(file.format.sampleRate == 16_000)
        #expect(abs(file.sampleFrameCount - 16_000) <= 1)
        let left = channel(0, of: file.samples())
        let reference = Tone(440).samples(count: 16_000, sampleRate: 16_000)
        let worst = (1000..<15_000).map { abs(Int(left[$0]) - Int(reference[$0])) }.max() ?? .max
        #expect(worst < 200, "the tone is in phase with one that was made at 16 kHz")
    }
}

@Suite struct RecorderSettingsTests {
    private func settings(_ values: [String: VariableValue], directory: String = "/tmp") -> Settings {
        Settings(Recorder().spec.fields, values, directory: directory)
    }

    @Test(arguments: [
        "../x.wav", "a/../../x.wav", "/etc/x.wav", "", "a/", "a\nb.wav", "a\u{0}b.wav", "a\u{7F}.wav", "..",
        "a/..", String(repeating: "x", count: 241) + ".wav",
    ])
    func pathsThatLeadElsewhereAreRefusedInDocuments(path: String) {
        #expect(
            Recorder().problems(in: settings(["path": .string(path)])).contains { $0.code.description == "unsafe-path" }
        )
    }

    @Test(arguments: ["recordings/${call.sid}.wav", "a/..${call.from}.wav", "+1555/é${call.to}.opus", "${x}..wav"])
    func ordinaryPathsPass(path: String) {
        #expect(RecordingPath(path, in: "/tmp").relative == path)
        #expect(Recorder().problems(in: settings(["path": .string(path)])).isEmpty)
    }

    /// A caller says who they are; that must neither lead out of the folder nor end the call.
    @Test(arguments: [
        ("../../etc/x.wav", "_/_/etc/x.wav"), ("/etc//x.wav", "etc/x.wav"), ("a/./../x.wav", "a/_/x.wav"),
        ("a\nb\u{0}c.wav", "a_b_c.wav"), ("..", "_"), ("", "_"), ("...wav", "...wav"), ("a/", "a"),
        (String(repeating: "x", count: 300) + ".wav", String(repeating: "x", count: 236) + ".wav"),
        (String(repeating: "é", count: 300) + ".opus", String(repeating: "é", count: 117) + ".opus"),
        (String(repeating: "f/", count: 3000) + "x.wav", String(repeating: "f/", count: 509) + "x.wav"),
    ])
    func valuesOfTheCallAreCleaned(path: String, expected: String) throws {
        #expect(RecordingPath(path, in: "/tmp").relative == expected)
        guard expected.hasSuffix(".wav") else { return }
        let recorder = Recorder(writer: RecordingWriter(hasThread: false))
        #expect(throws: Never.self) { try recorder.makeTap(settings(["path": .string(path)])) }
    }

    @Test func aFixedPathIsPointedOut() {
        let problems = Recorder().problems(in: settings(["path": "calls/a.wav"]))
        #expect(problems.map(\.severity) == [.warning] && problems.map(\.field) == ["path"])
        #expect(problems[0].message.contains("calls/a-2.wav"))
    }

    @Test func anAnnouncementThatCannotBeSpokenIsFound() {
        let recorder = Recorder { announcement, directory throws(PipelineError) in
            guard announcement == Announcement("Hallo", voice: "de"), directory == "/tmp" else {
                throw PipelineError(.stageFailed, "no voice for \(announcement.text)")
            }
        }
        func problems(_ text: String, voice: String) -> [SettingsProblem] {
            recorder.problems(
                in: settings([
                    "path": "${call.sid}.wav", "announcement": .string(text), "voice": .string(voice),
                ]))
        }
        #expect(problems("Hallo", voice: "de").isEmpty)
        let found = problems("Hello", voice: "en")
        #expect(found.map(\.field) == ["announcement"] && found.map(\.severity) == [.error])
        #expect(found.map(\.message) == ["no voice for Hello"])
        #expect(problems("Hello ${context.name}", voice: "en").isEmpty, "not known before the call")
        #expect(recorder.announcement(settings(["announcement": "x"])) == Announcement("x", voice: "en"))
        #expect(recorder.announcement(settings([:])) == nil)
    }

    @Test(arguments: [
        ("a/b.wav", 1, "a/b.wav"), ("a/b.wav", 2, "a/b-2.wav"), ("a.b/c", 3, "a.b/c-3"), ("a/.wav", 2, "a/.wav-2"),
    ])
    func takenNamesGetANumber(path: String, number: Int, expected: String) {
        #expect(RecordingPath.numbered(path, number) == expected)
    }

    @Test(
        arguments: [
            (["path": "${x}.mp3"], "path"), (["path": "${x}"], "path"),
            (["path": "${x}.wav", "format": "opus"], "format"),
            (["path": "${x}.wav", "bitrate": 48_000], "bitrate"), (["path": "${x}.opus", "rateHz": 44_100], "rateHz"),
            (["path": "${x}.wav", "rateHz": 48_000, "maximumMinutes": 1440], "maximumMinutes"),
            (["path": "${x}.wav", "pauseKey": "*"], "pauseKey"),
            (["path": "${x}.wav", "directory": "${call.to}"], "directory"),
        ] as [([String: VariableValue], String)])
    func combinationsThatMakeNoSenseAreFound(values: [String: VariableValue], field: String) {
        let problems = Recorder().problems(in: settings(values))
        #expect(problems.map(\.field) == [field])
        #expect(problems.allSatisfy { $0.remedy != nil })
    }

    @Test(
        arguments: [
            ["path": "${x}.opus", "bitrate": 48_000, "rateHz": 16_000], ["path": "${x}", "format": "wav"],
            ["path": "${x}.OGG"],
            ["path": "${x}.wav", "pauseKey": "*", "resumeKey": "*", "announcement": "This call is recorded."],
        ] as [[String: VariableValue]])
    func combinationsThatMakeSensePass(values: [String: VariableValue]) {
        #expect(Recorder().problems(in: settings(values)).isEmpty)
    }

    @Test func stereoCarriersAreRefusedInWords() throws {
        let make = try Recorder(writer: RecordingWriter(hasThread: false)).makeTap(settings(["path": "a.wav"]))
        let call = CallInfo(id: "1", callSid: "CA1", from: "", to: "", pipeline: "p")
        let error = #expect(throws: PipelineError.self) {
            try make(call, AudioFormat(.pcm16, sampleRate: 8000, channelCount: 2))
        }
        #expect(error?.code == .unsupportedFormat)
    }

    @Test func theStagePassesEverythingAndTurnsKeysIntoCommands() throws {
        func commands(_ keys: String, _ values: [String: VariableValue]) throws -> [RecordingCommand] {
            let processor = try Recorder().makeProcessor(taking: .telephony, settings: settings(values))
            let stage = try #require(processor as? RecorderStage)
            var harness = ProcessorHarness(stage)
            for key in keys { #expect(try harness.push(.dtmf(key)).count == 1) }
            return harness.takeUpstream().compactMap {
                if case .recording(let command) = $0 { command } else { nil }
            }
        }
        #expect(try commands("1*2#", ["path": "a.wav", "pauseKey": "*", "resumeKey": "#"]) == [.pause, .resume])
        #expect(
            try commands("***", ["path": "a.wav", "pauseKey": "*", "resumeKey": "*"]) == [.pause, .resume, .pause])
        #expect(try commands("*#", ["path": "a.wav"]) == [])
        // Somebody else has paused the recordings: the key goes on with them.
        var harness = ProcessorHarness(RecorderStage(pauseKey: "*", resumeKey: "*"))
        for (command, expected) in [(RecordingCommand.pause, RecordingCommand.resume), (.resume, .pause)] {
            #expect(try harness.push(.recording(command)).count == 1)
            _ = try harness.push(.dtmf("*"))
            guard case .recording(expected)? = harness.takeUpstream().first else {
                Issue.record("after \(command) the key must \(expected)")
                return
            }
        }
        #expect(!Recorder().isIdentity(for: .telephony, settings: settings(["path": "a.wav"])))
        #expect(try Recorder().output(for: .telephony, settings: settings([:])) == .telephony)
    }
}
