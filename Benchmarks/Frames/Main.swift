import Glibc
import Logging
import NIOCore
import NIOPosix
import Patchbay
import PatchbayControl
import PatchbayCore
import PatchbayTesting
import PatchbayWire

/// What one frame costs: on the wire, through a chain, through a whole call. Run it by `make bench`, or alone:
///
///     swift build -c release --product PatchbayFrames && .build/release/PatchbayFrames
@main
enum Frames {
    static func main() throws {
        var results: [Measure.Result] = []
        if Measure.countsAllocations {
            // The counter proves itself first: one allocation a repetition must be seen as one.
            var kept: [UnsafeMutableRawPointer?] = []
            kept.reserveCapacity(200_000)
            let control = Measure.run("control: one malloc of 64 bytes", repetitions: 20_000) {
                kept.append(malloc(64))
            }
            for pointer in kept { free(pointer) }
            results.append(control)
        }
        results += wire()
        results += try chains()
        results += try calls()
        print(row("", "ns", "allocations"))
        for result in results where !result.nanoseconds.isNaN {
            print(
                row(
                    result.name, fixed(result.nanoseconds),
                    result.allocations.map { fixed($0, digits: 3) } ?? "not counted"))
        }
    }

    // MARK: Wire

    private static let streamSid = "MZ0123456789abcdef0123456789abcdef"

    private static func mediaMessage(_ bytes: [UInt8]) -> ByteBuffer {
        var writer = TwilioPhoneWriter(start: TwilioStart(streamSid: streamSid, callSid: "CA1", accountSid: "AC1"))
        var buffer = ByteBuffer()
        bytes.withUnsafeBytes { writer.media($0, timestamp: 12_340, into: &buffer) }
        return buffer
    }

    private static var startMessage: ByteBuffer {
        var writer = TwilioPhoneWriter(start: TwilioStart(streamSid: streamSid, callSid: "CA1", accountSid: "AC1"))
        var buffer = ByteBuffer()
        writer.start(into: &buffer)
        return buffer
    }

    private static let speech: [UInt8] = Tone(440).samples(count: 160, sampleRate: 8000).map { G711.encodeMulaw($0) }

    private static func wire() -> [Measure.Result] {
        let media = mediaMessage(speech)
        var decoder = TwilioMessageDecoder()
        decoder.streamSid = streamSid
        var payload = ByteBuffer()
        let writer = TwilioStreamWriter(streamSid: streamSid)
        var out = ByteBuffer()
        var agentAudio = ByteBuffer()
        [UInt8](repeating: 7, count: 640).withUnsafeBytes { ElevenLabsWriter.audio($0, eventId: 3, into: &agentAudio) }
        return [
            Measure.run("Twilio media in: scan, base64 (\(media.readableBytes) bytes)") {
                payload.clear()
                _ = try? decoder.decode(media, payload: &payload)
            },
            Measure.run("Twilio media out: 160 bytes") {
                out.clear()
                speech.withUnsafeBytes { writer.media($0, into: &out) }
            },
            Measure.run("ElevenLabs user_audio_chunk out: 160 bytes") {
                out.clear()
                speech.withUnsafeBytes { ElevenLabsWriter.userAudioChunk($0, into: &out) }
            },
            Measure.run("ElevenLabs audio in: 640 bytes") {
                payload.clear()
                _ = try? ElevenLabsServerMessage.decode(agentAudio, audio: &payload)
            },
        ]
    }

    // MARK: Chains

    private struct Pass: Processor {
        mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
            output.emit(frame)
        }
    }

    private static func chains() throws -> [Measure.Result] {
        let frame = Frame.audio(AudioFrame(ByteBuffer(bytes: speech), format: .telephony))
        var eight = ChainBench(
            (0..<8).map { index in
                Stage("pass", address: "stages[\(index)]", takes: .telephony, gives: .telephony, processor: Pass())
            })
        var now = MediaTime.zero
        let passing = Measure.run("one frame through eight stages that pass it on") {
            now = now + .milliseconds(20)
            eight.send(frame, at: now)
        }
        return [passing] + (try branches(frame))
    }

    /// What stages with branches add to a packet.
    private static func branches(_ frame: Frame) throws -> [Measure.Result] {
        func stage(
            _ component: any StageComponent, _ values: [String: VariableValue] = [:], _ format: AudioFormat
        ) throws -> Stage {
            let settings = Settings(component.spec.fields, values)
            let output = try component.output(for: format, settings: settings)
            let processor = try component.makeProcessor(taking: format, giving: output, settings: settings)
            return Stage(component.spec.type, address: "", takes: format, gives: output, processor: processor)
        }
        func branching(_ processor: any Processor) -> Stage {
            Stage("branches", address: "", takes: .pcm(16000), gives: .pcm(16000), processor: processor)
        }
        func hearing() throws -> [Stage] {
            [try stage(Decoder(), [:], .telephony), try stage(Resampler(), ["rateHz": 16000], .pcm(8000))]
        }
        func vad() throws -> Stage { try stage(VAD(), [:], .pcm(16000)) }
        func gain(_ decibels: Double) throws -> Stage {
            try stage(Gain(), ["gainDb": .number(decibels)], .pcm(16000))
        }
        let beside = try hearing() + [branching(TeeStage([try gain(3), try vad()])), try gain(-3)]
        let chosen =
            try hearing() + [
                branching(KeySwitchStage(cases: ["1": [try gain(3)], "2": [try vad()]], otherwise: [try gain(-3)]))
            ]
        var results: [Measure.Result] = []
        for (name, stages, packets) in [
            ("decoder, resampler, gain: a packet and a tick", try hearing() + [try gain(-3)], 1),
            ("the same with a tee of gain and vad", beside, 1),
            ("the same, three packets before each tick", beside, 3),
            ("decoder, resampler, one of three branches: a packet and a tick", chosen, 1),
        ] {
            var bench = ChainBench(stages)
            var now = MediaTime.zero
            results.append(
                Measure.run(name) {
                    now = now + .milliseconds(20)
                    for _ in 0..<packets { bench.send(frame, at: now) }
                    bench.tick(at: now)
                })
            guard bench.exitCount > 0 || results.last?.nanoseconds.isNaN == true else {
                throw Failure(description: "nothing came out of \"\(name)\"")
            }
        }
        return results
    }

    // MARK: Calls

    /// A call put together from a document, as a server does it.
    ///
    /// - Parameter watch: What a server has watch its calls; `nil` for a call that nobody watches.
    private static func call(
        _ stages: String, environment: [String: String] = [:], watch: ServerObservers? = nil
    ) throws -> CallBench {
        let document = #"{"name": "bench", "numbers": ["*"], "transport": "twilio", "stages": [\#(stages)]}"#
        let (set, diagnostics) = PipelineSet.load(
            sources: [SourceText(file: "bench.json", document)], registry: try .standard(), environment: environment)
        guard let route = set?.route("+1") else { throw Failure(description: diagnostics.rendered()) }
        let info = CallInfo(id: "1", callSid: "CA1", from: "+1", to: "+1", pipeline: "bench")
        var plan = try CallParts(try route.plan(for: CallVariables())).makePlan(info)
        if watch != nil { plan.meters = MediaLoop(MultiThreadedEventLoopGroup.singleton.next()).meters }
        return try CallBench(plan, observers: watch?.observers(for: info) ?? [], start: startMessage)
    }

    /// A second of a tone, for the mixer.
    private static func hum() throws -> String {
        let path = "/tmp/patchbay-frames-hum.wav"
        try WAVFile(samples: Tone(200).samples(count: 8000, sampleRate: 8000), sampleRate: 8000).write(to: path)
        return path
    }

    private struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    private static func calls() throws -> [Measure.Result] {
        let media = mediaMessage(speech)
        var results: [Measure.Result] = []
        let resampled = { (quality: String, agent: String) in
            #""decoder", {"type": "resampler", "rateHz": 16000, "quality": "\#(quality)"}, "vad", \#(agent), {"type": "resampler", "rateHz": 8000, "quality": "\#(quality)"}, "encoder""#
        }
        let sound = try hum()
        let everything =
            #""decoder", {"type": "resampler", "rateHz": 16000}, {"type": "vad", "engine": "webrtc"}, {"type": "turns", "uninterruptible": "everything"}, "dtmf", {"type": "recorder", "path": "frames.wav", "directory": "/tmp/patchbay-frames"}, "echo", {"type": "resampler", "rateHz": 8000}, {"type": "gain", "gainDb": -3}, {"type": "mixer", "sound": "\#(sound)"}, "encoder""#
        for (name, stages) in [
            ("echo, no stages", #""echo""#), ("decoder, echo, encoder", #""decoder", "echo", "encoder""#),
            ("six stages, resampler low-delay (ours)", resampled("low-delay", #""echo""#)),
            ("six stages, resampler linear-phase (ours)", resampled("linear-phase", #""echo""#)),
            ("six stages, resampler medium", resampled("medium", #""echo""#)),
            ("eleven stages: webrtc vad, turns, dtmf, recorder, gain, mixer …", everything),
        ] {
            var bench = try call(stages)
            results.append(
                Measure.run("a call's packet, in and out: \(name)", repetitions: 4000) { bench.exchange(media) })
            guard bench.isAlive else { throw Failure(description: "the call of \"\(name)\" ended in the middle") }
        }
        let agent = #"{"type": "elevenlabs", "agentId": "a"}"#
        PrometheusMetrics.bootstrap()
        let watch = try ServerObservers(
            SQLiteStore(), traces: TraceFile("/dev/null"),
            logger: Logger(label: "frames") { _ in SwiftLogNoOpLogHandler() })
        for (name, stages, format, bytes, watch) in [
            ("µ-law agent, no stages", agent, "ulaw_8000", 160, nil),
            ("16 kHz agent, six stages", resampled("low-delay", agent), "pcm_16000", 640, nil),
            (
                "the same, with records, a reader of events, log, metrics and spans", resampled("low-delay", agent),
                "pcm_16000", 640, watch
            ),
        ] as [(String, String, String, Int, ServerObservers?)] {
            var bench = try call(stages, watch: watch)
            bench.connectAgent(format)
            var audio = ByteBuffer()
            [UInt8](repeating: 0x40, count: bytes).withUnsafeBytes {
                ElevenLabsWriter.audio($0, eventId: 3, into: &audio)
            }
            results.append(
                Measure.run("ElevenLabs, both legs: \(name)", repetitions: 4000) { bench.exchange(media, agent: audio) }
            )
            guard bench.isAlive else { throw Failure(description: "the call of \"\(name)\" ended in the middle") }
        }
        return results
    }

    // MARK: Table

    private static func row(_ cells: String...) -> String {
        let name = cells[0] + String(repeating: " ", count: max(0, 62 - cells[0].count))
        return name + cells.dropFirst().map { String(repeating: " ", count: max(0, 14 - $0.count)) + $0 }.joined()
    }

    private static func fixed(_ value: Double, digits: Int = 0) -> String {
        let scale = digits == 0 ? 1.0 : 1000.0
        let rounded = (value * scale).rounded() / scale
        return digits == 0 ? "\(Int(rounded))" : "\(rounded)"
    }
}
