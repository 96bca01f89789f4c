import Glibc

/// A thread of the system, for work that blocks: neither an event loop nor a task of the common pool may.
package enum SystemThread {
    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Starts a thread that runs `body` and ends.
    ///
    /// - Parameter niceness: `nice` of the thread, which Linux keeps for each (setpriority(2)).
    /// - Returns: 0, or the error number for which there is no thread.
    package static func start(niceness: Int32 = 0, _ body: @escaping @Sendable () -> Void) -> Int32 {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(
            Work {
                if niceness != 0 { _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness) }
                body()
            })
        let result = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<Work>.fromOpaque(context).takeRetainedValue().body()
                return nil
            }, context.toOpaque())
        if result == 0 { pthread_detach(thread) } else { context.release() }
        return result
    }
}
