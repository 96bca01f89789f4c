import Patchbay
import PatchbayTesting
import Testing

@testable import Hotel

@Suite struct RoomKeysTests {
    /// The rooms that the stage reports, with the milliseconds they took; keys come 100 ms apart.
    private func rooms(_ keys: String, digits: Int = 3) throws -> [String] {
        var harness = ProcessorHarness(RoomKeysStage(digits: digits, patience: .seconds(4)))
        var frames: [Frame] = []
        for key in keys { frames += try harness.push(.dtmf(key)) + harness.advance(by: .milliseconds(100)) }
        frames += try harness.advance(by: .seconds(5))
        return frames.compactMap { if case .custom(let frame as RoomTyped) = $0 { frame.room } else { nil } }
    }

    @Test(arguments: [
        ("12#", ["12"]), ("204", ["204"]), ("12", ["12"]), ("9*12#", ["12"]), ("#", []), ("A", []),
        ("20412#", ["204", "12"]),
    ])
    func digitsBecomeARoom(keys: String, expected: [String]) throws { #expect(try rooms(keys) == expected) }

    /// Every rule that holds for stages: nothing is swallowed, order is kept, an interruption forgets, …
    @Test func itConforms() {
        let failures =
            ProcessorConformance.check(
                make: { RoomKeysStage(digits: 3, patience: .seconds(4)) }, taking: .telephony, giving: .telephony)
            + StageComponentConformance.check(RoomKeys())
        #expect(failures.isEmpty, "\(failures)")
    }
}

@Suite struct FrontDeskTests {
    /// A whole call on the virtual clock: the carrier's messages in, what the guest has heard out.
    @Test(arguments: [
        ("12#", "Room 12. Breakfast is from seven to ten, in the garden."), ("99#", "I cannot find that room."),
    ])
    func aGuestTypesARoom(keys: String, answer: String) throws {
        let route = try #require(try Hotel.pipelines("Pipelines", environment: [:]).route("+15550100042"))
        let plan = try CallParts(route.plan(for: CallVariables(to: "+15550100042")))
            .makePlan(CallInfo(id: "1", callSid: "CA1", from: "+1", to: "+15550100042", pipeline: "front-desk"))
        var call = try CallHarness(plan)
        call.carrier(
            #"""
            {"event": "start", "streamSid": "MZ1", "start": {"callSid": "CA1", "streamSid": "MZ1", "accountSid": "AC1",
             "tracks": ["inbound"], "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}}}
            """#)
        call.advance(6000)
        for key in keys {
            call.carrier(
                #"{"event": "dtmf", "streamSid": "MZ1", "dtmf": {"track": "inbound_track", "digit": "\#(key)"}}"#)
        }
        call.advance(8000)
        #expect(call.call.counters.heard?.text == answer)
        #expect(call.call.counters.heard?.isComplete == true)
    }
}
