import NIOCore
public import PatchbayAudio
public import PatchbayCore

/// Drawn timelines for stages that mark speech and take turns: one character is 20 ms.
///
/// ```swift
/// // A click is no speech; 60 ms of voice are, a gap of 40 does not end it, 100 ms of silence do.
/// let marks = try Timeline().play("....#.....#####..#####..........", through: vad)
/// #expect(marks == "............S............ps.....")
/// ```
///
/// In: `.` silence, `#` voice, and the frames `S`/`s` the caller's speech starts and stops, `p`/`r` it pauses and goes on,
/// `A`/`a` the agent's speech, `U`/`u` the caller's turn starts and ends, `t` the agent has transcribed it, digits, `*` and `D`
/// (for `#`, which is voice) keys. Out: the same letters for what comes out, `v` for a turn that the agent ended, and what is asked
/// of the call: `P`/`C`/`R` playback pauses, is cut, resumes; `L`/`l` the agent cannot be interrupted, can be again. Several at
/// once stand in brackets: `[SU]`, in and out. A frame stands before the sound of its character.
public struct Timeline: Sendable {
    private let format: AudioFormat
    private let voice: Tone
    private static let step = TimeSpan.milliseconds(20)

    /// - Parameters:
    ///   - format: What the stage takes. Sound can be drawn in linear mono; in any other format there is none, only frames.
    ///   - voice: What `#` sounds like.
    public init(_ format: AudioFormat = .pcm(8000), voice: Tone = Tone(300)) {
        self.format = format
        self.voice = voice
    }

    /// The frames of a drawing, a list for each character. Characters without a meaning stand for silence.
    ///
    /// Letters give no sound; a stage that counts samples should be drawn with `.` and `#` only, or in brackets: `[S#]`.
    public func frames(_ drawing: String) -> [[Frame]] {
        var position = 0
        return Self.steps(of: drawing).map { step in
            var frames = step.compactMap(Self.frame)
            if let sound = sound(step, at: position) { frames.append(sound) }
            position += format.sampleFramesPerPacket
            return frames
        }
    }

    /// Plays a drawing through a stage and draws what came out.
    ///
    /// - Throws: What the stage throws.
    public func play(_ drawing: String, through processor: some Processor) throws(PipelineError) -> String {
        var harness = ProcessorHarness(processor)
        var drawn = ""
        for frames in frames(drawing) {
            var seen: [Frame] = []
            for frame in frames { seen += try harness.push(frame) }
            seen += try harness.advance(by: Self.step)
            drawn += Self.draw(harness.takeUpstream() + seen)
        }
        return drawn
    }

    /// One step of a drawing: `.` for frames that have no letter.
    public static func draw(_ frames: [Frame]) -> String {
        let letters = frames.compactMap(letter)
        return letters.isEmpty ? "." : letters.count == 1 ? letters[0] : "[\(letters.joined())]"
    }

    private static func steps(of drawing: String) -> [String] {
        var steps: [String] = []
        var open: String?
        for character in drawing {
            switch (character, open) {
            case ("[", nil): open = ""
            case ("]", let step?):
                steps.append(step)
                open = nil
            case (_, let step?): open = step + String(character)
            case (_, nil): steps.append(String(character))
            }
        }
        if let open { steps.append(open) }
        return steps
    }

    private func sound(_ step: String, at position: Int) -> Frame? {
        guard format.encoding == .pcm16, format.channelCount == 1 else { return nil }
        let isVoice = step.contains("#")
        guard isVoice || step.contains(where: { Self.frame($0) == nil }) else { return nil }
        var payload = ByteBuffer()
        for sample in voice.samples(
            count: format.sampleFramesPerPacket, sampleRate: format.sampleRate, offset: position)
        { payload.writeInteger(isVoice ? sample : 0, endianness: .little) }
        return .audio(AudioFrame(payload, format: format))
    }

    private static func frame(_ character: Character) -> Frame? {
        switch character {
        case "S": .speechStarted
        case "s": .speechStopped
        case "p": .speechPaused
        case "r": .speechResumed
        case "A": .agentStartedSpeaking
        case "a": .agentStoppedSpeaking
        case "U": .userTurnStarted
        case "u": .userTurnEnded(TurnEnd(.silence))
        case "t": .userTurnEnded(TurnEnd(.agent))
        case "0"..."9", "*": .dtmf(character)
        case "D": .dtmf("#")
        default: nil
        }
    }

    private static func letter(_ frame: Frame) -> String? {
        switch frame {
        case .speechStarted: "S"
        case .speechStopped: "s"
        case .speechPaused: "p"
        case .speechResumed: "r"
        case .agentStartedSpeaking: "A"
        case .agentStoppedSpeaking: "a"
        case .userTurnStarted: "U"
        case .userTurnEnded(let end): end.cause == .silence ? "u" : "v"
        case .bargeIn(.started): "P"
        case .bargeIn(.confirmed): "C"
        case .bargeIn(.dismissed): "R"
        case .interruptible(false): "L"
        case .interruptible(true): "l"
        case .dtmf(let key): key == "#" ? "D" : String(key)
        case .audio, .text, .callStarted, .callEnded, .interruption, .heard, .recording, .failure, .agentTurnStarted,
            .utteranceEnded, .hangup, .custom:
            nil
        }
    }
}
