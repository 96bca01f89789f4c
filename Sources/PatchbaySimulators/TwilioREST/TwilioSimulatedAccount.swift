import Foundation
import NIOHTTP1
import PatchbayConfig
import PatchbayCore
import PatchbayWire

/// An account at the simulated carrier: answers its REST API, and has calls made.
actor TwilioSimulatedAccount {
    /// Calls that are kept; with more the oldest ones that are over are forgotten.
    static let maximumCalls = 10_000

    /// What happens to a request.
    enum Reply: Sendable {
        case response(SimulatorResponse)
        /// The connection is closed without an answer.
        case nothing
    }

    private let options: TwilioSimulatorOptions
    private let phone: Phone
    private let progress: @Sendable (String) -> Void
    private var calls: [TwilioSimulatedCall] = []
    private var faultsLeft: Int

    init(_ options: TwilioSimulatorOptions, phone: Phone, progress: @escaping @Sendable (String) -> Void) {
        self.options = options
        self.phone = phone
        self.progress = progress
        faultsLeft = options.faults.count == 0 ? .max : options.faults.count
    }

    /// Ends every call.
    func stop() async { for call in calls { await call.end() } }

    /// How many calls were dialled.
    private(set) var dialled = 0

    func answer(_ request: SimulatorRequest) async -> Reply {
        guard isAuthentic(request) else { return .response(.twilio(20003, "Authenticate")) }
        let parts = request.path.split(separator: "/").map(String.init)
        guard parts.count >= 3, parts[0] == "2010-04-01", parts[1] == "Accounts", parts[2] == options.accountSid else {
            return .response(.twilio(20404, "The requested resource \(request.path.prefix(200)) was not found"))
        }
        switch (parts.count, request.isPost, request.isGet) {
        case (4, true, _) where parts[3] == "Calls.json": return await create(form(request))
        case (4, _, true) where parts[3] == "Calls.json": return .response(await list(request))
        case (5, _, _) where parts[3] == "Calls" && parts[4].hasSuffix(".json"):
            let sid = String(parts[4].dropLast(5))
            guard let call = calls.first(where: { $0.sid == sid }) else { break }
            if request.isGet { return .response(SimulatorResponse(.ok, json: await call.resource.json)) }
            if request.isPost { return .response(await call.update(form(request))) }
        default: break
        }
        return .response(.twilio(20404, "The requested resource \(request.path.prefix(200)) was not found"))
    }

    private func isAuthentic(_ request: SimulatorRequest) -> Bool {
        guard let header = request.header("Authorization"), header.hasPrefix("Basic "),
            let credentials = Data(base64Encoded: String(header.dropFirst(6)))
        else { return false }
        return Secret(String(decoding: credentials, as: UTF8.self))
            == Secret("\(options.accountSid):\(options.authToken)")
    }

    private func form(_ request: SimulatorRequest) -> FormFields {
        (try? FormFields(parsing: request.body.readableBytesView)) ?? FormFields()
    }

    // MARK: Ordering

    private func create(_ form: FormFields) async -> Reply {
        let isFaulty = faultsLeft > 0
        if isFaulty { faultsLeft -= 1 }
        if isFaulty, let code = options.faults.code {
            return .response(.twilio(code, "refused on purpose by --fail-with"))
        }
        if isFaulty, options.faults.losesOrder { return .nothing }
        if let refusal = refusal(form) { return .response(refusal) }
        let call = TwilioSimulatedCall(form, options, phone: phone, progress: progress)
        if calls.count >= Self.maximumCalls {
            for (index, old) in calls.enumerated() where await old.resource.isOver {
                calls.remove(at: index)
                break
            }
        }
        guard calls.count < Self.maximumCalls else { return .response(.twilio(20429, "Too Many Requests")) }
        calls.append(call)
        dialled += 1
        progress("dialling \(form["To"] ?? "") for \(call.sid)")
        await call.begin()
        if isFaulty, options.faults.dropsAnswer { return .nothing }
        if isFaulty, let slow = options.faults.slow { try? await Task.sleep(for: .seconds(slow)) }
        return .response(SimulatorResponse(.created, json: await call.resource.json))
    }

    private func refusal(_ form: FormFields) -> SimulatorResponse? {
        guard let to = form["To"], !to.isEmpty else { return .twilio(21201, "No 'To' number is specified") }
        guard PhoneNumber(to) != nil else {
            return .twilio(21211, "The phone number you are attempting to call, \(to.prefix(40)), is not valid.")
        }
        guard let from = form["From"], !from.isEmpty else { return .twilio(21213, "No 'From' number is specified") }
        guard PhoneNumber(from) != nil else { return .twilio(21212, "Invalid 'From' number: \(from.prefix(40))") }
        guard options.numbers.isEmpty || options.numbers.contains(from) else {
            return .twilio(21210, "The source phone number \(from) is not one of the account's, and not verified")
        }
        guard form["Twiml"] != nil || form["Url"] != nil else { return .twilio(21205, "Url parameter is required.") }
        for name in ["Url", "StatusCallback", "FallbackUrl", "AsyncAmdStatusCallback"] {
            guard let text = form[name] else { continue }
            guard let url = URL(string: text), ["http", "https"].contains(url.scheme ?? ""), url.host != nil else {
                return .twilio(21205, "\(name) is not a valid URL: \(text.prefix(100))")
            }
        }
        if let timeout = form["Timeout"], Int(timeout).map({ (0...600).contains($0) }) != true {
            return .twilio(21233, "Timeout is not valid: \(timeout.prefix(20))")
        }
        if let detection = form["MachineDetection"], !["Enable", "DetectMessageEnd"].contains(detection) {
            return .twilio(21234, "MachineDetection is not valid: \(detection.prefix(20))")
        }
        return nil
    }

    // MARK: Listing

    private func list(_ request: SimulatorRequest) async -> SimulatorResponse {
        let query = request.query
        let size = query["PageSize"].flatMap(Int.init).map { min(max($0, 1), 1000) } ?? 50
        let page = query["Page"].flatMap(Int.init).map { max($0, 0) } ?? 0
        var found: [TwilioResource] = []
        // The newest first.
        for call in calls.reversed() {
            let resource = await call.resource
            if Self.fits(resource, query) { found.append(resource) }
        }
        let shown = found.dropFirst(min(page.multipliedReportingOverflow(by: size).partialValue, found.count)).prefix(
            size)
        let base = "/2010-04-01/Accounts/\(options.accountSid)/Calls.json"
        func address(_ page: Int) -> TwilioJSON {
            var fields = query
            fields.fields.removeAll { ["Page", "PageSize", "PageToken"].contains($0.name) }
            fields.append("PageSize", "\(size)")
            fields.append("Page", "\(page)")
            return .text("\(base)?\(fields.encoded)")
        }
        let hasMore = page < found.count / size && (page + 1) * size < found.count
        return SimulatorResponse(
            .ok,
            json: TwilioJSON.object([
                "calls": .list(shown.map(\.json)), "page": .number(page), "page_size": .number(size),
                "start": .number(shown.startIndex), "end": .number(max(shown.startIndex, shown.endIndex - 1)),
                "uri": address(page), "first_page_uri": address(0),
                "next_page_uri": hasMore ? address(page + 1) : .null,
                "previous_page_uri": page > 0 ? address(page - 1) : .null,
            ]))
    }

    private static func fits(_ call: TwilioResource, _ query: FormFields) -> Bool {
        for field in query.fields {
            let value = field.value
            let started = call.started.map(TwilioResource.day)
            let fits =
                switch field.name {
                case "To": call.to == value
                case "From": call.from == value
                case "Status": call.status == value
                case "StartTime": started == String(value.prefix(10))
                case "StartTime>": started.map { $0 >= String(value.prefix(10)) } ?? false
                case "StartTime<": started.map { $0 <= String(value.prefix(10)) } ?? false
                default: true
                }
            if !fits { return false }
        }
        return true
    }
}
