public import NIOCore
import PatchbayAudio
public import PatchbayCore
public import PatchbayWire

/// One stream of a simulated phone as a value: it sends a packet every 20 ms, plays what comes in at real-time speed and
/// echoes marks when the audio before them has been played, as Twilio does.
///
/// Time is counted in ticks of 20 ms; tick `n` sends packet `n` and plays packet `n`, so both sides of the recording are
/// aligned by construction.
public struct PhoneLine: Sendable {
    /// Bytes of one packet.
    public static let packetBytes = 160
    private static let silence: UInt8 = 0xFF

    /// What happened on the line, with the tick it happened at.
    public enum Event: Sendable, Equatable {
        case clear
        case keyPressed(Character)
        case hungUp
        /// The server sent something that Twilio would refuse, with a reason.
        case refused(String)
    }

    /// What the caller said and what the caller heard, packet by packet.
    public private(set) var sent: [UInt8] = []
    public private(set) var heard: [UInt8] = []
    /// Every byte that came in, in order, whether or not it was played.
    public private(set) var receivedAudio: [UInt8] = []
    public private(set) var events: [(tick: Int, event: Event)] = []
    public private(set) var tick = 0
    /// Media messages that came in.
    public private(set) var packetsReceived = 0
    /// Whether the person hung up or the steps are over.
    public private(set) var isHungUp = false

    private var writer: TwilioPhoneWriter
    private let decoder: TwilioCommandDecoder
    private var steps: ArraySlice<PhoneStep>
    private var speaking: ArraySlice<UInt8> = []
    private var stepTick = 0
    private var queue: [UInt8] = []
    private var queueHead = 0
    private var marks: [(position: Int, name: String)] = []
    private var received = 0
    private var played = 0
    private var loudTicks = 0
    private var quietTicks = 0
    private var hasHeardSinceStep = false
    private var payload = ByteBuffer()

    public init(start: TwilioStart, steps: [PhoneStep]) {
        writer = TwilioPhoneWriter(start: start)
        decoder = TwilioCommandDecoder(streamSid: start.streamSid)
        self.steps = steps[...]
    }

    /// The first messages of a stream.
    public mutating func begin(into batch: inout MessageBatch) {
        batch.text { writer.connected(into: &$0) }
        batch.text { writer.start(into: &$0) }
    }

    /// Twenty milliseconds have passed.
    public mutating func tick(into batch: inout MessageBatch) {
        guard !isHungUp else { return }
        runSteps(into: &batch)
        guard !isHungUp else { return }
        sendPacket(into: &batch)
        playPacket(into: &batch)
        tick += 1
    }

    /// A message of the server.
    public mutating func receive(_ message: ByteBuffer, into batch: inout MessageBatch) {
        payload.clear()
        do {
            switch try decoder.decode(message, payload: &payload) {
            case .media:
                packetsReceived += 1
                received += payload.readableBytes
                queue.append(contentsOf: payload.readableBytesView)
                receivedAudio.append(contentsOf: payload.readableBytesView)
            case .mark(let name):
                marks.append((received, name))
                echoMarks(into: &batch)
            case .clear:
                note(.clear)
                played += queue.count - queueHead
                queue.removeAll(keepingCapacity: true)
                queueHead = 0
                echoMarks(into: &batch)
            }
        } catch {
            note(.refused("\(error)"))
        }
    }

    /// The words that end a stream from the phone's side.
    public mutating func hangUp(into batch: inout MessageBatch) {
        guard !isHungUp else { return }
        isHungUp = true
        note(.hungUp)
        batch.text { writer.stop(into: &$0) }
    }

    private mutating func note(_ event: Event) { events.append((tick, event)) }

    private mutating func runSteps(into batch: inout MessageBatch) {
        while speaking.isEmpty, let step = steps.first, isDue(step.trigger) {
            steps.removeFirst()
            stepTick = tick
            hasHeardSinceStep = false
            switch step.action {
            case .speak(let audio): speaking = audio[...]
            case .press(let digit):
                note(.keyPressed(digit))
                batch.text { writer.dtmf(digit, into: &$0) }
            case .hangUp: hangUp(into: &batch)
            }
        }
    }

    private func isDue(_ trigger: PhoneStep.Trigger) -> Bool {
        switch trigger {
        case .after(let milliseconds): (tick - stepTick) * 20 >= milliseconds
        case .afterPause(let milliseconds): hasHeardSinceStep && quietTicks * 20 >= milliseconds
        case .duringSpeech(let milliseconds): hasHeardSinceStep && quietTicks < 10 && loudTicks * 20 >= milliseconds
        }
    }

    private mutating func sendPacket(into batch: inout MessageBatch) {
        var packet = Array(speaking.prefix(Self.packetBytes))
        speaking = speaking.dropFirst(packet.count)
        if speaking.isEmpty, !packet.isEmpty {
            stepTick = tick + 1
            hasHeardSinceStep = false
        }
        packet += repeatElement(Self.silence, count: Self.packetBytes - packet.count)
        sent += packet
        packet.withUnsafeBytes { bytes in
            batch.text { writer.media(bytes, timestamp: tick * 20, into: &$0) }
        }
    }

    private mutating func playPacket(into batch: inout MessageBatch) {
        let count = min(Self.packetBytes, queue.count - queueHead)
        let packet = queue[queueHead..<queueHead + count]
        heard += packet
        heard += repeatElement(Self.silence, count: Self.packetBytes - count)
        let isLoud = packet.contains { abs(Int(G711.decodeMulaw($0))) > 400 }
        if isLoud {
            // A gap of more than 300 ms begins a new stretch of speech.
            if quietTicks > 15 { loudTicks = 0 }
            loudTicks += 1
            quietTicks = 0
            hasHeardSinceStep = true
        } else {
            quietTicks += 1
        }
        queueHead += count
        played += count
        if queueHead == queue.count {
            queue.removeAll(keepingCapacity: true)
            queueHead = 0
        } else if queueHead > 1 << 16 {
            queue.removeSubrange(0..<queueHead)
            queueHead = 0
        }
        echoMarks(into: &batch)
    }

    private mutating func echoMarks(into batch: inout MessageBatch) {
        while let mark = marks.first, mark.position <= played {
            marks.removeFirst()
            batch.text { writer.mark(mark.name, into: &$0) }
        }
    }
}
