import Glibc
import Logging
import PatchbayConfig

/// How a line of the log is written.
public enum LogFormat: String, Sendable, CaseIterable {
    /// For people: time, level, message and what belongs to it.
    case text
    /// For machines: one object a line, `{"time", "level", "message", …}` with what belongs to the message beside it.
    case json
}

/// One thing to be written down.
struct LogRecord: Sendable {
    /// Since 1970.
    var nanoseconds: Int64
    var level: Logger.Level
    var message: String
    /// Of the logger, and of the message itself, which goes before it.
    var common: Logger.Metadata
    var own: Logger.Metadata

    /// About what it takes in memory.
    var size: Int {
        func size(_ metadata: Logger.Metadata) -> Int {
            metadata.reduce(0) { sum, entry in
                guard case .string(let text) = entry.value else { return sum + 128 }
                return sum + entry.key.utf8.count + text.utf8.count + 32
            }
        }
        return 128 + message.utf8.count + size(common) + size(own)
    }

    /// The names of a call come first, so that they stand in one place.
    private static let first = ["call", "callSid"]

    /// What belongs to the message, in the order in which it is written.
    var fields: [(key: String, value: Logger.MetadataValue)] {
        let all = common.merging(own) { $1 }
        return all.sorted { left, right in
            let (leftPlace, rightPlace) = (
                Self.first.firstIndex(of: left.key) ?? 2, Self.first.firstIndex(of: right.key) ?? 2
            )
            return (leftPlace, left.key) < (rightPlace, right.key)
        }.map { ($0.key, $0.value) }
    }
}

/// Writes records as lines.
struct LogLineWriter: Sendable {
    /// Characters of one value; longer ones are cut.
    static let valueLimit = 4000
    /// Columns of a message before what belongs to it.
    private static let messageWidth = 30

    var format: LogFormat
    /// For a terminal: with colour, and the time of day where people are.
    var isForTerminal = false

    func line(_ record: LogRecord) -> String {
        switch format {
        case .text: text(record)
        case .json: json(record)
        }
    }

    // MARK: For machines

    private func json(_ record: LogRecord) -> String {
        var line = "{\"time\":\"\(Self.timestamp(record.nanoseconds))\",\"level\":\"\(record.level.rawValue)\""
        line += ",\"message\":\(Self.quoted(record.message))"
        for (key, value) in record.fields {
            // A name of ours is not taken over.
            let isTaken = ["time", "level", "message"].contains(key)
            line += ",\(Self.quoted(isTaken ? key + "_" : key)):\(json(value))"
        }
        return line + "}\n"
    }

    private func json(_ value: Logger.MetadataValue) -> String {
        switch value {
        case .string(let text): Self.quoted(text)
        case .stringConvertible(let value): Self.quoted(value.description)
        case .array(let values): "[\(values.map(json).joined(separator: ","))]"
        case .dictionary(let values):
            "{\(values.sorted { $0.key < $1.key }.map { "\(Self.quoted($0.key)):\(json($0.value))" }.joined(separator: ","))}"
        @unknown default: Self.quoted("\(value)")
        }
    }

    /// JSON (RFC 8259), on one line wherever it is read: the separators of Unicode end lines for some.
    static func quoted(_ text: String) -> String {
        var result = "\""
        var count = 0
        for scalar in text.unicodeScalars {
            guard count < valueLimit else {
                result += "…"
                break
            }
            count += 1
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default:
                if scalar.value < 0x20 || scalar.value == 0x7F || (0x80...0x9F).contains(scalar.value)
                    || scalar.value == 0x2028 || scalar.value == 0x2029
                {
                    let digits = String(scalar.value, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }

    // MARK: For people

    private func text(_ record: LogRecord) -> String {
        let time = isForTerminal ? Self.timeOfDay(record.nanoseconds) : Self.timestamp(record.nanoseconds)
        let level = "\(record.level)".uppercased()
        let fields = record.fields
        var line = dimmed(time) + " " + coloured(level, record.level) + spaces(9 - level.count)
        let message = Self.clean(record.message)
        line += message
        guard !fields.isEmpty else { return line + "\n" }
        line += spaces(max(2, Self.messageWidth - message.count))
        line += dimmed(fields.map { "\(Self.clean($0.key))=\(Self.value($0.value))" }.joined(separator: " "))
        return line + "\n"
    }

    /// Quoted where it would not end at the next space.
    private static func value(_ value: Logger.MetadataValue) -> String {
        let text = "\(value)"
        let isPlain =
            !text.isEmpty && text.unicodeScalars.count <= valueLimit
            && text.unicodeScalars.allSatisfy {
                $0.isASCII ? (0x21...0x7E).contains($0.value) && $0 != "\"" && $0 != "=" && $0 != "\\" : isShown($0)
            }
        return isPlain ? text : quoted(text)
    }

    /// A message stands as it is, but begins no line of its own and moves no terminal's cursor.
    private static func clean(_ text: String) -> String {
        guard !text.unicodeScalars.allSatisfy(isShown) else { return text }
        return String(quoted(text).dropFirst().dropLast())
    }

    private static func isShown(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned: false
        default: true
        }
    }

    private func spaces(_ count: Int) -> String { String(repeating: " ", count: max(1, count)) }
    private func dimmed(_ text: String) -> String { isForTerminal ? "\u{1B}[2m\(text)\u{1B}[0m" : text }
    private func coloured(_ text: String, _ level: Logger.Level) -> String {
        guard isForTerminal else { return text }
        let colour =
            switch level {
            case .trace, .debug: "2"
            case .info: "32"
            case .notice: "36"
            case .warning: "33"
            case .error, .critical: "31"
            @unknown default: "0"
            }
        return "\u{1B}[\(colour)m\(text)\u{1B}[0m"
    }

    // MARK: Time

    /// RFC 3339, in UTC, with milliseconds.
    static func timestamp(_ nanoseconds: Int64) -> String {
        var seconds = time_t(nanoseconds / 1_000_000_000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        return "\(padded(Int(parts.tm_year) + 1900, 4))-\(padded(Int(parts.tm_mon) + 1))-\(padded(Int(parts.tm_mday)))T"
            + clock(parts, nanoseconds) + "Z"
    }

    private static func timeOfDay(_ nanoseconds: Int64) -> String {
        var seconds = time_t(nanoseconds / 1_000_000_000)
        var parts = tm()
        localtime_r(&seconds, &parts)
        return clock(parts, nanoseconds)
    }

    private static func clock(_ parts: tm, _ nanoseconds: Int64) -> String {
        let milliseconds = Int(nanoseconds / 1_000_000 % 1000)
        return "\(padded(Int(parts.tm_hour))):\(padded(Int(parts.tm_min))):\(padded(Int(parts.tm_sec)))"
            + ".\(padded(milliseconds, 3))"
    }

    private static func padded(_ number: Int, _ width: Int = 2) -> String {
        let digits = String(max(0, number))
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
