/// Every metric of the records.
enum RecordMetrics {
    /// Steps of calls that were never written.
    static let lost = "patchbay_records_lost_total"
    /// Steps of calls that wait to be written.
    static let waiting = "patchbay_records_waiting"
    /// How long a transaction took, in seconds.
    static let writeSeconds = "patchbay_records_write_seconds"
    /// Readers of `…/events` that were too slow and were sent away.
    static let readersDropped = "patchbay_event_readers_dropped_total"
    /// Entries that were removed because they were older than the retention.
    static let pruned = "patchbay_records_pruned_total"
    /// Recordings of forgotten calls, by `outcome`: `removed`, or `left` for a file that cannot be removed.
    static let recordings = "patchbay_recordings_forgotten_total"
}
