import NIOCore
import PatchbayAudio
import PatchbayCore

/// The rules of ``TransportConformance``.
struct SerializerCheck {
    private let carrier: TransportConformance.Carrier
    private(set) var findings = ConformanceFindings()

    init(_ carrier: TransportConformance.Carrier) { self.carrier = carrier }

    private var packet: ByteBuffer {
        ByteBuffer(bytes: (0..<max(20, carrier.format.bytesPerPacket)).map { UInt8(truncatingIfNeeded: $0 &* 7) })
    }

    /// One whole stream.
    mutating func stream(_ new: any CarrierSerializer) {
        var serializer = new
        guard begin(&serializer) else { return }
        let sound = packet
        read(carrier.media(sound, 20), .media, &serializer) { event in
            guard case .audio(let payload, let position) = event else { return "it was read as \(event)" }
            guard payload == sound else { return "\(sound.readableBytes) bytes went in, others came out" }
            return position.timestampMilliseconds == 20
                ? nil : "its time is 20 ms and was read as \(position.timestampMilliseconds)"
        }
        for key in "0123456789*#" {
            guard let message = carrier.dtmf?(key) else { break }
            read(message, .dtmf, &serializer) { event in
                if case .dtmf(key) = event { nil } else { "the key \(key) was read as \(event)" }
            }
        }
        marks(&serializer)
        let cleared = written { serializer.clear(into: &$0) }
        if carrier.canClear { findings.expect(!cleared.isEmpty, .writes, "a clear became no message") }
        if let stop = carrier.stop {
            read(stop, .stop, &serializer) { event in
                if case .stopped = event { nil } else { "the end was read as \(event)" }
            }
        }
    }

    private mutating func begin(_ serializer: inout any CarrierSerializer) -> Bool {
        var hasBegun = false
        let agreed = carrier.format
        read(carrier.start, .start, &serializer) { event in
            guard case .started(let start, let format) = event else { return "it was read as \(event)" }
            hasBegun = true
            guard !start.streamSid.isEmpty, !start.callSid.isEmpty else { return "the call or the stream has no name" }
            return format == agreed ? nil : "its format is \(agreed) and was read as \(format)"
        }
        return hasBegun
    }

    private mutating func marks(_ serializer: inout any CarrierSerializer) {
        guard let answer = carrier.mark else { return }
        for mark in [
            PlaybackMark(generation: 0, offsetMilliseconds: 0), PlaybackMark(generation: 3, offsetMilliseconds: 4800),
            PlaybackMark(generation: .max, offsetMilliseconds: 36_000_000),
        ] {
            guard let message = written({ serializer.mark(mark, into: &$0) }).first else {
                findings.add(.mark, "\(mark) became no message")
                continue
            }
            read(answer(message), .mark, &serializer) { event in
                if case .mark(mark) = event { nil } else { "\(mark) came back as \(event)" }
            }
        }
    }

    /// Payloads of all sizes in, packets out.
    mutating func payloads(_ new: any CarrierSerializer) {
        var serializer = new
        guard (try? serializer.deserialize(carrier.start)) != nil else { return }
        var time: Int64 = 0
        // Carriers document 20 ms and send up to 8,000 bytes.
        for size in [1, 7, 160, 640, 1000, 8000] {
            let payload = ByteBuffer(bytes: (0..<size).map { UInt8(truncatingIfNeeded: $0) })
            time += 20
            read(carrier.media(payload, time), .media, &serializer) { event in
                if case .audio(payload, _) = event { nil } else { "a payload of \(size) bytes was read as \(event)" }
            }
        }
        let sound = packet
        for count in 1...3 {
            let messages = written { batch in for _ in 0..<count { serializer.audio(sound, into: &batch) } }
            findings.expect(
                messages.count >= count && messages.allSatisfy { $0.readableBytes > 0 }, .writes,
                "\(count) packets became \(messages.count) messages")
        }
        guard let heard = carrier.heard else { return }
        // Packets that differ, so that one written twice is not taken for two.
        let packets = (0..<3).map { number in
            ByteBuffer(bytes: packet.readableBytesView.map { $0 &+ UInt8(number) })
        }
        let messages = written { batch in for packet in packets { serializer.audio(packet, into: &batch) } }
        let sounds = messages.compactMap(heard).flatMap { Array($0.readableBytesView) }
        findings.expect(
            sounds == packets.flatMap { Array($0.readableBytesView) }, .writes,
            "the sound of three packets is not what the carrier reads: \(sounds.count) bytes")
    }

    /// Every beginning of every message, and copies with some bytes changed, left out or put in.
    mutating func brokenMessages(_ make: () -> any CarrierSerializer, seed: UInt64) {
        var whole: [(rule: ConformanceFailure.Rule, message: ByteBuffer)] = [(.media, carrier.media(packet, 20))]
        if let dtmf = carrier.dtmf { whole.append((.dtmf, dtmf("5"))) }
        if let stop = carrier.stop { whole.append((.stop, stop)) }
        var serializer = make()
        if let answer = carrier.mark, (try? serializer.deserialize(carrier.start)) != nil {
            let message = written { serializer.mark(PlaybackMark(generation: 1, offsetMilliseconds: 240), into: &$0) }
            if let message = message.first { whole.append((.mark, answer(message))) }
        }
        var random = SeededGenerator(seed: seed)
        for (_, message) in whole {
            for length in 0..<message.readableBytes {
                let start = message.getSlice(at: message.readerIndex, length: length) ?? ByteBuffer()
                offer(start, make, "its first \(length) of \(message.readableBytes) bytes", isCut: true)
            }
            for _ in 0..<100 {
                offer(mutated(message, &random), make, "a copy with errors (seed \(seed))", isCut: false)
            }
        }
        for length in 0..<carrier.start.readableBytes {
            var fresh = make()
            let start = carrier.start.getSlice(at: carrier.start.readerIndex, length: length) ?? ByteBuffer()
            if let error = refusal(of: start, &fresh).error { examine(error) }
        }
    }

    /// Shows a broken message to a serializer whose stream runs, and a good one after it.
    private mutating func offer(
        _ message: ByteBuffer, _ make: () -> any CarrierSerializer, _ name: String, isCut: Bool
    ) {
        var serializer = make()
        guard (try? serializer.deserialize(carrier.start)) != nil else { return }
        let (event, error) = refusal(of: message, &serializer)
        if let error {
            examine(error)
        } else if isCut, carrier.noticesTruncation, let event {
            if case .ignored = event {} else { findings.add(.malformed, "\(name) were read as \(event)") }
        }
        // Errors that make another message of it may end the stream; otherwise it goes on.
        if case .stopped? = event { return }
        do {
            if case .audio = try serializer.deserialize(carrier.media(packet, 40)) { return }
            findings.add(.malformed, "after \(name), sound was read as something else: \(String(buffer: message))")
        } catch {
            findings.add(.malformed, "after \(name), sound is refused: \(error)")
        }
    }

    private mutating func examine(_ error: any Error) {
        let isOwn = !(error is DecodingError) && !(error is CancellationError) && !"\(type(of: error))".hasPrefix("NS")
        findings.expect(
            isOwn, .malformed,
            "it threw \(type(of: error)), which says nothing of the carrier: throw an error of your own")
        findings.expect(!"\(error)".isEmpty, .malformed, "it threw an error that says nothing")
    }

    private func refusal(
        of message: ByteBuffer, _ serializer: inout any CarrierSerializer
    ) -> (event: CarrierEvent?, error: (any Error)?) {
        do { return (try serializer.deserialize(message), nil) } catch { return (nil, error) }
    }

    private mutating func read(
        _ message: ByteBuffer, _ rule: ConformanceFailure.Rule, _ serializer: inout any CarrierSerializer,
        _ objection: (CarrierEvent) -> String?
    ) {
        do {
            if let seen = objection(try serializer.deserialize(message)) { findings.add(rule, seen) }
        } catch {
            findings.add(rule, "it was refused: \(error)")
        }
    }

    private func written(_ write: (inout MessageBatch) -> Void) -> [ByteBuffer] {
        var batch = MessageBatch()
        write(&batch)
        return batch.messages.indices.map { batch.message(at: $0) }
    }

    private func mutated(_ message: ByteBuffer, _ random: inout SeededGenerator) -> ByteBuffer {
        var bytes = Array(message.readableBytesView)
        for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
            let place = Int.random(in: bytes.indices, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 2: bytes.remove(at: place)
            default: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
            }
        }
        return ByteBuffer(bytes: bytes)
    }
}
