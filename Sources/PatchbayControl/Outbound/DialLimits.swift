import Foundation
import PatchbayConfig

/// How much may be dialled: a value that is told the time and asked about each call.
///
/// What was dialled on a day is counted by the store, so that it outlives the process; what rings or runs is known to each
/// process for itself.
struct DialLimits: Sendable {
    /// A limit that was reached, with when to ask again.
    struct Excess: Error, Equatable, CustomStringConvertible {
        enum Limit: String, Sendable {
            case perSecond = "maximumPerSecond"
            case perDay = "maximumPerDay"
            case inFlight = "maximumInFlight"
        }

        var limit: Limit
        var value: Int
        var isTenants: Bool
        /// In seconds.
        var retryAfter: Int

        var description: String {
            let whose = isTenants ? "outbound.perTenant" : "outbound"
            let calls = value == 1 ? "1 call" : "\(value) calls"
            return switch limit {
            case .perSecond: "no more than \(calls) may begin within a second (\(whose).\(limit.rawValue))"
            case .perDay: "no more than \(calls) may be dialled on one day (\(whose).\(limit.rawValue))"
            case .inFlight: "no more than \(calls) may ring or run at once (\(whose).\(limit.rawValue))"
            }
        }
    }

    /// How many were dialled since the day began.
    struct Today: Sendable {
        var all: Int
        var tenant: Int
        /// Seconds until the next day begins.
        var rest: Int
    }

    private struct Flight: Sendable {
        var tenant: String?
        var until: Date
    }

    private let server: ServerSettings.Outbound.Limits
    private let tenants: ServerSettings.Outbound.Limits
    private var begun: [(date: Date, tenant: String?)] = []
    private var flights: [String: Flight] = [:]

    init(server: ServerSettings.Outbound.Limits, tenants: ServerSettings.Outbound.Limits) {
        self.server = server
        self.tenants = tenants
    }

    /// Seconds that a reached limit of calls in flight asks to wait; nobody knows when one of them ends.
    private static let flightPause = 10

    /// Notes that a call begins, or says why it may not.
    ///
    /// - Parameter until: When it is over at the latest; a report of its end that is lost blocks nothing for longer.
    mutating func begin(
        _ id: String, tenant: String?, today: Today, until: Date, at now: Date
    ) throws(Excess) {
        begun.removeAll { $0.date <= now.addingTimeInterval(-1) || $0.date > now }
        flights = flights.filter { $0.value.until > now }
        try check(server, isTenants: false, begun.count, today.all, flights.count, today.rest)
        if let tenant {
            try check(
                tenants, isTenants: true, begun.count { $0.tenant == tenant }, today.tenant,
                flights.values.count { $0.tenant == tenant }, today.rest)
        }
        begun.append((now, tenant))
        flights[id] = Flight(tenant: tenant, until: until)
    }

    /// A call that was begun by a process before this one.
    mutating func resume(_ id: String, tenant: String?, until: Date) {
        flights[id] = Flight(tenant: tenant, until: until)
    }

    /// A call is over.
    ///
    /// - Returns: Whether it was known to ring or run.
    mutating func end(_ id: String) -> Bool { flights.removeValue(forKey: id) != nil }

    /// Calls that ring or run.
    var inFlight: Int { flights.count }

    private func check(
        _ limits: ServerSettings.Outbound.Limits, isTenants: Bool, _ begun: Int, _ today: Int, _ inFlight: Int,
        _ rest: Int
    ) throws(Excess) {
        if let limit = limits.perDay, today >= limit {
            throw Excess(limit: .perDay, value: limit, isTenants: isTenants, retryAfter: rest)
        }
        if let limit = limits.inFlight, inFlight >= limit {
            throw Excess(limit: .inFlight, value: limit, isTenants: isTenants, retryAfter: Self.flightPause)
        }
        if let limit = limits.perSecond, begun >= limit {
            throw Excess(limit: .perSecond, value: limit, isTenants: isTenants, retryAfter: 1)
        }
    }
}

/// One after the other, in the order of asking.
actor Turns {
    /// Those that may wait.
    static let limit = 256

    private var isTaken = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    struct Crowded: Error {}

    /// Runs `body` when nobody else's runs.
    ///
    /// - Throws: ``Crowded`` when too many wait already; what `body` throws.
    func take<T: Sendable>(_ body: @Sendable () async throws -> T) async throws -> T {
        if isTaken {
            guard waiting.count < Self.limit else { throw Crowded() }
            await withCheckedContinuation { waiting.append($0) }
        }
        isTaken = true
        defer {
            if waiting.isEmpty { isTaken = false } else { waiting.removeFirst().resume() }
        }
        return try await body()
    }
}
