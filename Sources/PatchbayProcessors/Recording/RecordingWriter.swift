import Glibc
public import Logging
import Metrics
public import PatchbayCore
import Synchronization

/// Brings all recordings of a process to the disk, off the media path.
///
/// One thread works while there are recordings, and for ten seconds after: every 200 ms it takes what the taps have left, aligns, encodes and writes it,
/// and completes the files of calls that have ended. A file is brought up to date with every second of sound. Faults of the
/// disk are logged once for each recording and counted; no call ever waits for a disk.
///
/// Before the process ends, call ``finish()`` when the calls are over.
public final class RecordingWriter: Sendable {
    /// The writer that `recorder` stages share.
    public static let shared = RecordingWriter()

    private struct Arrivals {
        var feeds: [RecordingFeed] = []
        var isThreadRunning = false
        /// Rounds in a row in which there was nothing to do.
        var idleRounds = 0
    }

    /// Rounds that the thread waits for work: ten seconds, in which a call that was prepared begins.
    private static let patience = 50

    private let logger: Logger
    private let interval: TimeSpan
    private let hasThread: Bool
    private let completed: @Sendable (RecordingReport) -> Void
    // Two locks, because a call's loop must never wait for a disk: `arrivals` is held for some instructions only, `files`
    // while they are written. Whoever needs both takes `files` first.
    private let arrivals = Mutex(Arrivals())
    private let files = Mutex<[RecordingFile]>([])
    private let listeners = Mutex<[@Sendable (RecordingReport) -> Void]>([])

    /// - Parameters:
    ///   - interval: Time between two rounds of the thread.
    ///   - hasThread: False leaves the work to whoever calls ``drain()``.
    ///   - completed: Told of every recording that is over, on the thread that completed it.
    public init(
        logger: Logger = Logger(label: "patchbay.recordings"), interval: TimeSpan = .milliseconds(200),
        hasThread: Bool = true, completed: @escaping @Sendable (RecordingReport) -> Void = { _ in }
    ) {
        self.logger = logger
        self.interval = interval
        self.hasThread = hasThread
        self.completed = completed
    }

    /// Has somebody else told of every recording that is over, from now on, on the thread that completed it.
    public func addListener(_ listener: @escaping @Sendable (RecordingReport) -> Void) {
        listeners.withLock { $0.append(listener) }
    }

    /// Works off what waits, once. From any thread; blocks.
    public func drain() { work(isLast: false) }

    /// Completes every recording, those of calls that go on too. From any thread; blocks until the files are closed.
    public func finish() { work(isLast: true) }

    /// Recordings that are not complete.
    public var activeCount: Int { files.withLock { files in files.count + arrivals.withLock { $0.feeds.count } } }

    /// A recording is about to begin: has the thread ready, so that no event loop has to start it.
    func prepare() { wake { $0.idleRounds = 0 } }

    /// Takes a recording on. Quick when it was prepared.
    func add(_ feed: RecordingFeed) { wake { $0.feeds.append(feed) } }

    private func wake(_ change: (inout Arrivals) -> Void) {
        let startsThread = arrivals.withLock { arrivals in
            change(&arrivals)
            guard hasThread, !arrivals.isThreadRunning else { return false }
            arrivals.isThreadRunning = true
            return true
        }
        if startsThread { startThread() }
    }

    private func work(isLast: Bool) {
        let reports = files.withLock { files in
            let feeds = arrivals.withLock { arrivals in
                defer { arrivals.feeds.removeAll() }
                return arrivals.feeds
            }
            for feed in feeds {
                do throws(PipelineError) {
                    files.append(try RecordingFile(feed, logger: logger))
                } catch {
                    Counter(label: RecordingMetrics.errors).increment()
                    logger.error("a call is not recorded: \(error)", metadata: ["call": "\(feed.request.callID)"])
                }
            }
            var reports: [RecordingReport] = []
            for file in files {
                file.step(isLast: isLast)
                if file.isComplete { reports.append(file.report) }
            }
            files.removeAll { $0.isComplete }
            return reports
        }
        guard !reports.isEmpty else { return }
        let listeners = listeners.withLock { $0 }
        for report in reports {
            completed(report)
            for listener in listeners { listener(report) }
        }
    }

    private func startThread() {
        let result = SystemThread.start { self.run() }
        guard result != 0 else { return }
        arrivals.withLock { $0.isThreadRunning = false }
        logger.error("no thread for recordings: error \(result); the next call tries again")
    }

    /// The thread: works until there has been nothing to record for a while.
    private func run() {
        repeat {
            var pause = timespec(
                tv_sec: Int(interval.nanoseconds / 1_000_000_000), tv_nsec: Int(interval.nanoseconds % 1_000_000_000))
            nanosleep(&pause, nil)
            drain()
        } while !endsRun()
    }

    /// Ends a round of the thread, and the thread when it has been idle for long enough.
    private func endsRun() -> Bool {
        files.withLock { files in
            arrivals.withLock { arrivals in
                guard files.isEmpty, arrivals.feeds.isEmpty else {
                    arrivals.idleRounds = 0
                    return false
                }
                arrivals.idleRounds += 1
                guard arrivals.idleRounds >= Self.patience else { return false }
                arrivals.isThreadRunning = false
                arrivals.idleRounds = 0
                return true
            }
        }
    }
}
