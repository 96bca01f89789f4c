import PatchbayCore

/// The signatures that were given out with signed URLs and have begun no conversation yet.
struct ElevenLabsSignatures: Sendable {
    /// How long a signed URL may be used to start a conversation
    /// (elevenlabs.io/docs/agents-platform/customization/authentication).
    private let lifetime: TimeSpan
    /// With more the oldest is forgotten.
    static let capacity = 10_000

    private var valid: [String: (agentId: String, until: MediaTime)] = [:]
    private var order: [String] = []

    init(lifetime: TimeSpan = .seconds(15 * 60)) { self.lifetime = lifetime }

    mutating func make(for agentId: String, at now: MediaTime) -> String {
        if order.count >= 2 * Self.capacity { order.removeAll { valid[$0] == nil } }
        while valid.count >= Self.capacity, !order.isEmpty { valid[order.removeFirst()] = nil }
        let signature = "cvtkn_" + randomHexadecimal(bits: 128)
        valid[signature] = (agentId, now + lifetime)
        order.append(signature)
        return signature
    }

    /// Uses a signature up.
    ///
    /// - Returns: The agent it was made for; `nil` when it is unknown, used or too old.
    mutating func redeem(_ signature: String, at now: MediaTime) -> String? {
        guard let found = valid.removeValue(forKey: signature), now < found.until else { return nil }
        return found.agentId
    }
}
