import Foundation
import NIOCore
import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore
import PatchbayWire

/// Makes a test of a call that was written down: the caller's sound becomes a WAV file, the agent's messages become steps, and
/// what came of it becomes what is expected.
public struct ScenarioRecorder {
    /// Times in a test may differ by so much from those of a call over real sockets.
    public static let tolerance = TimeSpan.milliseconds(300)
    /// More would be a burden to whoever reads the test.
    static let maximumOfAKind = 40
    /// Longer messages go to a file of their own.
    static let inlineBytes = 400
    /// The test's own file ends the call so much later than the recorded one did, should nobody else.
    private static let surplus = TimeSpan.seconds(30)
    /// As long as a call of a test may be.
    private static let maximumLength = TimeSpan.seconds(3600)
    /// A packet's timestamp may be so much past the end of the call: clocks differ.
    private static let lateness = TimeSpan.seconds(5)

    let call: RecordedCall
    /// When the carrier's stream began, since the call was made.
    let start: TimeSpan
    /// From the beginning of the stream to the end of the call.
    private let length: TimeSpan

    /// - Throws: When the call never had a stream, or lasted for more than an hour.
    public init(_ call: RecordedCall) throws(Diagnostic) {
        self.call = call
        guard let start = call.messages.first(where: { $0.way == .fromCarrier && $0.decoded.isStart }) else {
            throw Diagnostic(
                file: "", .missingField,
                "the log holds no \"start\" of a media stream; there is nothing to make a test of")
        }
        self.start = start.time
        let end = call.messages.map(\.time).max() ?? start.time
        length = max(.zero, max(end, call.ended?.time ?? end) - start.time)
        guard length <= Self.maximumLength else {
            throw Diagnostic(
                file: "", .outOfRange,
                "the call in the log lasts \(length.inSeconds); a test is at most an hour of call",
                suggestion: .init("take out the lines behind what you look for"))
        }
    }

    /// A test with what it needs beside it.
    struct Made {
        var test: String
        var soundFile, messageFile: String
        /// What the caller says.
        var sound: [Int16]
        /// The agent's messages that are too long for the test itself.
        var messages: [String]
    }

    /// - Parameters:
    ///   - stem: What the names of the files beside it begin with.
    ///   - pipeline: The pipeline's file, from the folder of the test.
    ///   - isAnother: Whether it may be another one than that of the call, to which the called number need not lead.
    ///   - expectations: What must come of it, as a test has it.
    func make(stem: String, pipeline: String, isAnother: Bool = false, expecting expectations: [String]) -> Made {
        let (soundFile, messageFile) = ("\(stem).caller.wav", "\(stem).agent.jsonl")
        let (sound, caller) = callerSteps(soundFile: soundFile)
        let (agents, messages) = agentScripts(messageFile: messageFile)
        return Made(
            test: text(pipeline, caller, agents, expectations, isAnother), soundFile: soundFile,
            messageFile: messageFile,
            sound: sound,
            messages: messages)
    }

    private func text(
        _ pipeline: String, _ caller: [String], _ agents: [[String]], _ expectations: [String], _ isAnother: Bool
    ) -> String {
        var test: [String] = ["\"name\": \"goes as the recorded call did\""]
        if !isAnother, let number = call.header["number"], NumberPattern(number) != nil, !number.hasSuffix("*") {
            test.append("\"number\": \(literal(number))")
        }
        if let from = call.header["caller"], !from.isEmpty { test.append("\"from\": \(literal(from))") }
        if let time = call.header["startedAt"], (try? Date(time, strategy: .iso8601)) != nil {
            test.append("\"at\": \(quoted(time))")
        }
        test.append("\"ringMs\": \(min(120_000, start.milliseconds))")
        let limit = min(length + Self.surplus, Self.maximumLength)
        test.append("\"limitMs\": \(max(1000, limit.milliseconds))")
        test.append("\"caller\": " + list(caller, 3))
        if !agents.isEmpty { test.append("\"agents\": " + list(agents.map { "{ \($0.joined(separator: ", ")) }" }, 3)) }
        if !tools.isEmpty { test.append("\"tools\": " + list(tools, 3)) }
        test.append("\"expect\": " + list(expectations, 3))
        return """
            {
              "description": \(literal("Made of a call of \(call.header["startedAt"] ?? "unknown time")")),
              "pipeline": \(literal(pipeline)),
              "tests": [
                {
                  \(test.joined(separator: ",\n      "))
                }
              ]
            }

            """
    }

    /// What the tools answered, in the order of the calls.
    private var tools: [String] {
        call.tools.prefix(Self.maximumOfAKind).compactMap { use in
            guard let answer = use.answer, use.arguments.hasPrefix("{") else { return nil }
            let key = answer.isError ? "error" : "answer"
            // An error is words; a service's JSON in it stands in quotes.
            let error = answer.json.hasPrefix("\"") ? answer.json.replacing("${", with: "$${") : literal(answer.json)
            let value = answer.isError ? error : answer.json
            return "{ \"tool\": \(literal(use.tool)), \"with\": \(use.arguments), \"\(key)\": \(value), "
                + "\"afterMs\": \(min(600_000, max(0, (answer.time - use.time).milliseconds))) }"
        }
    }

    private func list(_ lines: [String], _ depth: Int) -> String {
        guard !lines.isEmpty else { return "[]" }
        let indent = String(repeating: "  ", count: depth)
        return "[\n" + lines.map { "\(indent)  \($0)" }.joined(separator: ",\n") + "\n\(indent)]"
    }

    private func sinceStart(_ time: TimeSpan) -> Int64 { (time - start).milliseconds }

    // MARK: The caller

    private func callerSteps(soundFile: String) -> (sound: [Int16], steps: [String]) {
        var sound: [Int16] = []
        var steps = ["{ \"atMs\": 0, \"say\": \(literal(soundFile)) }"]
        var hasStopped = false
        let lastTimestamp = Int((length + Self.lateness).milliseconds)
        for message in call.messages where message.way == .fromCarrier {
            switch message.decoded.event {
            case .media(let media) where media.track == .inbound:
                // A time that the call never reached is damage, not silence: the packet goes behind the last one.
                let isInCall = media.timestamp.map { (0...lastTimestamp).contains($0) } ?? false
                let position =
                    isInCall ? (media.timestamp ?? 0) * SoundTrack.sampleRate / 1000 : sound.count
                let samples = message.decoded.payload.readableBytesView.map { G711.decodeMulaw($0) }
                if sound.count < position { sound += [Int16](repeating: 0, count: position - sound.count) }
                // A packet that came twice, or late, is where it belongs.
                let overlap = min(samples.count, sound.count - position)
                sound.replaceSubrange(position..<position + overlap, with: samples.prefix(overlap))
                sound += samples.dropFirst(overlap)
            case .dtmf(let digit):
                steps.append("{ \"atMs\": \(sinceStart(message.time)), \"press\": \"\(digit)\" }")
            case .stop:
                hasStopped = true
                steps.append("{ \"atMs\": \(sinceStart(message.time)), \"hangUp\": true }")
            default: break
            }
        }
        if !hasStopped, let closed = call.carrierClosed {
            steps.append("{ \"atMs\": \(sinceStart(closed)), \"cutOff\": true }")
        }
        return (sound, steps)
    }

    // MARK: The agent

    private func agentScripts(messageFile: String) -> (scripts: [[String]], lines: [String]) {
        var lines: [String] = []
        var scripts: [[String]] = []
        for (index, connection) in call.connections.enumerated() {
            var script = ["\"backend\": \(literal(connection.backend))"]
            let outcome = connection.connected ?? connection.refusal?.time ?? connection.dialled
            script.append("\"connectMs\": \(min(60_000, max(0, (outcome - connection.dialled).milliseconds)))")
            if let refusal = connection.refusal, connection.connected == nil {
                scripts.append(script + ["\"refuse\": \(literal(refusal.reason))"])
                continue
            }
            var steps: [String] = []
            for message in call.messages where message.way == .fromAgent && message.connection == index {
                var value = message.text
                // What stands there as a text is the line of a file, so a text that is no object goes into one too.
                if value.utf8.count > Self.inlineBytes || !value.hasPrefix("{") {
                    lines.append(value)
                    value = quoted("\(messageFile):\(lines.count)")
                }
                let key = message.form == .text ? "send" : "sendBinary"
                steps.append("{ \"atMs\": \(sinceStart(message.time)), \"\(key)\": \(value) }")
            }
            if let close = connection.close {
                let code = (1000...4999).contains(close.code) ? close.code : 1006
                steps.append(
                    "{ \"atMs\": \(sinceStart(close.time)), \"close\": \(code), \"reason\": \(literal(close.reason)) }")
            }
            script.append("\"steps\": " + list(steps, 4))
            scripts.append(script)
        }
        return (scripts, lines)
    }
}

func quoted(_ text: String) -> String { VariableValue.string(text).json }

/// A text of a log for a field in which `${…}` is substituted: what a peer said must not ask for a variable of ours.
func literal(_ text: String) -> String { quoted(text.replacing("${", with: "$${")) }

extension RecordedCall.Message {
    struct Decoded {
        var event: TwilioMessage?
        var payload = ByteBuffer()

        var isStart: Bool { if case .start? = event { true } else { false } }
    }

    /// A message of the carrier's.
    var decoded: Decoded {
        var result = Decoded()
        result.event = try? TwilioMessageDecoder().decode(ByteBuffer(string: text), payload: &result.payload)
        return result
    }
}
