import PatchbayAudio
import PatchbayCore

/// Turns keys into tones between the agent's words.
///
/// A key sounds after what has been sent before it, and passes on itself behind its tones. Keys that come faster than they
/// can be played wait here rather than at the carrier, so that an interruption, which empties the carrier's buffer, loses
/// none: one whose tone was cut before anybody could tell it is sounded again.
struct DTMFGeneratorStage: Processor {
    private struct Key {
        var digit: Character
        /// Its frame has been passed on already.
        var isRepeated = false
    }

    private var generator: DTMFGenerator
    private let format: AudioFormat
    private var editor = SampleEditor()
    private var waiting: [Key] = []
    /// Keys that have been handed on, and when their tones begin to be played.
    private var sent: [(digit: Character, start: MediaTime)] = []
    /// When all that was handed on will have been played.
    private var sentUntil = MediaTime.zero
    /// When all of it that is no background will have been.
    private var spokenUntil = MediaTime.zero
    /// While the call holds the agent back: since when, and how much of what was handed on it keeps to play it later.
    private var pause: (since: MediaTime, keptBack: TimeSpan)?
    private var generation: UInt32 = 0
    private(set) var deadline: MediaTime?

    /// Keys that may wait; more are dropped.
    private static let mostWaiting = 64
    /// How far playback may be behind when the next key is handed on. More than the lead that the agent's audio is sent with
    /// by default (200 ms), so that no word comes between two keys; with a key of 200 ms it stays below 450.
    private static let lead = TimeSpan.milliseconds(240)
    /// The tone that is taken for heard when it is cut. A receiver must recognise 40 ms and refuse 23 (ITU-T Q.24); between
    /// the two nobody can know.
    private static let shortestTone = TimeSpan.milliseconds(30)

    init(_ generator: DTMFGenerator, format: AudioFormat) {
        self.generator = generator
        self.format = format
    }

    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        if let stamp = frame.generation { generation = max(generation, stamp) }
        switch frame {
        case .audio(let audio):
            note(audio, at: now)
            output.emit(frame)
        case .dtmf(let digit):
            guard DTMFKeypad.frequencies(of: digit) != nil else { return output.emit(frame) }
            if waiting.count < Self.mostWaiting { waiting.append(Key(digit: digit)) }
            sendDue(at: now, into: &output)
        case .interruption(let interruption):
            generation = max(generation, interruption.generation)
            output.emit(frame)
            interrupt(at: now, into: &output)
        case .bargeIn(.started):
            if pause == nil { pause = (now, max(.zero, spokenUntil - now)) }
            sentUntil = now
            deadline = nil
            output.emit(frame)
        case .bargeIn(.dismissed):
            output.emit(frame)
            resume(at: now, into: &output)
        case .hangup:
            pause = nil
            while !waiting.isEmpty { send(waiting.removeFirst(), at: now, into: &output) }
            deadline = nil
            output.emit(frame)
        case .callEnded:
            waiting.removeAll()
            deadline = nil
            output.emit(frame)
        default:
            output.emit(frame)
        }
    }

    mutating func deadlineReached(at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        sendDue(at: now, into: &output)
    }

    private mutating func sendDue(at now: MediaTime, into output: inout FrameOutput) {
        guard pause == nil else { return }
        while !waiting.isEmpty, sentUntil <= now + Self.lead {
            send(waiting.removeFirst(), at: now, into: &output)
        }
        deadline = waiting.isEmpty ? nil : now + .milliseconds(20)
    }

    private mutating func send(_ key: Key, at now: MediaTime, into output: inout FrameOutput) {
        sent.removeAll { $0.start + Self.shortestTone <= now }
        sent.append((key.digit, max(sentUntil, now)))
        generator.append(key.digit)
        sendSamples(generator.samplesPerKey, at: now, into: &output)
        if !key.isRepeated { output.emit(.dtmf(key.digit)) }
    }

    /// Hands on samples of the generator, or silence where it has none, in packets.
    private mutating func sendSamples(_ count: Int, at now: MediaTime, into output: inout FrameOutput) {
        var rest = count
        while rest > 0 {
            let part = min(rest, format.sampleRate / 50)
            rest -= part
            let audio = editor.make(part, format: format, generation: generation) { _ = generator.generate(into: $0) }
            note(audio, at: now)
            output.emit(.audio(audio))
        }
    }

    private mutating func note(_ audio: AudioFrame, at now: MediaTime) {
        if !audio.isBackground, let pause {
            self.pause = (pause.since, pause.keptBack + audio.duration)
        } else {
            sentUntil = max(sentUntil, now) + audio.duration
            if !audio.isBackground { spokenUntil = sentUntil }
        }
    }

    /// The call plays what it kept; the tones in it come as much later.
    private mutating func resume(at now: MediaTime, into output: inout FrameOutput) {
        guard let pause else { return }
        self.pause = nil
        let start = max(sentUntil, now)
        for index in sent.indices { sent[index].start = sent[index].start + (start - pause.since) }
        sentUntil = start + pause.keptBack
        spokenUntil = sentUntil
        sendDue(at: now, into: &output)
    }

    private mutating func interrupt(at now: MediaTime, into output: inout FrameOutput) {
        let cutAt = pause?.since ?? now
        let wasSounding = (pause.map { $0.keptBack > .zero } ?? (sentUntil > now)) && !sent.isEmpty
        pause = nil
        sentUntil = now
        spokenUntil = now
        let cut = sent.filter { $0.start + Self.shortestTone > cutAt }
        sent.removeAll(keepingCapacity: true)
        waiting.insert(contentsOf: cut.map { Key(digit: $0.digit, isRepeated: true) }, at: 0)
        guard !waiting.isEmpty else { return }
        // What was cut off and what follows must not run into one tone.
        let gap = generator.parameters.pauseMilliseconds
        if wasSounding { sendSamples(format.sampleRate * gap / 1000, at: now, into: &output) }
        sendDue(at: now, into: &output)
    }
}
