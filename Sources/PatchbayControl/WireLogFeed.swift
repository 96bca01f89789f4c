import NIOCore
import PatchbayCore
import Synchronization

/// The way of one call's messages from its event loop to the thread that writes them: a queue of limited size.
///
/// The loop never waits: where the writer has its hand on the queue at the very moment, a message is set aside until the next
/// one. Where the queue is full, messages are dropped and counted.
final class WireLogFeed: WireObserver {
    enum Kind: UInt8 {
        case carrierReceived, carrierSent, agentReceived, agentSent
        case dialling, connected, unreachable, carrierClosed, agentClosed, ended
        /// Messages that found no room, as a number of eight bytes.
        case dropped
        case toolCalled, toolAnswered

        /// How a line names the way of a message.
        var direction: String? {
            switch self {
            case .carrierReceived: "carrier>"
            case .carrierSent: ">carrier"
            case .agentReceived: "agent>"
            case .agentSent: ">agent"
            case .dialling, .connected, .unreachable, .carrierClosed, .agentClosed, .ended, .dropped, .toolCalled,
                .toolAnswered:
                nil
            }
        }

        /// Whether it is as large as its peer likes, and has to leave room for what must be written.
        var isLimited: Bool { direction != nil || self == .toolCalled || self == .toolAnswered }
    }

    /// Bytes of a record's kind, time and length.
    private static let headerBytes = 13
    /// Set in a record's first byte when its message was binary.
    private static let binaryFlag: UInt8 = 0x80

    /// One record of the queue.
    struct Record {
        var kind: Kind
        var isBinary = false
        /// Since the call was made.
        var nanoseconds: Int64
        var payload: ByteBuffer
    }
    /// Room that messages leave to events.
    private static let reservedBytes = 4096
    /// Bytes of a reason that are kept until secrets have been taken out of it; less than what is reserved.
    static let reasonBytes = 2000

    /// What met the writer.
    private struct Aside {
        var records = ByteBuffer()
        /// Messages that found no room even here.
        var dropped: Int64 = 0
    }

    private struct Waiting {
        var records = ByteBuffer()
        /// Since the writer last came by.
        var dropped: Int64 = 0
        /// Nobody writes what comes.
        var isClosed = false

        mutating func add(_ record: Record, behind aside: inout Aside, limit: Int) {
            guard !isClosed else {
                aside = Aside()
                return
            }
            if aside.records.readableBytes > 0 {
                WireLogFeed.read(&aside.records) { put($0, limit) }
                aside.records.clear()
            }
            dropped += aside.dropped
            aside.dropped = 0
            put(record, limit)
        }

        private mutating func put(_ record: Record, _ limit: Int) {
            let room = WireLogFeed.room(for: record.kind, limit)
            guard records.readableBytes + WireLogFeed.headerBytes + record.payload.readableBytes <= room else {
                dropped += 1
                return
            }
            if dropped > 0 {
                let note = Record(
                    kind: .dropped, nanoseconds: record.nanoseconds, payload: ByteBuffer(integer: dropped))
                WireLogFeed.write(note, into: &records)
                dropped = 0
            }
            WireLogFeed.write(record, into: &records)
        }
    }

    private let start: MediaTime
    private let limit: Int
    private let waiting = Mutex(Waiting())
    /// Records that met the writer. Only touched on the call's event loop until the log as a whole is closed, so its lock is
    /// never contended while calls run.
    private let aside = Mutex(Aside())

    init(start: MediaTime, limit: Int) {
        self.start = start
        self.limit = limit
    }

    func observe(_ event: WireEvent, time: MediaTime) {
        let nanoseconds = (time - start).nanoseconds
        switch event {
        case .received(let peer, let message, let isBinary):
            add(peer == .carrier ? .carrierReceived : .agentReceived, nanoseconds, message, isBinary: isBinary)
        case .sent(let peer, let message, let isBinary):
            add(peer == .carrier ? .carrierSent : .agentSent, nanoseconds, message, isBinary: isBinary)
        case .dialling(let backend): add(.dialling, nanoseconds, ByteBuffer(string: backend))
        case .connected: add(.connected, nanoseconds, ByteBuffer())
        case .unreachable(let reason): add(.unreachable, nanoseconds, Self.cut(reason))
        case .closed(let peer, let code, let reason):
            var payload = ByteBuffer(integer: code ?? 0)
            payload.writeString(reason)
            add(peer == .carrier ? .carrierClosed : .agentClosed, nanoseconds, payload)
        case .toolCalled(let call): add(.toolCalled, nanoseconds, Self.text(call.id, call.name, call.arguments))
        case .toolAnswered(let result):
            add(.toolAnswered, nanoseconds, Self.text(result.id, result.isError ? "error" : "ok", result.output))
        case .ended(let reason):
            add(.ended, nanoseconds, Self.cut(reason.detail, after: "\(reason.kind.rawValue)\n"))
        }
    }

    private func add(_ kind: Kind, _ nanoseconds: Int64, _ payload: ByteBuffer, isBinary: Bool = false) {
        let record = Record(kind: kind, isBinary: isBinary, nanoseconds: nanoseconds, payload: payload)
        aside.withLock { aside in
            let room = Self.room(for: kind, limit)
            let size = Self.headerBytes + payload.readableBytes
            // Nothing comes after the end that could bring it along; the writer holds the lock for one exchange of buffers.
            let isTaken: Void? =
                kind == .ended
                ? waiting.withLock { $0.add(record, behind: &aside, limit: limit) }
                : waiting.withLockIfAvailable { $0.add(record, behind: &aside, limit: limit) }
            // The writer is here for an instant only, so this never grows to more than a few messages.
            guard isTaken == nil else { return }
            if aside.records.readableBytes + size <= room {
                WireLogFeed.write(record, into: &aside.records)
            } else {
                aside.dropped += 1
            }
        }
    }

    /// What a record may fill the queue up to.
    private static func room(for kind: Kind, _ limit: Int) -> Int {
        kind.isLimited ? limit - reservedBytes : limit
    }

    /// Texts that may hold anything, each behind its length.
    private static func text(_ parts: String...) -> ByteBuffer {
        var payload = ByteBuffer()
        for part in parts {
            payload.writeInteger(UInt32(clamping: part.utf8.count))
            payload.writeString(part)
        }
        return payload
    }

    /// Reads what ``text(_:)`` has written.
    static func readText(_ payload: inout ByteBuffer) -> String {
        payload.readInteger(as: UInt32.self).flatMap { payload.readString(length: Int($0)) } ?? ""
    }

    private static func cut(_ reason: String, after start: String = "") -> ByteBuffer {
        var payload = ByteBuffer(string: start)
        payload.writeBytes(reason.utf8.prefix(reasonBytes))
        return payload
    }

    private static func write(_ record: Record, into records: inout ByteBuffer) {
        records.writeInteger(record.kind.rawValue | (record.isBinary ? binaryFlag : 0))
        records.writeInteger(record.nanoseconds)
        records.writeInteger(UInt32(clamping: record.payload.readableBytes))
        records.writeImmutableBuffer(record.payload)
    }

    /// Exchanges what waits for an empty buffer. From the writing thread only.
    ///
    /// - Parameter emptied: The buffer of the last time, whose memory is used again.
    /// - Parameter isLast: The call says nothing more, so what was set aside is taken too.
    func take(_ emptied: inout ByteBuffer, isLast: Bool) -> Int64 {
        emptied.clear()
        var dropped: Int64 = 0
        waiting.withLock { waiting in
            swap(&waiting.records, &emptied)
            dropped = waiting.dropped
            waiting.dropped = 0
        }
        if isLast {
            aside.withLock { aside in
                emptied.writeBuffer(&aside.records)
                dropped += aside.dropped
                aside.dropped = 0
            }
        }
        return dropped
    }

    /// Keeps nothing any more: there is no file for it.
    func close() {
        waiting.withLock { waiting in
            waiting.isClosed = true
            waiting.records = ByteBuffer()
        }
    }

    /// Gives every record in `records` to `body`.
    static func read(_ records: inout ByteBuffer, _ body: (Record) -> Void) {
        while let first = records.readInteger(as: UInt8.self), let kind = Kind(rawValue: first & ~binaryFlag),
            let nanoseconds = records.readInteger(as: Int64.self), let length = records.readInteger(as: UInt32.self),
            let payload = records.readSlice(length: Int(length))
        {
            body(
                Record(
                    kind: kind, isBinary: first & binaryFlag != 0, nanoseconds: nanoseconds, payload: payload))
        }
    }
}
