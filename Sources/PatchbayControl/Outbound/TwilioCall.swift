public import Foundation
public import PatchbayWire

/// A call as Twilio knows it; what is not used is left out.
public struct TwilioCall: Decodable, Sendable {
    /// `CA` and 32 hexadecimal digits.
    public var sid: String
    /// `queued`, `ringing`, `in-progress`, `completed`, `busy`, `failed`, `no-answer` or `canceled`.
    public var status: String?
    /// The called number.
    public var to: String?
    /// The calling number.
    public var from: String?
    /// `outbound-api` for those that were ordered here.
    public var direction: String?
    /// When it was ordered, as RFC 2822 writes it.
    public var dateCreated: String?

    struct Page: Decodable {
        var calls: [TwilioCall]
    }

    /// When it was ordered, to the second.
    public var created: Date? {
        guard let dateCreated else { return nil }
        let reader = DateFormatter()
        reader.locale = Locale(identifier: "en_US_POSIX")
        reader.dateFormat = "EEE, dd MMM yyyy HH:mm:ss Z"
        return reader.date(from: dateCreated)
    }
}

/// What is to be dialled, and whom Twilio asks and tells.
public struct TwilioCallOrder: Sendable {
    /// The events of a call that are told.
    public static let events = ["initiated", "ringing", "answered", "completed"]

    /// The called number, in E.164.
    public var to: String
    /// The calling number, one of the account's.
    public var from: String
    /// Where it asks what to do with somebody who answers.
    public var url: String
    /// Where it asks when that failed.
    public var fallbackURL: String
    /// Where it tells how the call goes.
    public var statusCallback: String
    /// Where it tells who answered; `nil` does not have it listen.
    public var machineCallback: String?
    /// Seconds that it rings.
    public var ringSeconds: Int
    /// Seconds after which an answered call is ended by Twilio: what a lost message may cost at most.
    public var maximumSeconds: Int

    /// - Parameters:
    ///   - ringSeconds: 5 to 600.
    ///   - maximumSeconds: At most 14,400.
    public init(
        to: String, from: String, url: String, fallbackURL: String, statusCallback: String,
        machineCallback: String? = nil, ringSeconds: Int = 60, maximumSeconds: Int = 14_400
    ) {
        self.to = to
        self.from = from
        self.url = url
        self.fallbackURL = fallbackURL
        self.statusCallback = statusCallback
        self.machineCallback = machineCallback
        self.ringSeconds = ringSeconds
        self.maximumSeconds = maximumSeconds
    }

    var form: FormFields {
        var form = FormFields([
            "To": to, "From": from, "Url": url, "Method": "POST", "FallbackUrl": fallbackURL, "FallbackMethod": "POST",
            "StatusCallback": statusCallback, "StatusCallbackMethod": "POST",
        ])
        for event in Self.events { form.append("StatusCallbackEvent", event) }
        form.append("Timeout", "\(ringSeconds)")
        form.append("TimeLimit", "\(maximumSeconds)")
        if let machineCallback {
            form.append("MachineDetection", "DetectMessageEnd")
            // The agent speaks at once; what was heard is told when it is known.
            form.append("AsyncAmd", "true")
            form.append("AsyncAmdStatusCallback", machineCallback)
            form.append("AsyncAmdStatusCallbackMethod", "POST")
        }
        return form
    }
}

/// What a call that has not ended is told to do.
public enum TwilioCallChange: Sendable {
    /// Ends it, whether it rings or runs.
    case hangUp
    /// Goes on with other instructions; its stream ends.
    case instructions(TwiML)
    /// Asks there what to do; its stream ends.
    case redirect(url: String)

    var form: FormFields {
        switch self {
        case .hangUp: FormFields(["Status": "completed"])
        // A document that cannot be written would have been refused by Twilio too; the call is ended instead.
        case .instructions(let twiml):
            (try? twiml.document()).map { FormFields(["Twiml": $0]) } ?? FormFields(["Status": "completed"])
        case .redirect(let url): FormFields(["Url": url, "Method": "POST"])
        }
    }
}
