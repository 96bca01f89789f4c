import Foundation
import NIOHTTP1
import PatchbayWire

/// A call as the account lists it (twilio.com/docs/voice/api/call-resource#call-properties).
struct TwilioResource: Sendable {
    var sid: String
    var accountSid: String
    var to: String
    var from: String
    var status = "queued"
    var answeredBy: String?
    var created = Date()
    var updated = Date()
    var started: Date?
    var ended: Date?

    var isOver: Bool { ["completed", "busy", "failed", "no-answer", "canceled"].contains(status) }

    /// Seconds from answering to the end.
    var duration: Int? {
        guard let ended else { return nil }
        return started.map { max(0, Int(ended.timeIntervalSince($0).rounded())) } ?? 0
    }

    private var uri: String { "/2010-04-01/Accounts/\(accountSid)/Calls/\(sid)" }

    /// In the names and forms of the REST API: everything is a text.
    var json: TwilioJSON {
        let names = [
            "events", "notifications", "payments", "recordings", "siprec", "streams", "transcriptions",
            "user_defined_message_subscriptions", "user_defined_messages",
        ]
        let links = names.map { name in
            let path = name.split(separator: "_").map(\.capitalized).joined()
            return (name, TwilioJSON.text("\(uri)/\(path).json"))
        }
        return .object([
            "sid": .text(sid), "account_sid": .text(accountSid), "api_version": .text("2010-04-01"),
            "to": .text(to), "to_formatted": .text(to), "from": .text(from), "from_formatted": .text(from),
            "status": .text(status), "direction": .text("outbound-api"), "answered_by": .optional(answeredBy),
            "date_created": .text(Self.rfc2822(created)), "date_updated": .text(Self.rfc2822(updated)),
            "start_time": .optional(started.map(Self.rfc2822)), "end_time": .optional(ended.map(Self.rfc2822)),
            "duration": .optional(duration.map(String.init)), "parent_call_sid": .null,
            "phone_number_sid": .text("PN" + sid.dropFirst(2)), "price": .null, "price_unit": .text("USD"),
            "forwarded_from": .null, "group_sid": .null, "caller_name": .null, "queue_time": .text("0"),
            "trunk_sid": .null, "annotation": .null, "uri": .text("\(uri).json"),
            "subresource_uris": .object(Dictionary(uniqueKeysWithValues: links)),
        ])
    }

    /// `Tue, 31 Aug 2010 20:36:28 +0000`
    static func rfc2822(_ date: Date) -> String { formatter("EEE, dd MMM yyyy HH:mm:ss Z").string(from: date) }

    /// `2010-08-31`
    static func day(_ date: Date) -> String { formatter("yyyy-MM-dd").string(from: date) }

    private static func formatter(_ form: String) -> DateFormatter {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = .gmt
        formatter.dateFormat = form
        return formatter
    }
}

/// The JSON of the REST API.
indirect enum TwilioJSON: Encodable, Sendable {
    case null
    case text(String)
    case number(Int)
    case list([TwilioJSON])
    case object([String: TwilioJSON])

    static func optional(_ text: String?) -> TwilioJSON { text.map { .text($0) } ?? .null }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .text(let text): try container.encode(text)
        case .number(let number): try container.encode(number)
        case .list(let values): try container.encode(values)
        case .object(let values): try container.encode(values)
        }
    }
}

extension SimulatorResponse {
    /// An error in Twilio's form (twilio.com/docs/usage/twilios-response#error-and-exception).
    static func twilio(_ code: Int, _ message: String) -> SimulatorResponse {
        let status: HTTPResponseStatus =
            switch code {
            case 20003: .unauthorized
            case 20404: .notFound
            case 20429: .tooManyRequests
            case 20500: .internalServerError
            default: .badRequest
            }
        return SimulatorResponse(
            status,
            json: TwilioJSON.object([
                "code": .number(code), "message": .text(message), "status": .number(Int(status.code)),
                "more_info": .text("https://www.twilio.com/docs/errors/\(code)"),
            ]))
    }
}
