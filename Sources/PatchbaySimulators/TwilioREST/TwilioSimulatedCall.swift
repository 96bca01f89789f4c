import Foundation
import NIOHTTP1
import PatchbayCore
import PatchbayWire

/// One call that the simulated carrier makes: it rings, somebody answers or not, instructions are obeyed, and all of it is told.
actor TwilioSimulatedCall {
    nonisolated let sid = Phone.makeSid("CA")
    private(set) var resource: TwilioResource

    private let order: FormFields
    private let options: TwilioSimulatorOptions
    private let phone: Phone
    private let progress: @Sendable (String) -> Void
    private var life: Task<Void, Never>?
    /// What is obeyed just now.
    private var program: Task<Phone.Report, any Error>?
    /// What is to be obeyed instead.
    private var next: Phone.Instructions?
    private var statusCallback: String?
    private var hasHungUp = false
    private var sequence = 0
    /// Reports leave in their order, one after the other.
    private var reporting: Task<Void, Never>?

    init(
        _ order: FormFields, _ options: TwilioSimulatorOptions, phone: Phone,
        progress: @escaping @Sendable (String) -> Void
    ) {
        self.order = order
        self.options = options
        self.phone = phone
        self.progress = progress
        statusCallback = order["StatusCallback"]
        resource = TwilioResource(
            sid: sid, accountSid: options.accountSid, to: order["To"] ?? "", from: order["From"] ?? "")
    }

    func begin() {
        life = Task { await live() }
    }

    /// Hangs up, and returns when that has been told.
    func end() async {
        hangUp()
        await life?.value
    }

    /// Changes the call (twilio.com/docs/voice/api/call-resource#update-a-call-resource).
    func update(_ form: FormFields) -> SimulatorResponse {
        if let callback = form["StatusCallback"] { statusCallback = callback }
        switch form["Status"] {
        case "completed"?: if !resource.isOver { hangUp() }
        case "canceled"?:
            if resource.status == "queued" || resource.status == "ringing" { hangUp(as: "canceled") }
        case let status?: return .twilio(21219, "Status is not valid: \(status.prefix(20))")
        case nil:
            guard form["Url"] != nil || form["Twiml"] != nil else { break }
            guard resource.status == "in-progress" else {
                return .twilio(21220, "Call is not in-progress. Cannot redirect.")
            }
            next =
                form["Url"].map { .url($0) } ?? form["Twiml"].map { .document(Data($0.utf8), base: order["Url"] ?? "") }
            program?.cancel()
        }
        resource.updated = Date()
        return SimulatorResponse(.ok, json: resource.json)
    }

    private var finalStatus = "completed"

    private func hangUp(as status: String = "completed") {
        guard !hasHungUp else { return }
        hasHungUp = true
        finalStatus = status
        next = nil
        program?.cancel()
        // Before an answer it is the waiting that ends.
        if program == nil { waiting?.cancel() }
    }

    // MARK: The life of a call

    private var waiting: Task<Void, any Error>?

    /// - Returns: False when the call is hung up meanwhile.
    private func wait(milliseconds: Int) async -> Bool {
        guard !hasHungUp else { return false }
        let sleep = Task { try await Task.sleep(for: .milliseconds(milliseconds)) }
        waiting = sleep
        _ = try? await sleep.value
        waiting = nil
        return !hasHungUp
    }

    private func live() async {
        tell("initiated", "initiated")
        guard await wait(milliseconds: options.ringAfter) else { return await finish(finalStatus) }
        set("ringing")
        tell("ringing", "ringing")
        if TwilioSimulatorOptions.matches(resource.to, options.noAnswer) {
            let seconds = order["Timeout"].flatMap(Int.init) ?? 60
            return await finish(await wait(milliseconds: seconds * 1000) ? "no-answer" : finalStatus)
        }
        guard await wait(milliseconds: options.answerAfter) else { return await finish(finalStatus) }
        if TwilioSimulatorOptions.matches(resource.to, options.busy) { return await finish("busy") }
        if TwilioSimulatorOptions.matches(resource.to, options.failed) { return await finish("failed") }
        resource.started = Date()
        set("in-progress")
        tell("answered", "in-progress")
        let detection = detectMachine()
        await obey()
        detection?.cancel()
        await finish(hasHungUp ? finalStatus : "completed")
    }

    private func obey() async {
        var instructions: Phone.Instructions? =
            order["Url"].map { .url($0) } ?? order["Twiml"].map { .document(Data($0.utf8), base: "") }
        while let current = instructions, !hasHungUp {
            let (phone, phoneOptions) = (phone, phoneOptions)
            let program = Task { try await phone.run(current, phoneOptions) }
            self.program = program
            do {
                let report = try await program.value
                for words in report.said { progress("\(sid) hears: \(words)") }
                for number in report.dialled { progress("\(sid) is connected with \(number)") }
                instructions = nil
            } catch {
                instructions = nil
                if next == nil, !hasHungUp { await fallBack("\(error)") }
            }
            self.program = nil
            if let next { instructions = next }
            next = nil
        }
    }

    /// Asks the fallback what to do instead, once, as Twilio does.
    private func fallBack(_ reason: String) async {
        progress("\(sid) cannot go on: \(reason)")
        guard let url = order["FallbackUrl"] else { return }
        var options = phoneOptions
        options.fields = ["ErrorCode": "11200", "ErrorUrl": order["Url"] ?? ""]
        if let report = try? await phone.run(.url(url), options) {
            for words in report.said { progress("\(sid) hears: \(words)") }
        }
    }

    private var phoneOptions: Phone.Options {
        var phone = Phone.Options(voiceURL: order["Url"] ?? "")
        phone.callSid = sid
        phone.accountSid = options.accountSid
        (phone.from, phone.to) = (resource.from, resource.to)
        phone.authToken = options.authToken
        phone.direction = "outbound-api"
        phone.steps = options.steps
        phone.status = "in-progress"
        let limit = order["TimeLimit"].flatMap(Int.init) ?? 14_400
        phone.maximumMilliseconds = max(1, min(options.hangUpAfter, limit)) * 1000
        return phone
    }

    /// Tells later who has answered, without holding the call up.
    private func detectMachine() -> Task<Void, Never>? {
        guard order["MachineDetection"] != nil, order["AsyncAmd"] == "true",
            let url = order["AsyncAmdStatusCallback"]
        else { return nil }
        let isMachine = TwilioSimulatorOptions.matches(resource.to, options.machine)
        let ending = order["MachineDetection"] == "DetectMessageEnd" ? "machine_end_beep" : "machine_start"
        resource.answeredBy = isMachine ? ending : "human"
        var form = FormFields(["AccountSid": options.accountSid, "CallSid": sid])
        form.append("AnsweredBy", resource.answeredBy ?? "unknown")
        form.append("MachineDetectionDuration", "\(options.machineAfter)")
        let (phone, token, milliseconds, answer) = (phone, options.authToken, options.machineAfter, form)
        return Task {
            guard (try? await Task.sleep(for: .milliseconds(milliseconds))) != nil else { return }
            _ = try? await phone.post(url, answer, authToken: token)
        }
    }

    private func set(_ status: String) {
        resource.status = status
        resource.updated = Date()
        progress("\(sid) \(status)")
    }

    private func finish(_ status: String) async {
        resource.ended = Date()
        set(status)
        tell("completed", status)
        await reporting?.value
    }

    /// Tells what the order asked to be told of (twilio.com/docs/voice/api/call-resource#statuscallbackevent).
    private func tell(_ event: String, _ status: String) {
        guard let url = statusCallback else { return }
        let asked = Set(order.values(of: "StatusCallbackEvent").flatMap { $0.split(separator: " ").map(String.init) })
        guard asked.isEmpty ? event == "completed" : asked.contains(event) else { return }
        var form = FormFields([
            "CallSid": sid, "AccountSid": options.accountSid, "From": resource.from, "To": resource.to,
            "Caller": resource.from, "Called": resource.to, "CallStatus": status, "Direction": "outbound-api",
            "ApiVersion": "2010-04-01", "CallbackSource": "call-progress-events",
        ])
        form.append("Timestamp", TwilioResource.rfc2822(Date()))
        form.append("SequenceNumber", "\(sequence)")
        if event == "completed" {
            let seconds = resource.duration ?? 0
            form.append("CallDuration", "\(seconds)")
            form.append("Duration", "\((seconds + 59) / 60)")
            form.append("SipResponseCode", ["busy": "486", "no-answer": "487", "failed": "503"][status] ?? "200")
            if let answeredBy = resource.answeredBy { form.append("AnsweredBy", answeredBy) }
        }
        sequence += 1
        let (before, phone, report, token, times) = (
            reporting, phone, form, options.authToken, options.repeatsCallbacks ? 2 : 1
        )
        reporting = Task {
            await before?.value
            for _ in 0..<times { _ = try? await phone.post(url, report, authToken: token) }
        }
    }
}
