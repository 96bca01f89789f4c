public import PatchbayCore

/// When each of a conversation's timers is due.
public struct SimulatorTimers<Timer: CaseIterable & RawRepresentable<Int> & Sendable>: Sendable {
    private var due: [MediaTime?]

    /// - Precondition: The cases' raw values count from 0.
    public init() { due = Array(repeating: nil, count: Timer.allCases.count) }

    public subscript(timer: Timer) -> MediaTime? {
        get { due[timer.rawValue] }
        set { due[timer.rawValue] = newValue }
    }

    /// The earliest; of several at once the one that is declared first.
    public var next: (timer: Timer, due: MediaTime)? {
        var next: (timer: Timer, due: MediaTime)?
        for timer in Timer.allCases {
            if let due = self[timer], next.map({ due < $0.due }) ?? true { next = (timer, due) }
        }
        return next
    }

    public mutating func clear() { for index in due.indices { due[index] = nil } }
}
