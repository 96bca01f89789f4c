import Synchronization

/// Work with a limit of time, whose end is not waited for once the limit is reached.
enum Deadline {
    enum Outcome<Value: Sendable>: Sendable {
        case finished(Value)
        case failed(any Error)
        case expired
        case cancelled
    }

    /// Work saw by itself that its time is up.
    struct Passed: Error {}

    /// Runs `work` until it is done, `limit` has passed or the task is cancelled, whichever comes first.
    ///
    /// Work that is late is cancelled and left to itself: a function that does not heed cancellation must not keep an agent
    /// waiting.
    static func race<Value: Sendable>(
        _ limit: Duration, _ work: @escaping @Sendable () async throws -> Value
    ) async -> Outcome<Value> {
        let race = Race<Value>()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                guard race.begin(continuation) else { return }
                race.add(
                    Task {
                        do { race.end(.finished(try await work())) } catch { race.end(.failed(error)) }
                    })
                race.add(
                    Task {
                        do { try await Task.sleep(for: limit) } catch { return }
                        race.end(.expired)
                    })
            }
        } onCancel: {
            race.end(.cancelled)
        }
    }

    private final class Race<Value: Sendable>: Sendable {
        private struct State {
            var continuation: CheckedContinuation<Outcome<Value>, Never>?
            var outcome: Outcome<Value>?
            var tasks: [Task<Void, Never>] = []
        }

        private let state = Mutex(State())

        /// - Returns: False when it was over before it began; the continuation has been resumed then.
        func begin(_ continuation: CheckedContinuation<Outcome<Value>, Never>) -> Bool {
            let outcome = state.withLock { state in
                if state.outcome == nil { state.continuation = continuation }
                return state.outcome
            }
            guard let outcome else { return true }
            continuation.resume(returning: outcome)
            return false
        }

        func add(_ task: Task<Void, Never>) {
            let isOver = state.withLock { state in
                if state.outcome == nil { state.tasks.append(task) }
                return state.outcome != nil
            }
            if isOver { task.cancel() }
        }

        /// The first end counts.
        func end(_ outcome: Outcome<Value>) {
            let (continuation, tasks) = state.withLock {
                state -> (CheckedContinuation<Outcome<Value>, Never>?, [Task<Void, Never>]) in
                guard state.outcome == nil else { return (nil, []) }
                state.outcome = outcome
                defer {
                    state.continuation = nil
                    state.tasks = []
                }
                return (state.continuation, state.tasks)
            }
            for task in tasks { task.cancel() }
            continuation?.resume(returning: outcome)
        }
    }
}
