import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTesting
import Testing

@Suite("One conversation over several sockets")
struct ReconnectionTests {
    private static let unreachable = PipelineError(.agentUnreachable, "refused", isRetryable: true)

    /// Speaks a packet that is unlike the one before.
    private struct Caller {
        var packet = 0
        mutating func speak(_ call: inout CallHarness) {
            let byte = UInt8(truncatingIfNeeded: 0x20 + packet % 5 * 9)
            packet += 1
            call.carrier("audio \(String(byte, radix: 16)) 160 \(packet) \((packet - 1) * 20)")
        }
    }

    private func heardBytes(_ call: CallHarness) -> Int {
        call.agentTexts("heard ").compactMap { Int($0.dropFirst(6)) }.reduce(0, +)
    }

    private func redials(_ call: CallHarness) -> Int {
        call.actions.count { if case .redialAgent = $0 { true } else { false } }
    }

    @Test func theFormerSocketServesUntilTheNewOneIsOpen() throws {
        let log = EventLog()
        var call = try makeHarness(observers: [log])
        call.begin()
        call.agent("audio 40 1600")
        call.agent("reconnect")
        #expect(call.redialLink != nil)
        call.agent("audio 41 1600")
        call.carrier("audio 7f 160")
        #expect(call.agentTexts("heard") == ["heard 160"], "written to the socket that stands")
        call.agentConnected()
        #expect(call.agentTexts("hello").count == 2 && call.agentTexts("started").count == 1)
        call.carrier("audio 7f 160")
        #expect(call.agentTexts("heard") == ["heard 160"], "the new one is not ready yet")
        call.agent("ready")
        #expect(call.agentTexts("heard") == ["heard 160", "heard 160"])
        call.agent("audio 42 1600")
        call.advance(700) { $0.carrier("audio 7f 160") }
        let sounds = call.carrierTexts("audio").map { $0.split(separator: " ")[1] }
        #expect(
            sounds == ["40", "41", "42"].flatMap { [Substring](repeating: $0, count: 10) }, "nothing lost, in order")
        #expect(call.call.counters.agentReconnects == 1 && call.call.counters.agentFailures == 0)
    }

    @Test("Sound goes on without a click, whatever is converted", arguments: [AudioFormat.pcm(16_000), .pcm(24_000)])
    func noClick(_ format: AudioFormat) throws {
        func run(reconnecting: Bool) throws -> (toCarrier: [String], toAgent: [String]) {
            var call = try makeHarness(backends: [LateFormatsTests.Recorder(format: format)])
            var caller = Caller()
            call.agentConnected()
            call.agent("ready")
            call.carrier("start")
            call.advance(200) { caller.speak(&$0) }
            if reconnecting { call.agent("reconnect") }
            call.advance(200) { caller.speak(&$0) }
            if reconnecting {
                call.agentClosed(code: 1001)
                call.advance(100) { caller.speak(&$0) }
                call.agentConnected()
                call.advance(100) { caller.speak(&$0) }
                call.agent("ready")
            } else {
                call.advance(200) { caller.speak(&$0) }
            }
            call.advance(300) { caller.speak(&$0) }
            return (
                call.carrierTexts("audio"),
                call.agentMessages.flatMap { $0.text.split(separator: " ").map(String.init) }
            )
        }
        let plain = try run(reconnecting: false), renewed = try run(reconnecting: true)
        #expect(renewed.toAgent == plain.toAgent, "the same samples, though in other pieces")
        #expect(renewed.toAgent.count > format.byteCount(milliseconds: 800))
    }

    @Test func aFormerSocketThatDiesMeanwhileLosesNothing() throws {
        var call = try makeHarness(backends: [PuppetAgent(), PuppetAgent("second")])
        call.begin()
        call.agent("audio 40 1600")
        call.agent("reconnect")
        call.agentClosed(code: 1001, reason: "going away")
        var caller = Caller()
        call.advance(600) { caller.speak(&$0) }
        call.carrier("dtmf 5")
        call.addContext("the page is open")
        #expect(heardBytes(call) == 0 && call.agentTexts("key").isEmpty && call.agentTexts("context").isEmpty)
        call.agentConnected()
        call.agent("ready")
        #expect(heardBytes(call) == caller.packet * 160)
        #expect(call.agentTexts("key") == ["key 5"] && call.agentTexts("context") == ["context: the page is open"])
        call.advance(100) { caller.speak(&$0) }
        #expect(heardBytes(call) == caller.packet * 160)
        #expect(call.carrierTexts("audio").count == 10, "what had come before is played")
        #expect(call.call.backend == "puppet" && call.end == nil)
    }

    @Test func whileTheFormerSocketStandsAnUnreachableOneIsNoFailure() throws {
        var call = try makeHarness(backends: [PuppetAgent(), PuppetAgent("second")])
        call.begin()
        call.agent("reconnect")
        call.agentUnreachable(Self.unreachable)
        #expect(call.redialLink == nil)
        call.advance(1000) { $0.carrier("audio 7f 160") }
        #expect(call.redialLink != nil, "tried again after a second")
        #expect(heardBytes(call) == 50 * 160)
        call.agentUnreachable(Self.unreachable)
        call.advance(1000) { $0.carrier("audio 7f 160") }
        call.agentUnreachable(Self.unreachable)
        call.advance(20_000) { $0.carrier("audio 7f 160") }
        #expect(redials(call) == 3)
        #expect(call.call.backend == "puppet" && heardBytes(call) == 1100 * 160)
        call.agentClosed(code: 1001, reason: "going away")
        #expect(call.call.backend == "second", "now the conversation says that it is over")
    }

    @Test func anUnreachableSocketAfterTheFormerDiedIsAFailure() throws {
        var call = try makeHarness(backends: [PuppetAgent(), PuppetAgent("second")])
        call.begin()
        call.agent("reconnect")
        call.agentClosed(code: 1006)
        call.agentUnreachable(Self.unreachable)
        #expect(call.call.backend == "second")
        var caller = Caller()
        call.advance(200) { caller.speak(&$0) }
        call.agentConnected()
        call.agent("ready")
        #expect(heardBytes(call) == caller.packet * 160, "the next agent gets the words that were held")
    }

    @Test func aDeathWhileTheNextTryIsAwaitedDialsAtOnce() throws {
        var call = try makeHarness()
        call.begin()
        call.agent("reconnect")
        call.agentUnreachable(Self.unreachable)
        call.agentClosed(code: 1001)
        #expect(call.redialLink != nil && call.end == nil)
        call.agentConnected()
        call.agent("ready")
        call.agent("audio 42 160")
        #expect(call.carrierTexts("audio") == ["audio 42 42 160"])
    }

    @Test func aNewSocketThatIsNeverReadyIsAFailure() throws {
        var call = try makeHarness(backends: [PuppetAgent(), PuppetAgent("second")])
        call.begin()
        call.agent("reconnect")
        call.agentConnected()
        call.advance(10_020) { $0.carrier("audio 7f 160") }
        #expect(call.call.backend == "second")
    }

    @Test func theFormerSocketsLateWordsAreIgnoredOnceItIsLeft() throws {
        var call = try makeHarness()
        call.begin()
        let former = call.link
        call.agent("reconnect")
        call.agentConnected()
        call.agent("ready")
        #expect(call.link != former)
        var output = CallOutput()
        var core = call.call
        core.agentReceived(ByteBuffer(string: "fail"), link: former, at: call.now, into: &output)
        core.agentClosed(code: 1000, reason: "", link: former, at: call.now, into: &output)
        #expect(output.takeActions().isEmpty && core.counters.agentFailures == 0)
    }

    @Test func aConversationIsNotDialledAgainForEver() throws {
        var call = try makeHarness(backends: [PuppetAgent(), PuppetAgent("second")])
        call.begin()
        for _ in 0..<11 {
            guard call.call.backend == "puppet" else { break }
            call.agent("reconnect")
            call.agentConnected()
            call.agent("ready")
        }
        #expect(redials(call) == 10)
        #expect(call.call.backend == "second")
    }

    @Test func toolsAnswerAcrossSockets() throws {
        var call = try makeHarness()
        call.begin()
        call.agent("calls t1 lookup")
        call.agent("calls t2 lookup")
        call.agent("reconnect")
        call.agentClosed(code: 1001)
        call.toolAnswered(ToolResult(ToolCall(id: "t1", name: "lookup"), output: "one"))
        #expect(call.agentTexts("answer").isEmpty)
        call.agentConnected()
        call.agent("ready")
        call.toolAnswered(ToolResult(ToolCall(id: "t2", name: "lookup"), output: "two"))
        #expect(call.agentTexts("answer") == ["answer t1: one", "answer t2: two"])
    }
}
