public import NIOCore
public import PatchbayAudio
public import PatchbayCore

/// What both sides of a call said, as it was at the caller's ear: sample by sample at the same time.
public struct FileSound: Sendable, Equatable {
    public var caller: [Int16]
    public var agent: [Int16]
    /// In Hz.
    public var sampleRate: Int
    /// Messages or payloads of the call that could not be used.
    public var faults: Int

    /// Interleaved: caller left, agent right.
    public var stereo: [Int16] {
        var stereo: [Int16] = []
        stereo.reserveCapacity(2 * caller.count)
        for (left, right) in zip(caller, agent) {
            stereo.append(left)
            stereo.append(right)
        }
        return stereo
    }
}

/// The other end of a ``FileTransport`` as a value: says what a file holds, a packet a tick, plays what comes in at real-time
/// speed, echoes marks when the audio before them has been played, and hangs up when both sides have fallen silent.
///
/// Sound that goes on evenly, as a background does, is nothing that anybody says and keeps no call open.
public struct FileLine {
    /// Packets so far, of ``packetDuration`` each.
    public private(set) var tick = 0
    public private(set) var isHungUp = false
    public let format: AudioFormat

    private var said: [Int16] = []
    private var heard: [Int16] = []
    private var faults = 0
    private let callSid: String
    private let file: [Int16]
    private let patience: Int
    private let limit: Int
    private let encoder: any AudioEncoder
    private let decoder: any AudioDecoder
    private var queue: [Int16] = []
    private var queueHead = 0
    private var received = 0
    private var played = 0
    private var marks: [(position: Int, mark: PlaybackMark)] = []
    /// Position behind the last packet that says something.
    private var saidUntil = 0
    private var quietTicks = 0
    /// Peaks of the packets received last, in a ring; the smallest is what goes on all the time.
    private var peaks: [Int]
    private var nextPeak = 0
    private var decoded: [Int16] = []
    private var room: [UInt8] = []

    /// Peak of a packet that counts as sound, of 32,768.
    private static let threshold = 400
    /// How far it has to stand out from what goes on all the time: 12 dB.
    private static let prominence = 4
    /// Speech is never so long without a quiet packet.
    private static let floorWindow = TimeSpan.seconds(1)

    /// - Parameters:
    ///   - file: What the caller says, at the rate of `format`, mono.
    ///   - patience: Silence on both sides, after the end of the file, after which the caller hangs up.
    ///   - limit: Time after which the caller hangs up in any case.
    /// - Throws: ``PipelineError/Code/unsupportedFormat`` when `format` cannot be encoded here, or is not mono.
    public init(
        _ file: [Int16], format: AudioFormat, callSid: String, patience: TimeSpan = .seconds(3),
        limit: TimeSpan = .seconds(3600)
    ) throws(PipelineError) {
        guard format.channelCount == 1, format.packetMicroseconds > 0, format.sampleFramesPerPacket > 0 else {
            throw PipelineError(.unsupportedFormat, "a file cannot take the place of a caller in \(format)")
        }
        do throws(CodecError) {
            encoder = try AudioCodecs.encoder(for: format)
            decoder = try AudioCodecs.decoder(for: format)
        } catch {
            throw PipelineError(
                .unsupportedFormat, "a file cannot take the place of a caller in \(format)", cause: error)
        }
        self.file = file
        self.format = format
        self.callSid = callSid
        let packet = Int64(format.packetMicroseconds) * 1000
        self.patience = Int(clamping: patience.nanoseconds / packet)
        self.limit = Int(clamping: limit.nanoseconds / packet)
        peaks = [Int](repeating: 0, count: max(1, Int(clamping: Self.floorWindow.nanoseconds / packet)))
    }

    /// Time between two ticks.
    public var packetDuration: TimeSpan { TimeSpan(nanoseconds: Int64(format.packetMicroseconds) * 1000) }

    /// What both sides said so far.
    public var sound: FileSound {
        FileSound(caller: said, agent: heard, sampleRate: format.sampleRate, faults: faults)
    }

    /// The first message of a stream.
    public mutating func begin(into batch: inout MessageBatch) {
        batch.binary { FileMessage.start(callSid: callSid).write(into: &$0) }
    }

    /// A packet's time has passed.
    public mutating func tick(into batch: inout MessageBatch) {
        guard !isHungUp else { return }
        sendPacket(into: &batch)
        playPacket(into: &batch)
        tick += 1
        let isOver = said.count >= file.count && quietTicks >= patience
        if isOver || tick >= limit { hangUp(into: &batch) }
    }

    /// A message of the call.
    public mutating func receive(_ message: ByteBuffer, into batch: inout MessageBatch) {
        do throws(FileMessage.Malformed) {
            switch try FileMessage(message) {
            case .audio(let payload, _): enqueue(payload)
            case .mark(let mark):
                marks.append((received, mark))
                echoMarks(into: &batch)
            case .clear:
                played += queue.count - queueHead
                queue.removeAll(keepingCapacity: true)
                queueHead = 0
                echoMarks(into: &batch)
            case .start, .stop: faults += 1
            }
        } catch {
            faults += 1
        }
    }

    /// Ends the stream from the caller's side.
    public mutating func hangUp(into batch: inout MessageBatch) {
        guard !isHungUp else { return }
        isHungUp = true
        batch.binary { FileMessage.stop.write(into: &$0) }
    }

    private mutating func sendPacket(into batch: inout MessageBatch) {
        let count = format.sampleFramesPerPacket
        let start = min(said.count, file.count)
        let spoken = file[start..<min(start + count, file.count)]
        said += spoken
        said += repeatElement(0, count: count - spoken.count)
        let milliseconds = Int64(tick) * Int64(format.packetMicroseconds) / 1000
        let needed = encoder.maximumPayload(forSamples: count)
        if room.count < needed { room += repeatElement(0, count: needed - room.count) }
        let packet = said.suffix(count)
        let length = packet.withUnsafeBufferPointer { packet in
            room.withUnsafeMutableBytes { (try? encoder.encode(packet, into: $0).byteCount) ?? 0 }
        }
        guard length > 0 else { return }
        let payload = ByteBuffer(bytes: room.prefix(length))
        batch.binary { FileMessage.audio(payload, milliseconds: milliseconds).write(into: &$0) }
    }

    private mutating func enqueue(_ payload: ByteBuffer) {
        payload.withUnsafeReadableBytes { bytes in
            let needed = decoder.sampleCount(of: bytes)
            if decoded.count < needed { decoded += repeatElement(0, count: needed - decoded.count) }
            guard let count = decoded.withUnsafeMutableBufferPointer({ try? decoder.decode(bytes, into: $0) }) else {
                faults += 1
                return
            }
            queue += decoded.prefix(count)
            received += count
            let peak = decoded.prefix(count).reduce(0) { max($0, abs(Int($1))) }
            peaks[nextPeak] = peak
            nextPeak = (nextPeak + 1) % peaks.count
            let floor = peaks.min() ?? 0
            if peak > max(Self.threshold, Self.prominence * floor) { saidUntil = received }
        }
    }

    private mutating func playPacket(into batch: inout MessageBatch) {
        let size = format.sampleFramesPerPacket
        let count = min(size, queue.count - queueHead)
        let packet = queue[queueHead..<queueHead + count]
        heard += packet
        heard += repeatElement(0, count: size - count)
        quietTicks = played >= saidUntil && said.count > file.count ? quietTicks + 1 : 0
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
            batch.binary { FileMessage.mark(mark.mark).write(into: &$0) }
        }
    }
}
