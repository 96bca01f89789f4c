import Foundation
import HTTPTypes
import Hummingbird
import PatchbayConfig
import PatchbayStore

/// What a request says of the version that it changes (RFC 9110, section 13.1).
struct EntryCondition {
    /// The version that must be current: 0 for none, `nil` for any.
    var version: Int?
    /// Whether whoever asks has read the entry, and says which version.
    var isOfReader = false

    init(_ request: Request) throws {
        if let match = request.headers[.ifMatch], match.trimmed != "*" {
            guard let version = Self.version(match) else {
                throw HTTPError(
                    .badRequest, message: "If-Match is \"\(match.prefix(40))\"; send the ETag that was read, as it is")
            }
            (self.version, isOfReader) = (version, true)
        } else if let noneMatch = request.headers[.ifNoneMatch] {
            guard noneMatch.trimmed == "*" else {
                throw HTTPError(
                    .badRequest, message: "If-None-Match is only known as *, for what must not be there yet")
            }
            version = 0
        }
    }

    private static func version(_ tag: String) -> Int? {
        let tag = tag.trimmed
        guard tag.count > 2, tag.hasPrefix("\""), tag.hasSuffix("\"") else { return nil }
        return Int(tag.dropFirst().dropLast())
    }

    /// - Throws: 412 when another version is current.
    func check(_ current: Int) throws {
        guard let version, version != current else { return }
        throw HTTPError(
            .preconditionFailed, message: "the entry has version \(current), not \(version); read it again")
    }

    static func tag(_ version: Int) -> String { "\"\(version)\"" }
}

extension String {
    fileprivate var trimmed: String { trimmingCharacters(in: .whitespaces) }
}

extension ControlContext {
    /// A segment of the path, decoded.
    func segment(_ name: String) -> String {
        let raw = parameters.get(name) ?? ""
        return raw.contains("%") ? raw.removingPercentEncoding ?? raw : raw
    }
}

extension HTTPError {
    /// A store that could not do what it was asked.
    init(_ error: StoreError) {
        switch error.code {
        // A precondition that the request named does not hold.
        case .conflict: self.init(.preconditionFailed, message: error.message)
        case .taken: self.init(.conflict, message: error.message)
        case .refused: self.init(.unprocessableContent, message: error.message)
        default: self.init(.serviceUnavailable, message: error.message)
        }
    }
}

/// A document that cannot be used, with what is wrong.
struct UnusableDocument: Encodable {
    struct Words: Encodable { var message: String }

    var error: Words
    var diagnostics: [Finding]

    init(_ message: String, _ diagnostics: [Diagnostic]) {
        error = Words(message: message)
        self.diagnostics = diagnostics.map(Finding.init)
    }
}

/// Any JSON, as it was written.
struct VerbatimJSON: Encodable {
    private let value: JSONNode.Content

    init?(_ text: String) {
        guard let root = try? SourceText(file: "", text).readJSON() else { return nil }
        value = root.content
    }

    private init(_ value: JSONNode.Content) { self.value = value }

    private struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    func encode(to encoder: any Encoder) throws {
        switch value {
        case .object(let members):
            var container = encoder.container(keyedBy: Key.self)
            for member in members {
                try container.encode(VerbatimJSON(member.value.content), forKey: Key(stringValue: member.key))
            }
        case .array(let elements):
            var container = encoder.unkeyedContainer()
            for element in elements { try container.encode(VerbatimJSON(element.content)) }
        case .string(let text): try encoder.one(text)
        case .boolean(let flag): try encoder.one(flag)
        case .number(let text):
            if let whole = Int(text) { try encoder.one(whole) } else { try encoder.one(Double(text) ?? 0) }
        case .null:
            var container = encoder.singleValueContainer()
            try container.encodeNil()
        }
    }
}

extension Encoder {
    fileprivate func one(_ value: some Encodable) throws {
        var container = singleValueContainer()
        try container.encode(value)
    }
}
