import PatchbayConfig

/// What a JSON message must at least hold: every member that is written, with its value; lists whole, in their order.
///
/// A text that begins and ends with a star asks for a part only: `"*ticket*"`.
public struct MessagePattern: Sendable, CustomStringConvertible {
    private let pattern: JSONNode
    /// The pattern as it was written.
    public let description: String
    /// A text that every match holds somewhere, to pass over the many that cannot match.
    let token: String?

    /// - Returns: `nil` when the text is no JSON object.
    public init?(_ json: String) {
        guard let node = try? SourceText(file: "", json).readJSON(), case .object = node.content else { return nil }
        pattern = node
        description = json.split(whereSeparator: \.isNewline).map { $0.trimmingSpaces }.joined(separator: " ")
        token = Self.token(in: node)
    }

    func matches(_ message: String) -> Bool {
        guard let node = try? SourceText(file: "", message).readJSON() else { return false }
        return Self.matches(node, pattern)
    }

    private static func matches(_ node: JSONNode, _ pattern: JSONNode) -> Bool {
        switch (node.content, pattern.content) {
        case (.object(let members), .object(let wanted)):
            wanted.allSatisfy { want in
                members.contains { $0.key == want.key && matches($0.value, want.value) }
            }
        case (.array(let elements), .array(let wanted)):
            elements.count == wanted.count && zip(elements, wanted).allSatisfy { matches($0, $1) }
        case (.string(let text), .string(let wanted)):
            if wanted.count >= 2, wanted.hasPrefix("*"), wanted.hasSuffix("*") {
                text.contains(String(wanted.dropFirst().dropLast()))
            } else {
                text == wanted
            }
        case (.number(let number), .number(let wanted)): Double(number) == Double(wanted)
        case (.boolean(let value), .boolean(let wanted)): value == wanted
        case (.null, .null): true
        default: false
        }
    }

    /// The longest plain text value: any message that matches has it in its bytes.
    private static func token(in node: JSONNode) -> String? {
        switch node.content {
        case .object(let members):
            members.compactMap { token(in: $0.value) }.max { $0.utf8.count < $1.utf8.count }
        case .string(let text):
            text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"\"\\/*<>&".utf8.contains($0) } && !text.isEmpty
                ? text : nil
        case .null, .boolean, .number, .array: nil
        }
    }
}

extension Substring {
    fileprivate var trimmingSpaces: Substring {
        var text = self.drop { $0 == " " || $0 == "\t" }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return text
    }
}
