/// The JSON Schemas of everything that people write for Patchbay, built from the specs of a registry.
///
/// The dialect is draft 2020-12 (https://json-schema.org/draft/2020-12). What a schema cannot say is left to `patchbay
/// lint`: whether formats fit, variables and environment are set, numbers and names are unique, files exist, keys are
/// written twice. A schema never refuses what the linter accepts.
public struct DocumentSchema: Sendable {
    /// The kinds of documents.
    public enum Kind: String, Sendable, CaseIterable {
        /// A pipeline.
        case pipeline
        /// A shared list of stages, for `include`.
        case fragment
        /// The server's own settings.
        case server
        /// The tenants of a server.
        case tenants
    }

    private let registry: ComponentRegistry

    public init(_ registry: ComponentRegistry) { self.registry = registry }

    /// The schema of that kind of document. Costs a few milliseconds.
    public subscript(kind: Kind) -> JSONValue {
        switch kind {
        case .pipeline:
            schema(
                kind.rawValue, "A Patchbay pipeline",
                "What the calls to some numbers run through, from the carrier to the agent and back."
            ) { $0.object(DocumentKeys.pipeline, registry.documentFields) }
        case .fragment:
            schema(
                kind.rawValue, "A shared list of stages", "Stages that pipelines take into their own by \"include\".",
                takesParameters: true
            ) { $0.object(DocumentKeys.fragment, []) }
        case .server:
            schema(
                kind.rawValue, "Settings of a Patchbay server",
                "The file server.json, which stands beside the pipelines of a server."
            ) { $0.object(DocumentKeys.server, []) }
        case .tenants:
            schema(
                kind.rawValue, "Tenants of a Patchbay server",
                "The file tenants.json, which stands beside the pipelines of a server."
            ) { $0.object(DocumentKeys.tenants, []) }
        }
    }

    /// The schema of another document, one that its fields describe completely.
    ///
    /// - Parameters:
    ///   - name: Ends the schema's id: `test` gives `urn:patchbay:schema:test`.
    ///   - title: A few words for editors.
    public func document(_ name: String, title: String, summary: String, fields: [Field]) -> JSONValue {
        schema(name, title, summary) { parts in
            parts.object(
                fields,
                before: [.init("$schema", parts.plainText("Where editors find this schema; means nothing else."))])
        }
    }

    private func schema(
        _ name: String, _ title: String, _ summary: String, takesParameters: Bool = false,
        body: (SchemaParts) -> JSONValue
    ) -> JSONValue {
        let parts = SchemaParts(registry, takesParameters: takesParameters)
        var schema: JSONValue = [
            "$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "urn:patchbay:schema:\(name)",
            "title": .string(title), "description": .string(summary),
        ]
        schema.merge(body(parts))
        let used = Self.used(parts.definitions, by: schema)
        if !used.isEmpty { schema.append("$defs", .object(used)) }
        return schema
    }

    /// The definitions that the schema needs, directly or through others.
    private static func used(_ definitions: [JSONValue.Member], by schema: JSONValue) -> [JSONValue.Member] {
        var needed: Set<String> = []
        var open = [schema]
        while let next = open.popLast() {
            for reference in next.references where needed.insert(reference).inserted {
                open += definitions.filter { JSONValue.pointer(to: $0.key) == reference }.map(\.value)
            }
        }
        return definitions.filter { needed.contains(JSONValue.pointer(to: $0.key)) }
    }
}

extension JSONValue {
    /// Puts the members of another object at the end of this one.
    mutating func merge(_ other: JSONValue) {
        guard case .object(let members) = other else { return }
        for member in members { append(member.key, member.value) }
    }

    /// A reference to a definition of the same schema.
    static func reference(_ name: String) -> JSONValue { ["$ref": .string(pointer(to: name))] }

    /// Where a definition stands: a JSON Pointer in a URI fragment (RFC 6901 §6).
    static func pointer(to name: String) -> String {
        var escaped = ""
        for byte in name.utf8 {
            switch byte {
            case UInt8(ascii: "~"): escaped += "~0"
            case UInt8(ascii: "/"): escaped += "~1"
            case _ where byte.isNameByte || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "."):
                escaped.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let hex = String(byte, radix: 16, uppercase: true)
                escaped += "%" + (hex.count == 1 ? "0" : "") + hex
            }
        }
        return "#/$defs/\(escaped)"
    }

    /// What all `$ref` anywhere below refer to.
    fileprivate var references: [String] {
        switch self {
        case .array(let elements): elements.flatMap(\.references)
        case .object(let members):
            members.flatMap { member -> [String] in
                if member.key == "$ref", case .string(let pointer) = member.value { return [pointer] }
                return member.value.references
            }
        case .null, .boolean, .number, .string: []
        }
    }
}
