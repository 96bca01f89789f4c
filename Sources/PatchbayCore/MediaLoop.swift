public import NIOCore

/// An event loop that carries calls, with the one clock that ticks all of them.
///
/// Each call is ticked every 20 ms in one of 20 slots of a millisecond, so the work spreads evenly; deadlines are absolute, so
/// nothing drifts. Slots without calls cost nothing: the loop sleeps until the next slot that holds one, and sets no timer at
/// all when there are no calls.
public final class MediaLoop: Sendable {
    static let period = TimeSpan.milliseconds(20)
    static let slotCount = 20

    public let eventLoop: any EventLoop
    package let meters = CallMeters()
    private let state: NIOLoopBoundBox<State>

    private struct State: Sendable {
        var slots: [[Call]] = Array(repeating: [], count: MediaLoop.slotCount)
        var slotOf: [ObjectIdentifier: Int] = [:]
        var isScheduled = false
        /// The slot whose time comes next, and when.
        var next = 0
        var due = MediaTime.zero
        var worstLateness = TimeSpan.zero
    }

    public init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        state = .makeBoxSendingValue(State(), eventLoop: eventLoop)
    }

    /// The longest that a tick was late since the last question. On the loop only.
    public func takeWorstLateness() -> TimeSpan {
        defer { state.value.worstLateness = .zero }
        return state.value.worstLateness
    }

    /// Enters what the running calls have counted into the process's metrics, and tells what waits in them. On the loop only.
    public func measure() -> MediaLoopReport {
        var report = MediaLoopReport()
        for slot in state.value.slots {
            for call in slot { call.measure(into: &report) }
        }
        return report
    }

    func add(_ call: Call) {
        let id = ObjectIdentifier(call)
        guard state.value.slotOf[id] == nil else { return }
        let slot = state.value.slots.indices.min { state.value.slots[$0].count < state.value.slots[$1].count } ?? 0
        state.value.slots[slot].append(call)
        state.value.slotOf[id] = slot
        if !state.value.isScheduled {
            state.value.due = .now()
            state.value.next = slot
            schedule()
        }
    }

    func remove(_ call: Call) {
        guard let slot = state.value.slotOf.removeValue(forKey: ObjectIdentifier(call)) else { return }
        state.value.slots[slot].removeAll { $0 === call }
    }

    /// Sleeps until the next slot with calls in it. After a stall the missed periods are skipped, not made up for: a tick
    /// looks at the clock, it does not count.
    private func schedule() {
        guard !state.value.slotOf.isEmpty else {
            state.value.isScheduled = false
            return
        }
        repeat {
            state.value.next = (state.value.next + 1) % Self.slotCount
            state.value.due = state.value.due + .milliseconds(1)
        } while state.value.slots[state.value.next].isEmpty
        let now = MediaTime.now()
        if now - state.value.due > Self.period { state.value.due = now }
        state.value.isScheduled = true
        let due = NIODeadline.uptimeNanoseconds(UInt64(clamping: state.value.due.nanoseconds))
        do {
            _ = try eventLoop.scheduleCallback(at: due, handler: self)
        } catch {
            // The loop is shutting down, and its calls with it.
            state.value.isScheduled = false
        }
    }
}

extension MediaLoop: NIOScheduledCallbackHandler {
    public func handleScheduledCallback(eventLoop: some EventLoop) {
        let now = MediaTime.now()
        state.value.worstLateness = max(state.value.worstLateness, now - state.value.due)
        let calls = state.value.slots[state.value.next]
        for call in calls { call.tick(at: now) }
        schedule()
    }
}
