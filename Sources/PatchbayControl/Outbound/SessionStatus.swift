/// How far a session has come: the states of a dialled call in the order in which it can have them.
///
/// Reports about a call arrive in any order and more than once, so a status only ever moves forward, and an end is final.
enum SessionStatus: String, Sendable, CaseIterable {
    /// Ordered, and not yet handed to the carrier.
    case created
    /// On its way to the carrier, or there already.
    case dialing
    /// The carrier's answer to the order never came: it may have dialled.
    case unknown
    case ringing
    /// Somebody or something has answered.
    case answered
    case completed, busy
    case noAnswer = "no-answer"
    case failed, canceled
    /// There is no account at a carrier; nothing is dialled.
    case simulated

    /// What the carrier calls it (twilio.com/docs/voice/api/call-resource#call-status-values); `nil` for a word that it does
    /// not have.
    init?(carrier status: String) {
        switch status {
        case "queued", "initiated": self = .dialing
        case "ringing": self = .ringing
        case "in-progress", "answered": self = .answered
        case "completed": self = .completed
        case "busy": self = .busy
        case "no-answer": self = .noAnswer
        case "failed": self = .failed
        case "canceled": self = .canceled
        default: return nil
        }
    }

    var isEnd: Bool { rank == Self.endRank }

    /// The status after a report. Whether the carrier has an order may become doubtful and certain again; nothing else goes
    /// back.
    func after(_ report: SessionStatus) -> SessionStatus {
        isEnd || report.rank < rank ? self : report
    }

    private static let endRank = 4

    var rank: Int {
        switch self {
        case .created: 0
        case .unknown, .dialing: 1
        case .ringing: 2
        case .answered: 3
        case .completed, .busy, .noAnswer, .failed, .canceled, .simulated: Self.endRank
        }
    }
}
