import NIOCore
import PatchbayAudio
import PatchbayCore

/// The rules of ``ProcessorConformance``, each as a scene that is played with a new stage.
struct ProcessorCheck {
    let make: () throws -> any Processor
    let taking: AudioFormat
    let giving: AudioFormat
    let options: ProcessorConformance.Options
    var findings: ConformanceFindings
    /// Sound in the format that the stage takes, some packets and a piece of one, and as much silence.
    private(set) var voice: [ByteBuffer] = []
    private var silence: [ByteBuffer] = []

    init(
        make: @escaping () throws -> any Processor, taking: AudioFormat, giving: AudioFormat,
        options: ProcessorConformance.Options
    ) {
        self.make = make
        self.taking = taking
        self.giving = giving
        self.options = options
        findings = ConformanceFindings(exempt: options.exempt)
        do throws(CodecError) {
            let samples = ConformanceSound.voice(milliseconds: 307, sampleRate: taking.sampleRate, seed: options.seed)
            voice = try ConformanceSound.payloads(samples, format: taking)
            silence = try ConformanceSound.payloads(samples.map { _ in 0 }, format: taking)
        } catch {
            findings.add(.makes, "no sound can be made in \(taking): \(error)")
        }
    }

    /// Whether there is a stage to examine and sound for it.
    var isPossible: Bool {
        mutating get { !voice.isEmpty && begin("made") != nil }
    }

    /// A new stage in a run; what the run finds has to be handed back by ``end(_:)``.
    mutating func begin(_ context: String) -> ConformanceRun? {
        do {
            var processor = try make()
            processor.attach(StageMailbox(post: { _ in }, fail: { _ in }))
            return ConformanceRun(
                processor, taking: taking, giving: giving, context: context, findings: findings)
        } catch {
            findings.add(.makes, "making it threw: \(error)")
            return nil
        }
    }

    mutating func end(_ run: ConformanceRun) { findings = run.findings }

    static let callStart = Frame.callStarted(CallStart(callSid: "CA1", streamSid: "MZ1"))

    // MARK: Frames

    /// Frames of every case but audio; the last four are what no stage may keep for itself.
    private var everyFrame: [Frame] {
        let heard = Heard(text: "heard so far", duration: .milliseconds(1200), isComplete: false)
        return [
            .dtmf("5"), .dtmf("#"), .speechStarted, .speechPaused, .speechResumed, .speechStopped, .userTurnStarted,
            .userTurnEnded(TurnEnd(.silence, speechStoppedAt: MediaTime(milliseconds: 990))),
            .userTurnEnded(TurnEnd(.agent)), .agentStartedSpeaking, .agentStoppedSpeaking, .heard(heard),
            .bargeIn(.started), .bargeIn(.dismissed), .bargeIn(.confirmed), .interruptible(false), .interruptible(true),
            .recording(.pause), .recording(.resume), .failure(PipelineError(.stageFailed, "elsewhere", place: "x")),
            .text(TextFrame("by the caller", speaker: .caller, generation: 1)),
            .text(TextFrame("by the agent", speaker: .agent, isFinal: false, isCorrection: true, generation: 1)),
            .custom(ConformanceProbe(family: .system, number: 1, generation: nil)),
            .custom(ConformanceProbe(family: .data, number: 2, generation: 1)),
            .custom(ConformanceProbe(family: .control, number: 3, generation: 1)),
            .agentTurnStarted(generation: 1), Self.callStart,
            .utteranceEnded(generation: 1), .hangup(EndReason(.agentHungUp, "goodbye")),
            .interruption(Interruption(generation: 2, cause: "conformance", heard: heard)),
            .callEnded(EndReason(.callerHungUp)),
        ]
    }

    /// Every frame passes unchanged and once; system frames at once.
    mutating func frames() {
        let all = everyFrame
        for (index, frame) in all.enumerated() {
            let isDuty = index >= all.count - 4
            guard isDuty || !options.swallows(frame), var run = begin("passing \(caseName(of: frame))") else {
                continue
            }
            if case .callStarted = frame {} else { run.push(Self.callStart) }
            run.play([voice[0]], generation: 1)
            let atOnce = run.push(frame)
            switch frame {
            case .callEnded: break
            case .interruption: run.play([voice[0]], generation: 2)
            case .utteranceEnded: run.pass(100)
            default:
                run.play([voice[0]], generation: 1)
                run.push(.utteranceEnded(generation: 1))
                run.pass(100)
            }
            let wanted = exactText(of: frame)
            func isWanted(_ other: Frame) -> Bool {
                if case .audio = other { false } else { exactText(of: other) == wanted }
            }
            let count = run.frames.count(where: isWanted)
            let isAtOnce = atOnce.contains(where: isWanted)
            end(run)
            guard !run.isDead else { continue }
            findings.expect(
                count == 1, .passes,
                count == 0
                    ? "\(wanted) went in and never came out" : "\(wanted) went in once and came out \(count) times")
            if frame.family == .system, count > 0 {
                findings.expect(isAtOnce, .promptness, "\(wanted) was held back")
            }
        }
    }

    /// Texts, custom frames and sound come out in order.
    mutating func order() {
        guard var run = begin("keeping order") else { return }
        for index in 0..<6 {
            let generation = UInt32(index)
            run.push(.text(TextFrame("text \(index)", speaker: .caller, generation: generation)))
            run.play([voice[index % voice.count]], generation: generation)
            run.push(.custom(ConformanceProbe(family: .data, number: index, generation: generation)))
        }
        run.push(.utteranceEnded(generation: 5))
        run.pass(100)
        end(run)
        var texts: [String] = [], numbers: [Int] = [], stamps: [UInt32] = []
        for frame in run.frames {
            switch frame {
            case .text(let text): texts.append(text.text)
            case .custom(let custom): if let probe = custom as? ConformanceProbe { numbers.append(probe.number) }
            case .audio(let audio): if !audio.isBackground { stamps.append(audio.generation) }
            default: break
            }
        }
        findings.expect(texts == texts.sorted(), .order, "texts came out as \(texts)")
        findings.expect(numbers == numbers.sorted(), .order, "custom frames came out as \(numbers)")
        findings.expect(stamps == stamps.sorted(), .order, "sound of the turns came out as \(stamps)")
    }

    // MARK: Turns

    /// Nothing of a cut turn comes out any more.
    mutating func interruption() {
        guard var run = begin("at an interruption") else { return }
        run.push(Self.callStart)
        run.play(Array(voice.prefix(10)), generation: 1)
        let before = run.frames.count
        run.push(.interruption(Interruption(generation: 2, cause: "conformance")))
        run.play(Array(silence.prefix(5)), generation: 2)
        run.push(.utteranceEnded(generation: 2))
        run.pass(200)
        end(run)
        let after = Array(run.frames[before...])
        for frame in after {
            if let stamp = frame.generation, stamp < 2, frame.isDroppedByInterruption {
                findings.add(
                    .interruption, "\(caseName(of: frame)) of generation \(stamp) came out after the interruption to 2")
            }
        }
        let peak = ConformanceSound.samples(of: after.spoken, format: giving).map { abs(Int($0)) }.max() ?? 0
        findings.expect(
            peak < 3277, .interruption,
            "silence went in after the interruption, and sound of the cut turn came out (peak \(peak) of 32767)")
    }

    /// The tail comes, all of it, before the end of the utterance.
    mutating func tail() {
        guard var run = begin("at the end of an utterance") else { return }
        run.play(voice, generation: 1)
        let last = run.push(.utteranceEnded(generation: 1))
        let late = run.pass(500)
        end(run)
        guard !run.isDead else { return }
        if let place = last.firstIndex(where: { if case .utteranceEnded = $0 { true } else { false } }) {
            findings.expect(
                Array(last[(place + 1)...]).spoken.isEmpty, .tail, "sound came out behind utteranceEnded")
        }
        findings.expect(
            late.spoken.isEmpty, .tail, "sound came out after utteranceEnded had passed, although none had gone in")
        let given = voice.reduce(0) { $0 + taking.nanoseconds(byteCount: $1.readableBytes) }
        let got = run.spoken.reduce(0) { $0 + giving.nanoseconds(byteCount: $1.payload.readableBytes) }
        let packet = Int64(max(taking.packetMicroseconds, giving.packetMicroseconds)) * 1000
        findings.expect(
            got >= given - 500_000, .tail,
            "\(milliseconds(given)) ms of sound went in and \(milliseconds(got)) ms came out: the tail is missing")
        findings.expect(
            got <= given + run.delay.nanoseconds + 2 * packet, .tail,
            "\(milliseconds(given)) ms of sound went in and \(milliseconds(got)) ms came out: some of it is heard twice"
        )
    }

    // MARK: Sound

    /// Any size of packet does.
    mutating func packets() {
        guard let unit = taking.bytesPerUnit else { return }
        let bytes = ByteBuffer(bytes: voice.flatMap { Array($0.readableBytesView) })
        let second = taking.byteCount(milliseconds: 1000) / unit * unit
        for (name, size) in [
            ("one sample", unit), ("7 ms", taking.byteCount(milliseconds: 7) / unit * unit), ("no sample", 0),
            ("one second", second),
        ] {
            guard var run = begin("packets of \(name)") else { return }
            var rest = bytes
            if size > rest.readableBytes { rest.writeRepeatingByte(taking.encoding.silenceByte, count: size) }
            for _ in 0..<(size == second ? 1 : 5) {
                run.push(rest.readSlice(length: size) ?? ByteBuffer(), generation: 1)
                run.pass(20)
            }
            run.push(.utteranceEnded(generation: 1))
            run.pass(40)
            end(run)
            if run.isDead { findings.add(.packets, "packets of \(name) made it throw") }
        }
    }

    /// However the sound is cut, the same comes out.
    mutating func cuts() {
        guard let unit = taking.bytesPerUnit else { return }
        let bytes = ByteBuffer(bytes: voice.flatMap { Array($0.readableBytesView) })
        var random = SeededGenerator(seed: options.seed)
        let longest = max(1, taking.byteCount(milliseconds: 50) / unit)
        var whole: [UInt8]?
        for attempt in 0..<4 {
            guard var run = begin("sound cut at random (seed \(options.seed))") else { return }
            var rest = bytes
            while rest.readableBytes > 0 {
                let size = attempt == 0 ? rest.readableBytes : unit * Int.random(in: 1...longest, using: &random)
                run.push(rest.readSlice(length: min(size, rest.readableBytes)) ?? ByteBuffer(), generation: 1)
            }
            run.push(.utteranceEnded(generation: 1))
            end(run)
            guard !run.isDead else { return }
            let out = run.spoken.flatMap { Array($0.payload.readableBytesView) }
            guard let first = whole else {
                whole = out
                continue
            }
            if first != out {
                let place = zip(first, out).enumerated().first { $0.element.0 != $0.element.1 }?.offset
                findings.add(
                    .cuts,
                    "in one piece \(first.count) bytes come out, in random pieces (seed \(options.seed)) \(out.count)"
                        + (place.map { ", different from byte \($0) on" } ?? ""))
            }
        }
    }

    /// The declared delay is the true one, where a short sound can be found again in what comes out.
    mutating func delay() {
        let rate = taking.sampleRate
        let pulse = ConformanceSound.pulse(at: 200, lasting: 400, sampleRate: rate)
        guard let payloads = try? ConformanceSound.payloads(pulse, format: taking),
            var run = begin("measuring the delay")
        else { return }
        var given: Int64 = 0, got: Int64 = 0, withheld: Int64 = 0, seen = 0
        for payload in payloads {
            run.play([payload], generation: 1)
            given += taking.nanoseconds(byteCount: payload.readableBytes)
            got += Array(run.frames[seen...]).spoken.reduce(0) {
                $0 + giving.nanoseconds(byteCount: $1.payload.readableBytes)
            }
            seen = run.frames.count
            withheld = max(withheld, given - got)
        }
        run.push(.utteranceEnded(generation: 1))
        end(run)
        // What went in, as a decoder hears it: some codecs have a delay of their own.
        let frames = payloads.map { AudioFrame($0, format: taking) }
        let before = ConformanceSound.place(
            in: ConformanceSound.samples(of: frames, format: taking), sampleRate: rate)
        let after = ConformanceSound.place(
            in: ConformanceSound.samples(of: run.spoken, format: giving), sampleRate: giving.sampleRate)
        // Softened by more than 12 dB it is another sound.
        guard let before, let after, after.energy > before.energy / 16 else { return }
        let measured = Double(withheld) / 1e9 + after.seconds - before.seconds
        findings.expect(
            abs(measured - run.delay.seconds) <= 0.001, .delay,
            "it declares \(milliseconds(run.delay.nanoseconds)) ms and takes \(milliseconds(Int64(measured * 1e9))) ms")
    }

    // MARK: The same again, and nonsense

    /// The same scene gives the same output in another stage.
    mutating func determinism() {
        guard let first = scene("a whole scene")?.lines, let second = scene("the same scene again")?.lines else {
            return
        }
        for index in 0..<max(first.count, second.count) {
            let line = index < first.count ? first[index] : "nothing"
            let other = index < second.count ? second[index] : "nothing"
            guard line != other else { continue }
            findings.add(.determinism, "the first time came \(line), the second time \(other)")
            return
        }
    }

    /// Something of everything that can happen to a stage.
    private mutating func scene(_ context: String) -> ConformanceRun? {
        guard var run = begin(context) else { return nil }
        run.push(Self.callStart)
        run.push(.agentStartedSpeaking)
        run.play(Array(voice.prefix(8)), generation: 0)
        for frame: Frame in [.speechStarted, .dtmf("5"), .bargeIn(.started)] { run.push(frame) }
        run.pass(300)
        run.push(.bargeIn(.dismissed))
        run.pass(100)
        run.push(.agentTurnStarted(generation: 0))
        run.play(Array(voice.prefix(3)), generation: 0)
        run.push(.interruption(Interruption(generation: 1, cause: "conformance")))
        run.push(.agentStoppedSpeaking)
        run.play(Array(voice.suffix(8)), generation: 1)
        for frame: Frame in [.speechPaused, .speechResumed, .speechStopped, .dtmf("#")] { run.push(frame) }
        run.push(.text(TextFrame("hello", speaker: .agent, generation: 1)))
        run.push(.utteranceEnded(generation: 1))
        run.pass(1000)
        run.push(.userTurnEnded(TurnEnd(.agent)))
        run.push(.hangup(EndReason(.agentHungUp)))
        run.pass(200)
        run.push(.callEnded(EndReason(.callerHungUp)))
        end(run)
        return run
    }

    /// Generations in no order are no reason to trap or to throw.
    mutating func disorder() {
        guard var run = begin("generations in disorder") else { return }
        for (index, generation) in [5, 2, 9, 0, UInt32.max, 1, UInt32.max].enumerated() {
            run.play([voice[index % voice.count]], generation: generation)
            run.push(.text(TextFrame("x", speaker: .agent, generation: generation)))
            if index % 2 == 1 { run.push(.interruption(Interruption(generation: UInt32(index), cause: "conformance"))) }
            if index % 3 == 2 { run.push(.utteranceEnded(generation: generation &+ 1)) }
            run.push(.agentTurnStarted(generation: generation))
        }
        run.push(.interruption(Interruption(generation: 0, cause: "conformance")))
        run.push(.utteranceEnded(generation: 3))
        run.pass(200)
        run.push(.callEnded(EndReason(.failure)))
        run.push(.interruption(Interruption(generation: 1, cause: "conformance")))
        end(run)
    }
}

private func milliseconds(_ nanoseconds: Int64) -> String { "\((Double(nanoseconds) / 1e5).rounded() / 10)" }
