import Dispatch
import Glibc
import PatchbayCore
import Synchronization

/// Takes records to a file or terminal without keeping anybody waiting.
///
/// Whoever has a record, the calls' event loop above all, only puts it into a queue of limited size. A thread of its
/// own makes lines of the records and writes them. While nobody takes the lines, the queue fills up, and what is
/// beyond is dropped and told of as soon as it goes on.
final class BackgroundWriter<Record: Sendable>: Sendable {
    /// Longest wait at the end of the process.
    static var patience: TimeSpan { .seconds(2) }

    private struct State {
        var waiting: [(record: Record, size: Int)] = []
        var bytes = 0
        /// Since the thread last came by.
        var dropped = 0
        /// How many were taken, and written, to know when all are.
        var entered = 0
        var written = 0
        var isThreadRunning = false
        var isFinished = false
    }

    private let descriptor: Int32
    private let limit: Int
    private let line: @Sendable (Record) -> String
    private let dropped: @Sendable (Int) -> String
    private let state = Mutex(State())
    private let arrivals = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - limit: What may wait, in bytes.
    ///   - line: Makes a line of a record, on the thread; an empty text writes nothing.
    ///   - dropped: Makes one of how many records were dropped.
    init(
        _ descriptor: Int32, limit: Int, line: @escaping @Sendable (Record) -> String,
        dropped: @escaping @Sendable (Int) -> String
    ) {
        self.descriptor = descriptor
        self.limit = limit
        self.line = line
        self.dropped = dropped
    }

    /// What waits, in bytes.
    var waitingBytes: Int { state.withLock { $0.bytes } }

    /// - Parameter size: About what the record takes in memory.
    func enter(_ record: Record, size: Int) {
        let (isTaken, startsThread) = state.withLock { state in
            guard !state.isFinished, state.bytes + size <= limit else {
                state.dropped += 1
                return (false, false)
            }
            state.bytes += size
            state.entered += 1
            state.waiting.append((record, size))
            defer { state.isThreadRunning = true }
            return (true, !state.isThreadRunning)
        }
        if startsThread, SystemThread.start({ self.run() }) != 0 {
            // Without a thread it waits for the next one's try.
            state.withLock { $0.isThreadRunning = false }
        }
        if isTaken { arrivals.signal() }
    }

    /// Writes what waits, and nothing that comes later; blocks until that is done, but not for ever. For the end of
    /// the process.
    func finish() {
        let target = state.withLock { state in
            state.isFinished = true
            return state.entered
        }
        arrivals.signal()
        let deadline = MediaTime.now() + Self.patience
        while state.withLock({ $0.written < target && $0.isThreadRunning }), MediaTime.now() < deadline {
            usleep(2000)
        }
    }

    private func run() {
        while true {
            arrivals.wait()
            let (records, lost, isLast) = state.withLock { state in
                defer { (state.waiting, state.dropped) = ([], 0) }
                return (state.waiting, state.dropped, state.isFinished)
            }
            for (record, size) in records {
                write(line(record))
                // Room is given back only now, so that what waits for the reader counts.
                state.withLock { state in
                    state.bytes -= size
                    state.written += 1
                }
            }
            if lost > 0 { write(dropped(lost)) }
            let isDone = state.withLock { state in
                guard isLast, state.waiting.isEmpty else { return false }
                state.isThreadRunning = false
                return true
            }
            if isDone { return }
        }
    }

    private func write(_ line: String) {
        var rest = Array(line.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                // Somebody has made the descriptor one that does not wait.
                var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = Glibc.poll(&poll, 1, 1000)
            } else if errno != EINTR {
                return
            }
        }
    }
}
