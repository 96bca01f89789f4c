import Foundation
import PatchbayConfig
import PatchbayStore

/// One session as `/sessions` shows it.
struct SessionReport: Encodable, Sendable {
    var id, status, message: String
    var simulated: Bool
    var tenant, agentName, customerId: String?
    var customerPhone, pipeline: String
    var callingNumber: String?
    var variables: [String: Scalar]
    var createdAt, updatedAt: Date
    var callId, callSid, conversationId, answeredBy, failure: String?
    var extractedIntent: String?
    var extractedData, transcript: AnyJSON?

    /// - Parameter isWhole: Whether what was said comes along.
    init(_ session: VoiceSession, isWhole: Bool) {
        (id, status) = (session.id, session.status)
        message = OutboundCalls.words(session)
        simulated = session.status == SessionStatus.simulated.rawValue
        (tenant, agentName, customerId) = (session.tenant, session.agentName, session.customerID)
        (customerPhone, pipeline) = (session.customerPhone, session.pipeline)
        callingNumber = session.callingNumber
        variables = [String: VariableValue](json: session.variables).mapValues { Scalar($0) }
        (createdAt, updatedAt) = (session.createdAt, session.updatedAt)
        (callId, callSid, conversationId) = (session.call, session.callSid, session.conversationID)
        (answeredBy, failure) = (session.answeredBy, session.failure)
        extractedIntent = session.extractedIntent
        extractedData = session.extractedData.flatMap(AnyJSON.init)
        if isWhole { transcript = session.transcript.flatMap(AnyJSON.init) }
    }
}

struct SessionList: Encodable {
    var sessions: [SessionReport]
}

/// The answer to an order, as `POST /calls` gives it.
struct DialAnswer: Encodable {
    var sessionId: String
    var callId, callSid: String?
    var status: String
    var simulated: Bool
    var message: String

    init(_ outcome: OutboundCalls.Outcome) {
        let session = outcome.session
        (sessionId, callId, callSid, status) = (session.id, session.call, session.callSid, session.status)
        simulated = session.status == SessionStatus.simulated.rawValue
        message = outcome.message
    }

    private enum CodingKeys: String, CodingKey { case sessionId, callId, callSid, status, simulated, message }

    /// Every key is there, whatever is known.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(sessionId, forKey: .sessionId)
        try container.encode(callId, forKey: .callId)
        try container.encode(callSid, forKey: .callSid)
        try container.encode(status, forKey: .status)
        try container.encode(simulated, forKey: .simulated)
        try container.encode(message, forKey: .message)
    }

    /// The same with the names that campaigns use.
    struct Campaign: Encodable {
        var answer: DialAnswer

        private enum CodingKeys: String, CodingKey {
            case status, simulated, message
            case sessionId = "session_id"
            case callId = "call_id"
            case callSid = "call_sid"
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(answer.sessionId, forKey: .sessionId)
            try container.encode(answer.callId, forKey: .callId)
            try container.encode(answer.callSid, forKey: .callSid)
            try container.encode(answer.status, forKey: .status)
            try container.encode(answer.simulated, forKey: .simulated)
            try container.encode(answer.message, forKey: .message)
        }
    }
}

/// Whether calls can be bridged to the agent's vendor.
struct CarrierHealth: Encodable {
    var number: String?

    private enum CodingKeys: String, CodingKey {
        case status
        case isConfigured = "elevenlabs_number_configured"
        case number = "elevenlabs_number"
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode("ok", forKey: .status)
        try container.encode(number != nil, forKey: .isConfigured)
        try container.encode(number, forKey: .number)
    }
}

/// JSON that is kept as text, shown as it is.
indirect enum AnyJSON: Codable, Sendable {
    case null
    case scalar(Scalar)
    case list([AnyJSON])
    case object([String: AnyJSON])

    /// `nil` for a text that is no JSON.
    init?(_ text: String) {
        guard let value = try? JSONDecoder().decode(AnyJSON.self, from: Data(text.utf8)) else { return nil }
        self = value
    }

    init(from decoder: any Decoder) throws {
        if let object = try? decoder.singleValueContainer().decode([String: AnyJSON].self) {
            self = .object(object)
        } else if let list = try? decoder.singleValueContainer().decode([AnyJSON].self) {
            self = .list(list)
        } else if try decoder.singleValueContainer().decodeNil() {
            self = .null
        } else {
            self = .scalar(try Scalar(from: decoder))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .scalar(let value): try container.encode(value)
        case .list(let values): try container.encode(values)
        case .object(let values): try container.encode(values)
        }
    }
}
