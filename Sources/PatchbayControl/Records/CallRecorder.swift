import Foundation
import PatchbayCore
import PatchbayStore
import Synchronization

/// Turns what happens in one call into its record.
///
/// Runs on the call's event loop: it only notes down and appends to the ``CallJournal``.
final class CallRecorder: CallObserver {
    /// Events that stay in memory for `/calls/{id}`; the oldest go first. The store has them all.
    static let entryLimit = 500
    /// Events and tool calls that the store keeps of one call; later ones are left out.
    static let eventLimit = 10_000
    /// Characters kept of what an event says; a vendor's texts can be long.
    static let detailLimit = 500
    /// Bytes kept of a tool's arguments, and of its answer.
    static let toolLimit = 16_384
    /// Tools whose answers are awaited.
    static let pendingLimit = 256
    /// Recordings of one call that are listed while it is in memory.
    static let recordingLimit = 16
    /// Stands for what was said or typed while the recordings of a call were paused.
    static let withheld = "[withheld]"
    /// The same where JSON is expected.
    static let withheldJSON = "\"\(withheld)\""
    /// Words of the caller may be recognised so much later than they were said; they are withheld for as long after a pause.
    static let recognitionDelay = TimeSpan.seconds(3)

    private struct State {
        var row: StoredCall
        var begin: MediaTime?
        var entries: [StoredEvent] = []
        var sequence = 0
        var turns: TurnLog
        var toolSequence = 0
        var pendingTools: [String: StoredToolCall] = [:]
        var streamStart: MediaTime?
        var speechEnd: MediaTime?
        var isPaused = false
        var lastResumed: MediaTime?
        var isEventWithheld = false

        /// Milliseconds since the first thing that happened.
        mutating func milliseconds(at time: MediaTime) -> Int64 {
            let start = begin ?? time
            begin = start
            return (time - start).milliseconds
        }

        /// Whether what the caller says is told.
        func isCallerWithheld(at time: MediaTime) -> Bool {
            isPaused || lastResumed.map { time - $0 < CallRecorder.recognitionDelay } ?? false
        }
    }

    private let journal: CallJournal
    private let state: Mutex<State>

    init(_ info: CallInfo, startedAt: Date, journal: CallJournal) {
        self.journal = journal
        let row = StoredCall(
            id: info.id, callSid: info.callSid, direction: info.direction.rawValue, from: info.from, to: info.to,
            tenant: info.tenant, pipeline: info.pipeline, version: info.version, createdAt: startedAt,
            session: info.session)
        state = Mutex(State(row: row, turns: TurnLog(call: info.id)))
    }

    /// The last events, the oldest first.
    var entries: [StoredEvent] { state.withLock { $0.entries } }
    /// Whether recordings are paused: what is said and typed is for nobody to read.
    var isPaused: Bool { state.withLock { $0.isPaused } }
    /// Whether words of the event or the text that was observed last are for nobody to read.
    var isEventWithheld: Bool { state.withLock { $0.isEventWithheld } }
    /// The same of what the caller has heard of the agent's turn.
    var isHeardWithheld: Bool { state.withLock { $0.isPaused || $0.turns.isHeardWithheld } }
    /// The call as it is to be kept.
    var row: StoredCall { state.withLock { $0.row } }

    // MARK: What happens

    /// The call is known from now on.
    func begin() { state.withLock { journal.append(of: $0.row) } }

    /// Enters an event as people read it.
    ///
    /// - Parameter isLast: Nothing follows; it is kept in any case.
    func enter(_ event: String, _ detail: String, _ time: MediaTime, isLast: Bool = false) {
        state.withLock { state in
            let entry = StoredEvent(
                call: state.row.id, sequence: state.sequence, atMs: state.milliseconds(at: time), event: event,
                detail: String(detail.prefix(Self.detailLimit)))
            state.sequence += 1
            if state.entries.count >= Self.entryLimit { state.entries.removeFirst() }
            state.entries.append(entry)
            if entry.sequence < Self.eventLimit || isLast { journal.append(.event(entry), of: state.row) }
        }
    }

    // Frames pass too often for more than a look at their kind.
    func observe(_ frame: Frame, at joint: Joint, time: MediaTime) {
        switch frame {
        case .text(let text) where joint == Joint(.toCaller, 0): said(text, time)
        case .text where joint.index == 0: state.withLock { $0.isEventWithheld = $0.isPaused }
        case .speechStopped where joint.leg == .toAgent: state.withLock { $0.speechEnd = time }
        case .userTurnEnded(let end) where joint.leg == .toAgent:
            state.withLock { $0.speechEnd = end.speechStoppedAt ?? $0.speechEnd ?? time }
        default: break
        }
    }

    private func said(_ text: TextFrame, _ time: MediaTime) {
        state.withLock { state in
            let atMs = state.milliseconds(at: time)
            let turn: StoredTurn?
            switch text.speaker {
            case .caller:
                guard text.isFinal else { return }
                turn = state.turns.callerSaid(
                    text.text, isCorrection: text.isCorrection, isWithheld: state.isCallerWithheld(at: time),
                    atMs: atMs)
            case .agent:
                // A vendor's correction is its belief about what was heard; the ledger knows.
                state.isEventWithheld = state.isPaused || state.turns.isHeardWithheld
                guard !text.isCorrection else { return }
                turn = state.turns.agentSaid(
                    text.text, isFinal: text.isFinal, isWithheld: state.isPaused, atMs: atMs)
            }
            state.isEventWithheld = state.turns.isLastTextWithheld
            if let turn { journal.append(.turn(turn), of: state.row) }
        }
    }

    /// What an event changes in the record of the call. Its entry comes afterwards, from the ``CallLog``, and takes the
    /// change along.
    func observe(_ event: CallEvent, time: MediaTime) {
        state.withLock { state in
            state.isEventWithheld = state.isPaused
            switch event {
            case .streamStarted(let start):
                state.streamStart = time
                state.row.streamSid = start.streamSid
                state.row.status = "streaming"
            case .agentReady(let backend, _, _): state.row.backend = backend
            case .conversationStarted(let id): state.row.conversationID = id.cut(toBytes: 256)
            case .agentAudible:
                if let start = state.streamStart, state.row.timeToFirstAudioMs == nil {
                    state.row.timeToFirstAudioMs = (time - start).inMilliseconds
                }
                if let end = state.speechEnd { state.row.responseLatencyMs = (time - end).inMilliseconds }
                state.speechEnd = nil
            case .interrupted(_, let heard):
                state.row.interruptions += 1
                turnEnded(heard, isCut: true, time, &state)
            case .turnHeard(let heard):
                turnEnded(heard, isCut: false, time, &state)
            case .agentTookOver(let backend, _):
                state.row.backend = backend
                state.row.agentTakeovers += 1
            case .toolCalled(let call): called(call, time, &state)
            case .toolAnswered(let result, let span): answered(result, span, &state)
            case .recording(let command):
                if state.isPaused, command == .resume { state.lastResumed = time }
                state.isPaused = command == .pause
            case .hangingUp: state.row.status = "draining"
            default: break
            }
        }
    }

    private func turnEnded(_ heard: Heard, isCut: Bool, _ time: MediaTime, _ state: inout State) {
        let atMs = state.milliseconds(at: time)
        keep(state.turns.heard(heard, isCut: isCut, isWithheld: state.isPaused, atMs: atMs), &state)
        state.isEventWithheld = state.turns.isHeardWithheld
    }

    private func keep(_ turns: [StoredTurn], _ state: inout State) {
        for turn in turns { journal.append(.turn(turn), of: state.row) }
    }

    private func called(_ call: ToolCall, _ time: MediaTime, _ state: inout State) {
        guard state.toolSequence < Self.eventLimit else { return }
        let stored = StoredToolCall(
            call: state.row.id, sequence: state.toolSequence, atMs: state.milliseconds(at: time),
            name: call.name.cut(toBytes: 256),
            arguments: state.isPaused ? Self.withheldJSON : call.arguments.cut(toBytes: Self.toolLimit))
        state.toolSequence += 1
        if state.pendingTools.count < Self.pendingLimit { state.pendingTools[call.id] = stored }
        journal.append(.toolCall(stored), of: state.row)
    }

    private func answered(_ result: ToolResult, _ span: TimeSpan, _ state: inout State) {
        guard var stored = state.pendingTools.removeValue(forKey: result.id) else { return }
        state.isEventWithheld = state.isPaused || stored.arguments == Self.withheldJSON
        stored.output = state.isEventWithheld ? Self.withheld : result.output.cut(toBytes: Self.toolLimit)
        stored.isError = result.isError
        stored.milliseconds = span.milliseconds
        journal.append(.toolCall(stored), of: state.row)
    }

    /// A tool of the call was run for an agent that asked over HTTP, beside the call's events.
    ///
    /// - Parameter isWithheld: Whether recordings were paused when it began.
    func ran(_ call: ToolCall, _ result: ToolResult, isWithheld: Bool, from start: MediaTime, to end: MediaTime) {
        let span = end - start
        let isKept = state.withLock { state in
            guard state.toolSequence < Self.eventLimit else { return false }
            var stored = StoredToolCall(
                call: state.row.id, sequence: state.toolSequence, atMs: state.milliseconds(at: start),
                name: result.name.cut(toBytes: 256), arguments: Self.withheldJSON, output: Self.withheld,
                isError: result.isError, milliseconds: span.milliseconds)
            if !isWithheld, !state.isPaused {
                stored.arguments = call.arguments.cut(toBytes: Self.toolLimit)
                stored.output = result.output.cut(toBytes: Self.toolLimit)
            }
            state.toolSequence += 1
            journal.append(.toolCall(stored), of: state.row)
            return true
        }
        guard isKept else { return }
        let outcome = result.isError ? "error" : "ok"
        enter("tool called by webhook", "\(result.name) after \(span.milliseconds) ms: \(outcome)", end)
    }

    // MARK: Its end

    /// The call is over; its counters are final.
    func ended(_ reason: EndReason, at date: Date, _ status: CallStatus?) {
        state.withLock { state in
            guard state.row.endedAt == nil else { return }
            if let status {
                if !status.backend.isEmpty { state.row.backend = status.backend }
                state.row.timeToFirstAudioMs = status.counters.timeToFirstAudio?.inMilliseconds
                state.row.responseLatencyMs = status.counters.responseLatency?.inMilliseconds
                state.row.interruptions = status.counters.interruptions
                state.row.agentTakeovers = status.counters.agentTakeovers
            }
            state.row.endedAt = date
            state.row.endReason = reason.description.cut(toBytes: Self.detailLimit)
            state.row.status = reason.state
            keep(state.turns.ended(status?.heard), &state)
            // In line behind its events, so that readers learn of the end last.
            journal.append(.call(state.row), of: state.row)
        }
    }

    /// A recording of the call has been completed; usually after its end.
    func recorded(_ path: String) {
        state.withLock { state in
            if state.row.recordings.count < Self.recordingLimit { state.row.recordings.append(path) }
            journal.append(.recording(call: state.row.id, path: path), of: state.row)
        }
    }
}

extension TimeSpan {
    var inMilliseconds: Double { Double(nanoseconds / 1000) / 1000 }
}
