public import Foundation

/// Webhooks that came in: each has its effect once, however often it is delivered.
public protocol DeliveryRecords: Sendable {
    /// Notes a delivery together with its effect.
    ///
    /// - Parameters:
    ///   - key: What is the same in a repetition, for instance a hash of what was signed.
    ///   - effect: What it changes, written in the same transaction.
    /// - Returns: Whether it was new; nothing is written otherwise.
    func deliver(source: String, key: String, at date: Date, _ effect: DeliveryEffect) async throws(StoreError) -> Bool
}

/// What a delivery changes.
public struct DeliveryEffect: Sendable {
    public var calls: [CallChange] = []
    /// The session that it is about, and how it changes.
    public var session: (id: String, change: @Sendable (inout VoiceSession) -> Void)?
    public var outbox: [OutboxMessage] = []

    public init() {}
}
