import Foundation
import Logging
import Patchbay
import PatchbayStore
import PatchbayTesting
import Synchronization
import Testing

@testable import PatchbayControl

/// Tools that must not run twice.
@Suite(.timeLimit(.minutes(1))) struct ToolDeliveryTests {
    private let date = Date(timeIntervalSince1970: 1_800_000_000)
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// Work that begins, and ends when it is let.
    private final class Work: Sendable {
        private let state = Mutex((runs: 0, isOver: false, waiting: [CheckedContinuation<Void, Never>]()))
        let begun: AsyncStream<Void>
        private let source: AsyncStream<Void>.Continuation
        var runs: Int { state.withLock { $0.runs } }

        init(isOver: Bool = false) {
            (begun, source) = AsyncStream<Void>.makeStream()
            state.withLock { $0.isOver = isOver }
        }

        func run() async -> VendorTools.Answer {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    state.runs += 1
                    if !state.isOver { state.waiting.append(continuation) }
                    return state.isOver
                }
                source.yield()
                if isOver { continuation.resume() }
            }
            return VendorTools.Answer(tool: "book", output: #"{"id":"A1"}"#, isError: false)
        }

        func end() {
            let waiting = state.withLock { state in
                defer { (state.isOver, state.waiting) = (true, []) }
                return state.waiting
            }
            for continuation in waiting { continuation.resume() }
        }
    }

    private func deliveries(_ records: any Store, patience: Duration = .seconds(20)) -> ToolDeliveries {
        ToolDeliveries(records, source: "elevenlabs", logger: logger, patience: patience)
    }

    private func words(_ outcome: ToolDeliveries.Outcome) -> String {
        switch outcome {
        case .answered(let answer, let isNew): "\(isNew ? "new" : "again") \(answer.output)"
        case .running: "running"
        case .unknown: "unknown"
        }
    }

    @Test func aRepetitionWaitsForTheFirst() async throws {
        let work = Work(), deliveries = deliveries(try SQLiteStore())
        async let first = deliveries.run("k", at: date) { await work.run() }
        for await _ in work.begun { break }
        async let second = deliveries.run("k", at: date) { await work.run() }
        work.end()
        #expect(words(try await first) == #"new {"id":"A1"}"#)
        #expect(words(try await second) == #"again {"id":"A1"}"#)
        #expect(words(try await deliveries.run("k", at: date) { await work.run() }) == #"again {"id":"A1"}"#)
        #expect(work.runs == 1)
        #expect(words(try await deliveries.run("other", at: date) { await work.run() }).hasPrefix("new"))
    }

    @Test func butNotForEver() async throws {
        let work = Work(), deliveries = deliveries(try SQLiteStore(), patience: .milliseconds(5))
        async let first = deliveries.run("k", at: date) { await work.run() }
        for await _ in work.begun { break }
        #expect(words(try await deliveries.run("k", at: date) { await work.run() }) == "running")
        work.end()
        #expect(words(try await first).hasPrefix("new"))
    }

    @Test func anotherProcessKnowsTheAnswerAndThatItRuns() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("patchbay-tools-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let work = Work()
        let one = try SQLiteStore(directory: folder), other = deliveries(try SQLiteStore(directory: folder))
        let first = deliveries(one)
        async let answer = first.run("k", at: date) { await work.run() }
        for await _ in work.begun { break }
        #expect(words(try await other.run("k", at: date) { await work.run() }) == "running")
        work.end()
        _ = try await answer
        #expect(words(try await other.run("k", at: date) { await work.run() }) == #"again {"id":"A1"}"#)
        #expect(work.runs == 1)
    }

    @Test func afterADeathInBetweenNobodyIsToldThatItWasDone() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("patchbay-tools-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var dead: SQLiteStore? = try SQLiteStore(directory: folder)
        _ = try await dead?.claim(source: "elevenlabs", key: "k", at: date)
        dead = nil
        let work = Work(isOver: true), deliveries = deliveries(try SQLiteStore(directory: folder))
        for _ in 0..<2 {
            #expect(words(try await deliveries.run("k", at: date) { await work.run() }) == "unknown")
        }
        #expect(work.runs == 0)
    }

    /// A store that takes claims, and no answers as long as it fails.
    private struct Fickle: ForwardingStore {
        let base: any Store
        let isFailing: @Sendable () -> Bool
        func settle(source: String, key: String, answer: String) async throws(StoreError) {
            if isFailing() { throw StoreError(.unavailable, "disk full") }
            try await base.settle(source: source, key: key, answer: answer)
        }
    }

    private final class Switch: Sendable {
        let isOn = Mutex(true)
    }

    @Test func anAnswerThatCouldNotBeKeptIsKeptLater() async throws {
        let records = try SQLiteStore(), failing = Switch()
        let store = Fickle(base: records) { failing.isOn.withLock { $0 } }
        let work = Work(isOver: true), deliveries = deliveries(store)
        #expect(words(try await deliveries.run("k", at: date) { await work.run() }).hasPrefix("new"))
        #expect(words(try await deliveries.run("k", at: date) { await work.run() }) == #"again {"id":"A1"}"#)
        #expect(try await records.claim(source: "elevenlabs", key: "k", at: date) == .inProgress)
        failing.isOn.withLock { $0 = false }
        #expect(words(try await deliveries.run("k", at: date) { await work.run() }) == #"again {"id":"A1"}"#)
        guard case .settled = try await records.claim(source: "elevenlabs", key: "k", at: date) else {
            Issue.record("the answer is not kept")
            return
        }
        #expect(work.runs == 1)
    }
}
