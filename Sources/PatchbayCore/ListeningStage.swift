public import PatchbayAudio

/// A stage that only listens, beside a chain in a format that is not its own: it hears a converted copy, and the audio itself
/// passes byte for byte.
///
/// What it finds comes out in front of the audio in which it was found, as from the stage itself.
public struct ListeningStage: Processor {
    private var listener: any Processor
    private var converter: FormatConverter
    private var findings = FrameOutput()

    /// - Parameters:
    ///   - listener: Hands audio on unchanged; what it does with audio is not looked at.
    ///   - format: What the listener takes.
    ///   - source: What the chain has.
    /// - Throws: When one cannot be converted into the other.
    public init(
        _ listener: any Processor, hearing format: AudioFormat, of source: AudioFormat
    ) throws(PipelineError) {
        self.listener = listener
        converter = try FormatConverter(from: source, to: format)
    }

    public var marksSpeech: Bool { listener.marksSpeech }
    public var deadline: MediaTime? { listener.deadline }

    /// What comes late is freed of the copy as well: the audio itself has passed.
    public mutating func attach(_ mailbox: StageMailbox) {
        listener.attach(
            StageMailbox { frames in
                let findings = frames.filter { if case .audio = $0 { false } else { true } }
                if !findings.isEmpty { mailbox.deliver(findings) }
            } fail: { error in
                mailbox.fail(error)
            })
    }

    public mutating func receive(
        _ frame: Frame, at now: MediaTime, into output: inout FrameOutput
    ) throws(PipelineError) {
        guard case .audio(let audio) = frame else {
            if case .interruption = frame { converter.reset() }
            try listener.receive(frame, at: now, into: &findings)
            return report(into: &output)
        }
        let copy = converter.convert(audio.payload)
        if copy.readableBytes > 0 {
            var heard = audio
            heard.payload = copy
            heard.format = converter.target
            try listener.receive(.audio(heard), at: now, into: &findings)
            report(into: &output)
        }
        output.emit(frame)
    }

    public mutating func deadlineReached(
        at now: MediaTime, into output: inout FrameOutput
    ) throws(PipelineError) {
        try listener.deadlineReached(at: now, into: &findings)
        report(into: &output)
    }

    /// Hands on everything but the copy.
    private mutating func report(into output: inout FrameOutput) {
        for frame in findings.downstream {
            if case .audio = frame { continue }
            output.emit(frame)
        }
        findings.downstream.removeAll(keepingCapacity: true)
        for frame in findings.upstream { output.emitUpstream(frame) }
        findings.upstream.removeAll(keepingCapacity: true)
    }
}
