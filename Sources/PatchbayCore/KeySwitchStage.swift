public struct KeySwitchStage: Processor {
    public init(cases: [Character: [Stage]], otherwise: [Stage]) {}
    public mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput)
        throws(PipelineError)
    { output.emit(frame) }
}
