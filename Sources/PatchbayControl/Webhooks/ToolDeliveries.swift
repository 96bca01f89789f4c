import Foundation
import Logging
import PatchbayConfig
import PatchbayStore
import Synchronization

/// Runs tools that must not run twice: however often a delivery comes, its tool runs once, and every delivery is told what came
/// of it, also by another process or after a restart.
final class ToolDeliveries: Sendable {
    /// Longest time that a repetition waits for the answer of the first; below the 20 seconds that ElevenLabs waits.
    static let patience = Duration.seconds(15)
    /// Answers that the store did not take, kept for repetitions.
    static let unkeptLimit = 256

    enum Outcome: Sendable {
        case answered(VendorTools.Answer, isNew: Bool)
        /// It runs still.
        case running
        /// The process that ran it has died, and nobody knows how far it came.
        case unknown
    }

    private typealias Waiters = [UInt64: CheckedContinuation<VendorTools.Answer?, Never>]

    private struct State {
        /// Deliveries that are being worked on here, with those who wait for them.
        var running: [String: Waiters] = [:]
        var nextWaiter: UInt64 = 0
        var unkept: [(key: String, answer: VendorTools.Answer)] = []
    }

    private let records: any DeliveryRecords
    private let source: String
    private let logger: Logger
    private let patience: Duration
    private let state = Mutex(State())

    init(
        _ records: any DeliveryRecords, source: String, logger: Logger, patience: Duration = ToolDeliveries.patience
    ) {
        self.records = records
        self.source = source
        self.logger = logger
        self.patience = patience
    }

    /// Runs `work` if this delivery is the first with its key, and waits for the first one otherwise.
    func run(
        _ key: String, at date: Date, _ work: @escaping @Sendable () async -> VendorTools.Answer
    ) async throws(StoreError) -> Outcome {
        let isFirst = state.withLock { state in
            guard state.running[key] == nil else { return false }
            state.running[key] = [:]
            return true
        }
        guard isFirst else { return await wait(for: key).map { .answered($0, isNew: false) } ?? .running }
        let claim: DeliveryClaim
        do {
            claim = try await records.claim(source: source, key: key, at: date)
        } catch {
            finish(key, nil)
            throw error
        }
        switch claim {
        case .new:
            // Not a part of the request: whoever asked may hang up, and what has begun goes on.
            let task = Task {
                let answer = await work()
                await keep(answer, key)
                finish(key, answer)
                return answer
            }
            return .answered(await task.value, isNew: true)
        case .settled(let text):
            let answer = VendorTools.Answer(kept: text)
            finish(key, answer)
            return answer.map { .answered($0, isNew: false) } ?? .unknown
        case .inProgress:
            let unkept = state.withLock { $0.unkept.first { $0.key == key }?.answer }
            if let unkept { await keep(unkept, key) }
            finish(key, unkept)
            return unkept.map { .answered($0, isNew: false) } ?? .running
        case .abandoned:
            finish(key, nil)
            return .unknown
        }
    }

    private func keep(_ answer: VendorTools.Answer, _ key: String) async {
        do {
            try await records.settle(source: source, key: key, answer: answer.kept)
            state.withLock { $0.unkept.removeAll { $0.key == key } }
        } catch {
            state.withLock { state in
                guard !state.unkept.contains(where: { $0.key == key }) else { return }
                if state.unkept.count >= Self.unkeptLimit { state.unkept.removeFirst() }
                state.unkept.append((key, answer))
            }
            logger.error(
                "a tool's answer cannot be kept; after a restart nobody knows it",
                metadata: ["tool": "\(answer.tool)", "reason": "\(error)"])
        }
    }

    private func finish(_ key: String, _ answer: VendorTools.Answer?) {
        let waiters = state.withLock { $0.running.removeValue(forKey: key) }
        for waiter in (waiters ?? [:]).values { waiter.resume(returning: answer) }
    }

    /// - Returns: `nil` when it is not there in time.
    private func wait(for key: String) async -> VendorTools.Answer? {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        let timer = Task {
            try await Task.sleep(for: patience)
            state.withLock { $0.running[key]?.removeValue(forKey: id) }?.resume(returning: nil)
        }
        defer { timer.cancel() }
        return await withCheckedContinuation { continuation in
            let isWaiting = state.withLock { state in
                guard state.running[key] != nil else { return false }
                state.running[key]?[id] = continuation
                return true
            }
            // It has been answered in between, and the next repetition finds that.
            if !isWaiting { continuation.resume(returning: nil) }
        }
    }
}

extension VendorTools.Answer {
    /// As it is kept with its delivery.
    fileprivate var kept: String {
        JSONValue.object([
            .init("tool", .string(tool)), .init("output", .string(output)), .init("isError", .boolean(isError)),
        ]).line
    }

    fileprivate init?(kept text: String) {
        guard let json = JSONValue(parsing: text), case .string(let tool)? = json["tool"],
            case .string(let output)? = json["output"], case .boolean(let isError)? = json["isError"]
        else { return nil }
        self.init(tool: tool, output: output, isError: isError)
    }
}
