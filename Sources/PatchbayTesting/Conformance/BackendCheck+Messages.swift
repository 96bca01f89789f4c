import NIOCore
import PatchbayCore

// Messages that cannot be used.
extension BackendCheck {
    /// Longer words of a fault would fill logs with what a vendor sent.
    private static let longestFault = 2000
    /// Beginnings of one message that are tried; of longer ones a sample.
    private static let mostBeginnings = 200

    mutating func survivesTheMalformed() {
        guard var run = readyRun(outputFormat) else { return }
        run.isCallerSpeaking = false
        let whole = messages(&run)
        for message in whole where !message.isBinary {
            let count = message.payload.readableBytes
            for length in stride(from: 1, to: count, by: max(1, count / Self.mostBeginnings)) {
                let start = message.payload.getSlice(at: message.payload.readerIndex, length: length) ?? ByteBuffer()
                // Text messages are whole characters: a socket refuses others.
                guard String(validating: start.readableBytesView, as: UTF8.self) != nil else { continue }
                let name = "the first \(length) bytes of \(String(buffer: message.payload).prefix(60))…"
                offer(AgentPeerMessage(start), name, mustCount: true, &run)
                guard run.failure == nil, run.end == nil else { return }
            }
        }
        for (name, message, mustCount) in Self.garbage { offer(message, name, mustCount: mustCount, &run) }
        var random = SeededGenerator(seed: options.seed)
        for message in whole {
            for _ in 0..<50 {
                let changed = Self.mutated(message, &random)
                guard changed.isBinary || String(validating: changed.payload.readableBytesView, as: UTF8.self) != nil
                else { continue }
                offer(changed, "a copy with errors (seed \(options.seed))", mustCount: false, &run)
            }
        }
        expectGoingOn(run, .agentMalformed, "after messages that cannot be used")
        for case .fault(let words) in run.witness.current.events.map(\.event) where words.count > Self.longestFault {
            findings.add(.agentMalformed, "a fault of \(words.count) characters: \(words.prefix(60))…")
        }
        // Copies with errors may have cut turns or begun some: the next whole turn must be heard.
        run.pass(15_000) { $0.call.waitingAgentBytes == 0 }
        run.act(.turnEnded)
        run.pass(1000)
        expectSpeech(&run, .agentMalformed, "after messages that cannot be used")
        close(run, "messages that cannot be used")
    }

    /// One whole message of each kind.
    private func messages(_ run: inout AgentRun) -> [AgentPeerMessage] {
        let acts: [AgentPeerAct] = [
            .audio(ByteBuffer(bytes: run.sound(160))), .agentText("Good morning"),
            .callerText("Good morning", isFinal: true),
            .toolCall(ToolCall(id: "call_1", name: options.tools.first?.name ?? "look_up", arguments: #"{"a":1}"#)),
        ]
        return acts.flatMap { run.peer.messages(for: $0) ?? [] }
    }

    private mutating func offer(
        _ message: AgentPeerMessage, _ name: String, mustCount: Bool, _ run: inout AgentRun
    ) {
        let before = run.call.counters.agentFaults
        run.deliver(message)
        if let failure = run.failure {
            findings.add(.agentMalformed, "\(name) ended the conversation: \(failure)")
        } else if mustCount, run.call.counters.agentFaults == before {
            findings.add(.agentMalformed, "\(name) was not counted as a fault")
        }
    }

    private static var garbage: [(name: String, message: AgentPeerMessage, mustCount: Bool)] {
        let deep = String(repeating: #"{"a":["#, count: 20_000)
        return [
            ("an empty message", AgentPeerMessage(""), false), ("\"hello\"", AgentPeerMessage("hello"), true),
            ("{", AgentPeerMessage("{"), true), ("[]", AgentPeerMessage("[]"), false),
            ("null", AgentPeerMessage("null"), false), ("5", AgentPeerMessage("5"), false),
            ("{}", AgentPeerMessage("{}"), false),
            (
                "a type of next year", AgentPeerMessage(#"{"type":"something_of_next_year","payload":{"x":[1,2,{}]}}"#),
                false
            ),
            ("a type that is no text", AgentPeerMessage(#"{"type":{"a":5}}"#), false),
            ("20,000 levels of nesting", AgentPeerMessage(deep), true),
            ("1 MiB without meaning", AgentPeerMessage(String(repeating: "a", count: 1 << 20)), true),
            ("two messages in one", AgentPeerMessage(#"{"type":"a"}{"type":"b"}"#), true),
            ("a number without end", AgentPeerMessage(#"{"type":1e99999999}"#), false),
            ("a lone surrogate", AgentPeerMessage(#"{"type":"\ud800"}"#), false),
            ("binary rubbish", AgentPeerMessage(ByteBuffer(bytes: [0xFF, 0x00]), isBinary: true), false),
            ("an empty binary message", AgentPeerMessage(ByteBuffer(), isBinary: true), false),
        ]
    }

    private static func mutated(_ message: AgentPeerMessage, _ random: inout SeededGenerator) -> AgentPeerMessage {
        var bytes = Array(message.payload.readableBytesView)
        for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
            let place = Int.random(in: bytes.indices, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes[place] = UInt8.random(in: 0x20...0x7E, using: &random)
            case 2: bytes.remove(at: place)
            default: bytes.insert(UInt8.random(in: 0x20...0x7E, using: &random), at: place)
            }
        }
        return AgentPeerMessage(ByteBuffer(bytes: bytes), isBinary: message.isBinary)
    }
}
