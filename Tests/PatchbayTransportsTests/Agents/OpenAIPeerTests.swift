import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTesting
import Testing

@testable import PatchbayTransports

/// Every failure that the vendor documents, from its messages to what the call is told.
@Suite struct OpenAIPeerTests {
    @Test(arguments: OpenAIPeer.failures.indices) func documentedFailures(index: Int) {
        let failure = OpenAIPeer.failures[index]
        var peer = OpenAIPeer()
        var bench = OpenAIBench(OpenAIBench.quiet)
        bench.conversation.opened(at: bench.now, into: &bench.output)
        var events: [AgentEvent] = []
        if !failure.isBeforeReady {
            for message in peer.opened() { events += bench.receive(text: String(buffer: message.payload)) }
            for text in bench.takeTexts() {
                let (heard, answers) = peer.received(AgentPeerMessage(text))
                for case .wrong(let words) in heard { Issue.record("\(words)") }
                for answer in answers { events += bench.receive(text: String(buffer: answer.payload)) }
            }
        }
        for message in failure.messages { events += bench.receive(text: String(buffer: message.payload)) }
        if let close = failure.close { events += bench.close(close.code, close.reason) }
        #expect(events.failure?.code == failure.code, "\(failure.name): \(events)")
        #expect(events.failure.map { $0.isRetryable == failure.isRetryable } ?? true, "\(failure.name)")
    }
}
