import DequeModule
public import PatchbayAudio

/// One place in a chain: a processor with its name, its address in the document and its formats.
public struct Stage {
    /// The registered type, for instance `resampler`.
    public var type: String
    /// Where the document declares it, for instance `stages[1]`.
    public var address: String
    public var takes: AudioFormat
    public var gives: AudioFormat
    public var processor: any Processor

    public init(
        _ type: String, address: String, takes: AudioFormat, gives: AudioFormat, processor: any Processor
    ) {
        self.type = type
        self.address = address
        self.takes = takes
        self.gives = gives
        self.processor = processor
    }
}

/// The two directions of a call: from the caller to the agent, and from the agent to the caller.
public enum Leg: String, Sendable { case toAgent, toCaller }

/// A joint between two stages. Number 0 is in front of the first stage; the last is behind the last stage.
public struct Joint: Hashable, Sendable {
    public var leg: Leg
    public var index: Int

    public init(_ leg: Leg, _ index: Int) {
        self.leg = leg
        self.index = index
    }
}

/// Watches every joint of a call without standing in it. Called on the call's event loop; must return quickly.
public protocol CallObserver: AnyObject, Sendable {
    func observe(_ frame: Frame, at joint: Joint, time: MediaTime)
    /// Something happened to the call as a whole.
    func observe(_ event: CallEvent, time: MediaTime)
}

/// The stages of one leg, in order. Runs each frame to completion before it returns; allocates nothing once warm.
public struct Chain {
    public let leg: Leg
    public private(set) var stages: [Stage]
    /// Data frames of an older generation are dropped wherever they meet a joint.
    public var generation: UInt32 = 0
    /// Stale data frames dropped so far.
    public private(set) var staleCount = 0
    /// Frames that left the chain at its end.
    private(set) var exits: [Frame] = []
    /// Frames that a stage sent back to whoever feeds the chain.
    private(set) var returns: [Frame] = []
    var observers: [any CallObserver] = []
    private var work: Deque<(stage: Int, frame: Frame)> = []
    private var output = FrameOutput()

    public init(_ leg: Leg, _ stages: [Stage]) {
        self.leg = leg
        self.stages = stages
        work.reserveCapacity(16)
        exits.reserveCapacity(16)
        returns.reserveCapacity(4)
    }

    /// The sum of what the stages hold back.
    public var delay: TimeSpan { stages.reduce(.zero) { $0 + $1.processor.delay } }

    /// Sends a frame in at the joint in front of stage `index`.
    ///
    /// What comes out waits inside until the call takes it.
    public mutating func send(_ frame: Frame, before index: Int = 0, at now: MediaTime) throws(PipelineError) {
        try run((index, frame), at: now)
    }

    /// Runs `first` and then whatever waits, until every frame has left the chain.
    private mutating func run(_ first: (stage: Int, frame: Frame)?, at now: MediaTime) throws(PipelineError) {
        var next = first
        while let (index, frame) = next.take() ?? work.popFirst() {
            if let stamp = frame.generation, stamp < generation, frame.isDroppedByInterruption {
                staleCount += 1
                continue
            }
            for observer in observers { observer.observe(frame, at: Joint(leg, index), time: now) }
            guard index < stages.count else {
                exits.append(frame)
                continue
            }
            do {
                try stages[index].processor.receive(frame, at: now, into: &output)
            } catch {
                throw abandon(error, index)
            }
            // Most stages give one frame for one; it needs no queue to keep its order.
            if work.isEmpty, output.upstream.isEmpty, output.downstream.count == 1 {
                next = (index + 1, output.downstream.removeLast())
            } else {
                collect(from: index)
            }
        }
    }

    /// Lets stages act whose deadline has passed.
    public mutating func deadlinesReached(at now: MediaTime) throws(PipelineError) {
        for index in stages.indices {
            guard let deadline = stages[index].processor.deadline, deadline <= now else { continue }
            do {
                try stages[index].processor.deadlineReached(at: now, into: &output)
            } catch {
                throw abandon(error, index)
            }
            collect(from: index)
        }
        try run(nil, at: now)
    }

    /// Gives every stage that works asynchronously its way back into the chain.
    mutating func attach(_ mailbox: (Int) -> StageMailbox) {
        for index in stages.indices { stages[index].processor.attach(mailbox(index)) }
    }

    /// Swaps the frames that left the chain at its end into `frames`, whose old content is forgotten. Two arrays take
    /// turns, so nothing is allocated.
    public mutating func takeExits(into frames: inout [Frame]) {
        frames.removeAll(keepingCapacity: true)
        if !exits.isEmpty { swap(&frames, &exits) }
    }

    /// Swaps the frames that stages sent back into `frames`.
    mutating func takeReturns(into frames: inout [Frame]) {
        frames.removeAll(keepingCapacity: true)
        if !returns.isEmpty { swap(&frames, &returns) }
    }

    private mutating func collect(from index: Int) {
        for frame in output.downstream { work.append((index + 1, frame)) }
        output.downstream.removeAll(keepingCapacity: true)
        for frame in output.upstream { returns.append(frame) }
        output.upstream.removeAll(keepingCapacity: true)
    }

    /// Forgets what was under way, so that the call can still send its last frame, and says where it failed.
    private mutating func abandon(_ error: PipelineError, _ index: Int) -> PipelineError {
        work.removeAll(keepingCapacity: true)
        output = FrameOutput()
        var error = error
        if error.place.isEmpty { error.place = "\(stages[index].address) (\(stages[index].type))" }
        return error
    }
}
