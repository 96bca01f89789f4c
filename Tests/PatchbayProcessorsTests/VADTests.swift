import NIOCore
import PatchbayAudio
import PatchbayConfig
import PatchbayCore
@testable import PatchbayProcessors
import PatchbayTesting
import Testing

@Suite struct VADTests {
    private func settings(_ values: [String: VariableValue] = [:]) -> Settings { Settings(VAD().spec.fields, values) }

    private func stage(_ rate: Int = 8000, _ values: [String: VariableValue] = [:]) throws -> any Processor {
        try VAD().makeProcessor(taking: .pcm(rate), settings: settings(values))
    }

    /// A second of silence, one of a buzz as broad as a voice, two of silence.
    private func signal(_ rate: Int) -> [Int16] {
        let buzz = (0..<rate).map { index -> Int16 in
            (index * 240 / rate % 2 == 0 ? 3000 : -3000) + (index * 1460 / rate % 2 == 0 ? 1200 : -1200)
        }
        return [Int16](repeating: 0, count: rate) + buzz + [Int16](repeating: 0, count: 2 * rate)
    }

    /// What comes out for packets of 20 ms: samples, and edges with the packet that brought them.
    private func run(
        _ processor: any Processor, _ samples: [Int16], rate: Int
    ) throws -> (samples: [Int16], edges: [String]) {
        var harness = ProcessorHarness(Box(processor))
        var out: [Int16] = []
        var edges: [String] = []
        for (packet, start) in stride(from: 0, to: samples.count, by: rate / 50).enumerated() {
            for frame in try harness.push(.audio(audio(Array(samples[start..<start + rate / 50]), rate))) {
                switch frame {
                case .audio(let audio): out += self.samples(audio)
                case .speechStarted: edges.append("start@\(packet)")
                case .speechStopped: edges.append("stop@\(packet)")
                case .speechPaused, .speechResumed: break
                default: Issue.record("unexpected \(frame)")
                }
            }
        }
        return (out, edges)
    }

    private func audio(_ samples: [Int16], _ rate: Int) -> AudioFrame {
        var payload = ByteBuffer()
        samples.withUnsafeBytes { _ = payload.writeBytes($0) }
        return AudioFrame(payload, format: .pcm(rate), generation: 3)
    }

    private func samples(_ audio: AudioFrame) -> [Int16] {
        var scratch: [Int16] = []
        return audio.payload.withUnsafeSamples(copyingInto: &scratch) { Array($0) }
    }

    @Test func everyEngineWithoutAModelMarksTheBuzz() throws {
        for (engine, rates) in [("energy", [8000, 16_000, 24_000]), ("webrtc", [8000, 16_000, 48_000])] {
            for rate in rates {
                let stage = try stage(rate, ["engine": .string(engine)])
                #expect(stage.delay == .zero)
                let samples = signal(rate)
                let found = try run(stage, samples, rate: rate)
                #expect(found.samples == samples, "\(engine) at \(rate) Hz passes all audio unchanged")
                #expect(found.edges.count == 2, "\(engine) at \(rate) Hz: \(found.edges)")
                #expect(found.edges.first?.hasPrefix("start@5") == true, "\(engine) at \(rate) Hz: \(found.edges)")
                #expect(found.edges.last?.hasPrefix("stop@1") == true, "\(engine) at \(rate) Hz: \(found.edges)")
            }
        }
    }

    @Test func theGateDelaysByItsPreRollAndLosesNoBeginning() throws {
        let rate = 8000
        let stage = try stage(rate, ["gate": true, "preRollMs": 200, "hangoverMs": 60])
        #expect(stage.delay == .milliseconds(200))
        // Line noise below the level of speech has to go.
        var input = signal(rate)
        for index in input.indices where input[index] == 0 { input[index] = index % 2 == 0 ? 20 : -20 }
        let found = try run(stage, input, rate: rate)
        #expect(found.samples.count == input.count)
        let delayed = [Int16](repeating: 0, count: 1600) + input.dropLast(1600)
        let passed = found.samples.indices.filter { found.samples[$0] != 0 }
        let (first, last) = (passed.first ?? 0, passed.last ?? 0)
        #expect((8000...9600).contains(first), "opens before the buzz, which comes at 9600: \(first)")
        #expect((17_500...18_200).contains(last), "closes 60 ms behind the buzz, which ends at 17600: \(last)")
        #expect(Array(found.samples[first...last]) == Array(delayed[first...last]))
    }

    @Test func theGateGivesOutItsTailAndForgetsAnInterruption() throws {
        var harness = ProcessorHarness(Box(try stage(8000, ["gate": true, "preRollMs": 200])))
        let tone = Tone(300, level: -15).samples(count: 4000, sampleRate: 8000)
        let heard = try harness.push(.audio(audio(tone, 8000)))
        guard case .speechStarted? = heard.first, case .audio(let body)? = heard.last else {
            Issue.record("\(heard)")
            return
        }
        #expect(body.generation == 3)
        let ending = try harness.push(.utteranceEnded(generation: 3))
        guard case .audio(let tail)? = ending.first, case .utteranceEnded? = ending.last else {
            Issue.record("\(ending)")
            return
        }
        #expect(samples(body) == [Int16](repeating: 0, count: 1600) + tone.prefix(2400))
        #expect(samples(tail) == Array(tone.suffix(1600)))
        guard case .speechStopped = ending[1] else {
            Issue.record("speech ends with the utterance: \(ending)")
            return
        }
        _ = try harness.push(.audio(audio(tone, 8000)))
        _ = try harness.push(.interruption(Interruption(generation: 4, cause: "")))
        let silence = try harness.push(.audio(audio([Int16](repeating: 0, count: 1600), 8000)))
        guard case .audio(let audio)? = silence.last else {
            Issue.record("\(silence)")
            return
        }
        #expect(samples(audio).allSatisfy { $0 == 0 }, "nothing of the cut turn may be heard in the next")
    }

    @Test func ratesThatAnEngineDoesNotTakeAreMismatchesWithARemedy() throws {
        for (engine, rate) in [("silero", 24_000), ("silero", 48_000), ("webrtc", 24_000)] {
            let error = #expect(throws: FormatMismatch.self) {
                try VAD().output(for: .pcm(rate), settings: settings(["engine": .string(engine)]))
            }
            #expect(error?.remedy.contains("\"resampler\"") == true)
        }
        for (engine, rate) in [("silero", 8000), ("silero", 16_000), ("webrtc", 48_000), ("energy", 44_100)] {
            #expect(
                try VAD().output(for: .pcm(rate), settings: settings(["engine": .string(engine)])) == .pcm(rate))
        }
        #expect(throws: FormatMismatch.self) {
            try VAD().output(for: AudioFormat(.pcm16, sampleRate: 8000, channelCount: 2), settings: settings())
        }
        var harness = ProcessorHarness(Box(try stage()))
        #expect(throws: PipelineError.self) { try harness.push(.audio(audio([0], 16_000))) }
    }

    @Test func settingsOfAnotherEngineAreProblems() {
        func fields(_ values: [String: VariableValue]) -> [String] { VAD().problems(in: settings(values)).map(\.field) }
        #expect(fields([:]) == [])
        #expect(fields(["thresholdDb": 12, "minimumLevelDbfs": -40]) == [])
        #expect(fields(["mode": 2, "threshold": 0.4]) == ["mode", "threshold"])
        #expect(fields(["engine": "webrtc", "mode": 2]) == [])
        #expect(fields(["engine": "webrtc", "thresholdDb": 9, "model": "x.onnx"]) == ["thresholdDb", "model"])
        #expect(fields(["preRollMs": 100, "hangoverMs": 100]) == ["preRollMs", "hangoverMs"])
        #expect(fields(["gate": true, "preRollMs": 100, "hangoverMs": 100]) == [])
        #expect(fields(["gate": true, "preRollMs": 50]) == ["preRollMs"])
    }

    @Test func aModelThatIsNotThereIsAProblemThatNamesTheCommand() {
        let missing = VAD().problems(in: settings(["engine": "silero", "model": "/nowhere/silero_vad.onnx"]))
        #expect(missing.map(\.field) == ["model"])
        #expect(missing.first?.remedy?.contains("patchbay model silero") == true)
        let wrong = VAD().problems(
            in: settings(["engine": "silero", "model": "/dev/null", "threshold": 0.3, "exitThreshold": 0.6]))
        #expect(wrong.map(\.field) == ["exitThreshold", "model"])
        #expect(wrong.last?.message.contains("an empty file") == true)
        #expect(throws: PipelineError.self) {
            try stage(8000, ["engine": "silero", "model": "/nowhere/silero_vad.onnx"])
        }
        #expect(
            VAD().problems(in: settings(["engine": "silero", "model": "${model}"])).isEmpty,
            "what a call decides cannot be looked for")
    }

    @Test func aMomentOfSilenceIsToldBeforeSpeechIsOver() {
        var voice = VoicePauses(threshold: 0.5, windowMilliseconds: 20)
        let scores = [0.9, 0.1, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.9, 0.1]
        var told = ""
        for (index, score) in scores.enumerated() {
            switch voice.hear(score, index == 0 ? .speechStarted : index == 11 ? .speechStopped : nil) {
            case .speechPaused: told += "p"
            case .speechResumed: told += "r"
            default: told += "."
            }
        }
        #expect(told == "........p.r.", "80 ms are a pause, 60 are a consonant")
    }
}
