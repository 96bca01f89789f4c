/// A page about a component or about a kind of document, for people and for tools.
public struct SpecPage: Sendable {
    /// One line of its table.
    struct Row: Sendable {
        /// Keys of an inner object are indented by two for each object around them.
        var name: String
        var value: String
        var fallback: String
        var meaning: String
    }

    /// The name by which it is asked for: `vad`, `server`.
    public let name: String
    /// What it is, in one word: `stage`, `document`.
    public let kind: String
    let summary: String
    let takes: String?
    let gives: String?
    let rows: [Row]
    /// The page as a JSON object.
    public let json: JSONValue

    /// The page in lines of at most `width` columns, as far as no single word is longer; the meaning of each key is
    /// wrapped beside it.
    public func text(width: Int = 100) -> String {
        var text = wrapped("\(name) (\(kind)): \(summary)", width: width, hanging: 2).joined(separator: "\n") + "\n"
        if takes != nil || gives != nil {
            text += "\n"
            for case (let word, let formats?) in [("takes", takes), ("gives", gives)] {
                text += wrapped("  \(word)  \(formats)", width: width, hanging: 9).joined(separator: "\n") + "\n"
            }
        }
        guard !rows.isEmpty else { return text + "\nIt has no settings.\n" }
        return text + "\n" + SpecTable(rows, width: width).text
    }
}

extension SpecPage {
    /// The page of a document that its fields describe completely.
    public init(document name: String, summary: String, fields: [Field]) { self.init(name, summary, [], fields) }

    init(_ spec: ComponentSpec, formats: FormatSummary? = nil) {
        var json = spec.json
        if let formats { json.append("formats", formats.json) }
        self.init(
            name: spec.type, kind: spec.kindName, summary: spec.summary + spec.history, takes: formats?.takes,
            gives: formats?.gives,
            rows: Self.rows(spec.kind == .agent ? spec.fields + [ToolDeclaration.agentField] : spec.fields, indent: ""),
            json: json)
    }

    init(_ name: String, _ summary: String, _ keys: [DocumentKey], _ fields: [Field] = []) {
        self.init(
            name: name, kind: "document", summary: summary, takes: nil, gives: nil,
            rows: keys.flatMap { Self.rows($0, indent: "") } + Self.rows(fields, indent: ""),
            json: [
                "type": .string(name), "kind": "document", "summary": .string(summary),
                "fields": .array(keys.map(\.json) + fields.map(\.json)),
            ])
    }

    /// The fields, each followed by its inner ones; what a field before has too is not said twice.
    private static func rows(_ fields: [Field], indent: String) -> [Row] {
        var known: [(name: String, inner: [String])] = []
        return fields.flatMap { field -> [Row] in
            let meaning =
                field.summary + (field.isAdvanced ? " (advanced)" : "") + field.history
                + (field.example.map { " For instance \($0)" } ?? "")
            var row = Row(
                name: indent + field.name, value: field.kind.allowed, fallback: field.fallback, meaning: meaning)
            switch field.kind {
            case .object(let inner), .objects(let inner):
                let names = inner.map(\.name)
                if let like = known.first(where: { $0.inner == names }) {
                    row.value += ", as \"\(like.name)\""
                    return [row]
                }
                known.append((field.name, names))
                return [row] + rows(inner, indent: indent + "  ")
            default: return [row]
            }
        }
    }

    private static func rows(_ key: DocumentKey, indent: String) -> [Row] {
        let row = Row(
            name: indent + key.name, value: key.kind.allowed, fallback: key.isRequired ? "required" : "",
            meaning: key.summary + (key.example.map { " For instance \($0)" } ?? ""))
        return [row] + rows(key.fields, indent: indent + "  ")
    }
}

extension DocumentKey {
    var json: JSONValue {
        var object: JSONValue = [
            "name": .string(name), "kind": .string(kind.rawValue), "required": .boolean(isRequired),
        ]
        if !fields.isEmpty { object.append("fields", .array(fields.map(\.json))) }
        object.append("example", example.map { .string($0) })
        object.append("summary", .string(summary))
        return object
    }
}

extension ComponentRegistry {
    /// All specs: transports, stages, agents, the structure of documents, each in the order of their list.
    public var catalogue: [ComponentSpec] { specs + Structure.all }

    /// The catalogue as a JSON list.
    public var json: JSONValue { .array(catalogue.map { SpecPage($0, formats: formats(of: $0)).json }) }

    /// Everything that has a page: the catalogue, and the kinds of documents.
    public var pageNames: [String] { catalogue.map(\.type) + documentPages.map(\.name) }

    /// The pages of that name; several when a transport shares its name with another.
    public func pages(named name: String) -> [SpecPage] {
        catalogue.filter { $0.types.contains(name) }.map { SpecPage($0, formats: formats(of: $0)) }
            + documentPages.filter { $0.name == name }
    }

    /// The kinds of documents, and the rules of one.
    public var documentPages: [SpecPage] {
        [
            SpecPage(
                "pipeline", "What the calls to some numbers run through, from the carrier to the agent and back.",
                DocumentKeys.pipeline, documentFields),
            SpecPage(
                "when",
                "The rules of a pipeline, a list: the first that holds decides. Conditions must all hold; the outcome "
                    + "is \"pipeline\" or \"say\".", [], CallRule.fields),
            SpecPage(
                "tools",
                "The tools of a pipeline or of one agent, a list: HTTP requests that an agent may have made.", [],
                ToolDeclaration.fields),
            SpecPage("fragment", "Stages that pipelines take into their own by \"include\".", DocumentKeys.fragment),
            SpecPage(
                "server", "The file server.json, which stands beside the pipelines of a server.", DocumentKeys.server),
            SpecPage(
                "tenants", "The file tenants.json, which says whose the numbers of a server are.", DocumentKeys.tenants),
        ]
    }

    /// A line for everything that has a page, by kinds, in lines of at most `width` columns.
    ///
    /// - Parameter others: Pages of documents that the host adds.
    public func list(width: Int = 100, with others: [SpecPage] = []) -> String {
        let groups =
            [
                ("transports", transports.map(\.spec)), ("stages", stages.map(\.spec)), ("agents", agents.map(\.spec)),
                ("structure", Structure.all),
            ].map { ($0, $1.map { ($0.type, $0.summary) }) } + [
                ("documents", (documentPages + others).map { ($0.name, $0.summary) })
            ]
        let column = 2 + (groups.flatMap(\.1).map(\.0.unicodeScalars.count).max() ?? 0) + 2
        var text = ""
        for (title, entries) in groups where !entries.isEmpty {
            text += title + "\n"
            for (name, summary) in entries {
                let lines = wrapped("  \(name)".padded(to: column) + summary, width: width, hanging: column)
                text += lines.joined(separator: "\n") + "\n"
            }
        }
        return text
    }
}
