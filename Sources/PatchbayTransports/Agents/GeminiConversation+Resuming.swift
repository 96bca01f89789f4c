import NIOCore
import PatchbayCore
import PatchbayWire

/// What is known of going on over another socket (ai.google.dev/gemini-api/docs/live-session#session-resumption).
struct GeminiResumption {
    /// Reconnections in a row that did not last; after that many the conversation is given up.
    static let attemptLimit = 3
    /// A connection that lasted this long was a good one.
    static let stability = TimeSpan.seconds(10)
    /// Left of the time that the server gives when waiting for a quiet moment ends.
    static let margin = TimeSpan.seconds(2)
    /// How often a quiet moment is looked for.
    static let interval = TimeSpan.milliseconds(200)
    /// What is assumed when the server does not say how much time is left.
    static let usualTimeLeft = TimeSpan.seconds(10)

    /// The newest one by which the conversation can be resumed.
    private(set) var handle: String?
    /// Whether nothing has happened since that the handle does not know.
    var isCurrent = false
    private(set) var readySince: MediaTime?
    /// Whether a turn has been completed over this connection.
    var hasServed = false
    private var attempts = 0
    /// When the last quiet moment has to be taken.
    private(set) var leaveBy: MediaTime?
    private var lookAt: MediaTime?

    var deadline: MediaTime? { lookAt }

    mutating func began(at now: MediaTime) {
        readySince = now
        hasServed = false
        leaveBy = nil
        lookAt = nil
    }

    mutating func updated(_ update: GeminiServerMessage.Resumption) {
        isCurrent = update.isResumable && update.handle != nil
        if isCurrent { handle = update.handle }
    }

    mutating func goAway(_ message: GeminiServerMessage.GoAway, at now: MediaTime) {
        let left =
            message.timeLeftMs.map { TimeSpan.milliseconds(Int64(min(max($0, 0), 600_000))) } ?? Self.usualTimeLeft
        leaveBy = now + max(.zero, left - Self.margin)
        lookAt = now + Self.interval
    }

    mutating func looked(at now: MediaTime) {
        if leaveBy != nil, let due = lookAt, due <= now { lookAt = now + Self.interval }
    }

    /// - Parameter isAnnounced: Whether the server asked for it. It may do so soon, if the connection was of use.
    /// - Returns: False when there is no handle, or one attempt too many.
    mutating func mayTry(isAnnounced: Bool, at now: MediaTime) -> Bool {
        guard handle != nil else { return false }
        if let readySince, now - readySince >= Self.stability || isAnnounced && hasServed { attempts = 0 }
        guard attempts < Self.attemptLimit else { return false }
        attempts += 1
        // A socket that never got ready is no success, however long it took.
        readySince = readySince.map { max($0, now) }
        return true
    }
}

extension GeminiConversation {
    /// The server is going away: another socket is opened as soon as nobody speaks, or when the time is up.
    mutating func reconnectIfQuiet(at now: MediaTime, into output: inout AgentOutput) {
        guard phase == .ready, let leaveBy = resumption.leaveBy, resumption.handle != nil else { return }
        guard leaveBy <= now || isQuiet(at: now) && resumption.isCurrent else { return }
        guard resumption.mayTry(isAnnounced: true, at: now) else { return }
        reconnect("the server goes away", into: &output)
    }

    mutating func closed(code: UInt16, reason: String, at now: MediaTime, into output: inout AgentOutput) {
        guard phase != .over, phase != .reconnecting else { return }
        let close = GeminiClose(code: Int(code), reason: reason)
        let isResumed = phase == .settingUp && resumption.readySince != nil
        // A server that goes away may say so with any code.
        let isAnnounced = phase == .ready && resumption.leaveBy != nil
        let mayGoOn = close.isRetryable || isAnnounced && close.meaning == .refused
        if phase == .ready || isResumed, mayGoOn, resumption.mayTry(isAnnounced: isAnnounced, at: now) {
            reconnect(close.description, into: &output)
            return
        }
        let (errorCode, isRetryable) = Self.meaning(of: close, isReady: phase == .ready)
        let words = phase == .ready ? close.description : "closed before the conversation began: \(close)"
        // A handle that is not accepted any more says nothing against a new conversation.
        fail(errorCode, words, isRetryable: isRetryable || isResumed, into: &output)
    }

    private mutating func reconnect(_ cause: String, into output: inout AgentOutput) {
        phase = .reconnecting
        forgetTurn(into: &output)
        ear.socketLost()
        output.emit(.reconnect(cause: cause))
    }

    private static func meaning(of close: GeminiClose, isReady: Bool) -> (PipelineError.Code, Bool) {
        switch close.meaning {
        case .unauthorized: (.agentUnauthorized, false)
        case .unknownModel: (.agentUnknown, false)
        case .quotaExceeded: (.agentQuota, false)
        case .invalidArgument, .refused: (isReady ? .agentFailed : .agentSettingRefused, false)
        case .ended, .serverFailure, .connectionLost, .unknown: (.agentFailed, true)
        }
    }
}
