import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTesting
import Synchronization
import Testing

@Suite("Agents that are avoided")
struct AgentHealthTests {
    private let identity = AgentIdentity(type: "puppet", pipeline: "test", settings: 1)
    private let timeout = PipelineError(.agentTimeout, "late", isRetryable: true)

    private func at(_ seconds: Int64) -> MediaTime { MediaTime(milliseconds: seconds * 1000) }

    @Test func threeFailuresWithinAMinuteAreEnough() {
        let health = AgentHealth()
        for second in [0, 30, 61] as [Int64] {
            health.failed(identity, timeout, isConnecting: true, at: at(second))
            #expect(health.admit(identity, at: at(second)) == .normal, "the first is too old to count")
        }
        health.failed(identity, timeout, isConnecting: true, at: at(62))
        #expect(health.admit(identity, at: at(62)) == .avoided)
        #expect(health.admit(AgentIdentity(type: "puppet", pipeline: "test", settings: 2), at: at(62)) == .normal)
    }

    @Test(arguments: [
        PipelineError.Code.agentUnauthorized, .agentUnknown, .agentMissing, .agentNotConfigured, .agentQuota,
    ]) func whatNoOtherTryCanMendIsEnoughOnce(_ code: PipelineError.Code) {
        let health = AgentHealth()
        health.failed(identity, PipelineError(code, "no"), isConnecting: code != .agentQuota, at: at(0))
        #expect(health.admit(identity, at: at(1)) == .avoided)
    }

    @Test func failuresInMidCallDoNotCount() {
        let health = AgentHealth()
        for second in 0..<10 as Range<Int64> {
            health.failed(identity, timeout, isConnecting: false, at: at(second))
        }
        #expect(health.admit(identity, at: at(10)) == .normal && health.reports.isEmpty)
    }

    @Test func oneCallTriesItAgainAndThePausesGrow() {
        let changes = Mutex<[String]>([])
        let health = AgentHealth { change in
            changes.withLock {
                switch change {
                case .avoided(let identity, let pause, _):
                    $0.append("\(identity.type) for \(pause.milliseconds / 1000)")
                case .recovered(let identity): $0.append("\(identity.type) again")
                case .forgotten: $0.append("forgotten")
                }
            }
        }
        var now: Int64 = 0
        for _ in 0..<3 { health.failed(identity, timeout, isConnecting: true, at: at(now)) }
        for pause in [30, 60, 120, 240, 300, 300] as [Int64] {
            #expect(health.admit(identity, at: at(now + pause - 1)) == .avoided, "pause of \(pause) s")
            now += pause
            #expect(health.admit(identity, at: at(now)) == .probe)
            #expect(health.admit(identity, at: at(now)) == .avoided, "one call only")
            health.failed(identity, timeout, isConnecting: true, at: at(now))
            #expect(health.reports.map(\.state) == [.probing], "another call's word is not the prober's")
            health.failed(identity, timeout, isConnecting: true, isProbe: true, at: at(now))
        }
        #expect(health.reports.map(\.state) == [.avoided(until: at(now + 300))])
        #expect(health.admit(identity, at: at(now + 300)) == .probe)
        health.ready(identity)
        #expect(health.reports.isEmpty && health.admit(identity, at: at(now + 300)) == .normal)
        #expect(changes.withLock { $0 } == ["puppet for 30", "puppet again"], "changes only")
    }

    @Test func aProbeThatTellsNothingMakesRoomForTheNext() {
        let health = AgentHealth()
        health.failed(identity, PipelineError(.agentQuota, "none"), isConnecting: true, at: at(0))
        #expect(health.admit(identity, at: at(30)) == .probe)
        health.abandoned(identity, at: at(31))
        #expect(health.admit(identity, at: at(31)) == .probe)
        #expect(health.admit(identity, at: at(60)) == .avoided)
        #expect(health.admit(identity, at: at(61)) == .probe, "nothing was heard of it for 30 s")
    }

    @Test func anAgentThatNobodyTriesIsForgotten() {
        let forgotten = Mutex<[AgentIdentity]>([])
        let health = AgentHealth { change in
            if case .forgotten(let identity) = change { forgotten.withLock { $0.append(identity) } }
        }
        health.failed(identity, PipelineError(.agentUnauthorized, "no"), isConnecting: true, at: at(0))
        health.forgetStale(at: at(899))
        #expect(health.reports.count == 1)
        health.forgetStale(at: at(900))
        #expect(health.reports.isEmpty && forgotten.withLock { $0 } == [identity])
    }

    @Test func itForgetsTheOldestWhenThereAreTooMany() {
        let health = AgentHealth()
        for number in 0...AgentHealth.capacity {
            health.failed(
                AgentIdentity(type: "puppet", pipeline: "test", settings: UInt64(number)), timeout, isConnecting: true,
                at: at(Int64(number)))
        }
        #expect(health.reports.count == AgentHealth.capacity)
        #expect(!health.reports.contains { $0.identity.settings == 0 })
    }

    // MARK: In calls

    private func makeCall(_ health: AgentHealth, _ agents: [PuppetAgent]) throws -> CallHarness {
        try makeHarness(backends: agents) {
            $0.health = health
            $0.identities = agents.indices.map {
                AgentIdentity(type: agents[$0].type, pipeline: "test", settings: UInt64($0))
            }
        }
    }

    @Test func newCallsBeginWithTheNextUntilAProbeSucceeds() throws {
        let health = AgentHealth()
        let agents = [PuppetAgent("first"), PuppetAgent("second")]
        for _ in 0..<3 {
            var call = try makeCall(health, agents)
            #expect(call.call.backend == "first")
            call.agentUnreachable(timeout)
            #expect(call.call.backend == "second")
        }
        var call = try makeCall(health, agents)
        #expect(call.call.backend == "second")
        call.agentConnected()
        call.agent("ready")
        call.carrier("start")
        call.agent("fail")
        #expect(call.call.backend == "first", "avoided, and yet better than nobody")
    }

    @Test func aProbeHasLessTimeAndItsSuccessEndsTheAvoidance() throws {
        let health = AgentHealth()
        let agents = [PuppetAgent("first"), PuppetAgent("second")]
        let first = AgentIdentity(type: "first", pipeline: "test", settings: 0)
        // Calls of a harness begin at one second.
        let before = MediaTime(milliseconds: -30_000)
        health.failed(first, PipelineError(.agentQuota, "none"), isConnecting: true, at: before)
        var slow = try makeCall(health, agents)
        #expect(slow.call.backend == "first")
        let other = try makeCall(health, agents)
        #expect(other.call.backend == "second", "one call tries")
        slow.advance(3020)
        #expect(slow.call.backend == "second", "three seconds are enough for a try")
        #expect(health.reports.first?.identity == first)
    }

    @Test func aCallThatEndsBeforeItKnowsLeavesTheTryToAnother() throws {
        let health = AgentHealth()
        let agents = [PuppetAgent("first"), PuppetAgent("second")]
        let first = AgentIdentity(type: "first", pipeline: "test", settings: 0)
        health.failed(
            first, PipelineError(.agentQuota, "none"), isConnecting: true, at: MediaTime(milliseconds: -30_000))
        var call = try makeCall(health, agents)
        call.carrier("start")
        call.carrier("stop")
        #expect(call.end != nil)
        let next = try makeCall(health, agents)
        #expect(next.call.backend == "first")
    }

    @Test func aCallThatDoesNotProbeLeavesTheProbeAlone() throws {
        let health = AgentHealth()
        let agents = [PuppetAgent("first")]
        let first = AgentIdentity(type: "first", pipeline: "test", settings: 0)
        health.failed(
            first, PipelineError(.agentQuota, "none"), isConnecting: true, at: MediaTime(milliseconds: -30_000))
        let prober = try makeCall(health, agents)
        var desperate = try makeCall(health, agents)
        #expect(desperate.call.backend == "first", "better than nobody")
        desperate.carrier("start")
        desperate.carrier("stop")
        #expect(health.reports.map(\.state) == [.probing], "nobody else begins to probe")
        #expect(prober.end == nil)
    }

    @Test func whenAllAreAvoidedTheFirstIsTriedAllTheSame() throws {
        let health = AgentHealth()
        let agents = [PuppetAgent("first"), PuppetAgent("second")]
        for (number, agent) in agents.enumerated() {
            health.failed(
                AgentIdentity(type: agent.type, pipeline: "test", settings: UInt64(number)),
                PipelineError(.agentQuota, "none"), isConnecting: true, at: MediaTime(milliseconds: 900))
        }
        var call = try makeCall(health, agents)
        #expect(call.call.backend == "first")
        call.agentConnected()
        call.agent("ready")
        #expect(health.reports.map(\.identity.type) == ["second"], "and may prove to be well")
    }
}
