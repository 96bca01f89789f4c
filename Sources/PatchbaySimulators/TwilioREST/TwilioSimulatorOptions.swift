import PatchbayCore

/// What the simulated carrier does with calls, as it was typed.
public struct TwilioSimulatorOptions: Sendable {
    /// `--host`
    public var host = "127.0.0.1"
    /// `--port`: 0 for any free one.
    public var port = 9100
    /// `--account-sid`, `--auth-token`
    public var accountSid: String
    public var authToken: String
    /// `--number`: those of the account; any when empty.
    public var numbers: [String] = []
    /// `--ring-after`, `--answer-after`, `--machine-after`: milliseconds from the step before.
    public var ringAfter = 50
    public var answerAfter = 300
    public var machineAfter = 500
    /// `--busy`, `--no-answer`, `--failed`, `--machine`: numbers, or the beginnings of numbers with a star.
    public var busy: [String] = []
    public var noAnswer: [String] = []
    public var failed: [String] = []
    public var machine: [String] = []
    /// `--audio`: what the person who answers says and does.
    public var steps: [PhoneStep] = []
    /// `--hang-up-after`: seconds after which the person who answered hangs up.
    public var hangUpAfter = 60
    /// `--repeat-callbacks`: every report of a call is sent twice.
    public var repeatsCallbacks = false
    public var faults = TwilioSimulatorFaults()

    public init(accountSid: String, authToken: String) {
        self.accountSid = accountSid
        self.authToken = authToken
    }

    /// - Throws: Everything that is wrong, at once.
    func checked() throws(SimulatorOptionFault) {
        var check = SimulatorOptionCheck()
        if !(0...65_535).contains(port) { check.fail("--port \(port): 0 to 65535 are possible") }
        if host.isEmpty { check.fail("--host is empty; 127.0.0.1 serves this machine, 0.0.0.0 all") }
        let isSid =
            accountSid.hasPrefix("AC") && accountSid.utf8.count == 34
            && accountSid.dropFirst(2).allSatisfy { $0.isHexDigit && !$0.isUppercase }
        if !isSid {
            check.fail("--account-sid \"\(accountSid.prefix(40))\": AC and 32 hexadecimal digits are possible")
        }
        if authToken.isEmpty { check.fail("--auth-token is empty") }
        for (option, value) in [
            ("--ring-after", ringAfter), ("--answer-after", answerAfter), ("--machine-after", machineAfter),
        ] where !(0...600_000).contains(value) {
            check.fail("\(option) \(value): 0 to 600000 milliseconds are possible")
        }
        if !(1...86_400).contains(hangUpAfter) {
            check.fail("--hang-up-after \(hangUpAfter): 1 to 86400 seconds are possible")
        }
        for (option, patterns) in [
            ("--busy", busy), ("--no-answer", noAnswer), ("--failed", failed), ("--machine", machine),
        ] {
            for pattern in patterns where !Self.isPattern(pattern) {
                check.fail(
                    "\(option) \"\(pattern.prefix(40))\": a number such as +15550100002, +1555* or * is possible")
            }
        }
        if let code = faults.code, !(10_000...99_999).contains(code) {
            check.fail("--fail-with \(code): Twilio's errors have five digits, such as 21211")
        }
        if !(0...1_000_000).contains(faults.count) {
            check.fail("--fail-times \(faults.count): 0 to 1000000 are possible")
        }
        if let slow = faults.slow, !(slow >= 0 && slow <= 600) {
            check.fail("--slow \(slow): 0 to 600 seconds are possible")
        }
        try check.finish()
    }

    private static func isPattern(_ text: String) -> Bool {
        text == "*" || PhoneNumber(text) != nil
            || (text.hasPrefix("+") && text.hasSuffix("*") && text.dropFirst().dropLast().allSatisfy(\.isNumber))
    }

    static func matches(_ number: String, _ patterns: [String]) -> Bool {
        patterns.contains { $0.hasSuffix("*") ? number.hasPrefix($0.dropLast()) : number == $0 }
    }
}

/// What goes wrong with orders on purpose.
public struct TwilioSimulatorFaults: Sendable {
    /// `--fail-with`: refuses orders with this error; 20429 has HTTP status 429.
    public var code: Int?
    /// `--fail-times`: how many orders the faults meet; 0 for all.
    public var count = 0
    /// `--slow`: seconds before an order is answered. It is dialled at once.
    public var slow: Double?
    /// `--drop-answer`: closes the connection instead of answering. The order is dialled.
    public var dropsAnswer = false
    /// `--lose-order`: closes the connection, and does not dial.
    public var losesOrder = false

    public init() {}
}
