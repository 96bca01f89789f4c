import Foundation
import Glibc
import Logging
import Metrics
import NIOCore
import PatchbayConfig
import PatchbayCore

/// The first line of a file.
struct WireLogHeader: Sendable {
    let call: String
    let name: String
    let json: String

    init(_ info: CallInfo, _ plan: PipelinePlan, startedAt: Date) {
        call = info.id
        let time = startedAt.formatted(.iso8601)
        let compact = time.filter { $0.isNumber || $0 == "T" }
        name = "\(compact)-\(info.id)\(WireLog.suffix)"
        let members: [(String, String)] = [
            ("call", info.id), ("callSid", info.callSid), ("pipeline", plan.pipeline), ("file", plan.file),
            ("version", plan.version), ("number", info.to), ("caller", info.from),
            ("backend", plan.backends.first?.component.spec.type ?? ""), ("startedAt", time),
        ]
        json =
            #"{"wireLog":1,"#
            + members.map { "\"\($0.0)\":\(VariableValue.string($0.1).json)" }.joined(separator: ",") + "}"
    }
}

/// One call's file: takes what its feed holds, a round at a time, on the log's own thread.
final class WireLogFile {
    /// Room kept for the last lines, which say how the call ended and that the log was cut.
    private static let reservedBytes = 1024
    /// Characters of a reason that are written.
    private static let reasonLength = 500

    private let feed: WireLogFeed
    private let header: WireLogHeader
    var redaction: WireLogRedaction
    private let path: String
    private let limits: WireLog.Limits
    private let logger: Logger
    private var descriptor: Int32 = -1
    private var records = ByteBuffer()
    private var lines: [UInt8] = []
    private var written = 0
    private var cutBy: String?
    private var leftOut = 0
    private var ending: String?
    /// The time of the last record.
    private var latest: Int64 = 0
    private(set) var isComplete = false
    var call: String { header.call }
    var isOpen: Bool { descriptor >= 0 }

    init(
        _ feed: WireLogFeed, _ header: WireLogHeader, _ redaction: WireLogRedaction, directory: String,
        limits: WireLog.Limits, logger: Logger
    ) {
        self.feed = feed
        self.header = header
        self.redaction = redaction
        path = "\(directory)/\(header.name)"
        self.limits = limits
        self.logger = logger
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Writes what has come since the last round.
    ///
    /// - Parameter folder: What all files of the folder take. Where there is no room, no file is made.
    func step(isLast: Bool, _ folder: inout WireLogFolder) {
        if descriptor < 0 {
            guard folder.bytes + header.json.utf8.count + Self.reservedBytes <= limits.bytesInFolder else {
                cut("bytesInFolder", &folder)
                return giveUp()
            }
            guard open() else { return }
            add(header.json, isMessage: false, &folder)
        }
        let lost = feed.take(&records, isLast: isLast)
        var dropped = lost
        WireLogFeed.read(&records) { record in
            let payload = record.payload
            if record.kind == .dropped { dropped += payload.getInteger(at: payload.readerIndex) ?? 0 }
            add(line(record), isMessage: record.kind.isLimited, &folder)
            if record.kind == .ended { ending = milliseconds(record.nanoseconds) }
            latest = record.nanoseconds
        }
        // Nothing has come since that found room and could say so.
        if lost > 0 {
            let note = WireLogFeed.Record(kind: .dropped, nanoseconds: latest, payload: ByteBuffer(integer: lost))
            add(line(note), isMessage: false, &folder)
        }
        if dropped > 0 { Counter(label: ServerMetrics.droppedWireMessages).increment(by: dropped) }
        if ending != nil || isLast {
            if let cutBy {
                add(
                    #"{"ms":\#(ending ?? "0"),"event":"cut","limit":"\#(cutBy)","messages":\#(leftOut)}"#,
                    isMessage: false, &folder)
            }
            isComplete = true
        }
        flush()
        if isComplete {
            close(descriptor)
            descriptor = -1
        }
    }

    /// Mode 0600, and never a file that is there already: a link that somebody left would be followed.
    private func open() -> Bool {
        descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if descriptor >= 0 { return true }
        fail("cannot be opened")
        return false
    }

    private func fail(_ what: String) {
        logger.error("the messages of a call are not written: \(path) \(what): \(String(cString: strerror(errno)))")
        giveUp()
    }

    /// What comes from now on is not kept in memory either.
    private func giveUp() {
        isComplete = true
        feed.close()
    }

    private func add(_ line: String, isMessage: Bool, _ folder: inout WireLogFolder) {
        let size = line.utf8.count + 1
        if isMessage {
            if cutBy == nil, written + size + Self.reservedBytes > limits.bytesPerCall { cut("bytesPerCall", &folder) }
            if cutBy == nil, folder.bytes + size + Self.reservedBytes > limits.bytesInFolder {
                cut("bytesInFolder", &folder)
            }
            guard cutBy == nil else {
                leftOut += 1
                return
            }
        }
        lines += line.utf8
        lines.append(UInt8(ascii: "\n"))
        written += size
        folder.bytes += size
        if lines.count > 1 << 16 { flush() }
    }

    private func cut(_ limit: String, _ folder: inout WireLogFolder) {
        cutBy = limit
        if folder.reached.insert(limit).inserted {
            logger.warning(
                "the wire log is not complete: a limit is reached; remove old files, or log fewer calls",
                metadata: ["limit": "\(limit)", "file": "\(path)"])
        }
        Counter(label: ServerMetrics.cutWireLogs, dimensions: [("limit", limit)]).increment()
    }

    private func flush() {
        var rest = lines[...]
        while !rest.isEmpty, descriptor >= 0 {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                fail("cannot be written")
                break
            }
            rest = rest.dropFirst(count)
        }
        lines.removeAll(keepingCapacity: true)
    }

    // MARK: Lines

    private func line(_ record: WireLogFeed.Record) -> String {
        let start = #"{"ms":\#(milliseconds(record.nanoseconds)),"#
        if let direction = record.kind.direction {
            return start + #""direction":"\#(direction)",\#(message(record.payload, isBinary: record.isBinary))}"#
        }
        var payload = record.payload
        let kind = record.kind
        func event(_ name: String, _ members: (String, String)...) -> String {
            start + #""event":"\#(name)""# + members.map { ",\"\($0.0)\":\($0.1)" }.joined() + "}"
        }
        switch kind {
        case .dialling: return event("dialling", ("backend", quoted(payload)))
        case .connected: return event("connected")
        case .unreachable: return event("unreachable", ("reason", quoted(reason: String(buffer: payload))))
        case .carrierClosed, .agentClosed:
            let code = payload.readInteger(as: UInt16.self) ?? 0
            return event(
                "closed", ("peer", kind == .carrierClosed ? "\"carrier\"" : "\"agent\""), ("code", "\(code)"),
                ("reason", quoted(payload)))
        case .toolCalled, .toolAnswered:
            let id = WireLogFeed.readText(&payload), second = WireLogFeed.readText(&payload)
            let text = WireLogFeed.readText(&payload)
            guard text.utf8.count <= limits.messageBytes else {
                return event(
                    kind == .toolCalled ? "toolCalled" : "toolAnswered", ("id", quoted(id)),
                    ("bytes", "\(text.utf8.count)"))
            }
            let json = redaction.json(ByteBuffer(string: text)) ?? quoted(text)
            if kind == .toolCalled {
                return event("toolCalled", ("id", quoted(id)), ("tool", quoted(second)), ("arguments", json))
            }
            return event("toolAnswered", ("id", quoted(id)), ("outcome", quoted(second)), ("answer", json))
        case .dropped: return event("dropped", ("messages", "\(payload.readInteger(as: Int64.self) ?? 0)"))
        case .ended:
            let parts = String(buffer: payload).split(separator: "\n", maxSplits: 1)
            return event(
                "ended", ("reason", "\"\(parts.first ?? "")\""),
                ("detail", quoted(reason: parts.dropFirst().first.map(String.init) ?? "")))
        case .carrierReceived, .carrierSent, .agentReceived, .agentSent: return event("message")
        }
    }

    private func message(_ payload: ByteBuffer, isBinary: Bool) -> String {
        guard payload.readableBytes <= limits.messageBytes else { return #""bytes":\#(payload.readableBytes)"# }
        // Some vendors send their JSON as binary messages.
        if let json = redaction.json(payload) { return #""message":\#(json)"# + (isBinary ? #","binary":true"# : "") }
        guard isBinary else { return #""text":\#(quoted(payload))"# }
        guard !redaction.isNeeded(in: payload) else { return #""bytes":\#(payload.readableBytes)"# }
        return #""base64":"\#(Data(payload.readableBytesView).base64EncodedString())""#
    }

    private func quoted(_ payload: ByteBuffer) -> String { quoted(String(buffer: payload)) }

    private func quoted(_ text: String) -> String { VariableValue.string(redaction.text(text)).json }

    /// Cut when secrets are out: the first part of one would be found by nobody.
    private func quoted(reason: String) -> String {
        let isCut = reason.utf8.count >= WireLogFeed.reasonBytes
        let text = isCut ? redaction.text(cut: reason) : redaction.text(reason)
        return VariableValue.string(String(text.prefix(Self.reasonLength))).json
    }

    /// With three places, as a JSON number.
    private func milliseconds(_ nanoseconds: Int64) -> String {
        let microseconds = max(0, nanoseconds) / 1000
        return "\(microseconds / 1000).\(String(microseconds % 1000 + 1000).dropFirst())"
    }
}
