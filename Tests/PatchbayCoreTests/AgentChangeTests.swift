import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTesting
import Testing

@Suite("Another agent while the call runs")
struct AgentChangeTests {
    private func begun(_ agents: [PuppetAgent] = [PuppetAgent("first"), PuppetAgent("second")]) throws -> CallHarness {
        var call = try makeHarness(backends: agents) { $0.bridge = ByteBuffer(repeating: 0x55, count: 1600) }
        call.begin()
        return call
    }

    @Test func whatIsSaidStopsAndTheNewAgentGoesOn() throws {
        var call = try begun()
        call.agent("says one two three four five six")
        call.agent("audio 40 16000")
        call.agent("end")
        call.advance(1000) { $0.carrier("audio 7f 160") }
        let isChanged = try call.changeAgent(to: 1)
        #expect(isChanged)
        #expect(call.carrierTexts("clear").count == 1 && call.call.backend == "second")
        #expect(call.actions.contains { if case .closeAgent = $0 { true } else { false } })
        call.agentConnected()
        #expect(call.agentTexts("hello").last == "hello; agent: one two three; go on")
        call.agent("ready")
        call.agent("audio 42 160")
        #expect(call.carrierTexts("audio").last == "audio 42 42 160")
        #expect(call.call.counters.agentChanges == 1 && call.call.counters.agentFailures == 0)
        #expect(call.agentTexts("cut").isEmpty, "the new one was not interrupted")
    }

    @Test func anAgentFromElsewhereCanComeToo() throws {
        var call = try begun()
        try call.changeAgent(to: PuppetAgent("visitor"))
        #expect(call.call.backend == "visitor")
        call.agentConnected()
        call.agent("ready")
        call.agent("fail")
        #expect(call.call.backend == "first", "if it fails, the call's own follow")
    }

    @Test func theNewAgentHasToBeReadyAsSoonAsAfterAFailure() throws {
        var call = try begun()
        try call.changeAgent(to: 1)
        call.advance(3020) { $0.carrier("audio 7f 160") }
        #expect(call.call.backend == "first")
        #expect(call.carrierTexts("audio").count { $0.contains(" 55 ") } == 10, "bridged meanwhile")
    }

    @Test func anAgentThatCannotBeOpenedChangesNothing() throws {
        var call = try begun([PuppetAgent("first"), PuppetAgent("broken", refuses: true)])
        call.agent("audio 40 16000")
        #expect(throws: PipelineError.self) { _ = try call.changeAgent(to: 1) }
        #expect(throws: PipelineError.self) { _ = try call.changeAgent(to: 7) }
        #expect(throws: PipelineError.self) { _ = try call.changeAgent(to: PuppetAgent("broken", refuses: true)) }
        #expect(call.call.backend == "first" && call.carrierTexts("clear").isEmpty)
        call.advance(100) { $0.carrier("audio 7f 160") }
        #expect(call.call.counters.agentChanges == 0)
    }

    @Test func whatMustNotBeCutIsHeardToItsEnd() throws {
        var call = try begun()
        call.agent("locks")
        call.agent("audio 40 8000")
        call.agent("end")
        call.advance(100) { $0.carrier("audio 7f 160") }
        try call.changeAgent(to: 1)
        call.agentConnected()
        call.agent("ready")
        call.agent("audio 42 160")
        call.advance(2000) { $0.carrier("audio 7f 160") }
        let sounds = call.carrierTexts("audio").map { $0.split(separator: " ")[1] }
        #expect(sounds == Array(repeating: "40", count: 50) + ["42"])
        #expect(call.carrierTexts("clear").isEmpty)
    }

    @Test func itCanBeChangedWhileItRings() throws {
        var call = try makeHarness(backends: [PuppetAgent("first"), PuppetAgent("second")])
        call.agentConnected()
        call.agent("ready")
        call.agent("audio 40 8000")
        try call.changeAgent(to: 1)
        call.agentConnected()
        call.agent("ready")
        call.agent("audio 42 160")
        call.carrier("start")
        #expect(call.carrierTexts("audio") == ["audio 42 42 160"])
    }

    @Test func anEndedCallHasNoAgent() throws {
        var call = try begun()
        call.carrier("stop")
        let isChanged = [try call.changeAgent(to: 1), try call.changeAgent(to: PuppetAgent("visitor"))]
        #expect(isChanged == [false, false])
    }

    @Test func visitorsAreLimited() throws {
        var limits = CallLimits()
        limits.agentChanges = 2
        var call = try makeHarness(limits: limits)
        call.begin()
        try call.changeAgent(to: PuppetAgent("a"))
        try call.changeAgent(to: PuppetAgent("b"))
        #expect(throws: PipelineError.self) { _ = try call.changeAgent(to: PuppetAgent("c")) }
        try call.changeAgent(to: 0)
        #expect(call.call.backend == "puppet", "its own are always there")
    }
}
