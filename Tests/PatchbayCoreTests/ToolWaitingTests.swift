import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTesting
import Testing

/// Tools as a call sees them: which backend calls, and what the caller hears meanwhile.
@Suite struct ToolWaitingTests {
    /// Calls tools when told to (`call ID NAME`), and does what a puppet does otherwise.
    private struct Puppet: AgentBackend {
        let type = "puppet"

        func open(_ request: AgentRequest) throws(PipelineError) -> AgentSession {
            let told = request.tools.map(\.name).joined(separator: ",")
            return AgentSession(Conversation(told: told), endpoint: .webSocket { AgentTarget(url: "ws://puppet") })
        }

        struct Conversation: AgentConversation {
            var told: String

            func opened(at now: MediaTime, into output: inout AgentOutput) {
                output.messages.text { $0.writeString("tools \(told)") }
            }
            func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput) {
                switch frame {
                case .interruption: output.messages.text { $0.writeString("cut") }
                case .heard(let heard): output.messages.text { $0.writeString("heard \(heard.duration.milliseconds)") }
                default: break
                }
            }
            func received(_ message: ByteBuffer, at now: MediaTime, into output: inout AgentOutput) {
                let words = String(buffer: message).split(separator: " ").map(String.init)
                switch words[0] {
                case "ready": output.emit(.ready(input: .telephony, output: .telephony))
                case "audio": output.emit(.audio(ByteBuffer(repeating: 0x40, count: Int(words[1]) ?? 0)))
                case "end": output.emit(.turnEnded)
                case "interrupt": output.emit(.interruption(cause: "told to"))
                case "call": output.emit(.toolCall(ToolCall(id: words[1], name: words[2])))
                case "cancel": output.emit(.toolCallsCancelled(ids: [words[1]]))
                case "fail": output.emit(.failed(PipelineError(.agentFailed, "told to")))
                default: break
                }
            }
            func toolAnswered(_ result: ToolResult, at now: MediaTime, into output: inout AgentOutput) {
                output.messages.text { $0.writeString("answer \(result.id) \(result.output)") }
            }
        }
    }

    private func harness(
        _ sounds: [String: WaitingSound], own: [[String: WaitingSound]] = [], backends: Int = 1
    ) throws -> CallHarness {
        var plan = CallPlan(
            info: CallInfo(id: "call-1", callSid: "CA1", from: "+1", to: "+2", pipeline: "test"),
            carrier: PlainCarrier(),
            carrierFormat: .telephony, toAgent: Chain(.toAgent, []), joint: .telephony,
            backends: Array(repeating: Puppet(), count: backends), toCaller: Chain(.toCaller, []),
            tools: [ToolDefinition("look", description: "x"), ToolDefinition("book", description: "x")])
        plan.waitingSounds = sounds
        plan.ownWaitingSounds = own
        var call = try CallHarness(plan)
        call.agentConnected()
        call.agent("ready")
        call.carrier("start")
        return call
    }

    /// Half a second that can be told from the agent's own audio, a second after the call of the tool.
    private static let sound = WaitingSound(ByteBuffer(repeating: 0x55, count: 4000), after: .seconds(1))

    private func said(_ call: CallHarness) -> Int { call.carrierTexts("audio 55").count }
    private func own(_ call: CallHarness) -> Int { call.carrierTexts("audio 40").count }

    @Test func agentsAreToldOfTheirToolsAndTheCallSaysWhoCalled() throws {
        var call = try harness([:], backends: 2)
        #expect(call.agentTexts("tools") == ["tools look,book"])
        call.agent("call a look")
        call.agent("fail")
        call.agentConnected()
        call.agent("ready")
        call.agent("call b book")
        let backends = call.actions.compactMap { if case .runTool(let tool, _) = $0 { tool.backend } else { nil } }
        #expect(backends == [0, 1])
    }

    @Test func theWordsComeAfterTheSilenceAndOnce() throws {
        var call = try harness(["look": Self.sound])
        call.agent("call a look")
        call.advance(980) { $0.carrier("audio FF 160") }
        #expect(said(call) == 0)
        call.advance(3000) { $0.carrier("audio FF 160") }
        #expect(said(call) == 25, "half a second of packets")
        #expect(call.agentTexts("heard").isEmpty, "it is nobody's turn")
        call.advance(5000) { $0.carrier("audio FF 160") }
        #expect(said(call) == 25)
    }

    @Test func theSilenceCountsFromTheEndOfWhatTheAgentSays() throws {
        var call = try harness(["look": Self.sound])
        call.agent("audio 8000")
        call.agent("call a look")
        call.agent("end")
        call.advance(1980) { $0.carrier("audio FF 160") }
        #expect(own(call) == 50 && said(call) == 0)
        call.advance(100) { $0.carrier("audio FF 160") }
        #expect(said(call) > 0)
    }

    @Test func anAnswerInTimeNeedsNoWords() throws {
        var call = try harness(["look": Self.sound])
        call.agent("call a look")
        call.advance(600) { $0.carrier("audio FF 160") }
        call.agent("cancel a")
        call.agent("call b look")
        call.advance(900) { $0.carrier("audio FF 160") }
        #expect(said(call) == 0)
        call.agent("cancel b")
        call.advance(3000) { $0.carrier("audio FF 160") }
        #expect(said(call) == 0)
    }

    @Test func aToolWithoutWordsIsWaitedForInSilence() throws {
        var call = try harness(["look": Self.sound])
        call.agent("call a book")
        call.advance(3000) { $0.carrier("audio FF 160") }
        #expect(said(call) == 0)
    }

    @Test func theAgentsAnswerComesBehindTheWords() throws {
        var call = try harness(["look": Self.sound])
        call.agent("call a look")
        call.advance(1100) { $0.carrier("audio FF 160") }
        call.agent("audio 1600")
        call.agent("end")
        call.advance(1500) { $0.carrier("audio FF 160") }
        let audio = call.carrierTexts("audio")
        #expect(said(call) == 25 && own(call) == 10)
        #expect(audio.firstIndex { $0.hasPrefix("audio 40") } == 25, "nothing of it is mixed in or lost")
        #expect(call.agentTexts("heard") == ["heard 200"], "what was heard of the agent is what it said")
    }

    @Test func anInterruptionTakesTheWordsBack() throws {
        var call = try harness(["look": Self.sound])
        call.agent("call a look")
        call.advance(1100) { $0.carrier("audio FF 160") }
        let before = said(call)
        #expect(before > 0 && before < 25)
        call.agent("interrupt")
        #expect(call.carrierTexts("clear").count == 1)
        call.advance(2000) { $0.carrier("audio FF 160") }
        #expect(said(call) == before)
        #expect(call.agentTexts("heard").isEmpty, "nothing of the agent was cut")
    }

    @Test func whatIsCalledAtOnceIsWaitedForOnce() throws {
        var call = try harness([
            "look": Self.sound, "book": WaitingSound(ByteBuffer(repeating: 0x56, count: 1600), after: .zero),
        ])
        call.agent("call a look")
        call.agent("call b book")
        call.advance(3000) { $0.carrier("audio FF 160") }
        #expect(said(call) + call.carrierTexts("audio 56").count == 25 || call.carrierTexts("audio 56").count == 10)
        #expect(said(call) == 0 || call.carrierTexts("audio 56").isEmpty, "one of the two, not both")
    }

    @Test func twoAgentsMayHaveToolsOfOneName() throws {
        let other = WaitingSound(ByteBuffer(repeating: 0x56, count: 1600), after: .zero)
        var call = try harness([:], own: [["look": Self.sound], ["look": other]], backends: 2)
        call.agent("call a look")
        call.advance(3000) { $0.carrier("audio FF 160") }
        #expect(said(call) == 25 && call.carrierTexts("audio 56").isEmpty)
        call.agent("fail")
        call.agentConnected()
        call.agent("ready")
        call.agent("call a look")
        call.advance(3000) { $0.carrier("audio FF 160") }
        #expect(said(call) == 25 && call.carrierTexts("audio 56").count == 10)
    }

    @Test func theEndOfTheAgentIsTheEndOfTheWords() throws {
        var call = try harness(["look": Self.sound], backends: 2)
        call.agent("call a look")
        call.agent("fail")
        call.advance(2500) { $0.carrier("audio FF 160") }
        #expect(said(call) == 0)
    }
}
