import Synchronization

/// A chain inside a stage: the side chain of a ``TeeStage``, a case of a ``KeySwitchStage``.
///
/// What leaves it, and what its stages ask the call for, waits here until the stage that holds it takes or forgets it.
/// Results of an ``AsyncStage`` in it come back behind that stage, inside the branch: they wait in an inbox that makes the
/// branch due, so that they enter on the next step of the call, 20 ms later at most.
struct Branch {
    private(set) var chain: Chain
    private let inbox = BranchInbox()
    private var frames: [Frame] = []
    /// Requests among the results of asynchronous stages.
    private var requests: [Frame] = []

    init(_ stages: [Stage]) {
        // The leg only names joints to observers, and a branch has none.
        chain = Chain(.toAgent, stages)
    }

    var delay: TimeSpan { chain.delay }
    var marksSpeech: Bool { chain.stages.contains { $0.processor.marksSpeech } }

    /// When ``deadlineReached(at:)`` is due; `now` when results wait.
    func deadline(from now: MediaTime) -> MediaTime? {
        if inbox.hasMail { return now }
        var first: MediaTime?
        for stage in chain.stages {
            guard let deadline = stage.processor.deadline else { continue }
            first = first.map { min($0, deadline) } ?? deadline
        }
        return first
    }

    /// Gives stages that work asynchronously their way back into this branch.
    mutating func attach() {
        let inbox = inbox
        let places = chain.stages.map { "\($0.address) (\($0.type))" }
        chain.attach { inbox.mailbox(behind: $0, place: places[$0]) }
    }

    /// Data of an older generation is stale from now on, wherever it waits.
    mutating func interrupted(by interruption: Interruption) {
        chain.generation = max(chain.generation, interruption.generation)
    }

    mutating func send(_ frame: Frame, at now: MediaTime) throws(PipelineError) {
        if case .interruption(let interruption) = frame { interrupted(by: interruption) }
        try chain.send(frame, at: now)
    }

    /// Lets results of asynchronous stages in, then stages act whose deadline has passed.
    mutating func deadlineReached(at now: MediaTime) throws(PipelineError) {
        if inbox.hasMail {
            for (stage, frame) in try inbox.takeAll() {
                // To the call it is a request, as from any asynchronous stage.
                if case .interruption = frame {
                    requests.append(frame)
                } else {
                    try chain.send(frame, before: stage, at: now)
                }
            }
        }
        try chain.deadlinesReached(at: now)
    }

    /// Hands over what has left the branch, in order.
    mutating func takeExits(_ body: (Frame) -> Void) {
        chain.takeExits(into: &frames)
        for frame in frames { body(frame) }
        frames.removeAll(keepingCapacity: true)
    }

    /// Hands over what stages of the branch ask the call for.
    mutating func takeRequests(_ body: (Frame) -> Void) {
        chain.takeReturns(into: &frames)
        for frame in frames { body(frame) }
        frames.removeAll(keepingCapacity: true)
        guard !requests.isEmpty else { return }
        for frame in requests { body(frame) }
        requests.removeAll(keepingCapacity: true)
    }

    /// Forgets what has left the branch and what its stages asked for.
    mutating func discard() {
        takeExits { _ in }
        takeRequests { _ in }
    }
}

/// Where results of the asynchronous stages of a branch wait for the call's next step. Safe from any thread.
final class BranchInbox: Sendable {
    private struct State {
        var results = FrameQueue(capacity: BranchInbox.capacity)
        var failure: PipelineError?
    }

    /// Frames that may wait; the oldest data is given up beyond it.
    static let capacity = 256

    private let state = Mutex(State())
    // Looked at on every step, so that the media path takes the lock only when there is something.
    private let mail = Atomic(false)

    var hasMail: Bool { mail.load(ordering: .acquiring) }

    /// The way back for the stage at `index`; an error without a place gets `place`.
    func mailbox(behind index: Int, place: String) -> StageMailbox {
        StageMailbox { frames in
            self.put { state in for frame in frames { state.results.append(frame, stage: index + 1) } }
        } fail: { error in
            self.put { state in
                guard state.failure == nil else { return }
                state.failure = error
                if error.place.isEmpty { state.failure?.place = place }
            }
        }
    }

    /// - Throws: The first error that a stage reported; what waited is forgotten then.
    func takeAll() throws(PipelineError) -> [(stage: Int, frame: Frame)] {
        let (results, failure) = state.withLock { state in
            mail.store(false, ordering: .relaxed)
            var results: [(stage: Int, frame: Frame)] = []
            while let next = state.results.popFirst() { results.append(next) }
            defer { state.failure = nil }
            return (results, state.failure)
        }
        if let failure { throw failure }
        return results
    }

    private func put(_ change: (inout State) -> Void) {
        state.withLock { state in
            change(&state)
            mail.store(true, ordering: .releasing)
        }
    }
}
