public import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore

/// `mixer`: a background sound under the agent's voice, and between its words.
///
/// Stands behind the agent, best right before the encoder: what a resampler holds back at the end of an utterance would
/// leave a small dent in the background.
public struct Mixer: StageComponent {
    private let sounds: SoundLibrary

    public init(sounds: SoundLibrary = .shared) { self.sounds = sounds }

    public let spec = ComponentSpec(
        "mixer", .stage,
        summary:
            "Plays a background sound to the caller, all the time, lowered while the agent speaks. Stands behind the agent.",
        fields: [
            Field(
                "sound", .string, isRequired: true, isPath: true, example: "\"audio/office.wav\"",
                "The WAV file that goes round and round, 0.2 s to 5 min; relative to the document."),
            Field("levelDb", .number(-60...0), default: -20, "Level of the background, relative to the file, in dB."),
            Field("duckDb", .number(0...60), default: 12, "How much lower it is while the agent speaks, in dB."),
            Field(
                "attackMs", .integer(1...2000), default: 30, isAdvanced: true,
                "Time constant of lowering it, in milliseconds."),
            Field(
                "releaseMs", .integer(1...10000), default: 400, isAdvanced: true,
                "Time constant of raising it again, in milliseconds."),
        ])

    public func problems(in settings: Settings) -> [SettingsProblem] {
        guard let path = path(settings), !path.contains("${") else { return [] }
        do {
            _ = try sounds.loop(ofFile: path, sampleRate: 8000)
            return []
        } catch {
            return [SettingsProblem(field: "sound", .unreadableFile, error.message)]
        }
    }

    public func problems(in settings: Settings, at place: StagePlace) -> [SettingsProblem] {
        guard place.isBeforeAgent else { return [] }
        return [
            SettingsProblem(
                .misplacedStage, "before the agent only the agent hears the background",
                remedy: "put it behind the agent")
        ]
    }

    /// Reads the sound as well, because documents are checked at leisure and calls are not made at leisure.
    public func output(for input: AudioFormat, settings: Settings) throws(FormatMismatch) -> AudioFormat {
        let format = try requireLinear(input, rates: StreamResampler.sampleRates)
        if let path = path(settings), !path.contains("${") {
            _ = try? sounds.loop(ofFile: path, sampleRate: input.sampleRate)
        }
        return format
    }

    public func makeProcessor(taking input: AudioFormat, settings: Settings) throws(PipelineError) -> any Processor {
        let loop = try sounds.loop(ofFile: path(settings) ?? "", sampleRate: input.sampleRate)
        return MixerStage(
            loop,
            Ducker.Parameters(
                level: settings.number("levelDb") ?? -20, depth: settings.number("duckDb") ?? 12,
                attack: settings.integer("attackMs") ?? 30, release: settings.integer("releaseMs") ?? 400),
            format: input)
    }

    private func path(_ settings: Settings) -> String? {
        settings.string("sound").map { $0.hasPrefix("/") ? $0 : "\(settings.directory(of: "sound"))/\($0)" }
    }
}

/// Adds the background to what passes, and makes packets of it while nothing passes.
///
/// It keeps count of until when the carrier has something to play. From ``Frame/callStarted(_:)`` on it looks every 20 ms,
/// and gives background as soon as there is less than 60 ms; in the middle of an utterance only when there is less than 20,
/// because whatever it puts between the agent's packets is heard as a gap between them. It goes on while a barge-in holds the
/// agent back.
struct MixerStage: Processor {
    private var loop: SoundLoop
    private var ducker: Ducker
    private let format: AudioFormat
    private var editor = SampleEditor()
    private var background: [Int16] = []
    /// When all that was handed on will have been played.
    private var sentUntil = MediaTime.zero
    /// When the last word of it will have been.
    private var spokenUntil = MediaTime.zero
    private var generation: UInt32 = 0
    private var isUtteranceOpen = false
    /// While the call holds the agent back: how much of what was handed on it keeps, to play it when the agent goes on.
    private var keptBack: TimeSpan?
    /// Samples handed on beyond the last whole packet.
    private var remainder = 0
    private(set) var deadline: MediaTime?

    private static let interval = TimeSpan.milliseconds(20)
    private static let lead = TimeSpan.milliseconds(60)
    private static let leadInUtterance = TimeSpan.milliseconds(20)

    init(_ loop: SoundLoop, _ parameters: Ducker.Parameters, format: AudioFormat) {
        self.loop = loop
        self.format = format
        ducker = Ducker(parameters, sampleRate: format.sampleRate)
    }

    private var packetLength: Int { max(1, format.sampleRate / 50) }

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        if let stamp = frame.generation { generation = max(generation, stamp) }
        switch frame {
        case .audio(let audio):
            if !audio.isBackground { isUtteranceOpen = true }
            try mix(under: audio, at: now, into: &output)
        case .utteranceEnded:
            isUtteranceOpen = false
            // The call fills the last packet with silence, which would be a hole in the background.
            if deadline != nil, remainder > 0 { send(packetLength - remainder, at: now, into: &output) }
            output.emit(frame)
        case .callStarted:
            sentUntil = now
            deadline = now + Self.interval
            output.emit(frame)
            fill(at: now, into: &output)
        case .interruption(let interruption):
            generation = max(generation, interruption.generation)
            carrierCleared(at: now)
            spokenUntil = now
            keptBack = nil
            isUtteranceOpen = false
            remainder = 0
            output.emit(frame)
            if deadline != nil { fill(at: now, into: &output) }
        case .bargeIn(.started):
            if keptBack == nil {
                // Background behind the last word is not kept.
                keptBack = max(.zero, spokenUntil - now)
                carrierCleared(at: now)
            }
            output.emit(frame)
            if deadline != nil { fill(at: now, into: &output) }
        case .bargeIn(.dismissed):
            // The call hands the carrier what it kept itself; it does not come by here again.
            if let keptBack {
                sentUntil = max(sentUntil, now) + keptBack
                spokenUntil = sentUntil
            }
            keptBack = nil
            output.emit(frame)
        case .hangup, .callEnded:
            deadline = nil
            output.emit(frame)
        default:
            output.emit(frame)
        }
    }

    mutating func deadlineReached(at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        guard var next = deadline else { return }
        while next <= now { next = next + Self.interval }
        deadline = next
        fill(at: now, into: &output)
    }

    /// The carrier has thrown away what was not played; the background goes on from where it was cut.
    private mutating func carrierCleared(at now: MediaTime) {
        let unplayed = max(.zero, sentUntil - now)
        loop.rewind(by: Int(unplayed.nanoseconds * Int64(format.sampleRate) / 1_000_000_000))
        sentUntil = now
    }

    /// Gives background packets until the carrier has enough.
    private mutating func fill(at now: MediaTime, into output: inout FrameOutput) {
        let lead = isUtteranceOpen && keptBack == nil ? Self.leadInUtterance : Self.lead
        while max(sentUntil, now) < now + lead { send(packetLength, at: now, into: &output) }
    }

    /// Hands on background and nothing else.
    private mutating func send(_ count: Int, at now: MediaTime, into output: inout FrameOutput) {
        read(count)
        var audio = editor.make(count, format: format, generation: generation) { samples in
            background.withUnsafeBufferPointer { ducker.mix($0, under: samples) }
        }
        audio.isBackground = true
        note(audio, at: now)
        output.emit(.audio(audio))
    }

    private mutating func mix(under voice: AudioFrame, at now: MediaTime, into output: inout FrameOutput)
        throws(PipelineError)
    {
        read(voice.payload.readableBytes / 2)
        let audio = try editor.edit(voice, rate: format.sampleRate) { samples in
            background.withUnsafeBufferPointer { ducker.mix($0, under: samples) }
        }
        note(audio, at: now)
        output.emit(.audio(audio))
    }

    private mutating func note(_ audio: AudioFrame, at now: MediaTime) {
        if !audio.isBackground, let keptBack {
            self.keptBack = keptBack + audio.duration
        } else {
            sentUntil = max(sentUntil, now) + audio.duration
            if !audio.isBackground { spokenUntil = sentUntil }
        }
        remainder = (remainder + audio.payload.readableBytes / 2) % packetLength
    }

    /// Fills `background` with the next samples of the sound.
    private mutating func read(_ count: Int) {
        if background.count < count {
            background.append(contentsOf: repeatElement(0, count: count - background.count))
        }
        background.withUnsafeMutableBufferPointer {
            loop.read(into: UnsafeMutableBufferPointer(rebasing: $0.prefix(count)))
        }
    }
}
