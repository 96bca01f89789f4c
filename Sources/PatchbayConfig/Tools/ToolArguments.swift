import Foundation

/// The arguments of one call of a tool: an object that fits the tool's schema.
public struct ToolArguments: Sendable, Equatable {
    /// Longest text that is read as arguments, in bytes.
    public static let maximumBytes = 64 << 10

    /// The object.
    public let json: JSONValue

    public init(_ json: JSONValue) { self.json = json }

    /// Reads what an agent wrote. No text at all and `null` stand for no arguments.
    ///
    /// - Throws: In words for the agent, when it is no object or larger than ``maximumBytes``.
    public init(parsing text: String) throws(ToolFailure) {
        guard text.utf8.count <= Self.maximumBytes else {
            throw ToolFailure("The arguments have \(text.utf8.count) bytes; at most \(Self.maximumBytes) are taken.")
        }
        if text.allSatisfy(\.isWhitespace) || text == "null" {
            self.init([:])
            return
        }
        do throws(Diagnostic) {
            let node = try SourceText(file: "arguments", text).readJSON()
            guard case .object = node.content else {
                throw Diagnostic(file: "", .wrongType, "they are \(node.kind), not an object")
            }
            self.init(JSONValue(node))
        } catch {
            throw ToolFailure("The arguments are no JSON object: \(error.message).")
        }
    }

    /// The arguments as JSON on one line.
    public var text: String { json.line }

    /// The argument of that name, of any type.
    public subscript(name: String) -> JSONValue? { json[name] }

    /// `nil` also for what is no text.
    public func string(_ name: String) -> String? { json[name]?.stringValue }
    /// `nil` also for what is no whole number.
    public func integer(_ name: String) -> Int? { json[name]?.numberValue.flatMap(Int.init(exactly:)) }
    /// `nil` also for what is no number.
    public func number(_ name: String) -> Double? { json[name]?.numberValue }
    /// `nil` also for what is neither true nor false.
    public func bool(_ name: String) -> Bool? { if case .boolean(let value)? = json[name] { value } else { nil } }

    /// The arguments as a type of one's own.
    public func decoded<T: Decodable>(as type: T.Type = T.self) throws -> T {
        try JSONDecoder().decode(type, from: Data(text.utf8))
    }
}
