import PatchbayCore

/// Reads `tools`, at the top of a document or of one agent, reporting everything that is wrong.
struct ToolReader {
    private let linter: Linter
    private let registry: ComponentRegistry
    /// The names of all tools of the agent so far, with their places.
    private(set) var names: [String: Range<Int>]

    /// - Parameter names: Names that are taken already.
    init(_ linter: Linter, _ registry: ComponentRegistry, names: [String: Range<Int>] = [:]) {
        self.linter = linter
        self.registry = registry
        self.names = names
    }

    /// - Returns: The tools that are right.
    mutating func read(_ node: JSONNode, _ path: DocumentPath) -> [ToolDeclaration] {
        guard case .array(let elements) = node.content else {
            var remedy: String?
            if case .object = node.content { remedy = "write a list: [{ … }]" }
            linter.reportWrongType(node, path, "tools", expected: "a list of tools", remedy: remedy)
            return []
        }
        var tools: [ToolDeclaration] = []
        for (index, element) in elements.enumerated() {
            guard index < Tool.maximumCount else {
                linter.report(
                    .limitExceeded, element.headRange, path.index(index),
                    "an agent takes at most \(Tool.maximumCount) tools")
                break
            }
            if let tool = read(element, "tools[\(index)]", path.index(index)) { tools.append(tool) }
        }
        return tools
    }

    private mutating func read(_ node: JSONNode, _ owner: String, _ path: DocumentPath) -> ToolDeclaration? {
        guard let members = linter.members(node, path, owner) else { return nil }
        let errorsBefore = linter.errorCount
        let own = ToolDeclaration.ownFields
        let reading = linter.readFields(
            members.filter { !own.contains($0.key) }, of: node,
            fields: ToolDeclaration.fields.filter { !own.contains($0.name) }, owner: quoted(owner), path, ignoring: own)
        let settings = reading.settings
        let name = settings.string("name") ?? ""
        readNames(members, path)
        checkDescription(members["description"], path)

        let schema = readParameters(members["parameters"], path)
        let known = Set(schema.propertyNames)
        var query: [(key: String, value: ToolTemplate)] = []
        if let node = members["query"] { query = readQuery(node, known, path.key("query")) }
        let method = settings.string("method").flatMap(ToolRequest.Method.init) ?? .post
        let body = readBody(members["body"], known, method, path)
        let address = readAddress(
            members["url"], schema, node, owner, isMisspelt: reading.unsound.contains("url"), path)
        checkHeaders(members["headers"], path.key("headers"))
        checkRetries(settings, method, members, path)
        checkWaiting(settings, members["waiting"], path)
        guard linter.errorCount == errorsBefore, let address else { return nil }
        return ToolDeclaration(
            name: name, aliases: settings.strings("aliases"), parameters: schema, method: method,
            writtenAddress: address.written, address: address.text, query: query, body: body,
            environmentValues: environmentValues(in: members), settings: settings)
    }

    /// What the environment puts into the address behind its host, into the query and into the body: any of it may be a
    /// credential.
    private func environmentValues(in members: [JSONMember]) -> [Secret] {
        var values: Set<String> = []
        func look(_ node: JSONNode, isAddress: Bool = false) {
            switch node.content {
            case .string(let text):
                var sample = ""
                for piece in TemplatePiece.pieces(of: text) {
                    switch piece {
                    case .literal(let literal): sample += literal
                    case .reference(let name, _) where name.hasPrefix("env."):
                        let value = linter.surroundings.value(EnvironmentReference(String(name.dropFirst(4)))) ?? ""
                        // A host is no secret, and services name themselves in their answers.
                        if !isAddress || ToolAddress.hasHost(sample) { values.insert(value) }
                        sample += value
                    case .reference: sample += sample.isEmpty ? "https://host" : "x"
                    case .unclosed: break
                    }
                }
            case .array(let elements): for element in elements { look(element) }
            case .object(let members): for member in members { look(member.value) }
            case .null, .boolean, .number: break
            }
        }
        if let node = members["url"] { look(node, isAddress: true) }
        for key in ["query", "body"] { if let node = members[key] { look(node) } }
        // A service may repeat what it was sent in the form in which it was sent.
        return values.union(values.map(\.percentEncoded)).sorted().map { Secret($0) }
    }

    // MARK: Names and words

    private mutating func readNames(_ members: [JSONMember], _ path: DocumentPath) {
        if let node = members["name"] { claim(node, path.key("name")) }
        guard case .array(let aliases)? = members["aliases"]?.content else { return }
        for (index, alias) in aliases.enumerated() { claim(alias, path.key("aliases").index(index)) }
    }

    private mutating func claim(_ node: JSONNode, _ path: DocumentPath) {
        guard case .string(let name) = node.content else { return }
        guard Tool.isName(name) else {
            linter.report(
                .badName, node.range, path,
                "\(quoted(name)) is no name of a tool: 1 to 64 letters of ASCII, digits, \"_\" and \"-\"")
            return
        }
        if let first = names[name] {
            linter.report(
                .duplicateTool, node.range, path,
                "another tool is called \(quoted(name)) too, at \(linter.line(of: first))",
                .init("rename one of them, or leave one out"))
        } else {
            names[name] = node.range
        }
    }

    private func checkDescription(_ node: JSONNode?, _ path: DocumentPath) {
        guard let node, case .string(let text) = node.content else { return }
        if text.utf8.count > Tool.maximumDescription {
            linter.report(
                .limitExceeded, node.range, path.key("description"),
                "the description has \(text.utf8.count) bytes; at most \(Tool.maximumDescription)")
        } else if text.allSatisfy(\.isWhitespace) {
            linter.report(
                .notAllowed, node.range, path.key("description"),
                "\"description\" has no words; by them the agent knows when to call the tool")
        }
    }

    // MARK: Parameters, query and body

    private func readParameters(_ node: JSONNode?, _ path: DocumentPath) -> JSONSchema {
        guard let node else { return .empty }
        JSONSchemaLint(linter, root: node).checkParameters(node, path.key("parameters"))
        return JSONSchema(JSONValue(node))
    }

    private func readQuery(
        _ node: JSONNode, _ known: Set<String>, _ path: DocumentPath
    ) -> [(key: String, value: ToolTemplate)] {
        guard let members = linter.members(node, path, "query") else { return [] }
        var items: [(key: String, value: ToolTemplate)] = []
        for member in linter.distinct(members) {
            let place = path.key(member.key)
            switch member.value.content {
            case .null, .array, .object:
                linter.reportWrongType(
                    member.value, place, member.key, expected: "a string, a number or a boolean")
            case .string, .number, .boolean:
                guard let template = linter.toolTemplate(member.value, place) else { continue }
                check(template, known, member.value, place)
                items.append((member.key, template))
            }
        }
        return items
    }

    private func readBody(
        _ node: JSONNode?, _ known: Set<String>, _ method: ToolRequest.Method, _ path: DocumentPath
    ) -> ToolTemplate? {
        guard let node else { return nil }
        let place = path.key("body")
        if method == .get {
            linter.report(
                .notAllowed, node.headRange, place, "a GET has no body",
                .init("write the values under \"query\", or choose another \"method\""))
            return nil
        }
        guard let template = linter.toolTemplate(node, place) else { return nil }
        check(template, known, node, place)
        return template
    }

    private func check(_ template: ToolTemplate, _ known: Set<String>, _ node: JSONNode, _ path: DocumentPath) {
        for name in template.parameters.subtracting(known).sorted() { reportUnknown(name, known, node, path) }
    }

    private func reportUnknown(_ name: String, _ known: Set<String>, _ node: JSONNode, _ path: DocumentPath) {
        linter.report(
            .unknownParameter, node.headRange, path, "the tool has no parameter \(quoted(name))",
            .closest(of: known.sorted(), for: name, label: "parameters here")
                ?? .init("declare it under \"properties\" of \"parameters\", or write {{ for the character"))
    }

    // MARK: Address

    func readAddress(
        _ node: JSONNode?, _ schema: JSONSchema, _ tool: JSONNode, _ owner: String, isMisspelt: Bool,
        _ path: DocumentPath
    ) -> (written: String, text: Settings.Text)? {
        guard let node else {
            if !isMisspelt {
                linter.report(
                    .missingField, tool.headRange, path, "\(quoted(owner)) needs \"url\"",
                    .init("add \"url\": \"https://…\"", replacement: "url"))
            }
            return nil
        }
        let place = path.key("url")
        guard case .string(let written) = node.content else {
            linter.reportWrongType(node, place, "url", expected: "a string")
            return nil
        }
        guard let checked = linter.text(written, node, place) else { return nil }
        let text = encodingEnvironment(written, checked)
        guard let samples = samples(of: text, node, place) else { return nil }
        for sample in samples {
            do throws(ToolAddress.Fault) {
                check(try ToolAddress(sample), schema, node, place)
            } catch {
                // Without the environment, what it would hold is not there.
                if written.contains("${env."), !linter.surroundings.isChecked { break }
                // A password must not be shown, not even in an excerpt.
                if sample.contains("@") { linter.hide(node.range) }
                linter.report(
                    .badAddress, node.range, place, "the address \(error.message)", error.remedy.map { .init($0) })
                return nil
            }
        }
        return (written, text)
    }

    /// The text with what the environment holds behind the host encoded, as other values are.
    private func encodingEnvironment(_ written: String, _ checked: Settings.Text) -> Settings.Text {
        guard written.contains("${env.") else { return checked }
        var references: [Reference] = []
        if case .template(let template) = checked {
            references = template.parts.compactMap { if case .reference(let reference) = $0 { reference } else { nil } }
        }
        var parts: [Template.Part] = []
        // Where the host ends, with a stand-in for variables.
        var sample = ""
        for piece in TemplatePiece.pieces(of: written) {
            switch piece {
            case .literal(let literal):
                parts.append(.literal(literal))
                sample += literal
            case .reference(let name, _) where name.hasPrefix("env."):
                let value = linter.surroundings.value(EnvironmentReference(String(name.dropFirst(4)))) ?? ""
                parts.append(.literal(ToolAddress.hasHost(sample) ? value.percentEncoded : value))
                sample += value
            case .reference:
                if !references.isEmpty { parts.append(.reference(references.removeFirst())) }
                sample += sample.isEmpty ? "https://host" : "x"
            case .unclosed: break
            }
        }
        let literals = parts.compactMap { if case .literal(let literal) = $0 { literal } else { nil } }
        guard literals.count < parts.count else { return .literal(literals.joined()) }
        return .template(Template(source: written, parts: parts, fallback: nil))
    }

    private func check(_ address: ToolAddress, _ schema: JSONSchema, _ node: JSONNode, _ path: DocumentPath) {
        let known = Set(schema.propertyNames)
        for name in address.parameters.subtracting(known).sorted() { reportUnknown(name, known, node, path) }
        var required: [String] = []
        if case .array(let names)? = schema.json["required"] { required = names.compactMap(\.stringValue) }
        for name in address.pathParameters.intersection(known).subtracting(required).sorted() {
            linter.report(
                .missingParameter, node.range, path,
                "the path needs \(quoted(name)), which the agent may leave out",
                .init("name it under \"required\" of \"parameters\""))
        }
    }

    /// The address with what its variables may hold; `nil` when something of the call would choose the host.
    private func samples(of text: Settings.Text, _ node: JSONNode, _ path: DocumentPath) -> [String]? {
        guard case .template(let template) = text else { return [text.asWritten] }
        var samples = [""]
        for part in template.parts {
            switch part {
            case .literal(let literal): samples = samples.map { $0 + literal }
            case .reference(let reference):
                if samples.allSatisfy(ToolAddress.hasHost) {
                    samples = samples.map { $0 + "x" }
                    continue
                }
                guard case .variable(let name) = reference else {
                    // The environment may hold the host, and is not looked at.
                    if case .string(let written) = node.content, written.hasPrefix("${env."),
                        !linter.surroundings.isChecked
                    {
                        return []
                    }
                    linter.report(
                        .badAddress, node.range, path,
                        "the address takes its host from the call, where anything may stand",
                        .init("write the host, or a variable of the document; behind the host, ${call.…} may stand"))
                    return nil
                }
                // A fragment by itself does not know them.
                guard case .document(let variables) = linter.variables else { return [] }
                let values = variables.values(of: name).prefix(20)
                samples = samples.flatMap { sample in values.map { sample + $0 } }.prefix(40).map(\.self)
            }
        }
        return samples
    }

    // MARK: Headers, retries, words

    /// Fields that the client itself writes, or that would change what the request is.
    private static let reserved: Set<String> = [
        "host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect",
        "proxy-authorization", "idempotency-key",
    ]

    func checkHeaders(_ node: JSONNode?, _ path: DocumentPath) {
        guard let node, case .object(let members) = node.content else { return }
        for member in linter.distinct(members) {
            if Self.reserved.contains(member.key.lowercased()) {
                linter.report(
                    .notAllowed, member.keyRange, path.key(member.key),
                    "the header \(quoted(member.key)) is not yours to set",
                    member.key.lowercased() == "idempotency-key" ? .init("write \"idempotencyKey\": true") : nil)
            }
            guard case .string(let text) = member.value.content, KeyMeaning(member.key) == .credential,
                !text.contains("${"), !text.isEmpty
            else { continue }
            linter.hide(member.value.range)
            linter.report(
                .plainSecret, member.value.range, path.key(member.key),
                "the header \(quoted(member.key)) has a credential in clear text",
                .init(
                    "write { \"env\": \"NAME\" }, { \"file\": \"PATH\" } or \"Bearer ${env.NAME}\", and change the secret: "
                        + "it has been written down"))
        }
    }

    private func checkRetries(
        _ settings: Settings, _ method: ToolRequest.Method, _ members: [JSONMember], _ path: DocumentPath
    ) {
        guard let retries = settings.integer("retries"), retries > 0, !method.isIdempotent,
            settings.bool("idempotencyKey") != true, let node = members["retries"]
        else { return }
        linter.report(
            .unsafeRetry, node.range, path.key("retries"),
            "a \(method.rawValue) that is tried again may be done twice",
            .init("add \"idempotencyKey\": true when the service tells repetitions by it, or leave \"retries\" out"))
    }

    private func checkWaiting(_ settings: Settings, _ node: JSONNode?, _ path: DocumentPath) {
        guard let checkSpeech = registry.checkSpeech, let node, let speech = settings.speech("waiting"),
            !speech.text.contains("${")
        else { return }
        do throws(PipelineError) {
            try checkSpeech(
                Announcement(speech, voice: settings.string("voice") ?? "en"), settings.directory(of: "waiting"))
        } catch {
            linter.report(.notSpeakable, node.range, path.key("waiting"), "\"waiting\": \(error.message)")
        }
    }
}
