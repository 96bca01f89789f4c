import NIOCore
import PatchbayAudio
import PatchbayCore

/// One stage under examination: everything that goes in and comes out passes here and is looked at.
struct ConformanceRun {
    private var processor: any Processor
    let taking: AudioFormat
    let giving: AudioFormat
    /// What the run does, for messages.
    let context: String
    private(set) var now = MediaTime(milliseconds: 1000)
    /// Everything that came out so far.
    private(set) var frames: [Frame] = []
    /// The same with its time, and what was asked of the call.
    private var log: [(time: MediaTime, manner: String, frame: Frame)] = []
    private(set) var findings: ConformanceFindings
    /// The stage threw; nothing more is learned from it.
    private(set) var isDead = false
    private var output = FrameOutput()
    private var stamps: Set<UInt32> = []

    init(
        _ processor: any Processor, taking: AudioFormat, giving: AudioFormat, context: String,
        findings: ConformanceFindings
    ) {
        self.processor = processor
        self.taking = taking
        self.giving = giving
        self.context = context
        self.findings = findings
    }

    var delay: TimeSpan { processor.delay }
    var marksSpeech: Bool { processor.marksSpeech }

    /// Puts a frame in.
    ///
    /// - Returns: What came out at once.
    @discardableResult
    mutating func push(_ frame: Frame) -> [Frame] {
        guard !isDead else { return [] }
        if let stamp = frame.generation { stamps.insert(stamp) }
        if case .interruption(let interruption) = frame { stamps.insert(interruption.generation) }
        do throws(PipelineError) {
            try processor.receive(frame, at: now, into: &output)
        } catch {
            die("\(caseName(of: frame)) made it throw: \(error)")
        }
        return collect()
    }

    /// Puts a payload in, in the format that the stage takes.
    @discardableResult
    mutating func push(_ payload: ByteBuffer, generation: UInt32) -> [Frame] {
        push(.audio(AudioFrame(payload, format: taking, generation: generation)))
    }

    /// Puts payloads in, one in 20 ms.
    mutating func play(_ payloads: [ByteBuffer], generation: UInt32) {
        for payload in payloads {
            push(payload, generation: generation)
            pass(20)
        }
    }

    /// Lets time pass in steps of 20 ms, as a call does.
    ///
    /// - Returns: What came out meanwhile.
    @discardableResult
    mutating func pass(_ milliseconds: Int64) -> [Frame] {
        var seen: [Frame] = []
        let end = now + .milliseconds(milliseconds)
        while !isDead, now < end {
            now = min(end, now + .milliseconds(20))
            guard let deadline = processor.deadline, deadline <= now else { continue }
            do throws(PipelineError) {
                try processor.deadlineReached(at: now, into: &output)
            } catch {
                die("its deadline made it throw: \(error)")
            }
            seen += collect()
            if let next = processor.deadline, next <= now {
                findings.add(
                    .deadline,
                    "\(context): after deadlineReached at \(now.milliseconds) ms it wants to be called at "
                        + "\(next.milliseconds) ms again")
            }
        }
        return seen
    }

    /// What came out and what was asked of the call, with the times: two runs are alike when their logs are.
    var lines: [String] { log.map { "\($0.time.milliseconds) ms, \($0.manner)\(exactText(of: $0.frame))" } }

    /// Audio that came out and is nobody's background.
    var spoken: [AudioFrame] { frames.spoken }

    private mutating func die(_ seen: String) {
        isDead = true
        findings.add(.accepts, "\(context): \(seen)")
    }

    private mutating func collect() -> [Frame] {
        let new = output.takeDownstream()
        let requests = output.takeUpstream()
        frames += new
        log += new.map { (now, "", $0) }
        log += requests.map { (now, "upstream ", $0) }
        for frame in new {
            if case .audio(let audio) = frame { inspect(audio) }
            if let stamp = frame.generation, !stamps.contains(stamp), stamp != 0 || !stamps.isEmpty {
                findings.add(
                    .generations,
                    "\(context): \(caseName(of: frame)) came out with generation \(stamp), but only "
                        + "\(stamps.sorted().map(String.init).joined(separator: ", ")) went in")
            }
        }
        return new
    }

    private mutating func inspect(_ audio: AudioFrame) {
        if !audio.format.hasSamples(like: giving) {
            findings.add(.format, "\(context): it gives \(giving), but \(audio.format) came out")
        }
        if let unit = giving.bytesPerUnit, audio.payload.readableBytes % unit != 0 {
            findings.add(
                .format,
                "\(context): \(audio.payload.readableBytes) bytes came out, no whole sample frames of \(unit) bytes")
        }
    }
}

extension [Frame] {
    /// The audio among them that is nobody's background.
    var spoken: [AudioFrame] {
        compactMap { if case .audio(let audio) = $0, !audio.isBackground { audio } else { nil } }
    }
}

/// A plug-in's frame that stages cannot know.
struct ConformanceProbe: CustomFrame {
    var family: Frame.Family
    var number: Int
    var generation: UInt32?
    var isDroppedByInterruption: Bool { family != .system }
}
