import Foundation
import Logging
import PatchbayConfig
import PatchbayCore
import PatchbayStore
import PatchbayTransports

/// Several processes behind one address that share `TWILIO_AUTH_TOKEN`: the webhook, the stream and the next step of one call may
/// each meet another of them. What a process does not know itself it asks the store, which they may share.
///
/// A caller waits meanwhile, so every question has ``storePatience``; a store that fails or is slow is as if there were none.
extension Switchboard {
    /// Time for the store while a caller waits.
    static let storePatience = Duration.milliseconds(500)
    /// Time between two looks for calls that ring here and whose stream is elsewhere. A stream comes within a second or two.
    static let movedInterval = Duration.seconds(5)

    /// The newest entry of a call in the store, if another process made it, or this one before it was started anew.
    ///
    /// - Parameter known: What this process knows of the call; only later entries than that count.
    func entry(of callSid: String, besides known: CallRecord?) async -> StoredCall? {
        switch await Deadline.race(Self.storePatience, { [records] in try await records.call(callSid) }) {
        case .finished(let call):
            guard let call, call.callSid == callSid, call.id != known?.info.id else { return nil }
            guard known.map({ call.createdAt > $0.startedAt }) ?? true else { return nil }
            return call
        case .failed(let error):
            logger.warning(
                "another process's part of a call is not known: the store failed",
                metadata: ["callSid": "\(callSid)", "error": "\(error)"])
        case .expired:
            logger.warning(
                "another process's part of a call is not known: the store is slow", metadata: ["callSid": "\(callSid)"])
        case .cancelled: break
        }
        return nil
    }

    /// Notes in the store that something has been done which all its processes together do once.
    ///
    /// - Parameters:
    ///   - source: What it is.
    ///   - key: With which call or token.
    /// - Returns: Whether this is the first time; `nil` when the store fails or is slow.
    func isFirst(_ source: String, _ key: String) async -> Bool? {
        let date = clock()
        let outcome = await Deadline.race(Self.storePatience) { [records] in
            try await records.deliver(source: source, key: key, at: date, DeliveryEffect())
        }
        if case .finished(let isFirst) = outcome { return isFirst }
        logger.warning(
            "the store does not say whether another process has done this before; it is done",
            metadata: ["action": "\(source)"])
        return nil
    }

    /// An order for a call that was begun before, here or by another process, with what is known of it.
    ///
    /// - Parameter former: Its entry of another process.
    func completed(_ order: CallOrder, former: StoredCall?) async -> CallOrder {
        var order = order
        // Whom a rule has answered has no pipeline that could go on.
        if former.flatMap(CallEnding.reason)?.kind != .answeredByRule { order.former = former }
        guard order.isResumed, let known = registry.latest(callSid: order.callSid)?.order else {
            return await outbound.completed(order)
        }
        order.adopt(known)
        return order
    }

    // MARK: Calls whose stream is elsewhere

    /// The carrier says that the caller has left, and may have left another process.
    func carrierCompleted(_ record: CallRecord) async {
        let entry = record.hadStream ? nil : await entry(of: record.info.callSid, besides: record)
        if await !moved(record, to: entry) { await record.call.carrierCompleted() }
    }

    /// Ends a call that rings here and whose stream is elsewhere.
    ///
    /// - Parameter entry: Its newest entry of another process.
    /// - Returns: False when it does not show a stream.
    func moved(_ record: CallRecord, to entry: StoredCall?) async -> Bool {
        guard let entry, entry.streamSid != nil else { return false }
        await record.call.cancel(EndReason(.moved, entry.id))
        return true
    }

    /// Looks until the task is cancelled for calls that keep an agent waiting here while another process has the caller.
    func watchMovedCalls() async {
        while (try? await Task.sleep(for: Self.movedInterval)) != nil { await releaseMovedCalls() }
    }

    /// Ends all calls that ring here and whose stream is elsewhere.
    func releaseMovedCalls() async {
        for record in registry.all().running where !record.hadStream {
            _ = await moved(record, to: entry(of: record.info.callSid, besides: record))
        }
    }

    // MARK: Ends

    /// What is done before a carrier learns that a call has ended and asks for the next step, perhaps another process; `nil`
    /// where it does not ask.
    func farewell(_ route: Route, _ logger: Logger) -> (@Sendable (CallInfo, EndReason) async -> Void)? {
        guard route.document.transportType == TwilioTransport().spec.type else { return nil }
        return { [journal, carrierREST] info, reason in
            async let written = journal.flush()
            if reason.isOrderly { await carrierREST?.complete(callSid: info.callSid, logger: logger) }
            _ = await written
        }
    }

    /// How a call ended, where its caller's next step follows from that: by what this process knows, else by the store.
    ///
    /// - Parameter entry: The newest entry of another process.
    func ending(of callSid: String, _ entry: StoredCall?) -> CallEnding? {
        let known = registry.latest(callSid: callSid).flatMap(CallEnding.init)
        // A call that never had its stream here says nothing against one that had it elsewhere.
        guard let entry else { return known }
        return CallEnding(entry, failureWords: failureWords(entry))
    }

    /// What a caller hears whose call has failed, in whichever process.
    func failureWords(callSid: String) async -> Spoken {
        let known = registry.latest(callSid: callSid)
        if let known, known.hadStream { return known.failureWords }
        if let entry = await entry(of: callSid, besides: known) { return failureWords(entry) }
        return known?.failureWords ?? words[.failure]
    }

    private func failureWords(_ entry: StoredCall) -> Spoken {
        let document =
            store.document(named: entry.pipeline, version: entry.version)?.document
            ?? store.current.set.document(named: entry.pipeline)
        return document.map { Words($0.messages, settings.messages)[.failure] } ?? words[.failure]
    }
}

/// How a call ended, with what its caller's next step is made of.
struct CallEnding: Sendable {
    /// Patchbay's own name of the call.
    var id: String
    var reason: EndReason
    var direction: CallInfo.Direction
    /// What is said when the call ended by a failure, or by a rule.
    var failureWords: Spoken
    /// Whether another process had the call.
    var isElsewhere: Bool

    /// - Returns: `nil` for a call that runs, or whose caller is to be connected again.
    init?(_ record: CallRecord) {
        // Who is cut off by this process's end is told by it, since it takes nobody any more.
        guard let reason = record.end, reason.isConclusive || reason.kind == .shutdown else { return nil }
        (id, direction) = (record.info.id, record.info.direction)
        (self.reason, failureWords, isElsewhere) = (reason, record.failureWords, false)
    }

    /// - Returns: `nil` for a call that runs, or whose caller is to be connected again: also one that another process's end
    ///   cut off.
    init?(_ entry: StoredCall, failureWords: Spoken) {
        guard let reason = Self.reason(entry), reason.isConclusive, reason.kind != .answeredByRule else { return nil }
        (id, direction) = (entry.id, CallInfo.Direction(rawValue: entry.direction) ?? .inbound)
        (self.reason, self.failureWords, isElsewhere) = (reason, failureWords, true)
    }

    /// Why an entry's call ended; `nil` when it has not, or when nobody but its process's death ended it.
    static func reason(_ entry: StoredCall) -> EndReason? {
        entry.endedAt == nil ? nil : entry.endReason.flatMap { EndReason($0) }
    }
}
