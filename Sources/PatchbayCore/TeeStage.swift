public struct TeeStage: Processor {
    public init(_ stages: [Stage]) {}
    public mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput)
        throws(PipelineError)
    { output.emit(frame) }
}
