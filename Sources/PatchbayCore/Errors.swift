/// A fault inside a pipeline or one of its peers.
public struct PipelineError: Error, Sendable, CustomStringConvertible {
    /// A stable name for the kind of fault; new codes break nobody's `switch`.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        public let description: String
        public init(_ name: String) { self.description = name }

        /// Audio in a format that a stage cannot take, or that an agent has announced and nobody can use.
        public static let unsupportedFormat = Code("unsupported-format")
        /// A stage failed.
        public static let stageFailed = Code("stage-failed")
        /// An agent could not be reached or refused the conversation.
        public static let agentUnreachable = Code("agent-unreachable")
        /// An agent was reached but did not become ready, or fell silent in mid-conversation.
        public static let agentTimeout = Code("agent-timeout")
        /// An agent ended the conversation with an error.
        public static let agentFailed = Code("agent-failed")
        /// An agent's vendor did not accept the key, or it lacks a permission.
        public static let agentUnauthorized = Code("agent-unauthorized")
        /// There is no such agent or model at the vendor.
        public static let agentUnknown = Code("agent-unknown")
        /// The vendor's account has no quota left, or too many conversations at once.
        public static let agentQuota = Code("agent-quota")
        /// The vendor refused a setting of the conversation: an override, an argument, a format that it was asked for.
        public static let agentSettingRefused = Code("agent-setting-refused")
        /// Nothing says which agent it is: there is no id, no address.
        public static let agentMissing = Code("agent-missing")
        /// An agent needs a setting that is missing, such as the key of its account.
        public static let agentNotConfigured = Code("agent-not-configured")
        /// A peer broke the rules of its protocol.
        public static let protocolViolation = Code("protocol-violation")
        /// A named limit was hit.
        public static let limitExceeded = Code("limit-exceeded")
    }

    public var code: Code
    /// What happened and what to do, with the actual values in it. Never a secret.
    public var message: String
    /// Where: `stages[2] (resampler)`, `agent elevenlabs`.
    public var place: String
    public var cause: (any Error)?
    /// Whether trying the same again may help.
    public var isRetryable: Bool

    public init(
        _ code: Code, _ message: String, place: String = "", cause: (any Error)? = nil, isRetryable: Bool = false
    ) {
        self.code = code
        self.message = message
        self.place = place
        self.cause = cause
        self.isRetryable = isRetryable
    }

    public var description: String {
        var text = place.isEmpty ? "" : "\(place): "
        text += "\(message) [\(code)]"
        // A message that is nothing but the cause in words says it once.
        if let cause, "\(cause)" != message { text += " (caused by: \(cause))" }
        return text
    }
}

/// How a call came to its end.
public struct EndReason: Error, Hashable, Sendable, LosslessStringConvertible {
    public enum Kind: String, Sendable {
        /// The caller hung up, or the carrier ended the stream in order.
        case callerHungUp
        /// The carrier's socket broke; the caller may still be on the line.
        case streamLost
        /// The agent said goodbye.
        case agentHungUp
        /// The caller was handed to the number that the detail names.
        case transferred
        /// An operator ended it over the control plane.
        case operatorHungUp
        /// No audio or no speech for too long.
        case idle
        /// The call reached its longest allowed duration.
        case maximumDuration
        /// The server is shutting down.
        case shutdown
        /// A rule of the pipeline answered with words, and no pipeline was begun.
        case answeredByRule
        /// No stream ever arrived for the call.
        case noStream
        /// The caller's stream reached another process, under whose name of the call, the detail, it is told how it went.
        case moved
        /// Something failed.
        case failure
    }

    public var kind: Kind
    /// For people and logs: "agent closed the stream: 1008 …".
    public var detail: String

    public init(_ kind: Kind, _ detail: String = "") {
        self.kind = kind
        self.detail = detail
    }

    public var isFailure: Bool { kind == .failure || kind == .noStream }

    /// Whether Patchbay itself ended the call, as it was meant to.
    public var isOrderly: Bool {
        switch kind {
        case .agentHungUp, .operatorHungUp, .idle, .maximumDuration, .answeredByRule: true
        case .callerHungUp, .transferred, .streamLost, .shutdown, .noStream, .moved, .failure: false
        }
    }

    /// Whether the caller's next step follows from it, whichever process is asked: a goodbye, a person, words for a failure.
    /// After any other end a caller who is still there is connected again.
    public var isConclusive: Bool { isOrderly || kind == .transferred || kind == .failure }

    public var description: String { detail.isEmpty ? kind.rawValue : "\(kind.rawValue): \(detail)" }

    /// Reads what ``description`` gives; `nil` for any other text.
    public init?(_ description: String) {
        let end = description.firstRange(of: ": ")
        guard let kind = Kind(rawValue: String(description[..<(end?.lowerBound ?? description.endIndex)])) else {
            return nil
        }
        self.init(kind, end.map { String(description[$0.upperBound...]) } ?? "")
    }
}
