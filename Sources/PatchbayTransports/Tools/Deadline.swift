import Synchronization

/// Work with a limit of time, whose end is not waited for once the limit is reached.
package enum Deadline {
    package enum Outcome<Value: Sendable>: Sendable {
        case finished(Value)
        case failed(any Error)
        case expired
        case cancelled
    }

    /// Work saw by itself that its time is up.
    package struct Passed: Error {
        package init() {}
    }

    /// Runs `work` until it is done, `limit` has passed or the task is cancelled, whichever comes first.
    ///
    /// Work that is late is cancelled and left to itself: a function that does not heed cancellation must not keep an agent
    /// waiting.
    ///
    /// - Parameter afterwards: When the task is cancelled, the work goes on to its end or the limit, and this is told how it
    ///   ended; asked once for its consent. `nil` cancels the work.
    package static func race<Value: Sendable>(
        _ limit: Duration, afterwards: Afterwards<Value>? = nil, _ work: @escaping @Sendable () async throws -> Value
    ) async -> Outcome<Value> {
        let race = Race<Value>(afterwards)
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
            race.cancel()
        }
    }

    /// What becomes of work that goes on when nobody waits for it any more.
    package struct Afterwards<Value: Sendable>: Sendable {
        /// Whether it may.
        var isAllowed: @Sendable () -> Bool
        /// It is over.
        var ended: @Sendable (Outcome<Value>) -> Void
    }

    private final class Race<Value: Sendable>: Sendable {
        private struct State {
            var continuation: CheckedContinuation<Outcome<Value>, Never>?
            var outcome: Outcome<Value>?
            /// Nobody waits for the outcome any more.
            var isLeft = false
            var tasks: [Task<Void, Never>] = []
        }

        private let state = Mutex(State())
        private let afterwards: Afterwards<Value>?

        init(_ afterwards: Afterwards<Value>?) { self.afterwards = afterwards }

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

        /// Nobody waits any more: the work ends too, unless it may go on.
        func cancel() {
            guard let afterwards, state.withLock({ $0.continuation != nil }), afterwards.isAllowed() else {
                return end(.cancelled)
            }
            let (continuation, isLeft) = state.withLock {
                state -> (CheckedContinuation<Outcome<Value>, Never>?, Bool) in
                guard state.outcome == nil else { return (nil, false) }
                state.isLeft = true
                defer { state.continuation = nil }
                return (state.continuation, true)
            }
            // It has ended between the two looks, and its answer was given.
            if !isLeft { afterwards.ended(.cancelled) }
            continuation?.resume(returning: .cancelled)
        }

        /// The first end counts.
        func end(_ outcome: Outcome<Value>) {
            guard
                let last = state.withLock({ state -> State? in
                    guard state.outcome == nil else { return nil }
                    let last = state
                    state.outcome = outcome
                    state.continuation = nil
                    state.tasks = []
                    return last
                })
            else { return }
            for task in last.tasks { task.cancel() }
            last.continuation?.resume(returning: outcome)
            if last.isLeft { afterwards?.ended(outcome) }
        }
    }
}
