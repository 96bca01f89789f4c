/// The tenants that stand in `tenants.json`, beside the pipelines.
public struct TenantList: Sendable {
    /// The name of the file.
    public static let fileName = "tenants.json"
    /// Tenants of all files together.
    public static let maximumCount = 50_000

    /// In the order of the file.
    public let tenants: [Tenant]
    /// Changes with the text; empty without one.
    public let version: String
    /// The file of each, as diagnostics name it.
    private let files: [String]
    private let places: [String: Int]
    private let owners: [String: Int]

    public static let none = TenantList([], files: [], version: "")

    private init(_ tenants: [Tenant], files: [String], version: String) {
        self.tenants = tenants
        self.files = files
        self.version = version
        places = Dictionary(tenants.enumerated().map { ($1.id, $0) }, uniquingKeysWith: { first, _ in first })
        var owners: [String: Int] = [:]
        for (index, tenant) in tenants.enumerated() {
            for number in tenant.numbers { owners[number.number] = index }
        }
        self.owners = owners
    }

    /// Costs one look-up.
    public func tenant(_ id: String) -> Tenant? { places[id].map { tenants[$0] } }

    /// The tenant whose number it is. Costs one look-up.
    public func tenant(ofNumber number: String) -> Tenant? { owners[number].map { tenants[$0] } }

    /// The file that a tenant stands in.
    public func file(of id: String) -> String? { places[id].map { files[$0] } }

    static let fields = [
        Field("tenants", .objects(Tenant.fields), isRequired: true, example: "[]", "All of them.")
    ]

    /// Reads files of tenants.
    ///
    /// - Parameter pipelines: The pipelines that there are; `nil` when that is not known.
    static func load(_ sources: [SourceText], pipelines: Set<String>?) -> (list: TenantList?, diagnostics: [Diagnostic])
    {
        var diagnostics: [Diagnostic] = []
        var tenants: [Tenant] = []
        var files: [String] = []
        var seen = Uniqueness()
        var linters: [Linter] = []
        for source in sources {
            let linter = Linter(source, Surroundings(variables: [:], isChecked: false))
            linter.variables = .refused("nothing is substituted in \(fileName)")
            linters.append(linter)
            guard let (root, members) = linter.rootMembers(fileName) else { continue }
            linter.checkKeys(members, allowed: DocumentKeys.tenants.map(\.name), owner: fileName, .root)
            guard let list = members["tenants"] else {
                linter.report(
                    .missingField, root.headRange, .root, "\(fileName) needs \"tenants\"",
                    .init("add \"tenants\": [ … ]", replacement: "tenants"))
                continue
            }
            guard case .array(let elements) = list.content else {
                linter.reportWrongType(list, DocumentPath.root.key("tenants"), "tenants", expected: "a list of tenants")
                continue
            }
            let reader = TenantReader(linter: linter, pipelines: pipelines)
            for (index, element) in elements.enumerated() {
                let path = DocumentPath.root.key("tenants").index(index)
                seen.check(element, path, linter)
                guard let (tenant, _) = reader.tenant(element, path) else { continue }
                tenants.append(tenant)
                files.append(source.file)
            }
            if tenants.count > maximumCount {
                linter.report(
                    .limitExceeded, list.headRange, DocumentPath.root.key("tenants"),
                    "more than \(maximumCount) tenants", .init("put them in by PUT /tenants/{id}"))
            }
        }
        for linter in linters { diagnostics += linter.finish() }
        guard !diagnostics.hasErrors else { return (nil, diagnostics) }
        let version = contentHash(sources.flatMap { Array($0.file.utf8) + [0] + $0.bytes })
        return (TenantList(tenants, files: files, version: sources.isEmpty ? "" : version), diagnostics)
    }

    /// No two tenants share a name or a number.
    private struct Uniqueness {
        private var ids: [String: (Linter, Range<Int>)] = [:]
        private var numbers: [String: (Linter, Range<Int>)] = [:]

        mutating func check(_ node: JSONNode, _ path: DocumentPath, _ linter: Linter) {
            guard case .object(let members) = node.content else { return }
            if case .string(let id)? = members["id"]?.content, let node = members["id"] {
                if let (other, range) = ids[id] {
                    linter.report(
                        .duplicateName, node.range, path.key("id"),
                        "another tenant is named \(quoted(id)) too, at \(other.place(of: range))",
                        .init("rename one of them"))
                } else {
                    ids[id] = (linter, node.range)
                }
            }
            guard case .array(let elements)? = members["numbers"]?.content else { return }
            for (index, element) in elements.enumerated() {
                var node = element
                if case .object(let inner) = element.content, let number = inner["number"] { node = number }
                guard case .string(let number) = node.content else { continue }
                if let (other, range) = numbers[number] {
                    linter.report(
                        .duplicateNumber, node.range, path.key("numbers").index(index),
                        "\(quoted(number)) is claimed twice: also at \(other.place(of: range))",
                        .init("leave it to one of them"))
                } else {
                    numbers[number] = (linter, node.range)
                }
            }
        }
    }
}

extension Tenant {
    /// Reads one tenant, checked as one of a file is.
    ///
    /// - Parameters:
    ///   - id: The name that it has; its text may repeat it.
    ///   - pipelines: The pipelines that there are; `nil` when that is not known.
    public static func read(
        _ source: SourceText, id: String, pipelines: Set<String>?
    ) -> (tenant: Tenant?, diagnostics: [Diagnostic]) {
        source.reading(pipelines) { reader, root in reader.tenant(root, .root, id: id)?.tenant }
    }
}

extension NumberEntry {
    /// Reads what is said of one number by itself.
    ///
    /// - Parameter isTenant: Whether there is a tenant of that name.
    public static func read(
        _ source: SourceText, number: String, pipelines: Set<String>?, isTenant: (String) -> Bool
    ) -> (entry: NumberEntry?, diagnostics: [Diagnostic]) {
        source.reading(pipelines) { reader, root in reader.number(number, root, tenants: isTenant) }
    }
}

extension SourceText {
    fileprivate func reading<Value>(
        _ pipelines: Set<String>?, _ body: (TenantReader, JSONNode) -> Value?
    ) -> (Value?, [Diagnostic]) {
        let linter = Linter(self, Surroundings(variables: [:], isChecked: false))
        linter.variables = .refused("nothing is substituted in a tenant's settings")
        var value: Value?
        if let (root, _) = linter.rootMembers("the body") {
            value = body(TenantReader(linter: linter, pipelines: pipelines), root)
        }
        let diagnostics = linter.finish()
        return (diagnostics.hasErrors ? nil : value, diagnostics)
    }
}
