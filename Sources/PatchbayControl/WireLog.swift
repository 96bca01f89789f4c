import Dispatch
import Foundation
public import Logging
import Metrics
public import PatchbayConfig
public import PatchbayCore
import Synchronization

/// Writes down what the sockets of calls carry: one file for each call, one JSON object a line, without secrets.
///
/// A file begins with a header (`"wireLog": 1`, the call, its pipeline, version, number and caller); then come messages
/// (`ms` since the call was made, `direction`, and either `message`, which is JSON, with `binary` when it came in a binary
/// message, `text`, or `base64` of what is binary and no JSON) and events (`event`: `dialling`, `connected`, `unreachable`, `closed`,
/// `toolCalled`, `toolAnswered`, `dropped`, `ended`, `cut`). A direction is `carrier>` or `agent>` for what came in, `>carrier` or `>agent` for what went out.
///
/// The call's event loop only copies bytes into a queue of limited size; a thread of the log's own takes secrets out and
/// writes. What does not fit is dropped and counted, never waited for.
public final class WireLog: Sendable {
    /// The ending of the files' names.
    public static let suffix = ".wire.jsonl"
    /// Between two rounds of the writing thread.
    private static let interval = DispatchTimeInterval.milliseconds(100)

    /// What the log may take.
    public struct Limits: Sendable {
        /// In one file.
        public var bytesPerCall = 64 << 20
        /// In all files of the folder, those of earlier runs too.
        public var bytesInFolder = 1 << 30
        /// Of one call's messages that wait to be written.
        public var queueBytes = 2 << 20
        /// Of one message; longer ones are only mentioned.
        public var messageBytes = 1_000_000

        public init() {}
    }

    private struct State {
        var files: [WireLogFile] = []
        var folder = WireLogFolder()
        var isScheduled = false
    }

    private let directory: String
    private let secrets: [Secret]
    private let limits: Limits
    private let logger: Logger
    private let queue = DispatchQueue(label: "patchbay.wire-log")
    private let state: Mutex<State>

    /// - Parameters:
    ///   - directory: Made with mode 0700 when it is not there.
    ///   - secrets: Values that must not be written, beside those of each call's pipeline.
    /// - Throws: When the folder cannot be made or used.
    public init(directory: String, secrets: [Secret] = [], limits: Limits = Limits(), logger: Logger)
        throws(PipelineError)
    {
        let files = FileManager.default
        do {
            try files.createDirectory(
                atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            _ = try files.contentsOfDirectory(atPath: directory)
            state = Mutex(State())
        } catch {
            throw PipelineError(
                .wireLogUnusable, "the folder of the wire log cannot be used: \(error.localizedDescription)",
                place: directory)
        }
        guard files.isWritableFile(atPath: directory) else {
            throw PipelineError(
                .wireLogUnusable, "the folder of the wire log may not be written to; choose another", place: directory)
        }
        self.directory = directory
        self.secrets = secrets
        self.limits = limits
        self.logger = logger
    }

    /// Makes what watches one call. The file is opened by the log's own thread.
    public func observer(for info: CallInfo, _ plan: PipelinePlan) -> any WireObserver {
        let feed = WireLogFeed(start: .now(), limit: limits.queueBytes)
        let header = WireLogHeader(info, plan, startedAt: Date())
        let redaction = WireLogRedaction(secrets + plan.secrets)
        queue.async { [self] in
            state.withLock { state in
                state.files.append(
                    WireLogFile(feed, header, redaction, directory: directory, limits: limits, logger: logger))
            }
            schedule()
        }
        return feed
    }

    /// Takes more secrets out of a call's file: those of an agent that it is given in its course.
    ///
    /// Returns when nothing will be written with them any more; an agent that knows them must not be dialled before.
    public func hide(_ secrets: [Secret], inCall id: String) async {
        await withCheckedContinuation { continuation in
            queue.async { [self] in
                state.withLock { state in
                    for file in state.files where file.call == id { file.redaction.add(secrets) }
                }
                continuation.resume()
            }
        }
    }

    /// Writes what waits and closes all files; blocks until that is done. For the end of the process.
    public func finish() {
        queue.sync { work(isLast: true) }
    }

    private func schedule() {
        let isNeeded = state.withLock { state in
            guard !state.isScheduled, !state.files.isEmpty else { return false }
            state.isScheduled = true
            return true
        }
        guard isNeeded else { return }
        queue.asyncAfter(deadline: .now() + Self.interval) { [self] in
            state.withLock { $0.isScheduled = false }
            work(isLast: false)
            schedule()
        }
    }

    /// On the log's own thread only, which is why holding the lock keeps nobody waiting.
    private func work(isLast: Bool) {
        state.withLock { state in
            // Counted anew for each new file: others remove old ones meanwhile.
            if state.files.contains(where: { !$0.isOpen }) { state.folder.count(directory, limits) }
            for file in state.files { file.step(isLast: isLast, &state.folder) }
            state.files.removeAll(where: \.isComplete)
        }
    }
}

/// What the log knows of its folder.
struct WireLogFolder {
    /// What all files take.
    var bytes = 0
    /// Limits that were told of; a warning each is enough.
    var reached: Set<String> = []

    mutating func count(_ directory: String, _ limits: WireLog.Limits) {
        let files = FileManager.default
        let names = (try? files.contentsOfDirectory(atPath: directory)) ?? []
        bytes = names.filter { $0.hasSuffix(WireLog.suffix) }.reduce(0) { sum, name in
            sum + ((try? files.attributesOfItem(atPath: "\(directory)/\(name)")[.size] as? Int) ?? 0)
        }
        // There is room again: when it is used up once more, that is told once more.
        if bytes < limits.bytesInFolder / 2 { reached.remove("bytesInFolder") }
    }
}

extension PipelineError.Code {
    /// The folder for the messages of calls cannot be used.
    public static let wireLogUnusable = Self("wire-log-unusable")
}
