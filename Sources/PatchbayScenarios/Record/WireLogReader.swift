import Foundation
import NIOCore
public import PatchbayConfig
public import PatchbayCore

/// What a file of a wire log says about one call.
public struct RecordedCall: Sendable {
    public enum Way: String, Sendable {
        case fromCarrier = "carrier>"
        case toCarrier = ">carrier"
        case fromAgent = "agent>"
        case toAgent = ">agent"
    }

    /// One message, as it was written.
    public struct Message: Sendable {
        /// Since the call was made.
        public var time: TimeSpan
        public var way: Way
        /// Number of the agent's connection, from 0; -1 before there was one.
        public var connection: Int
        /// The text of the message; of a binary one that is no JSON, its bytes in base64.
        public var text: String
        public var form = Form.text

        public enum Form: Sendable {
            case text
            /// JSON in a binary message.
            case binaryJSON
            case base64
        }
    }

    /// One connection to an agent.
    public struct Connection: Sendable {
        public var backend: String
        public var dialled: TimeSpan
        public var connected: TimeSpan?
        public var refusal: (time: TimeSpan, reason: String)?
        /// The peer closed it.
        public var close: (time: TimeSpan, code: Int, reason: String)?
    }

    /// One call of a tool.
    public struct ToolUse: Sendable {
        public var time: TimeSpan
        public var id: String
        public var tool: String
        /// JSON.
        public var arguments: String
        /// `nil` when it never answered.
        public var answer: (time: TimeSpan, json: String, isError: Bool)?
    }

    public var header: [String: String]
    public var tools: [ToolUse] = []
    public var messages: [Message] = []
    public var connections: [Connection] = []
    /// The carrier's socket broke without a word.
    public var carrierClosed: TimeSpan?
    public var ended: (time: TimeSpan, kind: String)?
    /// What is missing in the log, in words.
    public var gaps: [String] = []
}

extension RecordedCall {
    /// Longest log that is read, in bytes.
    public static let maximumBytes = 256 << 20
    /// Latest time of a line, in milliseconds since the call was made: a day.
    public static let maximumMilliseconds = 86_400_000

    /// Reads a file of a wire log.
    ///
    /// - Throws: ``Diagnostic`` with the line that cannot be used.
    public init(path: String) throws(Diagnostic) {
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path),
            let size = attributes[.size] as? Int, size <= Self.maximumBytes,
            let text = try? String(contentsOfFile: path, encoding: .utf8)
        else { throw Diagnostic(file: path, .unreadableFile, "the wire log cannot be read") }
        try self.init(text, file: path)
    }

    /// Reads the text of a wire log.
    ///
    /// - Parameter path: Its file, for what is thrown.
    init(_ text: String, file path: String) throws(Diagnostic) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        header = [:]
        let first = try Self.object(lines.first ?? "", path, 1)
        guard first["wireLog"] != nil else {
            throw Diagnostic(
                file: path, line: 1, column: 1, .missingField, "the first line is no header of a wire log",
                suggestion: .init("such files come from patchbay serve --wire-log DIR"))
        }
        for (key, node) in first { if case .string(let text) = node.content { header[key] = text } }
        for (index, line) in lines.enumerated().dropFirst() where !line.isEmpty {
            let members = try Self.object(line, path, index + 1)
            do throws(OutOfBounds) {
                try read(members, line)
            } catch {
                throw Diagnostic(
                    file: path, line: index + 1, column: 1, .outOfRange,
                    "\(quoted(error.name)) of the line is no number from 0 to \(error.limit)",
                    suggestion: .init("the line is damaged; take it out, or record the call again"))
            }
        }
    }

    private static func object(_ line: Substring, _ path: String, _ number: Int) throws(Diagnostic) -> [String:
        JSONNode]
    {
        do throws(Diagnostic) {
            guard case .object(let members) = try SourceText(file: path, String(line)).readJSON().content else {
                throw Diagnostic(file: path, line: number, column: 1, .wrongType, "the line is no JSON object")
            }
            return Dictionary(members.map { ($0.key, $0.value) }) { first, _ in first }
        } catch {
            var fault = error
            fault.line = number
            throw fault
        }
    }

    /// A number of a line that no log of ours holds.
    private struct OutOfBounds: Error {
        var name: String
        var limit: Int
    }

    /// A number of a line, which anybody may have written.
    private static func number(
        _ name: String, _ line: [String: JSONNode], in range: ClosedRange<Int>, default missing: Double = 0
    ) throws(OutOfBounds) -> Double {
        guard let node = line[name] else { return missing }
        // What is not finite is in no range.
        guard case .number(let text) = node.content, let value = Double(text),
            (Double(range.lowerBound)...Double(range.upperBound)).contains(value)
        else { throw OutOfBounds(name: name, limit: range.upperBound) }
        return value
    }

    private mutating func read(_ line: [String: JSONNode], _ text: Substring) throws(OutOfBounds) {
        let milliseconds = try Self.number("ms", line, in: 0...Self.maximumMilliseconds)
        let time = TimeSpan(nanoseconds: Int64(milliseconds * 1e6))
        if let way = line["direction"]?.text.flatMap(Way.init) {
            if let message = line["message"] {
                var isBinary = false
                if case .boolean(true)? = line["binary"]?.content { isBinary = true }
                let json = String(decoding: Array(text.utf8)[message.range], as: UTF8.self)
                add(way, time, json, isBinary ? .binaryJSON : .text)
            } else if let bytes = line["base64"]?.text, Data(base64Encoded: bytes) != nil {
                add(way, time, bytes, .base64)
            } else if let message = line["text"]?.text, !message.contains("\n") {
                add(way, time, message)
            } else {
                gaps.append("a message at \(time.inSeconds) was too long to be written down")
            }
            return
        }
        switch line["event"]?.text {
        case "dialling": connections.append(Connection(backend: line["backend"]?.text ?? "", dialled: time))
        case "connected": change { $0.connected = time }
        case "unreachable": change { $0.refusal = (time, line["reason"]?.text ?? "") }
        case "closed" where line["peer"]?.text == "agent":
            let code = Int(try Self.number("code", line, in: 0...65_535, default: 1006))
            change { $0.close = (time, code, line["reason"]?.text ?? "") }
        case "closed": carrierClosed = time
        case "ended": ended = (time, line["reason"]?.text ?? "")
        case "toolCalled":
            let arguments = line["arguments"].map { String(decoding: Array(text.utf8)[$0.range], as: UTF8.self) }
            tools.append(
                ToolUse(
                    time: time, id: line["id"]?.text ?? "", tool: line["tool"]?.text ?? "",
                    arguments: arguments ?? "{}"))
        case "toolAnswered":
            let answer = line["answer"].map { String(decoding: Array(text.utf8)[$0.range], as: UTF8.self) }
            guard let index = tools.lastIndex(where: { $0.id == line["id"]?.text }), let answer else { break }
            tools[index].answer = (time, answer, line["outcome"]?.text == "error")
        case "dropped":
            let count = Int(try Self.number("messages", line, in: 0...Int(Int32.max)))
            gaps.append("\(count) messages were dropped at \(time.inSeconds)")
        case "cut": gaps.append("the log was cut by its limit \"\(line["limit"]?.text ?? "")\"")
        default: break
        }
    }

    private mutating func add(_ way: Way, _ time: TimeSpan, _ text: String, _ form: Message.Form = .text) {
        messages.append(Message(time: time, way: way, connection: connections.count - 1, text: text, form: form))
    }

    private mutating func change(_ body: (inout Connection) -> Void) {
        if let last = connections.indices.last { body(&connections[last]) }
    }
}

extension JSONNode {
    fileprivate var text: String? { if case .string(let text) = content { text } else { nil } }
}
