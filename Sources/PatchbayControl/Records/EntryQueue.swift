/// Steps of calls that wait to be written, in the batches in which they will be.
///
/// A batch is handed over and back whole, and no step in it is touched: what a failing store has left costs nobody anything.
struct EntryQueue {
    struct Batch: Sendable {
        var entries: [CallJournal.Entry] = []
        /// An estimate of their memory.
        var bytes = 0
        /// Which step the last of them was, of all that ever came.
        var ticket: UInt64 = 0
        /// It has been handed over before: readers have been told.
        var isPublished = false
    }

    let batchLimit: Int
    private(set) var count = 0
    /// The oldest first; some 80 at most, as the journal's limit is.
    private var batches: [Batch] = []

    /// - Parameter batchLimit: Steps of one batch.
    init(batchLimit: Int) { self.batchLimit = batchLimit }

    mutating func append(_ entry: CallJournal.Entry, bytes: Int, ticket: UInt64) {
        let last = batches.count - 1
        if last < 0 || batches[last].isPublished || batches[last].entries.count >= batchLimit {
            batches.append(Batch(entries: [entry], bytes: bytes, ticket: ticket))
        } else {
            batches[last].entries.append(entry)
            batches[last].bytes += bytes
            batches[last].ticket = ticket
        }
        count += 1
    }

    /// Hands the oldest batch over; an empty one when nothing waits.
    mutating func take() -> Batch {
        guard !batches.isEmpty else { return Batch() }
        let batch = batches.removeFirst()
        count -= batch.entries.count
        return batch
    }

    /// Takes a batch back that was handed over last.
    mutating func putBack(_ batch: Batch) {
        guard !batch.entries.isEmpty else { return }
        var batch = batch
        batch.isPublished = true
        count += batch.entries.count
        batches.insert(batch, at: 0)
    }

    mutating func removeAll() {
        batches = []
        count = 0
    }
}
