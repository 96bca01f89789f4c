import NIOCore
import PatchbayCore
import PatchbayWire
import Testing

@testable import PatchbayTransports

@Suite struct ElevenLabsToolTests {
    private typealias Bench = ElevenLabsBench

    @Test func clientToolsAreCalledAndAnswered() {
        var bench = Bench()
        bench.begin()
        let events = bench.receive(.clientToolCall(.init(name: "lookup", id: "call_1", parameters: #"{"id":17}"#)))
        guard case .toolCall(let call)? = events.first else {
            Issue.record("\(events)")
            return
        }
        #expect(call == PatchbayCore.ToolCall(id: "call_1", name: "lookup", arguments: #"{"id":17}"#))
        bench.conversation.toolAnswered(
            PatchbayCore.ToolResult(call, output: #"{"state":"sent"}"#), at: bench.now, into: &bench.output)
        // The result is a text, whatever is in it.
        #expect(
            bench.takeMessages() == [
                #"{"type":"client_tool_result","tool_call_id":"call_1","result":"{\"state\":\"sent\"}","is_error":false}"#
            ])
        // No time-out comes after the answer.
        bench.now = MediaTime(milliseconds: 15_000)
        _ = bench.receive(.ping(eventId: 2, pingMs: nil))
        #expect(bench.advance(to: 30_000).isEmpty)
    }

    @Test func aToolThatTakesTooLongHasFailed() {
        var bench = Bench()
        bench.begin()
        _ = bench.receive(.clientToolCall(.init(name: "lookup", id: "call_1")))
        _ = bench.receive(.clientToolCall(.init(name: "note", id: "call_2", expectsResponse: false)))
        bench.now = MediaTime(milliseconds: 10_000)
        _ = bench.receive(.ping(eventId: 2, pingMs: nil))
        _ = bench.takeMessages()
        guard case .toolCallsCancelled(let ids)? = bench.advance(to: 19_000).first else {
            Issue.record("the call is not told")
            return
        }
        #expect(ids == ["call_1"], "nobody waits for the other one")
        let answers = bench.takeMessages().filter { $0.contains("client_tool_result") }
        #expect(answers.count == 1 && answers[0].contains(#""is_error":true,"error_type":"client_timeout""#))
    }

    @Test func onlySoManyToolsAreOpenAtOnce() {
        var bench = Bench()
        bench.begin()
        for number in 0..<ElevenLabsConversation.maximumTools {
            _ = bench.receive(.clientToolCall(.init(name: "lookup", id: "call_\(number)")))
        }
        #expect(bench.takeMessages().isEmpty)
        let events = bench.receive(.clientToolCall(.init(name: "lookup", id: "one more")))
        guard case .fault? = events.first, events.count == 1 else {
            Issue.record("\(events)")
            return
        }
        #expect(bench.takeMessages().filter { $0.contains("one more") && $0.contains(#""is_error":true"#) }.count == 1)
        let again = bench.receive(.clientToolCall(.init(name: "lookup", id: "call_3")))
        #expect(again.count == 1, "an id is used once")
    }

    @Test func aClientToolTransfersTheCaller() {
        var bench = Bench()
        bench.begin()
        func call(_ parameters: String) -> [AgentEvent] {
            bench.receive(.clientToolCall(.init(name: "transfer_to_number", id: "t", parameters: parameters)))
        }
        guard case .transfer(to: "+442071838750")? = call(#"{"transfer_number":"+442071838750","reason":"x"}"#).last
        else {
            Issue.record("no transfer")
            return
        }
        #expect(bench.takeMessages().first?.contains(#""is_error":false"#) == true)
        for wrong in [#"{"transfer_number":"911"}"#, "{}", #"{"transfer_number":5}"#] {
            guard case .fault? = call(wrong).first else {
                Issue.record("\(wrong) was taken")
                continue
            }
            #expect(bench.takeMessages().first?.contains(#""is_error":true"#) == true)
        }
        // A pipeline that has such a tool itself runs it.
        bench.conversation = ElevenLabsConversation(ElevenLabsInitiation(), tools: ["transfer_to_number"])
        bench.begin()
        guard case .toolCall? = call(#"{"transfer_number":"+442071838750"}"#).first else {
            Issue.record("the pipeline's tool is not run")
            return
        }
    }
}
