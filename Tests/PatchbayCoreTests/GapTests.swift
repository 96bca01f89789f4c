import NIOCore
import PatchbayAudio
import PatchbayTesting
import Testing

@testable import PatchbayCore

@Suite struct GapTests {
    @Test func aHoleIsFilledAndCounted() throws {
        var call = try makeHarness()
        call.begin()
        call.carrier("audio 10 160 1 0")
        call.carrier("audio 10 160 2 20")
        // Three packets never come.
        call.carrier("audio 10 160 6 100")
        #expect(call.agentTexts("heard").count == 6, "what counts samples still tells the time")
        #expect(call.call.counters.gaps == 1)
        #expect(call.call.counters.concealed == .milliseconds(60))
        #expect(call.call.counters.packetsMissing == 3)
    }

    @Test func aLongHoleIsFilledInPartOnly() throws {
        var call = try makeHarness()
        call.begin()
        call.carrier("audio 10 160 1 0")
        call.carrier("audio 10 160 101 2000")
        #expect(call.agentTexts("heard").count == 2 + 10)
        #expect(call.call.counters.concealed == .milliseconds(200))
    }

    @Test func unsteadyArrivalIsNoHole() throws {
        var call = try makeHarness()
        call.begin()
        for (chunk, wait) in [(0, 0), (1, 60), (2, 0), (3, 0), (4, 45)].map({ ($0.0, Int64($0.1)) }) {
            call.stall(wait)
            call.carrier("audio 10 160 \(chunk + 1) \(chunk * 20)")
        }
        #expect(call.call.counters.gaps == 0)
        #expect(call.agentTexts("heard").count == 5)
    }
}
