import Glibc
import Logging

/// Puts what is logged into a ``LogOutput``.
struct LogOutputHandler: LogHandler {
    private let output: LogOutput
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    var logLevel: Logger.Level

    init(_ output: LogOutput, _ level: Logger.Level) {
        self.output = output
        logLevel = level
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var own = event.metadata ?? [:]
        if let error = event.error { own["error"] = "\(error)" }
        var common = metadata
        if let provided = metadataProvider?.get() { common.merge(provided) { $1 } }
        output.enter(
            LogRecord(
                nanoseconds: Self.now(), level: event.level, message: event.message.description, common: common,
                own: own
            ))
    }

    static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
