import NIOCore
import PatchbayConfig
import PatchbayCore
import PatchbayWire

/// What came of a recorded call, as expectations of a test.
struct RecordedExpectations {
    /// Stretches of sound nearer to each other than this may be one the next time.
    private static let clearPause = TimeSpan.milliseconds(700)
    private static let wordLimit = 60

    private let call: RecordedCall
    private let start: TimeSpan

    init(_ call: RecordedCall, start: TimeSpan) {
        self.call = call
        self.start = start
    }

    /// At least one: a test that expects nothing is none.
    var lines: [String] {
        let lines = backend + sounds + interruptions + words + tools + sent + end
        // A log that breaks off before anything was heard.
        return lines.isEmpty ? ["{ \"agent\": \"silent\" }"] : lines
    }

    private func window(_ time: TimeSpan, _ tolerance: TimeSpan = ScenarioRecorder.tolerance) -> String {
        "\"fromMs\": \((time - tolerance).milliseconds), \"withinMs\": \((time + tolerance).milliseconds)"
    }

    private var backend: [String] {
        guard let last = call.connections.last else {
            return call.header["backend"].map { ["{ \"backend\": \(literal($0)) }"] } ?? []
        }
        let hasSpoken = call.messages.contains { $0.way == .fromAgent && $0.connection == call.connections.count - 1 }
        return last.connected != nil && hasSpoken ? ["{ \"backend\": \(literal(last.backend)) }"] : []
    }

    /// What the caller heard, played as the caller's phone did.
    private var sounds: [String] {
        var lines: [String] = []
        let stretches = heard
        var previous: SoundTrack.Stretch?
        for (index, stretch) in stretches.enumerated().prefix(ScenarioRecorder.maximumOfAKind) {
            if previous.map({ stretch.start - $0.end >= Self.clearPause }) ?? true {
                lines.append("{ \"agent\": \"speaks\", \(window(stretch.start)) }")
            }
            let next = index + 1 < stretches.count ? stretches[index + 1] : nil
            let isCutByEnd = call.ended.map { $0.time - start - stretch.end < .seconds(1) } ?? true
            if next.map({ $0.start - stretch.end >= Self.clearPause }) ?? !isCutByEnd {
                lines.append("{ \"agent\": \"stops\", \(window(stretch.end)) }")
            }
            previous = stretch
        }
        return lines
    }

    private var heard: [SoundTrack.Stretch] {
        let scenario = Scenario(
            name: "", line: 0, number: nil, from: "", at: .distantPast, context: [:], ring: .zero,
            limit: .seconds(86_400),
            soundThreshold: 400, voice: "en", caller: [], connections: [], expectations: [])
        guard let begin = call.messages.lazy.map(\.decoded).first(where: { $0.isStart }),
            case .start(let description)? = begin.event,
            var phone = try? ScenarioCaller(scenario, start: description, directory: ".")
        else { return [] }
        var trace = ScenarioTrace(soundThreshold: 400)
        var batch = MessageBatch()
        var messages = call.messages.filter { $0.way == .toCarrier }[...]
        let end = (call.ended?.time ?? call.messages.last?.time ?? start) - start
        var now = TimeSpan.zero
        while now <= end {
            phone.tick(at: now, agentsWait: false, &trace, into: &batch)
            while let message = messages.first, message.time - start <= now {
                messages.removeFirst()
                phone.receive(ByteBuffer(string: message.text), at: now, &trace, into: &batch)
            }
            phone.play(&trace)
            batch.clear()
            now = now + .milliseconds(20)
        }
        return trace.agent.stretches
    }

    private var interruptions: [String] {
        call.messages.filter { $0.way == .toCarrier && $0.text.contains("\"clear\"") }.prefix(
            ScenarioRecorder.maximumOfAKind
        ).map {
            "{ \"sentToCarrier\": { \"event\": \"clear\" }, \(window($0.time - start)) }"
        }
    }

    /// What the agent said, where its protocol tells.
    private var words: [String] {
        var audio = ByteBuffer()
        return call.messages.lazy.filter {
            $0.way == .fromAgent && call.connections.indices.contains($0.connection)
                && $0.form != .base64
        }.compactMap { message -> String? in
            audio.clear()
            let bytes = ByteBuffer(string: message.text)
            let text: String
            switch call.connections[message.connection].backend {
            case "elevenlabs":
                guard case .agentResponse(let words, _)? = try? ElevenLabsServerMessage.decode(bytes, audio: &audio)
                else { return nil }
                text = words
            case "websocket":
                guard case .text(let words)? = try? AgentSocketServerMessage.decode(bytes, audio: &audio),
                    words.speaker == .agent, words.isFinal
                else { return nil }
                text = words.text
            default: return nil
            }
            return "{ \"agentSays\": \(literal(String(text.prefix(Self.wordLimit)))) }"
        }.prefix(ScenarioRecorder.maximumOfAKind).map { $0 }
    }

    /// Every call of a tool that had arguments to look at.
    private var tools: [String] {
        call.tools.filter { $0.arguments.hasPrefix("{") }.prefix(ScenarioRecorder.maximumOfAKind).map { use in
            "{ \"toolCalled\": \(literal(use.tool)), \"with\": \(use.arguments), "
                + "\(window(use.time - start, .milliseconds(500))) }"
        }
    }

    /// The first message of each type to the agent.
    private var sent: [String] {
        var seen: Set<String> = []
        return call.messages.filter { $0.way == .toAgent && $0.form != .base64 }.compactMap { message in
            guard message.text.utf8.count <= ScenarioRecorder.inlineBytes * 10,
                case .object(let members)? = try? SourceText(file: "", message.text).readJSON().content,
                case .string(let type)? = members.first(where: { $0.key == "type" })?.value.content,
                seen.insert(type).inserted
            else { return nil }
            return "{ \"sent\": { \"type\": \(quoted(type)) }, \(window(message.time - start, .milliseconds(500))) }"
        }.prefix(ScenarioRecorder.maximumOfAKind).map { $0 }
    }

    private var end: [String] {
        guard let (time, kind) = call.ended, EndReasons.all.contains(kind) else { return [] }
        return ["{ \"ends\": \(quoted(kind)), \(window(time - start, .milliseconds(500))) }"]
    }
}
