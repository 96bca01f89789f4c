import NIOCore
import Testing

@testable import PatchbayWire

/// Mutated messages must give a value or a `WireError`; a trap ends the test process.
@Suite struct FuzzTests {
    private static let seeds: [[UInt8]] =
        [
            #"{"event":"connected","protocol":"Call","version":"1.0.0"}"#,
            #"{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC1","streamSid":"MZ1","callSid":"CA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{"a":"\u00e9\ud83d\ude00"}},"streamSid":"MZ1"}"#,
            #"{"event":"media","sequenceNumber":"4","media":{"track":"inbound","chunk":"2","timestamp":"25","payload":"f39/f39\/fw=="},"streamSid":"MZ1"}"#,
            #"{"event":"mark","sequenceNumber":"7","streamSid":"MZ1","mark":{"name":"m"}}"#,
            #"{"event":"dtmf","streamSid":"MZ1","sequenceNumber":"5","dtmf":{"track":"inbound_track","digit":"1"}}"#,
            #"{"event":"media","streamSid":"MZ1","media":{"payload":"AQID"}}"#,
            #"{"type":"audio","audio_event":{"audio_base_64":"AQIDBA==","event_id":5,"alignment":{"chars":["H","é"]}}}"#,
            #"{"user_audio_chunk":"f39/f39\/fw=="}"#,
        ].map { Array($0.utf8) }
        + (ElevenLabsServerMessageTests.golden.map(\.0) + ElevenLabsClientMessageTests.golden.map(\.0)).map {
            Array($0.utf8)
        }

    private static let fragments: [[UInt8]] = [
        "\"", "\\", "\\u", "\\ud800", "{", "}", "[", "]", ":", ",", "null", "-", "1e", "0", "99999999999999999999",
        "\u{0}", "é",
        "{\"a\":", "\"payload\":", "\"event\":\"media\"", "=", "\\/",
    ].map { Array($0.utf8) }

    private func mutate(_ message: [UInt8], using generator: inout SeededGenerator) -> [UInt8] {
        var bytes = message
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
            let position = Int.random(in: 0...bytes.count, using: &generator)
            switch Int.random(in: 0..<6, using: &generator) {
            case 0 where position < bytes.count: bytes[position] = UInt8.random(in: 0...255, using: &generator)
            case 1 where position < bytes.count: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            case 2 where position < bytes.count:
                let end = min(bytes.count, position + Int.random(in: 1...12, using: &generator))
                bytes.removeSubrange(position..<end)
            case 3:
                bytes.insert(
                    contentsOf: Self.fragments[Int.random(in: 0..<Self.fragments.count, using: &generator)],
                    at: position)
            case 4: bytes.removeLast(bytes.count - position)
            default:
                let other = Self.seeds[Int.random(in: 0..<Self.seeds.count, using: &generator)]
                let from = Int.random(in: 0...other.count, using: &generator)
                bytes.insert(contentsOf: other[from..<min(other.count, from + 30)], at: position)
            }
        }
        return bytes
    }

    @Test(arguments: [UInt64(20_260_101), 42, 7]) func mutatedMessages(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var server = TwilioMessageDecoder(maximumPayload: 1_024)
        server.streamSid = "MZ1"
        let phone = TwilioCommandDecoder(streamSid: "MZ1", maximumPayload: 1_024)
        var accepted = 0
        for _ in 0..<20_000 {
            let seedMessage = Self.seeds[Int.random(in: 0..<Self.seeds.count, using: &generator)]
            let message = ByteBuffer(bytes: mutate(seedMessage, using: &generator))
            var payload = ByteBuffer()
            let twilio = try? server.decode(message, payload: &payload)
            accepted += twilio == nil ? 0 : 1
            let command = try? phone.decode(message, payload: &payload)
            let client = try? ElevenLabsClientMessage.decode(message, audio: &payload, maximumAudio: 1_024)
            let agent = try? ElevenLabsServerMessage.decode(message, audio: &payload, maximumAudio: 1_024)
            #expect(payload.readableBytes <= 4 * 1_024, "seed \(seed)")
            // Whatever a decoder takes must be JSON to the general reader as well.
            if client != nil || agent != nil || twilio != nil || command != nil {
                #expect(throws: Never.self, "seed \(seed): \(String(buffer: message))") {
                    try checkJSON(Array(message.readableBytesView))
                }
            }
        }
        #expect(accepted > 100, "seed \(seed): mutations too harsh to test what is accepted")
        print("fuzz: seed \(seed), \(accepted) of 20,000 mutated messages accepted")
    }

    @Test func formsOfRandomBytes() {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<5_000 {
            let body = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                Bool.random(using: &generator)
                    ? Array("%&=+".utf8)[Int.random(in: 0..<4, using: &generator)]
                    : UInt8.random(in: 0...255, using: &generator)
            }
            let form = try? FormFields(parsing: body)
            let again = try? FormFields(parsing: Array((form?.encoded ?? "").utf8))
            // A field without name and value is written as "=", which reads back as itself.
            #expect(again == form, "seed 3: \(body)")
        }
    }
}
