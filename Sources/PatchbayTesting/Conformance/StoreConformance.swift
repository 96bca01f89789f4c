public import PatchbayStore

/// The examination of a store: every promise of ``PatchbayStore/Store``, area by area.
///
/// ```swift
/// let failures = await StoreConformance.check { try MyStore(database: freshDatabase()) }
/// #expect(failures.isEmpty, "\(failures)")
/// ```
public enum StoreConformance {
    /// Puts a store through every rule.
    ///
    /// - Parameters:
    ///   - only: The rules to examine; all of them when `nil`.
    ///   - makeStore: Makes an empty store; called once for each group of rules, some twenty times.
    /// - Returns: What does not hold; empty when it conforms.
    public static func check(
        only: Set<ConformanceFailure.Rule>? = nil, _ makeStore: @escaping @Sendable () async throws -> any Store
    ) async -> [ConformanceFailure] {
        var findings = ConformanceFindings()
        for group in StoreCheck.groups where only == nil || !group.rules.isDisjoint(with: only ?? []) {
            let store: any Store
            do {
                store = try await makeStore()
            } catch {
                findings.add(group.rule, "no store could be made: \(error)")
                continue
            }
            var check = StoreCheck(store)
            do {
                try await group.body(&check)
            } catch {
                check.findings.add(group.rule, "throws where it must not: \(error)")
            }
            for failure in check.findings.all where only?.contains(failure.rule) ?? true {
                findings.add(failure.rule, failure.seen)
            }
        }
        return findings.all
    }
}

extension ConformanceFailure.Rule {
    /// A call comes back as it was written, by its own name, the carrier's (the newest of several) and the conversation's;
    /// writing it again replaces it and leaves what happened in it.
    public static let storeCalls = Self("keeps-calls")
    /// Events, turns and tool calls come back in order; the same sequence replaces turns and tool calls.
    public static let storeParts = Self("keeps-what-happened")
    /// Several steps are written together or not at all.
    public static let storeAtomic = Self("writes-all-or-nothing")
    /// Lists of calls are the newest first, in pages, and only what was asked for.
    public static let storeQueries = Self("finds-calls")
    /// Use is counted by day and tenant.
    public static let storeUsage = Self("counts-use")
    /// Calls that a dead process left open are closed as failures, and no others.
    public static let storeAbandoned = Self("closes-abandoned-calls")
    /// Sessions come back as they are, by each of their names, the newest first.
    public static let storeSessions = Self("keeps-sessions")
    /// A second order with a tenant's idempotency key gives the first session, also when both come at once.
    public static let storeIdempotency = Self("orders-once")
    /// A session is changed in one transaction: of changes that come at once none is lost.
    public static let storeSessionChanges = Self("changes-sessions-one-at-a-time")
    /// Sessions that were dialled are counted since a time.
    public static let storeDialled = Self("counts-what-was-dialled")
    /// Blocked numbers stay blocked until they are not.
    public static let storeBlocks = Self("blocks-numbers")
    /// A delivery has its effect once, also when it comes twice at once, and all of it or nothing.
    public static let storeDeliveries = Self("delivers-once")
    /// What several add to one call at once is all kept.
    public static let storeAdditions = Self("loses-no-addition")
    /// Work that a delivery asks for is taken on once, also when it is asked for twice at once, and its answer is kept.
    public static let storeClaims = Self("takes-work-on-once")
    /// What others are told of a call is in the outbox with the change that it tells, and each end once.
    public static let storeNews = Self("tells-of-calls-once")
    /// Messages go out in order, when they are due, to each endpoint its own, until they are taken; the same message is kept once.
    public static let storeOutbox = Self("keeps-the-outbox")
    /// What was given up is a dead letter until it is revived.
    public static let storeDeadLetters = Self("keeps-dead-letters")
    /// What was looked up is there until it expires.
    public static let storeContexts = Self("keeps-contexts")
    /// Entries of tenants have versions; a change of another version than was expected is a conflict.
    public static let storeTenants = Self("keeps-versions")
    /// The trail is the newest first.
    public static let storeAudit = Self("keeps-the-trail")
    /// Whoever asks for one tenant's things gets no other's.
    public static let storeTenantFilter = Self("keeps-tenants-apart")
    /// What ended before a time goes; what is newer, or still runs, stays.
    public static let storePrune = Self("prunes")
    /// A person's number goes everywhere; other people's, and calls that run, stay.
    public static let storeErase = Self("erases-a-number")
}
