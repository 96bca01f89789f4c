import Foundation
import PatchbayCore
import Synchronization
import Testing
import Tracing

@testable import PatchbayControl

/// Spans of a call: which there are, below what, and how they are written.
@Suite struct TraceTests {
    /// Keeps what has ended.
    private final class Ended: Sendable {
        let records = Mutex<[TraceSpan.Record]>([])
        var all: [TraceSpan.Record] { records.withLock { $0 } }
        subscript(_ name: String) -> [TraceSpan.Record] { all.filter { $0.name == name } }
    }

    private struct Keeper: Tracer {
        let ended: Ended

        func startSpan<Instant: TracerInstant>(
            _ operationName: String, context: @autoclosure () -> InstrumentationContext, ofKind kind: SpanKind,
            at instant: @autoclosure () -> Instant, function: String, file fileID: String, line: UInt
        ) -> TraceSpan {
            TraceSpan(operationName, in: context(), kind, at: instant().nanosecondsSinceEpoch) { record in
                ended.records.withLock { $0.append(record) }
            }
        }
        func activeSpan(identifiedBy context: InstrumentationContext) -> TraceSpan? { nil }
        func forceFlush() {}
        func inject<Carrier, Inject: Injector>(
            _ context: InstrumentationContext, into carrier: inout Carrier, using injector: Inject
        ) where Inject.Carrier == Carrier {
            if let trace = context.trace { injector.inject(trace.text, forKey: TraceContext.header, into: &carrier) }
        }
        func extract<Carrier, Extract: Extractor>(
            _ carrier: Carrier, into context: inout InstrumentationContext, using extractor: Extract
        ) where Extract.Carrier == Carrier {}
    }

    private static let info = CallInfo(
        id: "call-1", callSid: "CA1", from: "+15550100099", to: "+15550100001", pipeline: "desk")

    private func at(_ milliseconds: Int64) -> MediaTime { MediaTime(milliseconds: 1_000_000 + milliseconds) }

    @Test func aCallHasItsPartsBelowIt() async {
        let ended = Ended()
        let trace = CallTrace(Self.info, Keeper(ended: ended))
        let joint = Joint(.toAgent, 1)
        trace.begin(at: at(0))
        trace.webhook("voice", from: at(-5), to: at(10))
        trace.observe(.agentConnecting(backend: "first"), time: at(20))
        trace.observe(.agentFailed(PipelineError(.agentTimeout, "late")), time: at(30))
        trace.observe(.agentConnecting(backend: "second"), time: at(30))
        let connecting = trace.context.trace?.span
        trace.observe(.agentReady(backend: "second", input: .telephony, output: .telephony), time: at(90))
        trace.observe(.agentAudible(generation: 0), time: at(100))
        trace.observe(Frame.speechStopped, at: joint, time: at(2000))
        trace.observe(Frame.userTurnEnded(TurnEnd(.agent)), at: joint, time: at(2300))
        trace.observe(.agentAudible(generation: 0), time: at(2800))
        trace.observe(.agentAudible(generation: 0), time: at(3300))
        let answer = await trace.tool(ToolCall(id: "t1", name: "look_up")) {
            ToolResult(ToolCall(id: "t1", name: "look_up"), output: InstrumentationContext.current?.trace?.span ?? "")
        }
        trace.observe(.ended(EndReason(.failure, "agent-failed")), time: at(5000))
        trace.end(EndReason(.callerHungUp))
        trace.webhook("status", from: at(5100), to: at(5200))

        let calls = ended["call"]
        guard calls.count == 1, let call = calls.first else {
            Issue.record("\(calls.count) spans of the call")
            return
        }
        #expect(call.parent == nil && call.kind == .server && call.status?.code == .error)
        #expect(call.end - call.start == 5_000_000_000)
        #expect(call.attributes.get("patchbay.call.end") == .string("failure"))
        #expect(Set(ended.all.map(\.trace.trace)) == [call.trace.trace], "all in one trace")
        #expect(ended.all.filter { $0.name != "call" }.allSatisfy { $0.parent == call.trace.span })
        #expect(Set(ended.all.map(\.trace.span)).count == ended.all.count)
        let connects = ended["agent connect"]
        #expect(connects.map { $0.status?.code } == [.error, nil])
        #expect(connects.last?.trace.span == connecting, "what is asked on the way to an agent belongs below it")
        #expect(connects.first?.attributes.get("error.type") == .string("agent-timeout"))
        let turns = ended["turn"]
        #expect(turns.map { $0.end - $0.start } == [800_000_000], "from where the speech ended, once")
        #expect(answer.output == ended["execute_tool look_up"].first?.trace.span)
        #expect(ended["webhook voice"].count == 1 && ended["webhook status"].isEmpty)
        let said = ended.all.map(OTLPText.line).joined()
        #expect(!said.contains("+1555"), "no numbers of people's")
    }

    @Test func theHandshakeOfAnAgentCarriesTheTrace() {
        let trace = CallTrace(Self.info, Keeper(ended: Ended()))
        trace.begin(at: at(0))
        trace.observe(.agentConnecting(backend: "first"), time: at(20))
        var target = AgentTarget(url: "wss://agent.example.com/", headers: [("Authorization", "Bearer x")])
        trace.inject(into: &target)
        #expect(target.headers.map(\.0) == ["Authorization", "traceparent"])
        #expect(target.headers.last?.1 == trace.context.trace?.text)
        // What is there already stands.
        var own = AgentTarget(url: "wss://agent.example.com/", headers: [("TraceParent", "mine")])
        trace.inject(into: &own)
        #expect(own.headers.map(\.1) == ["mine"])
    }

    @Test(arguments: [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", true),
        ("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", true),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", false),
        ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", false),
        ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false),
        ("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", false), ("", false), ("00-x-y-01", false),
    ])
    func traceparentIsReadAsTheRecommendationHasIt(text: String, isSound: Bool) {
        let context = TraceContext(parsing: text)
        #expect((context != nil) == isSound)
        guard let context else { return }
        #expect(context.text.hasPrefix("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"))
        #expect(context.child.trace == context.trace && context.child.span != context.span)
    }

    @Test func aSpanIsALineThatACollectorReads() throws {
        let ended = Ended()
        var parent = InstrumentationContext.topLevel
        parent.trace = TraceContext(parsing: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        let span = TraceSpan("a \"name\"\n", in: parent, .client, at: 1_000) { record in
            ended.records.withLock { $0.append(record) }
        }
        span.attributes["url.full"] = "http://crm/customers?phone=+15550100099"
        span.attributes["url.query"] = "phone=+15550100099"
        span.attributes["count"] = 7
        span.attributes["flag"] = true
        span.attributes["ratio"] = 0.5
        span.attributes["list"] = SpanAttribute.stringArray(["a", "b"])
        span.addEvent(SpanEvent(name: "first", at: DefaultTracerClock.Timestamp(nanosecondsSinceEpoch: 1_500)))
        span.setStatus(SpanStatus(code: .error, message: "why"))
        #expect(span.isRecording)
        span.end(at: DefaultTracerClock.Timestamp(nanosecondsSinceEpoch: 2_000))
        span.end()
        #expect(!span.isRecording && ended.all.count == 1)
        let line = OTLPText.line(try #require(ended.all.first))
        #expect(line.hasSuffix("}\n") && line.dropLast().allSatisfy { !$0.isNewline } && !line.contains("+1555"))
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        let resources = try #require(object["resourceSpans"] as? [[String: Any]])
        let scopes = try #require(resources.first?["scopeSpans"] as? [[String: Any]])
        let written = try #require((scopes.first?["spans"] as? [[String: Any]])?.first)
        #expect(written["traceId"] as? String == "0af7651916cd43dd8448eb211c80319c")
        #expect(
            written["parentSpanId"] as? String == "b7ad6b7169203331" && written["name"] as? String == "a \"name\"\n")
        #expect(written["startTimeUnixNano"] as? String == "1000" && written["endTimeUnixNano"] as? String == "2000")
        #expect(written["kind"] as? Int == 3 && (written["status"] as? [String: Any])?["code"] as? Int == 2)
        let attributes = try #require(written["attributes"] as? [[String: Any]])
        #expect(attributes.map { $0["key"] as? String } == ["count", "flag", "list", "ratio", "url.full"])
    }

    @Test func whatItsSenderDoesNotWantIsNotWritten() {
        let ended = Ended()
        var parent = InstrumentationContext.topLevel
        parent.trace = TraceContext(parsing: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
        let span = TraceSpan("x", in: parent, .server, at: 0) { record in ended.records.withLock { $0.append(record) } }
        span.end()
        #expect(ended.all.isEmpty && !span.isRecording)
        #expect(span.context.trace?.text.hasSuffix("-00") == true, "and whoever is asked next is told so")
    }
}
