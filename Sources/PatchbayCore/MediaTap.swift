public import NIOCore
public import PatchbayAudio

/// Hears what both sides of a call really heard, at the carrier's edge: what a recording is made of.
///
/// Positions count from the start of the carrier's stream, on one clock for both sides: the caller's by the carrier's own
/// timestamps, the agent's by the playback ledger. Called on the call's event loop, in order; must return quickly and keep no
/// payload (copy what is needed: the buffers are used again).
public protocol MediaTap: AnyObject, Sendable {
    /// Audio of the caller. Positions grow; a hole between two is audio that never came.
    func callerAudio(_ payload: ByteBuffer, at position: TimeSpan)

    /// Audio handed to the carrier, whose playback will begin at `position`, never before the end of what was handed over
    /// before, unless that was cut.
    func agentAudio(_ payload: ByteBuffer, at position: TimeSpan)

    /// What was handed to the carrier from `position` on was thrown away and will not be heard.
    func agentCut(at position: TimeSpan)

    /// Somebody wants the recording to pause, or to go on.
    func recording(_ command: RecordingCommand, at position: TimeSpan)

    /// The call is over; nothing follows.
    func ended(at position: TimeSpan)
}

/// What can be asked of a call's recordings while it runs, for instance around a card number.
public enum RecordingCommand: String, Hashable, Sendable {
    case pause
    case resume
}

/// Makes the tap of one call. On the call's event loop; starts nothing that takes time.
public typealias MediaTapMaker =
    @Sendable (_ call: CallInfo, _ carrierFormat: AudioFormat) throws(PipelineError) ->
    any MediaTap
