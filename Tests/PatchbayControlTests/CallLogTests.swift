import Foundation
import Logging
import PatchbayCore
import PatchbayStore
import Synchronization
import Testing

@testable import PatchbayControl

/// What others write does not shape the log.
struct CallLogTests {
    private final class Lines: Sendable {
        let texts = Mutex<[String]>([])
    }

    private struct Handler: LogHandler {
        let lines: Lines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        func log(event: LogEvent) {
            let values = (event.metadata ?? [:]).values.map { "\($0)" }
            lines.texts.withLock { $0.append(values.joined(separator: " ")) }
        }
    }

    @Test func nobodyForgesALine() throws {
        let lines = Lines()
        let logger = Logger(label: "test") { _ in Handler(lines: lines) }
        let recorder = CallRecorder(
            CallInfo(id: "call-1", callSid: "CA1", from: "", to: "", pipeline: "desk"), startedAt: Date(),
            journal: CallJournal(try SQLiteStore(), feed: EventFeed(), logger: logger))
        let log = CallLog(logger: logger, recorder: recorder)
        let forged = "x\n2026-11-21T00:00:00 error FAKE\r\u{1B}[2J\u{2028}\u{202E}"
        let long = String(repeating: "y", count: 100_000)
        for text in [forged, long] {
            for event: CallEvent in [
                .toolCalled(ToolCall(id: "1", name: text)), .conversationStarted(id: text),
                .fault(peer: "agent", message: text), .agentReconnecting(backend: "x", cause: text),
                .toolAnswered(ToolResult(ToolCall(id: "1", name: text), output: ""), after: .zero),
                .ended(EndReason(.agentHungUp, text)),
            ] { log.observe(event, time: .zero) }
        }
        let texts = lines.texts.withLock { $0 }
        #expect(texts.count == 12)
        for text in texts {
            #expect(!text.contains { $0.isNewline || $0 == "\u{1B}" || $0 == "\u{202E}" } && text.count < 600)
        }
        #expect(texts.first == "x\\u{A}2026-11-21T00:00:00 error FAKE\\u{D}\\u{1B}[2J\\u{2028}\\u{202E}")
        #expect(
            recorder.entries.count == 12 && recorder.entries.allSatisfy { $0.detail.count <= CallRecorder.detailLimit })
    }
}
