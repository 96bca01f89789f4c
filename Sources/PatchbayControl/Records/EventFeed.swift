import Metrics
import PatchbayStore
import Synchronization

/// Tells readers what happens in calls, once it is written down.
///
/// Every reader has a queue of limited length. Who reads too slowly is sent away and counted, never waited for.
final class EventFeed: Sendable {
    /// Readers at the same time.
    static let readerLimit = 100
    /// Items that wait for one reader.
    static let backlogLimit = 1000

    enum Item: Sendable {
        case event(StoredEvent)
        /// The call of this name is over.
        case ended(String)
        /// Nothing has happened for a while.
        case pause
    }

    /// What one reader gets, until it ends.
    struct Reading: Sendable {
        let items: AsyncStream<Item>
        fileprivate let continuation: AsyncStream<Item>.Continuation

        /// Puts a pause between the items, if there is room.
        func pause() { continuation.yield(.pause) }
    }

    private struct Reader {
        var call: String?
        var principal: Principal
        var continuation: AsyncStream<Item>.Continuation
        var dropped: @Sendable () -> Void
    }

    private struct State {
        var readers: [Int: Reader] = [:]
        var next = 0
        var isFinished = false
    }

    private let state = Mutex(State())

    /// Begins to read. The reader's end, or that of its task, ends it.
    ///
    /// - Parameters:
    ///   - call: The one call that is of interest; `nil` for all that the reader may see.
    ///   - dropped: Told when the reader was too slow, since it may hang in a write.
    /// - Returns: `nil` when there are too many readers.
    func subscribe(to call: String?, as principal: Principal, dropped: @escaping @Sendable () -> Void) -> Reading? {
        let (stream, continuation) = AsyncStream<Item>.makeStream(
            bufferingPolicy: .bufferingOldest(Self.backlogLimit))
        let id = state.withLock { state -> Int? in
            guard state.readers.count < Self.readerLimit, !state.isFinished else { return nil }
            state.next += 1
            state.readers[state.next] = Reader(
                call: call, principal: principal, continuation: continuation, dropped: dropped)
            return state.next
        }
        guard let id else { return nil }
        continuation.onTermination = { [weak self] _ in
            _ = self?.state.withLock { $0.readers.removeValue(forKey: id) }
        }
        return Reading(items: stream, continuation: continuation)
    }

    /// Tells of what has been written.
    func publish(_ entries: [CallJournal.Entry]) {
        let readers = state.withLock { $0.readers }
        guard !readers.isEmpty else { return }
        for entry in entries {
            let item: Item
            switch entry.change {
            case .event(let event): item = .event(event)
            case .call(let call) where call.endedAt != nil: item = .ended(call.id)
            case .call, .turn, .toolCall, .recording: continue
            }
            for reader in readers.values
            where (reader.call == nil || reader.call == entry.change.callID) && reader.principal.sees(entry.tenant) {
                tell(reader, item)
            }
        }
    }

    private func tell(_ reader: Reader, _ item: Item) {
        guard case .dropped = reader.continuation.yield(item) else { return }
        reader.continuation.finish()
        reader.dropped()
        Counter(label: RecordMetrics.readersDropped).increment()
    }

    /// Sends everybody away: the server is about to stop.
    func finish() {
        let readers = state.withLock { state in
            state.isFinished = true
            return state.readers
        }
        for reader in readers.values { reader.continuation.finish() }
    }
}
