import NIOCore
import Testing

@testable import PatchbayWire

@Suite struct OpenAIRealtimeClientEventTests {
    typealias Event = OpenAIRealtimeClientEvent
    typealias Item = OpenAIRealtimeItem

    private static let session: OpenAIRealtimeSession = {
        var session = OpenAIRealtimeSession()
        session.type = "realtime"
        session.outputModalities = ["audio"]
        session.instructions = "Be brief."
        session.inputFormat = .pcmu
        session.noiseReduction = .on("near_field")
        session.transcription = .off
        session.turnDetection = .off
        session.outputFormat = .pcmu
        session.voice = "marin"
        return session
    }()

    static let golden: [(String, Event)] = [
        (
            #"{"type":"session.update","event_id":"e","session":{"type":"realtime","output_modalities":["audio"],"instructions":"Be brief.","audio":{"input":{"format":{"type":"audio/pcmu"},"transcription":null,"noise_reduction":{"type":"near_field"},"turn_detection":null},"output":{"format":{"type":"audio/pcmu"},"voice":"marin"}}}}"#,
            .sessionUpdate(session)
        ),
        (#"{"type":"input_audio_buffer.commit","event_id":"e"}"#, .commitAudio),
        (#"{"type":"input_audio_buffer.clear","event_id":"e"}"#, .clearAudio),
        (
            #"{"type":"conversation.item.create","event_id":"e","previous_item_id":"root","item":{"id":"own","type":"message","role":"system","content":[{"type":"input_text","text":"a \"b\""}]}}"#,
            .createItem(.text(.system, "a \"b\"", id: "own"), previousItemID: "root")
        ),
        (
            #"{"type":"conversation.item.create","event_id":"e","item":{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi."}]}}"#,
            .createItem(.text(.assistant, "Hi."), previousItemID: nil)
        ),
        (
            #"{"type":"conversation.item.create","event_id":"e","item":{"type":"function_call_output","call_id":"call_1","output":"{\"ok\":true}"}}"#,
            .createItem(
                Item(.functionCallOutput(callID: "call_1", output: #"{"ok":true}"#)), previousItemID: nil)
        ),
        (
            #"{"type":"conversation.item.truncate","event_id":"e","item_id":"item_1","content_index":0,"audio_end_ms":1500}"#,
            .truncateItem(id: "item_1", contentIndex: 0, audioEndMs: 1500)
        ),
        (#"{"type":"conversation.item.delete","event_id":"e","item_id":"item_1"}"#, .deleteItem(id: "item_1")),
        (#"{"type":"conversation.item.retrieve","event_id":"e","item_id":"item_1"}"#, .retrieveItem(id: "item_1")),
        (#"{"type":"response.create","event_id":"e"}"#, .createResponse(.init())),
        (
            #"{"type":"response.create","event_id":"e","response":{"instructions":"Greet.","output_modalities":["audio"]}}"#,
            .createResponse(.init(instructions: "Greet.", outputModalities: ["audio"]))
        ),
        (#"{"type":"response.cancel","event_id":"e"}"#, .cancelResponse(id: nil)),
        (#"{"type":"response.cancel","event_id":"e","response_id":"resp_1"}"#, .cancelResponse(id: "resp_1")),
        (#"{"type":"output_audio_buffer.clear","event_id":"e"}"#, .clearOutputAudio),
        (#"{"type":"something.new","event_id":"e"}"#, .other(type: "something.new")),
    ]

    private func decode(_ text: String) throws(OpenAIRealtimeFault) -> (event: Event, eventID: String?) {
        var audio = ByteBuffer()
        return try Event.decode(buffer(text), audio: &audio)
    }

    private func fault(_ text: String) -> OpenAIRealtimeFault? {
        do throws(OpenAIRealtimeFault) {
            _ = try decode(text)
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: golden) func writes(golden: String, event: Event) {
        #expect(text { event.write(eventID: "e", into: &$0) } == golden)
    }

    @Test(arguments: golden) func reads(text: String, event: Event) throws {
        let decoded = try decode(text)
        #expect(decoded.event == event)
        #expect(decoded.eventID == "e")
    }

    @Test func truncatedAtEveryByte() {
        for (text, _) in Self.golden {
            for count in 0..<text.utf8.count {
                #expect(fault(String(text.prefix(count)))?.code == "invalid_json", "\(text.prefix(count))")
            }
        }
    }

    @Test func audioIsWrittenByHandAndReadsBack() throws {
        let bytes: [UInt8] = [0x7F, 0x7F, 0x7F]
        let written = text { buffer in
            bytes.withUnsafeBytes { OpenAIRealtimeWriter.appendAudio($0, into: &buffer) }
        }
        #expect(written == #"{"type":"input_audio_buffer.append","audio":"f39/"}"#)
        for message in [
            written, #"{"audio":"f39/","type":"input_audio_buffer.append"}"#,
            #"{"event_id":"e","type":"input_audio_buffer.append","audio":"f39\/"}"#,
        ] {
            var audio = ByteBuffer()
            #expect(try Event.decode(buffer(message), audio: &audio).event == .appendAudio(byteCount: 3))
            #expect(Array(audio.readableBytesView) == bytes)
        }
    }

    /// A flat session, and text parts by their former names.
    @Test func theBetaProtocol() {
        #expect(
            text { Event.sessionUpdate(Self.session).write(dialect: .beta, into: &$0) }
                == #"{"type":"session.update","session":{"modalities":["audio","text"],"instructions":"Be brief.","voice":"marin","input_audio_format":"g711_ulaw","output_audio_format":"g711_ulaw","input_audio_transcription":null,"input_audio_noise_reduction":{"type":"near_field"},"turn_detection":null}}"#
        )
        let item = Event.createItem(.text(.assistant, "Hi."), previousItemID: nil)
        #expect(text { item.write(dialect: .beta, into: &$0) }.contains(#"{"type":"text","text":"Hi."}"#))
    }

    @Test(
        arguments: [
            (#"{"event_id":"e"}"#, "invalid_event", nil),
            (#"{"type":"session.update"}"#, "missing_required_parameter", "session"),
            (#"{"type":"session.update","session":{}}"#, "missing_required_parameter", "session.type"),
            (#"{"type":"session.update","session":{"type":"chat"}}"#, "invalid_value", "session.type"),
            (
                #"{"type":"session.update","session":{"type":"realtime","temperature":0.8}}"#, "unknown_parameter",
                "session.temperature"
            ),
            (
                #"{"type":"session.update","session":{"type":"realtime","output_modalities":["audio","text"]}}"#,
                "invalid_value", "session.output_modalities"
            ),
            (
                #"{"type":"session.update","session":{"type":"realtime","audio":{"output":{"voice":"nobody"}}}}"#,
                "invalid_value", "session.audio.output.voice"
            ),
            (
                #"{"type":"session.update","session":{"type":"realtime","audio":{"output":{"speed":3}}}}"#,
                "invalid_value", "session.audio.output.speed"
            ),
            (
                #"{"type":"session.update","session":{"type":"realtime","audio":{"input":{"format":{"type":"audio/pcm","rate":16000}}}}}"#,
                "invalid_value", "session.audio.input.format"
            ),
            (
                #"{"type":"session.update","session":{"type":"realtime","audio":{"input":{"turn_detection":{"type":"server_vad","eagerness":"low"}}}}}"#,
                "unknown_parameter", "session.audio.input.turn_detection.eagerness"
            ),
            (
                #"{"type":"session.update","session":{"type":"realtime","max_output_tokens":5000}}"#, "invalid_value",
                "session.max_output_tokens"
            ),
            (
                #"{"type":"session.update","session":{"type":"realtime","tools":[{"type":"function"}]}}"#,
                "missing_required_parameter", "session.tools[0].name"
            ),
            (#"{"type":"input_audio_buffer.append","audio":"A"}"#, "invalid_json", nil),
            (#"{"type":"input_audio_buffer.append"}"#, "invalid_value", "audio"),
            (#"{"type":"conversation.item.create","item":{}}"#, "missing_required_parameter", "item"),
            (
                #"{"type":"conversation.item.create","item":{"type":"message","role":"assistant","content":[{"type":"output_audio"}]}}"#,
                "invalid_value", "item.content[0].type"
            ),
            (
                #"{"type":"conversation.item.truncate","item_id":"i","content_index":0,"audio_end_ms":"5"}"#,
                "invalid_type", "audio_end_ms"
            ),
            (
                #"{"type":"conversation.item.truncate","item_id":"i","content_index":0,"audio_end_ms":-5}"#,
                "invalid_type", "audio_end_ms"
            ),
            (#"{"type":"conversation.item.delete"}"#, "missing_required_parameter", "item_id"),
            ("nonsense", "invalid_json", nil),
        ] as [(String, String, String?)])
    func refused(text: String, code: String, param: String?) {
        let fault = fault(text)
        #expect(fault?.code == code)
        #expect(fault?.param == param)
    }

    @Test func aFaultNamesTheEvent() {
        #expect(fault(#"{"type":"conversation.item.delete","event_id":"e7"}"#)?.eventID == "e7")
    }

    /// Changed at random: a value or a fault, never a trap; what is taken is JSON.
    @Test(arguments: [UInt64(20_261_121), 5, 99]) func mutated(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let seeds =
            (Self.golden.map(\.0) + OpenAIRealtimeServerEventTests.golden.map(\.0) + [
                #"{"type":"response.output_audio.delta","response_id":"r","item_id":"i","output_index":0,"content_index":0,"delta":"AQIDBA=="}"#,
                #"{"type":"input_audio_buffer.append","audio":"f39/f39\/fw=="}"#,
            ]).map { Array($0.utf8) }
        var decoder = OpenAIRealtimeServerDecoder(maximumAudio: 64)
        var accepted = 0
        for _ in 0..<6_000 {
            var bytes = seeds[Int.random(in: 0..<seeds.count, using: &generator)]
            for _ in 0..<Int.random(in: 1...3, using: &generator) where !bytes.isEmpty {
                let position = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[position] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                case 2:
                    let end = min(bytes.count, position + Int.random(in: 1...20, using: &generator))
                    bytes.removeSubrange(position..<end)
                default:
                    let other = seeds[Int.random(in: 0..<seeds.count, using: &generator)]
                    let from = Int.random(in: 0..<other.count, using: &generator)
                    bytes.insert(contentsOf: other[from..<min(other.count, from + 30)], at: position)
                }
            }
            let message = ByteBuffer(bytes: bytes)
            var audio = ByteBuffer()
            let server = try? decoder.decode(message, audio: &audio)
            let client = try? Event.decode(message, audio: &audio, maximumAudio: 64)
            #expect(audio.readableBytes <= 128, "seed \(seed)")
            guard server != nil || client != nil else { continue }
            accepted += 1
            #expect(throws: Never.self, "seed \(seed): \(String(buffer: message))") { try checkJSON(bytes) }
        }
        #expect(accepted > 50, "seed \(seed): mutations too harsh to test what is accepted")
        print("openai mutations: seed \(seed), \(accepted) of 6,000 accepted")
    }
}
