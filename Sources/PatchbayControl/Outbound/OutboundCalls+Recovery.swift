import Foundation
import Logging
import PatchbayConfig
import PatchbayCore
import PatchbayStore

/// What was not finished: calls that a process before this one left open, orders whose answer never came, and sessions that
/// the store did not take.
extension OutboundCalls {
    /// Sessions that a starting process looks at for those that still ring or run.
    static let resumedSessions = 1000
    /// Waits before each look for a call whose order was not answered.
    static let searches: [Duration] = [.milliseconds(500), .milliseconds(1500), .seconds(4)]
    /// Seconds after an order was taken within which the carrier has it, if it ever gets it: every attempt's time limit and the
    /// pauses between them, with room to spare.
    static let orderWindow: TimeInterval = 60
    /// Seconds by which the carrier's clock may be behind ours; it tells whole ones.
    static let clockSpread: TimeInterval = 5
    /// Waits before a session that the store did not take is written again.
    static let rewrites: [Duration] = [.seconds(1), .seconds(5), .seconds(30), .seconds(120), .seconds(600)]

    static let mayHaveDialled =
        "no such call was found at Twilio, but it may have been dialled: it is not dialled again by itself"

    // MARK: At the start

    /// Takes over the calls of a process before this one that may still ring or run, once: they count, and the carrier is asked
    /// what became of those whose reports found nobody.
    func resume(at now: Date) async throws(StoreError) {
        guard !state.withLock({ $0.hasResumed }) else { return }
        let sessions = try await records.sessions(tenant: nil, limit: Self.resumedSessions, offset: 0)
            .filter { SessionStatus(rawValue: $0.status)?.isEnd == false }
        let isFirst = state.withLock { state in
            guard !state.hasResumed else { return false }
            state.hasResumed = true
            for session in sessions {
                let longest = pipelines.current.set.document(named: session.pipeline)?.limits.maximumDuration
                let seconds =
                    Double(longest?.seconds ?? 3600) + Double(settings.outbound.ringSeconds + Self.spareSeconds)
                let until = session.createdAt.addingTimeInterval(seconds)
                if until > now { state.limits.resume(session.id, tenant: session.tenant, until: until) }
            }
            return true
        }
        if isFirst, let rest, !sessions.isEmpty { Task { await catchUp(sessions, rest) } }
    }

    /// Asks the carrier about calls whose reports may have found nobody, one after the other.
    ///
    /// Orders whose answer was not kept are looked for at once, and a last time when the carrier has had long enough to get them.
    private func catchUp(_ sessions: [VoiceSession], _ rest: TwilioREST) async {
        var open: [VoiceSession] = []
        for session in sessions {
            if let callSid = session.callSid {
                await ask(about: callSid, of: session, rest)
            } else if await !settle(session, isLast: clock() > session.createdAt + Self.orderWindow, rest) {
                open.append(session)
            }
        }
        guard let latest = open.map(\.createdAt).max() else { return }
        let wait = latest.addingTimeInterval(Self.orderWindow).timeIntervalSince(clock())
        do {
            try await rest.pause(.seconds(max(0, min(wait, Self.orderWindow))))
        } catch {
            return
        }
        for session in open { _ = await settle(session, isLast: true, rest) }
    }

    private func ask(about callSid: String, of session: VoiceSession, _ rest: TwilioREST) async {
        do {
            let call = try await rest.fetch(callSid)
            guard let status = call.status.flatMap({ SessionStatus(carrier: $0) }) else { return }
            _ = try await enter(Report(callSid: callSid, status: status), of: session.id)
        } catch {
            logger.warning(
                "the carrier cannot be asked about a call of before",
                metadata: Self.metadata(session).merging(["error": "\(error)"]) { $1 })
        }
    }

    /// Finds out what became of an order whose answer was not kept.
    ///
    /// - Parameter isLast: Whether the carrier must know the call by now, if it ever got the order.
    /// - Returns: Whether it is certain now.
    private func settle(_ session: VoiceSession, isLast: Bool, _ rest: TwilioREST) async -> Bool {
        let status: SessionStatus
        let words: String
        switch await search(session, rest, after: [.zero]) {
        case .gone: return true
        case .call(let call):
            let report = Report(callSid: call.sid, status: call.status.flatMap { SessionStatus(carrier: $0) })
            do {
                _ = try await enter(report, of: session.id)
                logger.notice(
                    "the call of an interrupted order was found at the carrier",
                    metadata: Self.metadata(session).merging(["callSid": "\(call.sid)"]) { $1 })
                return true
            } catch {
                logger.warning(
                    "a session could not be written", metadata: ["session": "\(session.id)", "error": "\(error)"])
                return false
            }
        case .nothing where isLast:
            status = .failed
            words =
                "the order was interrupted before Twilio answered, and Twilio has no such call: nothing was dialled; order it again with a new Idempotency-Key"
        case .nothing, .unanswered:
            status = .unknown
            words = "the order was interrupted before Twilio answered; \(Self.mayHaveDialled)"
        }
        let now = clock()
        let kept = await change(session, rest) { session in
            guard session.callSid == nil, SessionStatus(rawValue: session.status)?.isEnd == false else { return }
            session.failure = words
            session.advance(to: status, at: now)
        }
        guard kept.callSid == nil else { return true }
        if status == .failed { end(session.id) }
        logger.warning(
            "an order was interrupted", metadata: Self.metadata(kept).merging(["status": "\(kept.status)"]) { $1 })
        return status == .failed
    }

    // MARK: Looking for a call

    /// What a look for a call found.
    enum Search: Sendable {
        case call(TwilioCall)
        /// The session has been removed meanwhile.
        case gone
        /// There is none, which proves nothing while the order may still be on its way.
        case nothing
        /// The carrier, or the store, cannot be asked.
        case unanswered
    }

    /// Looks for the call of an order that was not answered.
    ///
    /// - Parameter waits: Before each look.
    func search(_ session: VoiceSession, _ rest: TwilioREST, after waits: [Duration]) async -> Search {
        let times =
            session.createdAt.addingTimeInterval(
                -Self.clockSpread)...session.createdAt.addingTimeInterval(Self.orderWindow)
        var outcome = Search.nothing
        for wait in waits {
            do {
                try await rest.pause(wait)
                guard let current = try await records.session(session.id) else { return .gone }
                // A report of the call was faster.
                if let sid = current.callSid { return .call(TwilioCall(sid: sid)) }
                for call in try await rest.calls(to: session.customerPhone, from: session.callingNumber) {
                    guard call.direction == "outbound-api", let created = call.created, times.contains(created),
                        try await records.session(callSid: call.sid) == nil
                    else { continue }
                    return .call(call)
                }
                outcome = .nothing
            } catch {
                outcome = .unanswered
                logger.warning(
                    "the carrier's calls cannot be looked through",
                    metadata: Self.metadata(session).merging(["error": "\(error)"]) { $1 })
            }
        }
        return outcome
    }

    // MARK: Writing

    /// Changes a session; where the store does not take it, again and again for some minutes.
    ///
    /// A change that is lost all the same is found out about at the next start.
    ///
    /// - Returns: The session as it is kept, or as it would be.
    func change(
        _ session: VoiceSession, _ rest: TwilioREST, _ body: @escaping @Sendable (inout VoiceSession) -> Void
    ) async -> VoiceSession {
        do throws(StoreError) {
            if let kept = try await records.updateSession(session.id, body) { return kept }
        } catch {
            logger.error(
                "a session could not be written; trying again",
                metadata: Self.metadata(session).merging(["error": "\(error)"]) { $1 })
            Task {
                for wait in Self.rewrites {
                    guard (try? await rest.pause(wait)) != nil else { return }
                    if (try? await records.updateSession(session.id, body)) != nil { return }
                }
            }
        }
        var session = session
        body(&session)
        return session
    }
}
