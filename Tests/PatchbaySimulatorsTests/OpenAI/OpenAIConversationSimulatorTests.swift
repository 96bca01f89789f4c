import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire
import Testing

@testable import PatchbaySimulators

/// The simulated session on a clock that is a number, with sound made of bytes instead of a synthesizer's.
@Suite struct OpenAIConversationSimulatorTests {
    typealias Event = OpenAIRealtimeServerEvent

    private struct Client {
        var simulator: OpenAIConversationSimulator
        var output = SimulatorOutput()
        var now = MediaTime(milliseconds: 0)
        var events: [Event] = []
        var audioBytes = 0
        private var decoder = OpenAIRealtimeServerDecoder()

        init(_ model: OpenAISimulatedModel = OpenAISimulatedModel(), name: String = "gpt-realtime") {
            simulator = OpenAIConversationSimulator(model, name: name, sessionID: "s") { format in
                // A second for every line.
                let sound = ByteBuffer(repeating: 0x55, count: format.bytesPerSecond)
                let lines = model.script.fixedLines
                return Dictionary(lines.map { ($0, SimulatedUtterance(text: $0, audio: sound)) }) { first, _ in first }
            }
            simulator.open(at: now, into: &output)
            collect()
        }

        mutating func send(_ event: OpenAIRealtimeClientEvent, eventID: String? = nil, audio: [UInt8] = []) {
            var message = ByteBuffer()
            audio.withUnsafeBytes { event.write(eventID: eventID, audio: $0, into: &message) }
            send(String(buffer: message))
        }

        mutating func send(_ text: String) {
            simulator.receive(ByteBuffer(string: text), at: now, into: &output)
            collect()
        }

        mutating func pass(_ milliseconds: Int64) {
            now = now + .milliseconds(milliseconds)
            simulator.deadlineReached(at: now, into: &output)
            collect()
        }

        /// Speech is loud noise of µ-law, silence is silence; the clock goes along.
        mutating func say(_ milliseconds: Int, isSilence: Bool = false) {
            for index in 0..<milliseconds / 20 {
                let bytes = (0..<160).map { (place: Int) -> UInt8 in
                    isSilence ? 0xFF : (place / 8 + index) % 2 == 0 ? 0x10 : 0x90
                }
                send(.appendAudio(byteCount: 0), audio: bytes)
                pass(20)
            }
        }

        mutating func takeEvents() -> [Event] {
            defer { events = [] }
            return events
        }

        mutating func takeTypes() -> [String] { takeEvents().map(\.type) }

        mutating func telephone(_ change: (inout OpenAIRealtimeSession) -> Void = { _ in }) {
            var session = OpenAIRealtimeSession()
            session.type = "realtime"
            session.inputFormat = .pcmu
            session.outputFormat = .pcmu
            session.transcription = .on(.init(model: "whisper-1"))
            change(&session)
            send(.sessionUpdate(session))
            events = []
        }

        private mutating func collect() {
            for index in output.messages.messages.indices {
                var audio = ByteBuffer()
                do {
                    events.append(try decoder.decode(output.messages.message(at: index), audio: &audio))
                } catch {
                    Issue.record("\(error)")
                }
                audioBytes += audio.readableBytes
            }
            output.messages.clear()
        }
    }

    @Test func aTurnHasTheVendorsEventsInTheirOrder() {
        var client = Client()
        #expect(client.takeTypes() == ["session.created", "conversation.created"])
        client.telephone()
        client.say(600)
        client.say(700, isSilence: true)
        client.pass(2000)
        let types = client.takeTypes()
        let expected = [
            "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped", "input_audio_buffer.committed",
            "conversation.item.added", "conversation.item.done", "response.created", "rate_limits.updated",
            "response.output_item.added", "response.content_part.added", "response.output_audio_transcript.delta",
            "response.output_audio.delta", "response.output_audio.done", "response.output_audio_transcript.done",
            "response.content_part.done", "response.output_item.done", "response.done",
        ]
        var rest = types[...]
        for type in expected {
            guard let index = rest.firstIndex(of: type) else {
                Issue.record("\(type) is missing in \(types)")
                return
            }
            rest = rest[(index + 1)...]
        }
        #expect(types.contains("conversation.item.input_audio_transcription.completed"))
        #expect(client.audioBytes == 8000)
    }

    @Test func speechCancelsTheResponseAndTruncationIsChecked() {
        var client = Client()
        client.telephone()
        client.send(.createResponse(.init()))
        client.pass(210)
        client.say(300)
        let events = client.takeEvents()
        var item = ""
        for case .audioDelta(let place, _) in events { item = place.itemID }
        let done = events.compactMap { if case .responseDone(let response) = $0 { response } else { nil } }
        #expect(done.first?.status == "cancelled" && done.first?.reason == "turn_detected")
        client.send(.truncateItem(id: item, contentIndex: 0, audioEndMs: 100_000))
        client.send(.truncateItem(id: "nobody", contentIndex: 0, audioEndMs: 1))
        client.send(.truncateItem(id: item, contentIndex: 0, audioEndMs: 100))
        client.send(.cancelResponse(id: nil))
        #expect(
            client.simulator.statistics.faults == [
                "invalid_value", "item_truncate_invalid_item_id", "response_cancel_not_active",
            ])
        #expect(client.simulator.statistics.truncations == [100])
    }

    @Test func oneResponseAtATime() {
        var client = Client()
        client.telephone()
        client.send(.createResponse(.init()), eventID: "a")
        client.send(.createResponse(.init()), eventID: "b")
        guard case .error(let fault)? = client.takeEvents().last else {
            Issue.record("expected a fault")
            return
        }
        #expect(fault.code == "conversation_already_has_active_response" && fault.eventID == "b")
    }

    @Test func withoutTurnDetectionTheClientCommits() {
        var client = Client()
        client.telephone { $0.turnDetection = .off }
        client.say(600)
        client.say(800, isSilence: true)
        #expect(client.takeTypes().isEmpty)
        client.send(.commitAudio)
        client.pass(200)
        #expect(client.takeTypes().contains("input_audio_buffer.committed"))
        client.send(.commitAudio)
        #expect(client.simulator.statistics.faults == ["input_audio_buffer_commit_empty"])
        client.pass(1000)
        #expect(client.audioBytes == 0, "a commit makes no response")
        client.send(.createResponse(.init()))
        client.pass(2000)
        #expect(client.audioBytes == 8000)
    }

    @Test func functionsAreCalledWhenDeclaredAndTheirOutputsSpoken() {
        var model = OpenAISimulatedModel()
        model.script.tools = [.init("look_up", parameters: #"{"id":7}"#, afterTurn: 0)]
        model.script.toolReply = "Done."
        var client = Client(model)
        client.telephone { $0.tools = [.init("look_up", description: "", parameters: "{}")] }
        client.send(.createResponse(.init()))
        client.pass(300)
        let calls = client.takeEvents().compactMap { event -> OpenAIRealtimeItem.FunctionCall? in
            if case .argumentsDone(_, let call) = event { call } else { nil }
        }
        #expect(calls.map(\.name) == ["look_up"] && calls.map(\.arguments) == [#"{"id":7}"#])
        client.send(.createItem(.init(.functionCallOutput(callID: "nobody", output: "")), previousItemID: nil))
        client.send(
            .createItem(
                .init(.functionCallOutput(callID: calls.first?.callID ?? "", output: "42")), previousItemID: nil))
        client.send(.createResponse(.init()))
        client.pass(3000)
        #expect(client.audioBytes == 8000)
        #expect(client.simulator.statistics.faults == ["invalid_tool_call_id"])
        #expect(client.simulator.statistics.functionOutputs.last == "42")
    }

    @Test func exactWordsAreSpoken() {
        var client = Client()
        client.telephone()
        client.send(.createResponse(.init(instructions: "Be kind.\n\nSay exactly this and nothing else: Good day!")))
        client.pass(300)
        #expect(client.output.speech?.text == "Good day!")
    }

    @Test func faultsAreInTheVendorsForm() {
        var client = Client()
        client.telephone()
        client.send(#"{"type":"session.update","event_id":"e7","session":{"type":"realtime","temperature":1}}"#)
        client.send("nonsense")
        client.send(#"{"type":"unheard.of"}"#)
        let faults = client.takeEvents().compactMap { if case .error(let fault) = $0 { fault } else { nil } }
        #expect(faults.map(\.code) == ["unknown_parameter", "invalid_json", "invalid_value"])
        #expect(faults.first?.param == "session.temperature" && faults.first?.eventID == "e7")
    }

    @Test func anUnknownModelAndAnOldSessionEnd() {
        var model = OpenAISimulatedModel(names: ["gpt-realtime"])
        model.timing.maximumDuration = .seconds(60)
        let unknown = Client(model, name: "other")
        #expect(unknown.output.close?.code == 4000 && unknown.simulator.statistics.faults == ["model_not_found"])
        var old = Client(model)
        old.pass(60_000)
        #expect(old.output.close?.code == 1001 && old.simulator.statistics.faults == ["session_expired"])
    }

    @Test func quotasFailResponses() {
        var model = OpenAISimulatedModel()
        model.faults.failResponses = "insufficient_quota"
        var client = Client(model)
        client.telephone()
        client.send(.createResponse(.init()))
        client.pass(300)
        guard case .responseDone(let response)? = client.takeEvents().last else {
            Issue.record("expected the end of a response")
            return
        }
        #expect(response.status == "failed" && response.fault?.code == "insufficient_quota")
    }
}
