import Foundation

/// Reads `context` of a document, reporting everything that is wrong.
struct ContextReader {
    private let linter: Linter
    private let registry: ComponentRegistry
    private let path = DocumentPath.root.key(ContextDeclaration.key)

    init(_ linter: Linter, _ registry: ComponentRegistry) {
        self.linter = linter
        self.registry = registry
    }

    func read(_ node: JSONNode) -> ContextDeclaration? {
        guard let members = linter.members(node, path, ContextDeclaration.key) else { return nil }
        let errorsBefore = linter.errorCount
        let own = ContextDeclaration.ownFields
        let reading = linter.readFields(
            members.filter { !own.contains($0.key) }, of: node,
            fields: ContextDeclaration.fields.filter { !own.contains($0.name) }, owner: quoted(ContextDeclaration.key),
            path, ignoring: own)
        for member in linter.distinct(members) { checkCircle(member.value, path.key(member.key)) }
        checkNames(members["default"])
        let place = readPlace(members, node, reading)
        guard linter.errorCount == errorsBefore, let place else { return nil }
        return ContextDeclaration(place: place.place, written: place.written, settings: reading.settings)
    }

    // MARK: Where it comes from

    private func readPlace(
        _ members: [JSONMember], _ node: JSONNode, _ reading: Linter.FieldReading
    ) -> (place: ContextDeclaration.Place, written: String)? {
        switch (members["url"], members["sqlite"]) {
        case (.some, let sqlite?):
            linter.report(
                .notAllowed, sqlite.headRange, path.key("sqlite"),
                "a context comes from \"url\" or from \"sqlite\", not from both", .init("remove one of the two"))
            return nil
        case (nil, nil):
            guard reading.unsound.isDisjoint(with: ["url", "sqlite"]) else { return nil }
            linter.report(
                .missingField, node.headRange, path, "\"context\" needs \"url\", or \"sqlite\" with \"query\"",
                .init("add \"url\": \"https://…\", or \"sqlite\": \"customers.db\""))
            return nil
        case (let url?, nil):
            refuse("query", in: members, without: "sqlite")
            return readAddress(url, members, node)
        case (nil, let sqlite?):
            refuse("headers", in: members, without: "url")
            return readDatabase(sqlite, members, node, reading)
        }
    }

    private func refuse(_ key: String, in members: [JSONMember], without needed: String) {
        guard let node = members[key] else { return }
        linter.report(
            .notAllowed, node.headRange, path.key(key), "\(quoted(key)) means nothing without \(quoted(needed))",
            .init("remove it"))
    }

    private func readAddress(
        _ node: JSONNode, _ members: [JSONMember], _ object: JSONNode
    ) -> (place: ContextDeclaration.Place, written: String)? {
        if case .string(let text) = node.content,
            ToolPlace.places(in: text.replacing("${", with: "$")).contains(where: {
                if case .parameter = $0 { true } else { false }
            })
        {
            linter.report(
                .badAddress, node.range, path.key("url"),
                "the address has a place for an argument, {…}, and nobody gives one here",
                .init("write ${call.from} for the caller's number"))
            return nil
        }
        let reader = ToolReader(linter, registry)
        reader.checkHeaders(members["headers"], path.key("headers"))
        return reader.readAddress(node, .empty, object, ContextDeclaration.key, isMisspelt: false, path)
            .map { (.address($0.text), $0.written) }
    }

    private func readDatabase(
        _ node: JSONNode, _ members: [JSONMember], _ object: JSONNode, _ reading: Linter.FieldReading
    ) -> (place: ContextDeclaration.Place, written: String)? {
        if case .text(let text)? = reading.settings.values["sqlite"], text.isTemplate {
            linter.report(
                .notAllowed, node.range, path.key("sqlite"),
                "the path of a database does not depend on the call", .init("only ${env.NAME} may stand in it"))
        } else if let file = reading.settings.string("sqlite"), linter.surroundings.fileFolders == nil,
            linter.checksEnvironment
        {
            let path = file.hasPrefix("/") ? file : "\(reading.settings.directory(of: "sqlite"))/\(file)"
            if !FileManager.default.fileExists(atPath: path) {
                linter.report(
                    .unreadableFile, node.range, self.path.key("sqlite"),
                    "the database \(quoted(path)) does not exist; until it does, every caller gets \"default\"",
                    severity: .warning)
            }
        }
        guard let query = members["query"] else {
            if !reading.unsound.contains("query") {
                linter.report(
                    .missingField, object.headRange, path, "\"sqlite\" needs \"query\"",
                    .init("add \"query\": \"SELECT … WHERE phone = :from\"", replacement: "query"))
            }
            return nil
        }
        let place = path.key("query")
        guard case .string(let text) = query.content else {
            linter.reportWrongType(query, place, "query", expected: "a string")
            return nil
        }
        guard !text.contains("${") else {
            linter.report(
                .unknownVariable, query.range, place,
                "no ${…} is put into a statement: a caller could write SQL by it",
                .init("write :from, :to or :sid, which are bound"))
            return nil
        }
        do throws(SQLStatement.Fault) {
            var written = ""
            if case .string(let file) = node.content { written = file }
            return (.database(try SQLStatement(text)), written)
        } catch {
            linter.report(
                .notAllowed, query.range, place, "the query \(error.message)", error.remedy.map { .init($0) })
            return nil
        }
    }

    // MARK: Values

    /// What is looked up cannot say where it is looked up.
    private func checkCircle(_ node: JSONNode, _ path: DocumentPath) {
        switch node.content {
        case .string(let text):
            for case .reference(let name, _) in TemplatePiece.pieces(of: text) where name.hasPrefix("context.") {
                linter.report(
                    .unknownVariable, node.range, path,
                    "\"context\" holds ${\(name)}, which is only known when it has been looked up",
                    .init("use ${call.from}, or a variable of the document"))
            }
        case .object(let members): for member in members { checkCircle(member.value, path.key(member.key)) }
        case .array(let elements):
            for (index, element) in elements.enumerated() { checkCircle(element, path.index(index)) }
        case .null, .boolean, .number: break
        }
    }

    private func checkNames(_ node: JSONNode?) {
        guard let node, case .object(let members) = node.content else { return }
        for member in linter.distinct(members) where !isVariableName(Substring(member.key)) {
            linter.report(
                .badName, member.keyRange, path.key("default").key(member.key),
                "\(quoted(member.key)) is no name of a value: letters, digits, \"-\", \"_\" and \".\"")
        }
    }
}
