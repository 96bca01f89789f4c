import PatchbayCore

/// Passes everything on and turns two keys of the caller's phone into commands for the call's recordings.
struct RecorderStage: Processor {
    let pauseKey: Character?
    let resumeKey: Character?
    /// Whether the recordings of the call are paused, by this stage or by anybody else.
    private var isPaused = false

    init(pauseKey: Character?, resumeKey: Character?) {
        self.pauseKey = pauseKey
        self.resumeKey = resumeKey
    }

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        switch frame {
        case .dtmf(let key): if let command = command(of: key) { output.emitUpstream(.recording(command)) }
        // The call tells every command that was carried out, whoever gave it.
        case .recording(let command): isPaused = command == .pause
        default: break
        }
        output.emit(frame)
    }

    /// One key for both takes turns.
    private mutating func command(of key: Character) -> RecordingCommand? {
        if key == resumeKey, isPaused || key != pauseKey {
            isPaused = false
            return .resume
        }
        guard key == pauseKey else { return nil }
        isPaused = true
        return .pause
    }
}
