import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTransports
import PatchbayWire

/// The caller's phone at the other end of the carrier's stream, as a value: Twilio's messages both ways.
///
/// Follows its steps, sends a packet every 20 ms, plays what comes in at real-time speed and echoes marks when the audio
/// before them has been played.
struct ScenarioCaller {
    /// Both sides silent for so long after the last step: the caller hangs up.
    static let patience = TimeSpan.seconds(3)
    static let keyInterval = TimeSpan.milliseconds(240)

    private enum Voice {
        case nothing
        /// What is left of a step's sound.
        case speaking(ArraySlice<UInt8>, step: CallerStep)
    }

    private var writer: TwilioPhoneWriter
    private let decoder: TwilioCommandDecoder
    private var steps: ArraySlice<(step: CallerStep, sound: [UInt8])>
    private let threshold: Int
    private let limit: TimeSpan
    private var voice = Voice.nothing
    private var keys: [(time: TimeSpan, key: Character)] = []
    /// When speech of steps under way begins and ends.
    private var edges: [(time: TimeSpan, event: EventName)] = []
    private var busyUntil = TimeSpan.zero
    private var cursor = 0
    private var packets = 0
    private var isPreviousDone = true
    /// Name of the step that began last.
    private var previousName: String?
    private var queue = CircularBuffer<UInt8>()
    private var received = 0
    private var played = 0
    private var playing = 0
    private var marks: [(position: Int, name: String)] = []
    private var payload = ByteBuffer()
    private(set) var isHungUp = false
    private(set) var isCutOff = false

    /// - Throws: When a sound cannot be made.
    init(_ scenario: Scenario, start: TwilioStart, directory: String) throws(PipelineError) {
        writer = TwilioPhoneWriter(start: start)
        decoder = TwilioCommandDecoder(streamSid: start.streamSid)
        threshold = scenario.soundThreshold
        limit = scenario.limit
        var steps: [(step: CallerStep, sound: [UInt8])] = []
        for step in scenario.caller {
            steps.append((step, try Self.sound(of: step, voice: scenario.voice, directory: directory)))
        }
        self.steps = steps[...]
    }

    /// Steps that have not begun.
    var waiting: [CallerStep] { steps.map(\.step) }

    private static func sound(of step: CallerStep, voice: String, directory: String) throws(PipelineError) -> [UInt8] {
        switch step.action {
        case .say(let speech):
            return Array(
                try AgentSpeech.audio(speech, in: .telephony, voice: voice, directory: directory).readableBytesView)
        case .tone(let frequency, let duration, let level):
            return Tone(frequency, level: level)
                .samples(
                    count: Int(duration.milliseconds) * SoundTrack.sampleRate / 1000, sampleRate: SoundTrack.sampleRate
                )
                .map { G711.encodeMulaw($0) }
        case .silence(let duration):
            return [UInt8](repeating: 0xFF, count: Int(duration.milliseconds) * SoundTrack.sampleRate / 1000)
        case .press, .hangUp, .cutOff: return []
        }
    }

    // MARK: Time

    /// Time has come to `now`: sends the packet that has just been spoken and begins what is due.
    ///
    /// - Parameter agentsWait: Whether the agents' sides have nothing to do on their own any more.
    mutating func tick(
        at now: TimeSpan, agentsWait: Bool, _ trace: inout ScenarioTrace, into batch: inout MessageBatch
    ) {
        guard !isHungUp else { return }
        if now == .zero {
            batch.text { writer.connected(into: &$0) }
            batch.text { writer.start(into: &$0) }
            trace.note(.streamStarted, at: now)
        } else {
            played = playing
            echoMarks(into: &batch)
            sendPacket(&trace, into: &batch)
        }
        noteEdges(until: now, &trace)
        pressKeys(at: now, &trace, into: &batch)
        runSteps(at: now, &trace, into: &batch)
        guard !isHungUp else { return }
        let lastSound = max(trace.agent.stretches.last?.end ?? .zero, busyUntil)
        if now >= limit || steps.isEmpty && agentsWait && now - lastSound >= Self.patience { hangUp(into: &batch) }
    }

    /// Plays what is heard from `now` until the next tick.
    mutating func play(_ trace: inout ScenarioTrace) {
        var packet: [Int16] = []
        packet.reserveCapacity(SoundTrack.packetSamples)
        for _ in 0..<min(SoundTrack.packetSamples, queue.count) { packet.append(G711.decodeMulaw(queue.removeFirst())) }
        playing += packet.count
        while packet.count < SoundTrack.packetSamples { packet.append(0) }
        switch trace.agent.append(packet) {
        case .starts(let time)?: trace.note(.agentSpeaks, at: time)
        case .stops(let time)?: trace.note(.agentStops, at: time)
        case nil: break
        }
    }

    /// The call is over.
    mutating func close(at now: TimeSpan, _ trace: inout ScenarioTrace) {
        isHungUp = true
        if case .stops(let time)? = trace.agent.close() { trace.note(.agentStops, at: time) }
        _ = trace.caller.close()
        noteEdges(until: now, &trace)
    }

    // MARK: What the server says

    mutating func receive(
        _ message: ByteBuffer, at now: TimeSpan, _ trace: inout ScenarioTrace, into batch: inout MessageBatch
    ) {
        payload.clear()
        do {
            switch try decoder.decode(message, payload: &payload) {
            case .media:
                received += payload.readableBytes
                queue.append(contentsOf: payload.readableBytesView)
            case .mark(let name):
                marks.append((received, name))
                trace.sentToCarrier.append(.init(time: now, payload: message))
                echoMarks(into: &batch)
            case .clear:
                trace.sentToCarrier.append(.init(time: now, payload: message))
                queue.removeAll()
                // Marks of what was thrown away come back at once (Twilio's "clear" message).
                received = playing
                played = playing
                for index in marks.indices { marks[index].position = min(marks[index].position, played) }
                echoMarks(into: &batch)
            }
        } catch {
            trace.problems.append("the phone would refuse a message: \(error)")
        }
    }

    private mutating func echoMarks(into batch: inout MessageBatch) {
        while let mark = marks.first, mark.position <= played {
            marks.removeFirst()
            batch.text { writer.mark(mark.name, into: &$0) }
        }
    }

    // MARK: What the caller does

    private mutating func sendPacket(_ trace: inout ScenarioTrace, into batch: inout MessageBatch) {
        var packet: [UInt8] = []
        if case .speaking(let sound, let step) = voice {
            packet += sound.prefix(SoundTrack.packetSamples)
            let rest = sound.dropFirst(SoundTrack.packetSamples)
            voice = rest.isEmpty ? .nothing : .speaking(rest, step: step)
            if rest.isEmpty { finish(step, at: busyUntil, &trace) }
        }
        packet += repeatElement(0xFF, count: SoundTrack.packetSamples - packet.count)
        _ = trace.caller.append(packet.map { G711.decodeMulaw($0) })
        let timestamp = packets * 20
        packets += 1
        packet.withUnsafeBytes { bytes in
            batch.text { writer.media(bytes, timestamp: timestamp, into: &$0) }
        }
    }

    private mutating func noteEdges(until now: TimeSpan, _ trace: inout ScenarioTrace) {
        while let edge = edges.first, edge.time <= now {
            edges.removeFirst()
            trace.note(edge.event, at: edge.time)
        }
    }

    private mutating func pressKeys(at now: TimeSpan, _ trace: inout ScenarioTrace, into batch: inout MessageBatch) {
        while let (time, key) = keys.first, time <= now {
            keys.removeFirst()
            trace.note(.keyPressed, at: now, String(key))
            batch.text { writer.dtmf(key, into: &$0) }
        }
    }

    private mutating func runSteps(at now: TimeSpan, _ trace: inout ScenarioTrace, into batch: inout MessageBatch) {
        while !isHungUp, let (step, sound) = steps.first, isDue(step, at: now, trace) {
            steps.removeFirst()
            begin(step, sound, at: now, &trace, into: &batch)
        }
    }

    private func isDue(_ step: CallerStep, at now: TimeSpan, _ trace: ScenarioTrace) -> Bool {
        switch step.time {
        case .at(let time): return now >= time
        case .after(nil, let plus): return isPreviousDone && now >= busyUntil + plus
        case .after(let event?, let plus):
            let isOwnBeginning = previousName.map { event == .begin(of: $0) } ?? false
            guard isPreviousDone || event.number != nil || isOwnBeginning,
                let time = trace.time(of: event, after: event.isOfAStep ? 0 : cursor)
            else { return false }
            return now >= time + plus
        }
    }

    private mutating func begin(
        _ step: CallerStep, _ sound: [UInt8], at now: TimeSpan, _ trace: inout ScenarioTrace,
        into batch: inout MessageBatch
    ) {
        if let name = step.name { trace.note(.begin(of: name), at: now) }
        previousName = step.name
        isPreviousDone = false
        switch step.action {
        case .say, .tone, .silence:
            // Whoever begins to say something else breaks off.
            if case .speaking(_, let former) = voice { finish(former, at: now, &trace) }
            isPreviousDone = false
            let samples = sound.map { G711.decodeMulaw($0) }
            edges.removeAll()
            for stretch in SoundTrack.stretches(in: samples, threshold: threshold) {
                edges.append((now + (stretch.start - .zero), .callerSpeaks))
                edges.append((now + (stretch.end - .zero), .callerStops))
            }
            noteEdges(until: now, &trace)
            busyUntil = now + .milliseconds(Int64((sound.count + 159) / 160 * 20))
            if sound.isEmpty { finish(step, at: now, &trace) } else { voice = .speaking(sound[...], step: step) }
        case .press(let pressed):
            var time = now
            for key in pressed {
                keys.append((time, key))
                time = time + Self.keyInterval
            }
            pressKeys(at: now, &trace, into: &batch)
            busyUntil = max(busyUntil, time - Self.keyInterval)
            finish(step, at: now, &trace)
        case .hangUp:
            hangUp(into: &batch)
            finish(step, at: now, &trace)
        case .cutOff:
            isHungUp = true
            isCutOff = true
            finish(step, at: now, &trace)
        }
    }

    private mutating func finish(_ step: CallerStep, at now: TimeSpan, _ trace: inout ScenarioTrace) {
        noteEdges(until: now, &trace)
        if let name = step.name { trace.note(.end(of: name), at: now) }
        cursor = trace.entries.count
        isPreviousDone = true
    }

    private mutating func hangUp(into batch: inout MessageBatch) {
        isHungUp = true
        batch.text { writer.stop(into: &$0) }
    }
}
