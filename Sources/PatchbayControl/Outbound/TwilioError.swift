import Foundation

/// Why Twilio did not do what it was asked.
public struct TwilioError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What became of the request.
    public enum Fate: Sendable {
        /// Twilio has read it and says no.
        case refused
        /// It never reached Twilio.
        case notSent
        /// It may have had its effect: no answer came, or none that can be read.
        case uncertain
    }

    /// What became of the request.
    public var fate: Fate
    /// Of HTTP.
    public var status: Int?
    /// Twilio's own number for the error (twilio.com/docs/api/errors).
    public var code: Int?
    /// Twilio's words, or ours where it said nothing.
    public var message: String
    /// Seconds after which it may be asked again.
    public var retryAfter: Int?

    /// An error without an answer of Twilio's.
    public init(_ fate: Fate, _ message: String) {
        self.fate = fate
        self.message = message
    }

    /// Reads an answer that says no. An answer of 500 and more says nothing about the effect.
    init(status: Int, body: [UInt8], retryAfter: Int? = nil) {
        struct Answer: Decodable {
            var code: Int?
            var message: String?
            /// As newer parts of Twilio write it (RFC 9457).
            var detail: String?
        }
        let answer = try? JSONDecoder().decode(Answer.self, from: Data(body))
        fate = status >= 500 ? .uncertain : .refused
        self.status = status
        code = answer?.code
        message = String((answer?.message ?? answer?.detail ?? "HTTP status \(status)").prefix(300))
        self.retryAfter = retryAfter
    }

    /// Whether the same request may be sent again without doing anything twice.
    public var mayBeRepeated: Bool { fate == .notSent || status == 429 }

    /// Whether there is no call any more that could be changed.
    public var isOver: Bool { status == 404 || code == 20404 || code == 21220 }

    /// Whose fault it is, for the answer to whoever ordered.
    enum Cause: Sendable { case called, forbidden, calling, tooMuch, account, carrier }

    var cause: Cause {
        switch code {
        case 21201, 21211, 21214, 21217, 21401, 21421, 13223, 13224: .called
        case 21215, 21216, 21219, 13225, 13227: .forbidden
        case 21210, 21212, 21213: .calling
        case 20429, 22005: .tooMuch
        case 20003, 10001, 20005: .account
        default: status == 429 ? .tooMuch : status == 401 ? .account : .carrier
        }
    }

    /// What to do about it.
    public var advice: String? {
        switch code {
        case 20003: "check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN: they belong together, and to the same region"
        case 20005, 10001: "the account is not active; look at its state in Twilio's console"
        case 20404: "the call is not there any more"
        case 20429, 22005: "too much was asked at once; order more slowly"
        case 21201, 21211, 21217, 21401, 21421: "the called number is none that can be dialled; check its digits"
        case 21214: "the called number cannot be reached by telephone"
        case 13223, 13224: "Twilio does not dial this number; check its digits and its country"
        case 21210: "the calling number is none of the account's; buy it at Twilio, or verify it as a caller id"
        case 21212, 21213:
            "the calling number is not valid; set \"from\" or TWILIO_PHONE_NUMBER to one of the account's"
        case 21215, 13227: "calls to that country are not permitted; allow it under Voice, Geographic Permissions"
        case 21216, 13225: "Twilio blocks calls to this number"
        case 21219: "a trial account only dials verified numbers; verify it, or upgrade the account"
        case 21205: "Twilio does not take the address of this server; set PUBLIC_URL to a public https address"
        case 21220: "the call is not in progress any more"
        case 21262: "the callback for answering machines is missing"
        default: nil
        }
    }

    public var description: String {
        let number = code.map { " (\($0))" } ?? ""
        return "\(message)\(number)" + (advice.map { ": \($0)" } ?? "")
    }
}
