import PatchbayCore

/// The reading of `include`: the stages of a shared file, with its parameters filled in.
extension StageListReader {
    /// Fragments within fragments.
    static let maximumDepth = 8
    /// Keys of a fragment.
    static let fragmentKeys = ["$schema", "description", "parameters", "stages"]

    /// - Returns: `nil` when the fragment cannot be used; why has been reported.
    mutating func readInclude(_ entry: ComponentEntry, _ place: Place) -> [StageEntry]? {
        let owner = "stage \"include\""
        linter.checkKeys(
            entry.members, allowed: ["type"] + Structure.include.fields.map(\.name), owner: owner, place.path)
        guard let fileNode = required("file", of: entry, owner: owner, place.path) else { return nil }
        guard case .string(let name) = fileNode.content else {
            linter.reportWrongType(fileNode, place.path.key("file"), "file", expected: "a string")
            return nil
        }
        guard !name.isEmpty, !name.contains("${") else {
            linter.report(
                .notAllowed, fileNode.range, place.path.key("file"),
                "\"file\" is \(quoted(name)); it must be a path, the same for every call",
                .init("to choose between fragments, put each into a case of a \"switch\""))
            return nil
        }
        let file = name.hasPrefix("/") || place.directory == "." ? name : "\(place.directory)/\(name)"
        guard let source = open(file, fileNode, place) else { return nil }

        let base = linter.include(source, at: fileNode.range)
        let root: JSONNode
        do {
            root = try source.readJSON().raised(by: base)
        } catch {
            linter.report(error, inFragmentAt: base)
            return nil
        }
        guard let fragment = readFragment(root) else { return nil }
        guard let values = values(for: fragment.parameters, entry, place.path) else { return nil }
        let path = DocumentPath.root.key("stages")
        guard let elements = elements(of: values.filled(into: fragment.stages), "stages", path) else { return nil }
        return read(
            elements,
            Place(
                path: path, address: place.address + ".stages", directory: source.directory,
                fragments: place.fragments + [file]))
    }

    /// The parameters and the stages of a fragment's own text.
    fileprivate func readFragment(_ root: JSONNode) -> (parameters: [JSONMember], stages: JSONNode)? {
        linter.checkDuplicateKeys(root)
        guard case .object(let members) = root.content else {
            linter.report(.wrongType, root.headRange, .root, "a fragment is an object, not \(root.kind)")
            return nil
        }
        // One word instead of an error for each key.
        if members["transport"] != nil {
            linter.report(
                .notAllowed, root.headRange, .root, "this is a pipeline, and only fragments can be included",
                .init("put the stages that several pipelines share into a file of their own, with \"stages\" alone"))
            return nil
        }
        let meant = linter.checkKeys(members, allowed: Self.fragmentKeys, owner: "a fragment", .root)
        for key in ["$schema", "description"] {
            guard let node = members[key] else { continue }
            if case .string = node.content { continue }
            linter.reportWrongType(node, DocumentPath.root.key(key), key, expected: "a string")
        }
        let parameters = readParameters(members["parameters"])
        if let stages = members["stages"] { return (parameters, stages) }
        if !meant.contains("stages") {
            linter.report(
                .missingField, root.headRange, .root, "a fragment needs \"stages\"",
                .init("add \"stages\": [ … ]", replacement: "stages"))
        }
        return nil
    }

    private func open(_ file: String, _ node: JSONNode, _ place: Place) -> SourceText? {
        let path = place.path.key("file")
        let known = [linter.source.file] + place.fragments
        guard !known.contains(where: { isSameFile($0, file) }) else {
            linter.report(
                .includeCycle, node.range, path, "\(quoted(file)) includes itself",
                .init("by way of \((known + [file]).joined(separator: ", "))"))
            return nil
        }
        guard place.fragments.count < Self.maximumDepth else {
            linter.report(
                .includeCycle, node.range, path, "fragments stand at most \(Self.maximumDepth) deep in one another")
            return nil
        }
        switch linter.surroundings.fragment(file) {
        case .success(let source):
            let bytes = linter.sources.entries.dropFirst().reduce(source.bytes.count) { $0 + $1.source.bytes.count }
            guard bytes <= SourceText.maximumBytes else {
                linter.report(
                    .limitExceeded, node.range, path,
                    "the fragments of a pipeline have more than \(SourceText.maximumBytes) bytes together")
                return nil
            }
            return source
        case .failure(let fault):
            linter.report(
                fault.code, node.range, path, "the fragment \(quoted(file)): \(fault.message)",
                .init("relative paths start from the folder of the file that says so"), needing: file)
            return nil
        }
    }

    // MARK: Parameters

    /// The names with their defaults; `null` stands for a value that must be given.
    private func readParameters(_ node: JSONNode?) -> [JSONMember] {
        let path = DocumentPath.root.key("parameters")
        guard let node, let members = linter.members(node, path, "parameters") else { return [] }
        return linter.distinct(members).filter { member in
            guard isVariableName(Substring(member.key)), !member.key.contains(".") else {
                linter.report(
                    .badName, member.keyRange, path.key(member.key),
                    "\(quoted(member.key)) is no name of a parameter: letters, digits, \"-\" and \"_\"")
                return false
            }
            if !member.value.isScalar {
                linter.reportWrongType(
                    member.value, path.key(member.key), member.key,
                    expected: "a string, a number, a boolean, or null for a value that must be given")
            }
            return true
        }
    }

    /// What each parameter is here, or `nil` when one has no usable value.
    private func values(
        for parameters: [JSONMember], _ entry: ComponentEntry, _ path: DocumentPath
    ) -> ParameterValues? {
        let errors = linter.errorCount
        var given: [JSONMember] = []
        if let node = entry.members["with"] {
            given = linter.members(node, path.key("with"), "with") ?? []
        }
        linter.checkKeys(
            given, allowed: parameters.map(\.key), owner: "the fragment", path.key("with"))
        var values: [String: JSONNode] = [:]
        for parameter in parameters {
            // A null gives nothing.
            guard let value = given[parameter.key], value.kind != "null" else {
                if case .null = parameter.value.content {
                    linter.report(
                        .missingParameter, entry.node.headRange, path,
                        "the fragment needs a value for \(quoted(parameter.key))",
                        .init("add \"with\": { \"\(parameter.key)\": … }", replacement: parameter.key))
                }
                values[parameter.key] = parameter.value
                continue
            }
            let isOfKind =
                parameter.value.kind == value.kind || parameter.value.kind == "null" && value.isScalar
            if !isOfKind {
                linter.reportWrongType(
                    value, path.key("with").key(parameter.key), parameter.key,
                    expected: parameter.value.kind == "null" ? "a string, a number or a boolean" : parameter.value.kind)
            }
            values[parameter.key] = value
            // A value that is handed on to a fragment within keeps the place where it was written.
            linter.givenValues[value.range] = linter.givenValues[value.range] ?? path.key("with").key(parameter.key)
        }
        return linter.errorCount == errors ? ParameterValues(values: values) : nil
    }
}

/// The values of a fragment's parameters at one place.
struct ParameterValues {
    /// Scalars, with the ranges of where they were written.
    var values: [String: JSONNode]

    /// The node with `${name}` replaced: a text that is one parameter takes its value and type.
    ///
    /// Only texts change, never the structure; `${…}` of other names are left to the including document.
    func filled(into node: JSONNode) -> JSONNode {
        guard !values.isEmpty else { return node }
        switch node.content {
        case .string(let text) where text.contains("${"): return filled(text, node)
        case .array(let elements):
            return JSONNode(.array(elements.map(filled)), range: node.range)
        case .object(let members):
            let filled = members.map {
                JSONMember(key: $0.key, keyRange: $0.keyRange, value: self.filled(into: $0.value))
            }
            return JSONNode(.object(filled), range: node.range)
        case .null, .boolean, .number, .string: return node
        }
    }

    private func filled(_ text: String, _ node: JSONNode) -> JSONNode {
        let pieces = TemplatePiece.pieces(of: text)
        if pieces.count == 1, case .reference(let name, _)? = pieces.first, let value = values[name] { return value }
        var result = ""
        for piece in pieces {
            switch piece {
            case .literal(let literal): result += literal.replacing("${", with: "$${")
            case .reference(let name, _): result += values[name]?.scalarText ?? "${\(name)}"
            case .unclosed: return node
            }
        }
        return result == text ? node : JSONNode(.string(result), range: node.range)
    }
}

extension JSONNode {
    fileprivate var isScalar: Bool {
        switch content {
        case .null, .boolean, .number, .string: true
        case .array, .object: false
        }
    }

    /// A scalar as it reads inside a longer text.
    fileprivate var scalarText: String {
        switch content {
        case .string(let text), .number(let text): text
        case .boolean(let value): String(value)
        case .null, .array, .object: ""
        }
    }
}

extension PipelineSet {
    /// Checks a fragment by itself, as far as that is possible: formats, variables and the values of parameters that must be
    /// given are those of whoever includes it.
    ///
    /// - Returns: All findings, in the order of the lines.
    public static func checkFragment(
        _ source: SourceText, registry: ComponentRegistry, environment: [String: String],
        options: LoadOptions = LoadOptions()
    ) -> [Diagnostic] {
        let surroundings = Surroundings(
            variables: environment, isChecked: options.checkEnvironment, fragments: options.fragments,
            fileFolders: options.fileFolders)
        let linter = Linter(source, surroundings)
        linter.variables = .includer
        do {
            let root = try source.readJSON()
            var reader = StageListReader(linter, registry, nil)
            guard let (parameters, stages) = reader.readFragment(root) else { return linter.finish() }
            var defaults: [String: JSONNode] = [:]
            for parameter in parameters {
                if case .null = parameter.value.content {
                    linter.openParameters.insert(parameter.key)
                } else {
                    defaults[parameter.key] = parameter.value
                }
            }
            let path = DocumentPath.root.key("stages")
            let filled = ParameterValues(values: defaults).filled(into: stages)
            if let elements = reader.elements(of: filled, "stages", path) {
                _ = reader.read(elements, .init(path: path, address: "stages", directory: source.directory))
            }
        } catch {
            linter.report(error)
        }
        return linter.finish()
    }
}
