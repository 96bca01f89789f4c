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
    /// Longer messages go to a file of their own.
    static let inlineBytes = 400
    /// The test's own file ends the call so much later than the recorded one did, should nobody else.
    private static let surplus = TimeSpan.seconds(30)
    /// As long as a call of a test may be.
    private static let maximumLength = TimeSpan.seconds(3600)
    /// A packet's timestamp may be so much past the end of the call: clocks differ.
    private static let lateness = TimeSpan.seconds(5)

    private let call: RecordedCall
    /// When the carrier's stream began, since the call was made.
    private let start: TimeSpan
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

    /// Writes the test and the files that it needs beside it.
    ///
    /// - Parameters:
    ///   - path: Ends in `.test.json`.
    ///   - pipeline: The pipeline's file; the one that the log names without.
    ///   - overwrites: Whether files that are there already are replaced.
    /// - Throws: ``Diagnostic`` before anything is written, when one of the files is there already.
    /// - Returns: The files that were written, the test first.
    public func write(to path: String, pipeline: String?, overwrites: Bool = false) throws -> [String] {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let name = URL(fileURLWithPath: path).lastPathComponent
        let stem = name.hasSuffix(ScenarioFile.suffix) ? String(name.dropLast(ScenarioFile.suffix.count)) : name
        let (soundFile, messageFile) = ("\(folder)/\(stem).caller.wav", "\(folder)/\(stem).agent.jsonl")
        let (sound, caller) = callerSteps(soundFile: "\(stem).caller.wav")
        let (agents, lines) = agentScripts(messageFile: "\(stem).agent.jsonl")
        let files = [path, soundFile] + (lines.isEmpty ? [] : [messageFile])
        if !overwrites, let file = files.first(where: { FileManager.default.fileExists(atPath: $0) }) {
            throw Diagnostic(file: file, .notAllowed, "the file is there already, and would be replaced")
        }
        try WAVFile(samples: sound, sampleRate: SoundTrack.sampleRate).write(to: soundFile)
        if !lines.isEmpty {
            try Data((lines.joined(separator: "\n") + "\n").utf8).write(to: URL(fileURLWithPath: messageFile))
        }
        let reference = relative(pipeline ?? call.header["file"] ?? "", to: folder)
        try Data(text(reference, caller, agents).utf8).write(to: URL(fileURLWithPath: path))
        return files
    }

    private func text(_ pipeline: String, _ caller: [String], _ agents: [[String]]) -> String {
        var test: [String] = ["\"name\": \"goes as the recorded call did\""]
        if let number = call.header["number"], NumberPattern(number) != nil {
            test.append("\"number\": \(quoted(number))")
        }
        if let from = call.header["caller"], !from.isEmpty { test.append("\"from\": \(quoted(from))") }
        if let time = call.header["startedAt"] { test.append("\"at\": \(quoted(time))") }
        test.append("\"ringMs\": \(min(120_000, start.milliseconds))")
        let limit = min(length + Self.surplus, Self.maximumLength)
        test.append("\"limitMs\": \(max(1000, limit.milliseconds))")
        test.append("\"caller\": " + list(caller, 3))
        if !agents.isEmpty { test.append("\"agents\": " + list(agents.map { "{ \($0.joined(separator: ", ")) }" }, 3)) }
        if !tools.isEmpty { test.append("\"tools\": " + list(tools, 3)) }
        test.append("\"expect\": " + list(RecordedExpectations(call, start: start).lines, 3))
        return """
            {
              "description": \(quoted("Made of a call of \(call.header["startedAt"] ?? "unknown time")")),
              "pipeline": \(quoted(pipeline)),
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
        call.tools.prefix(RecordedExpectations.maximumOfAKind).compactMap { use in
            guard let answer = use.answer, use.arguments.hasPrefix("{") else { return nil }
            let key = answer.isError ? "error" : "answer"
            // An error is words; a service's JSON in it stands in quotes.
            let value = answer.isError && !answer.json.hasPrefix("\"") ? quoted(answer.json) : answer.json
            return "{ \"tool\": \(quoted(use.tool)), \"with\": \(use.arguments), \"\(key)\": \(value), "
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
        var steps = ["{ \"atMs\": 0, \"say\": \(quoted(soundFile)) }"]
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
            var script = ["\"backend\": \(quoted(connection.backend))"]
            let outcome = connection.connected ?? connection.refusal?.time ?? connection.dialled
            script.append("\"connectMs\": \(min(60_000, max(0, (outcome - connection.dialled).milliseconds)))")
            if let refusal = connection.refusal, connection.connected == nil {
                scripts.append(script + ["\"refuse\": \(quoted(refusal.reason))"])
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
                steps.append("{ \"atMs\": \(sinceStart(message.time)), \"send\": \(value) }")
            }
            if let close = connection.close {
                let code = (1000...4999).contains(close.code) ? close.code : 1006
                steps.append(
                    "{ \"atMs\": \(sinceStart(close.time)), \"close\": \(code), \"reason\": \(quoted(close.reason)) }")
            }
            script.append("\"steps\": " + list(steps, 4))
            scripts.append(script)
        }
        return (scripts, lines)
    }

    /// The way from one folder to a file, both as the system sees them.
    private func relative(_ file: String, to folder: String) -> String {
        let target = URL(fileURLWithPath: file).standardizedFileURL.pathComponents
        let base = URL(fileURLWithPath: folder).standardizedFileURL.pathComponents
        let common = zip(target, base).prefix { $0 == $1 }.count
        guard common > 1 else { return URL(fileURLWithPath: file).standardizedFileURL.path }
        return (Array(repeating: "..", count: base.count - common) + target.dropFirst(common)).joined(separator: "/")
    }
}

func quoted(_ text: String) -> String { VariableValue.string(text).json }

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
