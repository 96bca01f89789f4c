import Foundation
import NIOCore
import Patchbay
import PatchbayTesting
import Synchronization
import Testing

/// Whole pipelines on a clock of their own: what goes in at the caller's end, and what is heard there.
@Suite struct SoundOfACallTests {
    private static let speechFile = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../Pipelines/audio/caller-question.wav").standardizedFileURL.path

    /// Runs a document whose transport is the file transport.
    private func run(
        _ stages: String, saying said: [Int16], transport: String = #"{"type": "file", "encoding": "mulaw"}"#,
        patience: TimeSpan = .seconds(1), directory: String = ""
    ) throws -> (sound: FileSound, events: [CallEvent], keys: [Character]) {
        // Its own: the recordings of other tests go on.
        let writer = RecordingWriter(hasThread: false)
        defer { writer.finish() }
        let document = #"{"name": "t", "numbers": ["*"], "transport": \#(transport), "stages": [\#(stages)]}"#
        let (set, diagnostics) = PipelineSet.load(
            sources: [SourceText(file: directory + "t.json", document)], registry: try .standard(recordings: writer),
            environment: [:])
        let plan = try #require(set?.route("+1"), "\(diagnostics.rendered())").plan(for: CallVariables(sid: "CA1"))
        let parts = try CallParts(plan)
        let format = plan.transport.component.format(plan.transport.settings)
        let line = try FileLine(said, format: format, callSid: "CA1", patience: patience, limit: .seconds(60))
        let log = EventLog()
        var call = try FileCall(
            try parts.makePlan(CallInfo(id: "1", callSid: "CA1", from: "", to: "+1", pipeline: "t")), line,
            observers: [log])
        _ = call.run()
        return (call.line.sound, log.events, log.keys)
    }

    private func speech(_ rate: Int) throws -> [Int16] {
        var scratch: [Int16] = []
        return try WAVFile(path: Self.speechFile).audio(in: .pcm(rate)).withUnsafeSamples(copyingInto: &scratch) {
            Array($0)
        }
    }

    private func silence(_ milliseconds: Int) -> [Int16] { [Int16](repeating: 0, count: 8 * milliseconds) }

    // MARK: Recordings

    @Test(arguments: ["mulaw", "pcm16"])
    func whatIsRecordedIsWhatWasHeard(encoding: String) throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "patchbay-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let codec = encoding == "mulaw" ? (#""decoder","#, #", "encoder""#) : ("", "")
        // The caller speaks over the greeting, which is cut; the rest of it must not be in the recording.
        let said = silence(1000) + (try speech(8000)) + silence(400)
        let (sound, events, _) = try run(
            """
            {"type": "recorder", "path": "calls/${call.sid}.wav"}, \(codec.0) "vad",
            {"type": "script", "say": "Good morning, this is a rather long greeting that nobody listens to.", "replies": ["Ten past nine."]},
            {"type": "resampler", "rateHz": 8000}\(codec.1)
            """, saying: said, transport: #"{"type": "file", "encoding": "\#(encoding)"}"#, patience: .seconds(2),
            directory: directory + "/")
        #expect(events.contains { if case .interrupted = $0 { true } else { false } })
        let file = try WAVFile(path: directory + "/calls/CA1.wav")
        #expect(file.format.channelCount == 2 && file.format.sampleRate == 8000)
        let stereo = file.samples()
        let left = stride(from: 0, to: stereo.count, by: 2).map { stereo[$0] }
        let right = stride(from: 1, to: stereo.count, by: 2).map { stereo[$0] }
        #expect(abs(left.count - sound.caller.count) <= 160, "as long as the call")
        // What the file says is encoded once on the way.
        let caller =
            encoding == "mulaw" ? sound.caller.map { G711.decodeMulaw(G711.encodeMulaw($0)) } : sound.caller
        #expect(zip(left, caller).allSatisfy { $0 == $1 }, "the caller, to the sample")
        #expect(zip(right, sound.agent).allSatisfy { $0 == $1 }, "the agent, to the sample")
    }

    @Test func anAnnouncementIsHeardFirst() throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "patchbay-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let (sound, _, _) = try run(
            """
            {"type": "recorder", "path": "a.wav", "directory": "\(directory)", "announcement": "\(Self.speechFile)"},
            "decoder", "vad", {"type": "script", "say": "\(Self.speechFile)"}, {"type": "resampler", "rateHz": 8000}, "encoder"
            """, saying: try speech(8000))
        let spoken = try heardAs(Self.speechFile)
        // The caller spoke over the announcement, which went on to its end, and the greeting came whole after it.
        let first = try #require(place(of: spoken, in: sound.agent[...]), "the announcement")
        #expect(first < 800, "at the beginning of the call")
        let second = try #require(place(of: spoken, in: sound.agent[(first + spoken.count)...]), "the greeting")
        #expect(second - first - spoken.count < 1600, "right after it")
        let recorded = try WAVFile(path: directory + "/a.wav").samples()
        let right = stride(from: 1, to: recorded.count, by: 2).map { recorded[$0] }
        #expect(zip(right, sound.agent).allSatisfy { $0 == $1 }, "the recording holds both")
    }

    /// A file as an announcement of it sounds.
    private func heardAs(_ path: String) throws -> [Int16] {
        var scratch: [Int16] = []
        return try SpeechLibrary.shared.spoken(path, voice: "en", directory: "").audio(in: .pcm(8000))
            .withUnsafeSamples(copyingInto: &scratch) { Array($0) }
    }

    /// Where all of a sound is heard, no stretch of 50 ms different from what it was but for coding; `nil` if nowhere.
    private func place(of sound: [Int16], in heard: ArraySlice<Int16>) -> Int? {
        func error(_ range: Range<Int>, at start: Int) -> Double {
            var error = 0.0, power = 0.0
            for index in range where heard.indices.contains(start + index) {
                let value = Double(sound[index])
                error += (Double(heard[start + index]) - value) * (Double(heard[start + index]) - value)
                power += value * value
            }
            return heard.indices.contains(start + range.upperBound - 1)
                ? error / (power + 400 * Double(range.count)) : 1
        }
        guard let loud = sound.firstIndex(where: { abs(Int($0)) > 1000 }),
            let onset = heard.firstIndex(where: { abs(Int($0)) > 1000 })
        else { return nil }
        let window = loud..<min(loud + 800, sound.count)
        let starts = max(heard.startIndex, onset - loud - 160)...max(heard.startIndex, onset - loud + 160)
        guard let start = starts.min(by: { error(window, at: $0) < error(window, at: $1) }) else { return nil }
        let isWhole = stride(from: 0, to: sound.count - 400, by: 400).allSatisfy {
            error($0..<$0 + 400, at: start) < 0.05
        }
        return isWhole ? start : nil
    }

    // MARK: Words

    @Test func theEndOfAWordSurvivesAnInterruptionRightAfterIt() throws {
        // 24 kHz from the agent, µ-law at 8 kHz to the caller; the caller's key interrupts as soon as all is heard.
        let wide = try speech(24_000)
        var source = ByteBuffer()
        wide.withUnsafeBytes { _ = source.writeBytes($0) }
        var call = try CallHarness(
            CallPlan(
                info: CallInfo(id: "1", callSid: "CA1", from: "", to: "", pipeline: "p"),
                carrier: TwilioSerializer(), carrierFormat: .telephony, toAgent: Chain(.toAgent, []),
                joint: .telephony, backends: [Reader(audio: source)], toCaller: Chain(.toCaller, [])))
        call.carrier(
            """
            {"event":"start","sequenceNumber":"1","streamSid":"MZ1","start":{"accountSid":"AC1","streamSid":"MZ1","callSid":"CA1",
            "tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{}}}
            """)
        call.advance(Int64(wide.count / 24) + 60)
        call.carrier(
            #"{"event":"dtmf","streamSid":"MZ1","sequenceNumber":"2","dtmf":{"track":"inbound_track","digit":"1"}}"#)
        let heard = call.carrierMessages.flatMap { message -> [UInt8] in
            guard let payload = message.text.firstMatch(of: /"payload":"([^"]+)"/) else { return [] }
            return Array(Data(base64Encoded: String(payload.output.1)) ?? Data())
        }
        var whole = try FormatConverter(from: .pcm(24_000), to: .telephony)
        var expected = whole.convert(source)
        expected.writeImmutableBuffer(whole.flush())
        let bytes = Array(expected.readableBytesView)
        #expect(bytes.count >= wide.count / 3)
        #expect(Array(heard.prefix(bytes.count)) == bytes, "every sample, to the last, as if converted in one piece")
        #expect(heard.dropFirst(bytes.count).allSatisfy { $0 == 0xFF })
        #expect(call.call.counters.interruptions == 0, "there was nothing left to cut")
    }

    // MARK: Keys and background

    @Test func keysInTheSoundAreKeys() throws {
        let said =
            silence(300) + (try DTMFGenerator.samples(of: "42#", sampleRate: 8000)) + silence(300)
        let (sound, _, keys) = try run(
            #""decoder", {"type": "dtmf", "mute": true}, {"type": "script", "say": "\#(Self.speechFile)"}, {"type": "resampler", "rateHz": 8000}, "encoder""#,
            saying: said)
        #expect(keys == ["4", "2", "#"])
        #expect(sound.caller.count > 0)
    }

    @Test func keysOfAnAgentAreHeardAsTones() throws {
        let keys = KeyPresser()
        let stage = try DTMF().makeProcessor(
            taking: .pcm(8000), settings: Settings(DTMF().spec.fields, ["mode": .string("generate")]))
        let line = try FileLine(silence(3000), format: .pcm(8000), callSid: "CA1", patience: .milliseconds(500))
        var call = try FileCall(
            CallPlan(
                info: CallInfo(id: "1", callSid: "CA1", from: "", to: "", pipeline: "p"),
                carrier: FileTransport().makeSerializer(Settings([])), carrierFormat: .pcm(8000),
                toAgent: Chain(.toAgent, []), joint: .pcm(8000), backends: [keys],
                toCaller: Chain(
                    .toCaller,
                    [Stage("dtmf", address: "stages[0]", takes: .pcm(8000), gives: .pcm(8000), processor: stage)])),
            line)
        _ = call.run()
        var detector = try DTMFDetector(sampleRate: 8000)
        var found: [Character] = []
        call.line.sound.agent.withUnsafeBufferPointer { samples in
            detector.process(samples) { if case .began(let key, _) = $0 { found.append(key) } }
        }
        #expect(found == ["9", "1", "1"])
    }

    @Test func backgroundGoesOnWhileTheAgentIsSilentAndIsDuckedUnderIt() throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "patchbay-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try WAVFile(samples: Tone(1000, level: -12).samples(count: 16_000, sampleRate: 8000), sampleRate: 8000)
            .write(to: directory + "/hum.wav")
        let (sound, events, _) = try run(
            """
            "decoder", {"type": "script", "say": "\(Self.speechFile)", "silenceSeconds": 30}, {"type": "resampler", "rateHz": 8000},
            {"type": "mixer", "sound": "\(directory)/hum.wav", "levelDb": -10, "duckDb": 20}, "encoder"
            """, saying: silence(8000), patience: .seconds(2))
        #expect((10_000...12_000).contains(sound.agent.count / 8), "the background keeps nobody on the line")
        let length = try speech(8000).count
        let under = Array(sound.agent[8000..<12_000])
        let after = Array(sound.agent[(length + 12_000)..<(length + 20_000)])
        let quiet = Tone.level(of: 1000, in: after, sampleRate: 8000)
        #expect(abs(quiet - -22) < 1, "full level when the agent is silent: \(quiet)")
        #expect(Tone.level(of: 1000, in: under, sampleRate: 8000) < quiet - 6, "ducked under speech")
        #expect(!after.contains { abs(Int($0)) > 4000 })
        let gaps = stride(from: 0, to: after.count - 80, by: 80).filter { start in
            after[start..<start + 80].allSatisfy { abs(Int($0)) < 200 }
        }
        #expect(gaps.isEmpty, "it never stops")
        let turns = events.filter { if case .turnHeard = $0 { true } else { false } }
        #expect(turns.count == 1, "background is nobody's turn")
    }
}

/// Says one sound as soon as it is ready, and is interrupted by the first key.
private struct Reader: AgentBackend {
    let type = "reader"
    let audio: ByteBuffer

    func open(_ request: AgentRequest) throws(PipelineError) -> AgentSession {
        AgentSession(Conversation(audio: audio), endpoint: .local)
    }

    struct Conversation: AgentConversation {
        let audio: ByteBuffer

        func opened(at now: MediaTime, into output: inout AgentOutput) {
            output.emit(.ready(input: .pcm(24_000), output: .pcm(24_000)))
            output.emit(.audio(audio))
            output.emit(.turnEnded)
        }

        func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput) {
            if case .dtmf = frame { output.emit(.interruption(cause: "a key")) }
        }
    }
}

/// Presses keys when the call starts.
private struct KeyPresser: AgentBackend {
    let type = "keys"

    func open(_ request: AgentRequest) throws(PipelineError) -> AgentSession {
        AgentSession(Conversation(), endpoint: .local)
    }

    struct Conversation: AgentConversation {
        func opened(at now: MediaTime, into output: inout AgentOutput) {
            output.emit(.ready(input: .pcm(8000), output: .pcm(8000)))
        }

        func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput) {
            if case .callStarted = frame { output.emit(.dtmf("911")) }
        }
    }
}

private final class EventLog: CallObserver {
    private let state = Mutex<(events: [CallEvent], keys: [Character])>(([], []))
    var events: [CallEvent] { state.withLock { $0.events } }
    var keys: [Character] { state.withLock { $0.keys } }

    func observe(_ frame: Frame, at joint: Joint, time: MediaTime) {
        // Behind the decoder and the detector.
        if case .dtmf(let key) = frame, joint == Joint(.toAgent, 2) { state.withLock { $0.keys.append(key) } }
    }
    func observe(_ event: CallEvent, time: MediaTime) { state.withLock { $0.events.append(event) } }
}
