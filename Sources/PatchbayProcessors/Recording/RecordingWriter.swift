import Glibc
public import Logging
import Metrics
public import PatchbayCore
import Synchronization

/// Brings all recordings of a process to the disk, off the media path.
///
/// One thread works while there are recordings: every 200 ms it takes what the taps have left, aligns, encodes and writes it,
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
    }

    private let logger: Logger
    private let interval: TimeSpan
    private let hasThread: Bool
    private let completed: @Sendable (RecordingReport) -> Void
    // Two locks, because a call's loop must never wait for a disk: `arrivals` is held for some instructions only, `files`
    // while they are written. Whoever needs both takes `files` first.
    private let arrivals = Mutex(Arrivals())
    private let files = Mutex<[RecordingFile]>([])

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

    /// Works off what waits, once. From any thread; blocks.
    public func drain() { work(isLast: false) }

    /// Completes every recording, those of calls that go on too. From any thread; blocks until the files are closed.
    public func finish() { work(isLast: true) }

    /// Recordings that are not complete.
    public var activeCount: Int { files.withLock { files in files.count + arrivals.withLock { $0.feeds.count } } }

    func add(_ feed: RecordingFeed) {
        let startsThread = arrivals.withLock { arrivals in
            arrivals.feeds.append(feed)
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
        for report in reports { completed(report) }
    }

    private func startThread() {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self)
        let result = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<RecordingWriter>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, context.toOpaque())
        guard result == 0 else {
            context.release()
            arrivals.withLock { $0.isThreadRunning = false }
            logger.error("no thread for recordings: error \(result); the next call tries again")
            return
        }
        pthread_detach(thread)
    }

    /// The thread: works until there is nothing left to record.
    private func run() {
        repeat {
            var pause = timespec(
                tv_sec: Int(interval.nanoseconds / 1_000_000_000), tv_nsec: Int(interval.nanoseconds % 1_000_000_000))
            nanosleep(&pause, nil)
            drain()
        } while !isIdle
    }

    private var isIdle: Bool {
        files.withLock { files in
            arrivals.withLock { arrivals in
                guard files.isEmpty, arrivals.feeds.isEmpty else { return false }
                arrivals.isThreadRunning = false
                return true
            }
        }
    }
}
