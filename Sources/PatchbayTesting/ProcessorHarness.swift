public import PatchbayCore

/// Plugs both ends of one processor and owns its clock, which moves only when told.
public struct ProcessorHarness<P: Processor> {
    public var processor: P
    public private(set) var now = MediaTime.zero
    private var output = FrameOutput()

    public init(_ processor: P) { self.processor = processor }

    /// Pushes one frame and gives what came out downstream.
    public mutating func push(_ frame: Frame) throws(PipelineError) -> [Frame] {
        try processor.receive(frame, at: now, into: &output)
        return output.takeDownstream()
    }

    /// Lets time pass, honouring every deadline on the way.
    public mutating func advance(by span: TimeSpan) throws(PipelineError) -> [Frame] {
        let end = now + span
        while let due = processor.deadline, due <= end {
            now = max(now, due)
            try processor.deadlineReached(at: now, into: &output)
        }
        now = end
        return output.takeDownstream()
    }

    /// What the processor has sent back upstream since the last question.
    public mutating func takeUpstream() -> [Frame] { output.takeUpstream() }
}
