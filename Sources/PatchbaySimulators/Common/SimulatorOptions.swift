import PatchbayCore

/// The options that `patchbay simulate` has for every vendor, as they were typed.
public struct SimulatorOptions: Sendable {
    /// `--host`
    public var host = "127.0.0.1"
    /// `--port`: 0 for any free one.
    public var port: Int
    /// `--refuse-with`: the HTTP status that answers every handshake.
    public var refuseWith: Int?
    /// `--retry-after`: seconds that the refusal asks to wait.
    public var retryAfter: Int?
    /// `--slow-start`: seconds before the conversation begins.
    public var slowStart: Double?
    /// `--never-start`: it never begins.
    public var neverStarts = false
    /// `--stall-after`: seconds into a conversation after which nothing is said any more.
    public var stallAfter: Double?
    /// `--close-with`: 1006 cuts the connection without a close frame.
    public var closeWith: Int?
    /// `--close-reason`
    public var closeReason = ""
    /// `--close-after`: seconds into a conversation at which `--close-with` happens.
    public var closeAfter = 5.0
    /// `--jitter`: the longest random delay of a message, in seconds.
    public var jitter: Double?
    /// `--jitter-seed`: any, by default.
    public var jitterSeed: UInt64?

    public init(port: Int = 9000) { self.port = port }

    /// The checked faults. The jitter's seed is chosen here when none was given.
    func faults(_ check: inout SimulatorOptionCheck) -> SimulatorFaults {
        if !(0...65_535).contains(port) { check.fail("--port \(port): 0 to 65535 are possible") }
        if host.isEmpty { check.fail("--host is empty; 127.0.0.1 serves this machine, 0.0.0.0 all") }
        var faults = SimulatorFaults()
        if let slowStart { faults.slowStart = check.seconds(slowStart, option: "--slow-start") }
        if let stallAfter { faults.stallAfter = check.seconds(stallAfter, option: "--stall-after") }
        if let closeWith {
            let after = check.seconds(closeAfter, option: "--close-after")
            switch closeWith {
            case 1000...1003, 1006...1014, 3000...4999:
                faults.closeWith = .init(code: UInt16(closeWith), reason: closeReason, after: after)
            default:
                check.fail("--close-with \(closeWith): 1000 to 1003, 1006 to 1014 and 3000 to 4999 are possible")
            }
        }
        if closeReason.utf8.count > 123 {
            check.fail("--close-reason has \(closeReason.utf8.count) bytes; a close frame holds 123")
        }
        if let jitter {
            let maximum = check.seconds(jitter, option: "--jitter", upTo: 60)
            faults.jitter = .init(maximum: maximum, seed: jitterSeed ?? .random(in: 0...UInt64(UInt32.max)))
        }
        if let refuseWith {
            if !(400...599).contains(refuseWith) {
                check.fail("--refuse-with \(refuseWith): 400 to 599 are possible, for instance 401, 403, 429 and 503")
            }
            faults.refusal = .init(status: refuseWith, retryAfter: retryAfter)
        }
        if let retryAfter {
            if refuseWith == nil { check.fail("--retry-after needs --refuse-with") }
            if !(0...86_400).contains(retryAfter) {
                check.fail("--retry-after \(retryAfter): 0 to 86400 seconds are possible")
            }
        }
        faults.neverStarts = neverStarts
        return faults
    }
}

/// Everything that is wrong with a simulator's options.
public struct SimulatorOptionFault: Error, Sendable, Equatable, CustomStringConvertible {
    /// One for each option, in the order of the options.
    public var problems: [String]
    public var description: String { problems.joined(separator: "\n") }

    public init(problems: [String]) { self.problems = problems }
}

/// Gathers what is wrong, so that all of it is told at once.
struct SimulatorOptionCheck {
    private(set) var problems: [String] = []

    mutating func fail(_ problem: String) {
        if !problems.contains(problem) { problems.append(problem) }
    }

    mutating func seconds(_ value: Double, option: String, upTo maximum: Int = 86_400) -> TimeSpan {
        guard value.isFinite, (0...Double(maximum)).contains(value) else {
            fail("\(option) \(value): 0 to \(maximum) seconds are possible")
            return .zero
        }
        return TimeSpan(nanoseconds: Int64(value * 1e9))
    }

    func finish() throws(SimulatorOptionFault) {
        guard problems.isEmpty else { throw SimulatorOptionFault(problems: problems) }
    }
}
