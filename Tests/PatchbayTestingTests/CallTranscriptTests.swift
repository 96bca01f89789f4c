import NIOCore
import Patchbay
import PatchbayTesting
import Testing

@Suite struct CallTranscriptTests {
    /// A carrier whose messages can be read aloud: `start`, `5` for a key, `stop`; anything else is linear sound.
    private struct Plain: CarrierSerializer {
        func deserialize(_ message: ByteBuffer) throws -> CarrierEvent {
            switch String(buffer: message) {
            case "start": .started(CallStart(callSid: "CA1", streamSid: "MZ1"), .pcm(8000))
            case "5": .dtmf("5")
            case "stop": .stopped
            default: .audio(message, CarrierPosition(timestampMilliseconds: 0, chunk: nil))
            }
        }

        func audio(_ payload: ByteBuffer, into batch: inout MessageBatch) {
            batch.binary { $0.writeImmutableBuffer(payload) }
        }
        func mark(_ mark: PlaybackMark, into batch: inout MessageBatch) { batch.text { $0.writeString("mark") } }
        func clear(into batch: inout MessageBatch) { batch.text { $0.writeString("clear") } }
    }

    /// Greets, answers every turn of the caller, and says goodbye to whoever presses a key.
    private struct Clerk: AgentBackend {
        let type = "clerk"

        func open(_ request: AgentRequest) throws(PipelineError) -> AgentSession {
            AgentSession(Conversation(joint: request.joint), endpoint: .local)
        }

        private struct Conversation: AgentConversation {
            let joint: AudioFormat

            func opened(at now: MediaTime, into output: inout AgentOutput) {
                output.emit(.ready(input: joint, output: joint))
            }

            func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput) {
                switch frame {
                case .callStarted: say("Good morning.", 400, into: &output)
                case .userTurnEnded: say("We are open until noon.", 2000, into: &output)
                case .dtmf:
                    say("Goodbye.", 200, into: &output)
                    output.emit(.hangup(EndReason(.agentHungUp)))
                default: break
                }
            }

            private func say(_ words: String, _ milliseconds: Int, into output: inout AgentOutput) {
                output.emit(.text(TextFrame(words, speaker: .agent)))
                output.emit(.audio(ByteBuffer(repeating: 1, count: joint.byteCount(milliseconds: milliseconds))))
                output.emit(.turnEnded)
            }
        }
    }

    private func stage(_ component: any StageComponent, _ values: [String: VariableValue]) throws -> Stage {
        let settings = Settings(component.spec.fields, values)
        return Stage(
            component.spec.type, address: "", takes: .pcm(8000), gives: .pcm(8000),
            processor: try component.makeProcessor(taking: .pcm(8000), settings: settings))
    }

    private func call(_ transcript: CallTranscript) throws -> CallHarness {
        let stages = [
            try stage(VAD(), ["minimumSpeechMs": 60, "minimumSilenceMs": 100]),
            try stage(Turns(), ["minimumBargeInMs": 100, "confirmMs": 100]),
        ]
        return try CallHarness(
            CallPlan(
                info: CallInfo(id: "1", callSid: "CA1", from: "+1", to: "+2", pipeline: "test"), carrier: Plain(),
                carrierFormat: .pcm(8000), toAgent: Chain(.toAgent, stages), joint: .pcm(8000), backends: [Clerk()],
                toCaller: Chain(.toCaller, [])),
            observers: [transcript])
    }

    /// The caller speaks, is answered, cuts the answer off, speaks again and presses a key.
    private func conversation(_ transcript: CallTranscript) throws -> CallHarness {
        var harness = try call(transcript)
        harness.advance(40)
        harness.carrier("start")
        harness.advance(800)
        for frames in Timeline().frames("##########....................####################...............5") {
            for frame in frames {
                switch frame {
                case .audio(let audio): harness.carrier(String(buffer: audio.payload))
                case .dtmf(let key): harness.carrier(String(key))
                default: break
                }
            }
            harness.advance(20)
        }
        harness.advance(3500)
        return harness
    }

    @Test func aWholeCall() throws {
        let transcript = CallTranscript()
        let harness = try conversation(transcript)
        #expect(harness.end == EndReason(.agentHungUp))
        let difference = transcript.difference(from: Self.golden)
        #expect(difference == nil, "\(difference ?? "")\n\(transcript.text)")
    }

    private static let golden = """
          -0.040  agent    clerk is called
          -0.040  agent    clerk is ready, takes pcm16 8000 Hz mono, gives pcm16 8000 Hz mono
           0.000  carrier  stream MZ1 begins
           0.000  agent    "Good morning."
           0.000  agent    can be heard, turn 0
           0.020  agent    speaks
           0.200  agent    has been sent
           0.400  agent    has been heard, 400 ms: "Good morning."
           0.400  agent    is silent
           0.820  caller   speaks
           0.820  caller   has the turn
           1.100  caller   is silent
           1.100  caller   gives the turn away (silence)
           1.100  agent    "We are open until noon."
           1.100  agent    can be heard, turn 0
           1.120  agent    speaks
           1.420  caller   speaks
           1.520  call     pauses playback after 420 ms
           1.620  caller   has the turn
           1.620  agent    is cut (the caller spoke) after 420 ms: "We"
           1.620  agent    is silent
           1.900  caller   is silent
           1.900  caller   gives the turn away (silence)
           1.900  agent    "We are open until noon."
           1.900  agent    can be heard, turn 2
           1.920  agent    speaks
           2.100  caller   presses 5
           2.100  agent    "Goodbye."
           3.700  agent    has been sent
           3.720  agent    has been heard, 2000 ms: "We are open until noon."
           3.720  agent    can be heard, turn 2
           3.900  agent    has been sent
           3.900  call     hangs up: agentHungUp
           5.100  agent    has been heard, 200 ms: "Goodbye."
           5.100  call     ended: agentHungUp
        """

    @Test func differencesAreNamed() throws {
        let transcript = CallTranscript()
        transcript.observe(.dtmf("5"), at: Joint(.toAgent, 0), time: MediaTime(milliseconds: 1000))
        transcript.observe(.dtmf("5"), at: Joint(.toAgent, 1), time: MediaTime(milliseconds: 1000))
        transcript.observe(
            .streamStarted(CallStart(callSid: "CA1", streamSid: "MZ1")), time: MediaTime(milliseconds: 1250))
        let golden = """
              -0.250  caller   presses 5
               0.000  carrier  stream MZ1 begins

            """
        #expect(transcript.difference(from: golden) == nil)
        #expect(
            transcript.difference(from: golden.replacing("MZ1", with: "MZ2"))
                == "line 2\n  expected    0.000  carrier  stream MZ2 begins\n  but was     0.000  carrier  stream MZ1 begins"
        )
        #expect(transcript.difference(from: golden + "more")?.contains("but was  (nothing)") == true)
        #expect(transcript.difference(from: "")?.contains("expected (nothing)") == true)
    }

    @Test func itIsBounded() {
        let transcript = CallTranscript(limit: 2)
        for index in 0..<5 { transcript.observe(.utteranceSent, time: MediaTime(milliseconds: Int64(index))) }
        #expect(transcript.lines.count == 3 && transcript.lines.last == "… and 3 lines more")
    }
}
