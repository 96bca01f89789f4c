import Glibc
public import Logging
import Metrics
public import PatchbayConfig
import PatchbayCore

/// A process's log, for which nobody waits.
///
/// Whoever logs only puts what is to be written into a queue of limited size. A thread of its own makes lines of it,
/// without the secrets that it knows, and writes them. What finds no room while nobody takes the lines is dropped and
/// counted: in `patchbay_log_lines_dropped_total`, and in the log as soon as it goes on.
public final class LogOutput: Sendable {
    /// What may wait, in bytes.
    public static let standardLimit = 4 << 20

    private let writer: BackgroundWriter<LogRecord>

    /// - Parameters:
    ///   - descriptor: Where lines go; standard error when absent. Text is coloured when it is a terminal, unless
    ///     `NO_COLOR` is set (no-color.org).
    ///   - secrets: What must not be in a line, wherever it comes from.
    ///   - limit: What may wait, in bytes.
    public init(
        _ format: LogFormat, descriptor: Int32 = 2, secrets: [Secret] = [], limit: Int = LogOutput.standardLimit
    ) {
        let lines = LogLineWriter(
            format: format, isForTerminal: isatty(descriptor) == 1 && getenv("NO_COLOR") == nil)
        let redaction = WireLogRedaction(secrets)
        writer = BackgroundWriter(descriptor, limit: limit) { record in
            redaction.text(lines.line(record))
        } dropped: { count in
            Counter(label: ServerMetrics.droppedLogLines).increment(by: count)
            return lines.line(
                LogRecord(
                    nanoseconds: LogOutputHandler.now(), level: .warning,
                    message: "lines of the log were dropped: nobody took them fast enough", common: [:],
                    own: ["lines": "\(count)"]))
        }
    }

    /// A logger that writes here.
    public func logger(_ level: Logger.Level, label: String = "patchbay") -> Logger {
        Logger(label: label) { _ in handler(level) }
    }

    /// What makes other loggers write here, for `LoggingSystem.bootstrap`.
    public func handler(_ level: Logger.Level) -> any LogHandler { LogOutputHandler(self, level) }

    /// What waits, in bytes.
    public var waitingBytes: Int { writer.waitingBytes }

    func enter(_ record: LogRecord) { writer.enter(record, size: record.size) }

    /// Writes what waits, and nothing that comes later; blocks until that is done, at most two seconds. For the end
    /// of the process.
    public func finish() { writer.finish() }
}
