/// Runs one of several chains, chosen by the last key that the caller pressed. Stands before the agent.
///
/// Data and control frames go through the chosen branch and no other. System frames are shown to every branch, so that all know
/// how the call stands; what the chosen one makes of them goes on. A key that chooses another branch comes out of the new one,
/// after the old one has given out its tail: no sample is lost, doubled or out of order. A key that chooses nothing, or what is
/// chosen already, only passes.
///
/// What the other branches give out is dropped: at system frames, at their deadlines, and late results of an ``AsyncStage`` in
/// one that is no longer chosen. So are their requests, except that ``Frame/interruptible(_:)`` holds as soon as they are
/// chosen. What a branch has begun is ended for it when another is chosen: speech and the caller's turn that its stages marked, a
/// barge-in that is undecided. Chosen again, its stages go on where they stopped: speech and a turn that they still take for open
/// begin anew.
///
/// Costs nothing per packet beyond the stages of the chosen branch; allocates nothing once it is warm.
public struct KeySwitchStage: Processor {
    /// The first runs until a key is pressed, the others belong to `keys`, in order.
    private var branches: [Branch]
    private var states: [BranchState]
    private let keys: [Character]
    private var chosen = 0
    /// Of the data frame that passed last.
    private var generation: UInt32 = 0
    private var now = MediaTime.zero

    /// - Parameters:
    ///   - cases: The chain for each key: `0`–`9`, `*`, `#`, `A`–`D`. An empty chain passes everything on.
    ///   - otherwise: The chain until one of these keys is pressed.
    public init(cases: [Character: [Stage]], otherwise: [Stage]) {
        keys = cases.keys.sorted()
        branches = [Branch(otherwise)] + keys.map { Branch(cases[$0] ?? []) }
        states = branches.map { _ in BranchState() }
    }

    /// The key whose chain runs; `nil` while none has been pressed.
    public var key: Character? { chosen == 0 ? nil : keys[chosen - 1] }

    /// The longest of the branches: which one will run is known only to the caller.
    public var delay: TimeSpan { branches.reduce(.zero) { max($0, $1.delay) } }

    /// Only when every branch does: an agent that is told so waits for the marks.
    public var marksSpeech: Bool { branches.allSatisfy(\.marksSpeech) }

    public var deadline: MediaTime? {
        var first: MediaTime?
        for branch in branches {
            guard let deadline = branch.deadline(from: now) else { continue }
            first = first.map { min($0, deadline) } ?? deadline
        }
        return first
    }

    public mutating func attach(_ mailbox: StageMailbox) {
        for index in branches.indices { branches[index].attach() }
    }

    public mutating func receive(
        _ frame: Frame, at now: MediaTime, into output: inout FrameOutput
    ) throws(PipelineError) {
        self.now = now
        guard frame.family == .system else {
            if let stamp = frame.generation { generation = stamp }
            try branches[chosen].send(frame, at: now)
            giveOut(after: frame, into: &output)
            return
        }
        if case .dtmf(let key) = frame, let index = keys.firstIndex(of: key), index + 1 != chosen {
            try choose(index + 1, at: now, into: &output)
        }
        for index in branches.indices where index != chosen {
            try branches[index].send(frame, at: now)
            forget(index, after: frame)
        }
        try branches[chosen].send(frame, at: now)
        giveOut(after: frame, into: &output)
    }

    public mutating func deadlineReached(
        at now: MediaTime, into output: inout FrameOutput
    ) throws(PipelineError) {
        self.now = now
        for index in branches.indices {
            try branches[index].deadlineReached(at: now)
            if index == chosen { giveOut(after: nil, into: &output) } else { forget(index, after: nil) }
        }
    }

    private mutating func choose(
        _ next: Int, at now: MediaTime, into output: inout FrameOutput
    ) throws(PipelineError) {
        // Not older than what the branch takes for stale: it would not be heard.
        let stamp = max(generation, branches[chosen].chain.generation)
        try branches[chosen].send(.utteranceEnded(generation: stamp), at: now)
        giveOut(after: .utteranceEnded(generation: stamp), hidingIt: true, into: &output)
        let isInterruptible = states[chosen].isInterruptible
        states[chosen].end(into: &output)
        chosen = next
        states[next].begin(into: &output)
        if states[next].isInterruptible != isInterruptible {
            output.emitUpstream(.interruptible(states[next].isInterruptible))
        }
    }

    /// Hands on what the chosen branch has made of `frame`, or of its deadlines.
    private mutating func giveOut(after frame: Frame?, hidingIt isHidden: Bool = false, into output: inout FrameOutput)
    {
        let index = chosen
        branches[index].takeExits { made in
            if isHidden, case .utteranceEnded = made { return }
            states[index].note(made, after: frame)
            output.emit(made)
        }
        branches[index].takeRequests { request in
            states[index].note(request: request)
            output.emitUpstream(request)
        }
    }

    private mutating func forget(_ index: Int, after frame: Frame?) {
        // Its deadlines may end what it has open.
        branches[index].takeExits { states[index].note($0, after: frame) }
        branches[index].takeRequests { states[index].note(request: $0) }
    }
}

/// What a branch has begun and not ended, and what it wants of the call.
private struct BranchState {
    private var isSpeechOpen = false
    private var isTurnOpen = false
    private var isBargeInOpen = false
    private(set) var isInterruptible = true

    /// A frame has left the branch after another had gone in. What only passed through was begun by somebody else, who ends it.
    mutating func note(_ made: Frame, after given: Frame?) {
        switch (made, given) {
        case (.speechStarted, .speechStarted?), (.userTurnStarted, .userTurnStarted?): break
        case (.speechStarted, _): isSpeechOpen = true
        case (.speechStopped, _): isSpeechOpen = false
        case (.userTurnStarted, _): isTurnOpen = true
        case (.userTurnEnded, _): isTurnOpen = false
        default: break
        }
    }

    mutating func note(request: Frame) {
        switch request {
        case .interruptible(let isAllowed): isInterruptible = isAllowed
        case .bargeIn(let step): isBargeInOpen = step == .started
        default: break
        }
    }

    /// The branch is heard no longer. Its stages are not told, and go on where they stopped when it is chosen again.
    mutating func end(into output: inout FrameOutput) {
        if isSpeechOpen { output.emit(.speechStopped) }
        if isTurnOpen { output.emit(.userTurnEnded(TurnEnd(.silence))) }
        if isBargeInOpen { output.emitUpstream(.bargeIn(.dismissed)) }
        isBargeInOpen = false
    }

    /// The branch is heard from now on: what its stages take for open is open again, so that its end has a beginning.
    func begin(into output: inout FrameOutput) {
        if isSpeechOpen { output.emit(.speechStarted) }
        if isTurnOpen { output.emit(.userTurnStarted) }
    }
}
