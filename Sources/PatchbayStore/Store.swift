public import Foundation

/// What a control plane remembers beyond its process: calls and what was said in them, people that were dialled, deliveries
/// that were made and seen, tenants, and who did what.
///
/// All of it waits for a disk, so nothing of it is ever asked on an event loop or on the way of a frame. Every write is on disk
/// when it returns: what was acknowledged survives the process's sudden end. Whoever writes a second implementation finds its
/// exam in `StoreConformance` of PatchbayTesting.
public protocol Store: CallRecords, VoiceSessionRecords, DeliveryRecords, OutboxRecords, ContextRecords, TenantRecords,
    AuditRecords
{
    /// Removes what ended before `date`, of every kind but tenants. The recordings of what goes are listed as forgotten.
    ///
    /// - Returns: How many entries went.
    @discardableResult
    func prune(before date: Date) async throws(StoreError) -> Int

    /// Removes or blanks everything that is known of a person's number, in every kind of entry: on a person's request.
    ///
    /// The names of the calls, conversations and sessions that go are remembered until they are pruned, so that nothing
    /// that comes later brings them back. Their recordings are listed as forgotten.
    ///
    /// - Returns: How many entries were touched.
    @discardableResult
    func erase(number: String) async throws(StoreError) -> Int

    /// Whether a write would work just now; costs one small transaction.
    func check() async throws(StoreError)
}
