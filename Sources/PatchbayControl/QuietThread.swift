import PatchbayCore
import Synchronization

/// A thread for work that must not take time from calls: it runs when nothing else wants the core.
///
/// It starts with a job and ends when there is none.
final class QuietThread: TaskExecutor {
    /// `nice` of the thread, which Linux keeps for each (setpriority(2)): next to one with 0 it gets a tenth of a core.
    private static let niceness: Int32 = 10

    private struct State {
        var jobs: [UnownedJob] = []
        var isRunning = false
    }

    private let state = Mutex(State())

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let starts = state.withLock { state in
            state.jobs.append(job)
            defer { state.isRunning = true }
            return !state.isRunning
        }
        if starts { start() }
    }

    private func start() {
        let result = SystemThread.start(niceness: Self.niceness) { self.run() }
        // Without a thread the caller's must do; its work is late rather than lost.
        if result != 0 { run() }
    }

    private func run() {
        while let job = next() { job.runSynchronously(on: asUnownedTaskExecutor()) }
    }

    private func next() -> UnownedJob? {
        state.withLock { state in
            guard !state.jobs.isEmpty else {
                state.isRunning = false
                return nil
            }
            return state.jobs.removeFirst()
        }
    }
}
