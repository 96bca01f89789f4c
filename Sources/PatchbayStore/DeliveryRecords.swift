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

    /// Takes on what a delivery asks for when that happens outside the store, and must not happen twice.
    ///
    /// Of several that ask one gets ``DeliveryClaim/new``: it does the work, and says with ``settle(source:key:answer:)`` what came of
    /// it.
    func claim(source: String, key: String, at date: Date) async throws(StoreError) -> DeliveryClaim

    /// Keeps what was answered to a delivery that was claimed, for its repetitions. Nothing happens where there is none.
    func settle(source: String, key: String, answer: String) async throws(StoreError)
}

/// What is known of a delivery whose work is done outside the store.
public enum DeliveryClaim: Sendable, Equatable {
    /// Nobody has asked for it before: whoever gets this does it.
    case new
    /// A process that runs does it.
    case inProgress
    /// It is done, and this was the answer.
    case settled(answer: String)
    /// The process that did it has ended without a word, so nobody knows whether it was done.
    case abandoned
}

/// What a delivery changes.
public struct DeliveryEffect: Sendable {
    /// The call that it is about, and what it adds.
    public var call: CallAddition?
    /// The session that it is about, and how it changes.
    public var session: (id: String, change: @Sendable (inout VoiceSession) -> Void)?
    public var outbox: [OutboxMessage] = []
    /// Every name of the call, the conversation and the session that it is about. When one of them was erased, nothing is
    /// changed, and recordings are forgotten at once.
    public var names: [String] = []

    public init() {}
}
