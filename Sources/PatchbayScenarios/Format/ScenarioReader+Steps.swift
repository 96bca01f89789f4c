import Foundation
import PatchbayConfig
import PatchbayCore
import Synchronization

/// The reading of steps.
extension ScenarioReader {
    mutating func callerStep(_ step: Settings, _ path: Path) -> CallerStep? {
        let keys = ["say", "tone", "silenceMs", "press", "hangUp", "cutOff"]
        guard let key = theOne(keys, of: path, what: "a step of the caller"), let time = time(step, path) else {
            return nil
        }
        let action: CallerStep.Action
        switch key {
        case "say":
            let speech = step.string("say") ?? ""
            checkSpeech(speech, path + ["say"])
            action = .say(speech)
        case "tone":
            guard let tone = step.object("tone") else { return nil }
            action = .tone(
                frequency: tone.number("frequencyHz") ?? 440, duration: milliseconds(tone, "durationMs") ?? .zero,
                level: tone.number("levelDBFS") ?? -12)
        case "silenceMs": action = .silence(milliseconds(step, "silenceMs") ?? .zero)
        case "press":
            let keys = step.string("press") ?? ""
            if let wrong = keys.first(where: { !"0123456789*#ABCD".contains($0) }) {
                report(.notAllowed, path + ["press"], "there is no key \"\(wrong)\"; keys are 0 to 9, *, # and A to D")
            }
            action = .press(keys)
        case "hangUp", "cutOff":
            guard step.bool(key) == true else {
                report(.notAllowed, path + [.key(key)], "\"\(key)\" is false; leave the step out instead")
                return nil
            }
            action = key == "hangUp" ? .hangUp : .cutOff
        default: return nil
        }
        return CallerStep(name: step.string("as"), time: time, action: action, place: place(path))
    }

    mutating func agentScript(_ connection: Settings, _ path: Path) -> AgentScript {
        var steps: [AgentStep] = []
        for (index, step) in connection.list("steps").enumerated() {
            if let step = agentStep(step, path + ["steps", .index(index)]) { steps.append(step) }
        }
        if connection.string("refuse") != nil, !steps.isEmpty {
            report(.notAllowed, path + ["steps"], "nothing happens on a connection that is refused")
        }
        return AgentScript(
            backend: connection.string("backend"), connect: milliseconds(connection, "connectMs") ?? .zero,
            refusal: connection.string("refuse"), steps: steps, place: place(path))
    }

    /// An answer in place of a tool's service.
    mutating func scriptedTool(_ tool: Settings, _ path: Path) -> ScriptedTool? {
        guard let key = theOne(["answer", "error"], of: path, what: "an answer of a tool") else { return nil }
        var arguments: MessagePattern?
        if let json = tool.json("with") {
            arguments = MessagePattern(json)
            if arguments == nil {
                report(.wrongType, path + ["with"], "\"with\" is an object with the members that arguments must have")
            }
        }
        var answer = tool.string("error") ?? ""
        if key == "answer", let json = tool.json("answer"), let node = try? SourceText(file: "", json).readJSON() {
            answer = node.text ?? JSONValue(node).line
        }
        return ScriptedTool(
            tool: tool.string("tool") ?? "", arguments: arguments, answer: answer, isError: key == "error",
            after: milliseconds(tool, "afterMs") ?? .zero)
    }

    private mutating func agentStep(_ step: Settings, _ path: Path) -> AgentStep? {
        let keys = ["accept", "say", "hears", "interrupt", "send", "sendBinary", "silenceMs", "close"]
        guard let key = theOne(keys, of: path, what: "a step of the agent"), let time = time(step, path) else {
            return nil
        }
        if step.string("words") != nil, key != "say" { report(.notAllowed, path + ["words"], "only \"say\" has words") }
        if step.string("reason") != nil, key != "close" {
            report(.notAllowed, path + ["reason"], "only \"close\" has a reason")
        }
        let action: AgentStep.Action
        switch key {
        case "accept":
            let accept = step.object("accept")
            action = .accept(
                AcceptedConversation(
                    conversation: accept?.string("conversation") ?? "conv_test",
                    inputFormat: accept?.string("inputFormat"), outputFormat: accept?.string("outputFormat")))
        case "say":
            let speech = step.string("say") ?? ""
            checkSpeech(speech, path + ["say"])
            let isFile = speech.lowercased().hasSuffix(".wav")
            action = .say(
                SpokenTurn(
                    speech: speech, words: step.string("words") ?? (isFile ? nil : speech),
                    chunk: milliseconds(step, "chunkMs") ?? .milliseconds(200),
                    pace: milliseconds(step, "paceMs") ?? .milliseconds(50), isComplete: step.bool("complete") ?? true))
        case "hears": action = .hears(step.string("hears") ?? "")
        case "interrupt": action = .interrupt
        case "send":
            guard let message = message(step.json("send") ?? "", path + ["send"]) else { return nil }
            action = .send(message)
        case "sendBinary":
            guard let bytes = binary(step.json("sendBinary") ?? "", path + ["sendBinary"]) else { return nil }
            action = .sendBinary(bytes)
        case "silenceMs": action = .silence(milliseconds(step, "silenceMs") ?? .zero)
        case "close":
            action = .close(code: UInt16(clamping: step.integer("close") ?? 1000), reason: step.string("reason") ?? "")
        default: return nil
        }
        return AgentStep(name: step.string("as"), time: time, action: action, place: place(path))
    }

    /// A binary message: an object, whose JSON is sent, or base64; either may be the line of a file.
    private mutating func binary(_ json: String, _ path: Path) -> [UInt8]? {
        var value = json
        // The alphabet of base64 has no colon.
        if let text = (try? SourceText(file: "", json).readJSON())?.text {
            guard text.contains(":") else { return base64(text, path) }
            guard let line = message(json, path) else { return nil }
            value = line
        }
        return value.hasPrefix("{") ? Array(value.utf8) : base64(value, path)
    }

    private mutating func base64(_ text: String, _ path: Path) -> [UInt8]? {
        if let data = Data(base64Encoded: text) { return Array(data) }
        report(
            .notAllowed, path, "\"sendBinary\" is no base64; it is base64, a JSON object, or a file and a line of it")
        return nil
    }

    /// A message as it is written, or the line of a file that is named: `"call.agent.jsonl:12"`.
    private mutating func message(_ json: String, _ path: Path) -> String? {
        guard let name = (try? SourceText(file: "", json).readJSON())?.text else { return json }
        let parts = name.split(separator: ":")
        guard parts.count == 2, let line = Int(parts[1]), line > 0 else {
            report(
                .notAllowed, path, "the message is \"\(name)\"; it is a JSON object, or a file and a line of it",
                .init("for instance \"messages.jsonl:12\""))
            return nil
        }
        let file = resolved(String(parts[0]))
        guard let lines = MessageLines.shared.lines(of: file) else {
            report(.unreadableFile, path, "\"\(file)\" cannot be read")
            return nil
        }
        guard lines.indices.contains(line - 1), !lines[line - 1].isEmpty else {
            report(.unreadableFile, path, "\"\(file)\" has no line \(line)")
            return nil
        }
        return lines[line - 1]
    }

    private mutating func time(_ step: Settings, _ path: Path) -> StepTime? {
        let plus = milliseconds(step, "plusMs") ?? .zero
        switch (milliseconds(step, "atMs"), step.string("after")) {
        case (let at?, nil):
            if step.integer("plusMs") != nil {
                report(.notAllowed, path + ["plusMs"], "\"plusMs\" goes with \"after\"; add it to \"atMs\"")
            }
            return .at(at)
        case (nil, let after?):
            guard let event = event(after, path + ["after"]) else { return nil }
            return .after(event, plus)
        case (nil, nil): return .after(nil, plus)
        case (_?, _?):
            report(.notAllowed, path + ["after"], "a step has either \"atMs\" or \"after\"")
            return nil
        }
    }
}

extension JSONNode {
    fileprivate var text: String? { if case .string(let text) = content { text } else { nil } }
}

/// Files with one message a line; the one read last is kept, because many steps name the same.
private final class MessageLines: Sendable {
    static let shared = MessageLines()
    /// Longest file that is read, in bytes.
    static let maximumBytes = 256 << 20
    private let last = Mutex((path: "", modified: Date?.none, lines: [String]()))

    func lines(of path: String) -> [String]? {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        let modified = attributes?[.modificationDate] as? Date
        return last.withLock { last in
            if last.path == path, last.modified == modified { return last.lines }
            guard let size = attributes?[.size] as? Int, size <= Self.maximumBytes,
                let text = try? String(contentsOfFile: path, encoding: .utf8)
            else { return nil }
            last = (path, modified, text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init))
            return last.lines
        }
    }
}
