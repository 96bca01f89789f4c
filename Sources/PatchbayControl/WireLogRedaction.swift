import Foundation
import NIOCore
import PatchbayConfig

/// Takes out of messages what must not be written down: known secrets wherever they stand, and whatever stands under a key
/// that looks like a credential's.
struct WireLogRedaction: Sendable {
    static let mask = "[secret]"
    /// Shorter secrets would be found everywhere, and protect nothing.
    static let minimumLength = 4

    /// The longest first: one may be part of another.
    private var secrets: [String] = []

    init(_ secrets: [Secret]) { add(secrets) }

    mutating func add(_ secrets: [Secret]) {
        var known = Set(self.secrets)
        for secret in secrets {
            let value = secret.reveal()
            guard value.utf8.count >= Self.minimumLength else { continue }
            known.insert(value)
            // As it stands in the query of an address.
            if let encoded = value.addingPercentEncoding(withAllowedCharacters: .alphanumerics) {
                known.insert(encoded)
            }
            // A header's scheme is no secret; what follows it is.
            if let token = value.split(separator: " ").last, token.utf8.count >= 8 { known.insert(String(token)) }
        }
        self.secrets = known.sorted { ($0.utf8.count, $0) > ($1.utf8.count, $1) }
    }

    /// A text without the known secrets.
    func text(_ text: String) -> String {
        secrets.reduce(text) { $0.contains($1) ? $0.replacingOccurrences(of: $1, with: Self.mask) : $0 }
    }

    /// The same of a text whose end was cut off, without the beginning of a secret that the cut went through.
    func text(cut text: String) -> String {
        var bytes = Array(text.utf8)
        // Half a character has become a replacement character.
        while bytes.suffix(3) == [0xEF, 0xBF, 0xBD] { bytes.removeLast(3) }
        var tail = 0
        for secret in secrets {
            let secret = Array(secret.utf8)
            var length = min(secret.count, bytes.count)
            while length > tail, bytes.suffix(length) != secret.prefix(length) { length -= 1 }
            tail = max(tail, length)
        }
        return self.text(String(decoding: bytes.dropLast(tail), as: UTF8.self))
    }

    /// Whether a binary message holds one of the known secrets.
    func isNeeded(in message: ByteBuffer) -> Bool {
        let bytes = Data(message.readableBytesView)
        return secrets.contains { bytes.range(of: Data($0.utf8)) != nil }
    }

    /// A message as JSON, on one line; `nil` when it is none.
    func json(_ message: ByteBuffer) -> String? {
        let source = SourceText(file: "", bytes: Array(message.readableBytesView))
        guard let node = try? source.readJSON() else { return nil }
        switch node.content {
        case .object, .array: break
        case .null, .boolean, .number, .string: return nil
        }
        var result = ""
        write(node, into: &result)
        return result
    }

    private func write(_ node: JSONNode, into result: inout String) {
        switch node.content {
        case .null: result += "null"
        case .boolean(let value): result += value ? "true" : "false"
        case .number(let text): result += secrets.contains(text) ? quoted(Self.mask) : text
        case .string(let text): result += quoted(string(text))
        case .array(let elements):
            result += "["
            for (index, element) in elements.enumerated() {
                if index > 0 { result += "," }
                write(element, into: &result)
            }
            result += "]"
        case .object(let members):
            result += "{"
            for (index, member) in members.enumerated() {
                if index > 0 { result += "," }
                result += quoted(text(member.key)) + ":"
                if Diagnostic.isCredentialName(member.key) {
                    result += quoted(Self.mask)
                } else {
                    write(member.value, into: &result)
                }
            }
            result += "}"
        }
    }

    /// A string may hold JSON itself, as tools' results do.
    private func string(_ string: String) -> String {
        if string.hasPrefix("{") || string.hasPrefix("["), let inner = json(ByteBuffer(string: string)) {
            return inner
        }
        return text(string)
    }

    private func quoted(_ text: String) -> String { VariableValue.string(text).json }
}
