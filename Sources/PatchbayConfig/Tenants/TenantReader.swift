import Foundation

extension Tenant {
    /// Variables that one tenant, or one number, may set.
    public static let maximumVariables = 200
    /// Numbers of one tenant.
    public static let maximumNumbers = 10_000

    static let plainFields = [
        Field("id", .string, isRequired: true, example: #""salon-7""#, "Its name for programs."),
        Field("name", .string, isRequired: true, example: #""Salon Seven""#, "Its name for people."),
        Field("pipeline", .string, "The pipeline that answers; without it, the one that has the called number."),
        Field("agentId", .string, "The agent's name at its vendor, ${agentId}."),
        Field("greeting", .string, "What is said first, ${greeting}."),
        Field("tone", .string, "How the agent speaks, ${tone}."),
        Field("language", .string, example: #""en""#, "The language of its calls, ${language}."),
        Field(
            "timeZone", .string, example: #""Europe/Berlin""#,
            "Where its hours are kept, by its name in the IANA time zone database."),
        Field(
            "businessHours", .object(BusinessHours.fields),
            "When it is open; a sentence about it is ${businessHoursSummary}."),
        Field("maximumCalls", .integer(1...100_000), "Calls at the same time; without it, the server's limit."),
        Field("variables", .variables, example: #"{ "stylist": "Robin" }"#, "What other ${name} mean in its calls."),
    ]

    static let numbersField = Field(
        "numbers", .json, example: #"["+15551234567", { "number": "+15557654321", "sid": "PN1" }]"#,
        "Its numbers (E.164), each alone or with the carrier's name of it.")

    static let fields = plainFields + [numbersField]

    /// Names of variables that only the tenant itself sets.
    static let reservedVariables = ["tenantId", "tenantName"]
}

extension NumberEntry {
    static let fields = [
        Field("tenant", .string, "Whose number it is."),
        Field("pipeline", .string, "The pipeline that answers; without it, the tenant's."),
        Field("sid", .string, "The carrier's name of the number."),
        Field("variables", .variables, "What ${name} means in calls to it; goes before the tenant's."),
    ]
}

/// Reads tenants, reporting everything that is wrong with them.
struct TenantReader {
    let linter: Linter
    /// The pipelines that there are; `nil` when that is not known.
    let pipelines: Set<String>?

    /// - Parameter id: The name that it must have; `nil` where it says so itself.
    func tenant(_ node: JSONNode, _ path: DocumentPath, id: String? = nil) -> (tenant: Tenant, node: JSONNode)? {
        guard let members = linter.members(node, path, path.description.isEmpty ? "a tenant" : path.description) else {
            return nil
        }
        let errorsBefore = linter.errorCount
        var fields = Tenant.fields
        if id != nil { fields.removeAll { $0.name == "id" } }
        let settings = linter.settings(
            members, of: node, fields: fields, owner: "a tenant", path,
            ignoring: id == nil ? [] : ["$schema", "id"])
        checkID(members, path, id)
        if case .string("")? = members["name"]?.content, let name = members["name"] {
            linter.report(.badName, name.range, path.key("name"), "\"name\" is empty")
        }
        checkPipeline(members["pipeline"], path.key("pipeline"))
        if let zone = members["timeZone"] { _ = CallingHoursReader(linter).timeZone(zone, path.key("timeZone")) }
        checkVariables(members["variables"], path.key("variables"))
        let numbers = numbers(members["numbers"], path.key("numbers"))
        let hours = hours(members["businessHours"], path.key("businessHours"))
        guard linter.errorCount == errorsBefore, let settings, let name = settings.string("name"),
            let id = id ?? settings.string("id")
        else { return nil }
        var tenant = Tenant(
            id: id, name: name, pipeline: settings.string("pipeline"), numbers: numbers,
            variables: settings.variables("variables"))
        tenant.agentID = settings.string("agentId")
        tenant.greeting = settings.string("greeting")
        tenant.tone = settings.string("tone")
        tenant.language = settings.string("language")
        tenant.timeZone = settings.string("timeZone")
        tenant.maximumCalls = settings.integer("maximumCalls")
        tenant.businessHours = hours
        return (tenant, node)
    }

    func number(_ number: String, _ node: JSONNode, tenants: (String) -> Bool) -> NumberEntry? {
        let path = DocumentPath.root
        guard let members = linter.members(node, path, "a number's entry") else { return nil }
        let errorsBefore = linter.errorCount
        let settings = linter.settings(
            members, of: node, fields: NumberEntry.fields, owner: "a number's entry", path, ignoring: ["$schema"])
        checkPipeline(members["pipeline"], path.key("pipeline"))
        checkVariables(members["variables"], path.key("variables"))
        if case .string(let tenant)? = members["tenant"]?.content, let node = members["tenant"], !tenants(tenant) {
            linter.report(.notAllowed, node.range, path.key("tenant"), "there is no tenant \(quoted(tenant))")
        }
        if members["tenant"] == nil, members["pipeline"] == nil {
            linter.report(
                .missingField, node.headRange, path, "the entry names neither \"tenant\" nor \"pipeline\"",
                .init("add one of them: \"tenant\": \"…\""))
        }
        guard linter.errorCount == errorsBefore, let settings else { return nil }
        return NumberEntry(
            number: number, tenant: settings.string("tenant"), pipeline: settings.string("pipeline"),
            sid: settings.string("sid"), variables: settings.variables("variables"))
    }

    private func checkID(_ members: [JSONMember], _ path: DocumentPath, _ expected: String?) {
        guard case .string(let id)? = members["id"]?.content, let node = members["id"] else { return }
        if !Tenant.isID(id) {
            linter.report(
                .badName, node.range, path.key("id"),
                "\(quoted(id)) is no name of a tenant: 1 to 64 letters, digits, \"-\", \"_\" and \".\"")
        } else if let expected, id != expected {
            linter.report(
                .notAllowed, node.range, path.key("id"),
                "\"id\" is \(quoted(id)), but the path names \(quoted(expected))",
                .init("leave \"id\" out, or ask for the other path"))
        }
    }

    private func checkPipeline(_ node: JSONNode?, _ path: DocumentPath) {
        guard let pipelines, let node, case .string(let name) = node.content, !pipelines.contains(name) else { return }
        linter.report(
            .notAllowed, node.range, path, "there is no pipeline \(quoted(name))",
            .among(pipelines.sorted(), for: name, label: "pipelines"))
    }

    private func checkVariables(_ node: JSONNode?, _ path: DocumentPath) {
        guard let node, case .object(let members) = node.content else { return }
        if members.count > Tenant.maximumVariables {
            linter.report(
                .limitExceeded, node.headRange, path,
                "\(members.count) variables; at most \(Tenant.maximumVariables) are read")
        }
        for member in members {
            if Tenant.reservedVariables.contains(member.key) {
                linter.report(
                    .notAllowed, member.keyRange, path.key(member.key),
                    "\(quoted(member.key)) follows from the tenant itself", .init("take it out"))
            } else if !isVariableName(Substring(member.key))
                || ["call.", "context.", "env."].contains(where: member.key.hasPrefix)
            {
                linter.report(
                    .badName, member.keyRange, path.key(member.key),
                    "\(quoted(member.key)) is no name of a variable: letters, digits, \"-\", \"_\" and \".\"; "
                        + "not beginning with call., context. or env.")
            }
        }
    }

    // MARK: Numbers

    private func numbers(_ node: JSONNode?, _ path: DocumentPath) -> [Tenant.Number] {
        guard let node else { return [] }
        guard case .array(let elements) = node.content else {
            linter.reportWrongType(
                node, path, "numbers", expected: "a list of numbers", remedy: "write [\"+15551234567\"]")
            return []
        }
        if elements.count > Tenant.maximumNumbers {
            linter.report(
                .limitExceeded, node.headRange, path,
                "\(elements.count) numbers; at most \(Tenant.maximumNumbers) are read")
        }
        return elements.prefix(Tenant.maximumNumbers).enumerated().compactMap { number($1, path.index($0)) }
    }

    private func number(_ node: JSONNode, _ path: DocumentPath) -> Tenant.Number? {
        switch node.content {
        case .string(let text): return checked(text, node.range, path).map { Tenant.Number($0) }
        case .object(let members):
            let fields = [
                Field("number", .string, isRequired: true, example: #""+15551234567""#, "E.164."),
                Field("sid", .string, "The carrier's name of it."),
            ]
            guard
                let settings = linter.settings(
                    members, of: node, fields: fields, owner: quoted(path.description), path),
                let text = settings.string("number"), let place = members["number"]
            else { return nil }
            return checked(text, place.range, path.key("number")).map {
                Tenant.Number($0, sid: settings.string("sid"))
            }
        case .null, .boolean, .number, .array:
            linter.reportWrongType(
                node, path, path.description, expected: "a number as text, or an object with \"number\" and \"sid\"",
                remedy: "write numbers in quotes, with +")
            return nil
        }
    }

    private func checked(_ text: String, _ range: Range<Int>, _ path: DocumentPath) -> String? {
        if case .exact(let number)? = NumberPattern(text) { return number }
        linter.report(
            .badNumber, range, path,
            "\(quoted(text)) is no number: \"+\" and 2 to 15 digits (E.164); prefixes belong to pipelines",
            text.hasSuffix("*") ? nil : NumberPattern.suggestion(for: text))
        return nil
    }

    // MARK: Hours

    private func hours(_ node: JSONNode?, _ path: DocumentPath) -> BusinessHours? {
        guard let node, case .object(let members) = node.content else { return nil }
        return BusinessHours(
            CallingHours.weekdays.map { day in
                guard let value = members[day], case .object(let hours) = value.content else { return nil }
                return self.day(hours, value, day, path.key(day))
            })
    }

    private func day(
        _ members: [JSONMember], _ node: JSONNode, _ day: String, _ path: DocumentPath
    ) -> BusinessHours.Day? {
        if case .boolean(false)? = members["enabled"]?.content { return .closed }
        var times: [String] = []
        for name in ["open", "close"] {
            guard let value = members[name] else {
                linter.report(
                    .missingField, node.headRange, path, "\(quoted(day)) needs \(quoted(name))",
                    .init("add \"\(name)\": \"\(name == "open" ? "09:00" : "17:00")\", or \"enabled\": false"))
                continue
            }
            if case .string(let text) = value.content { times.append(text) }
        }
        guard times.count == 2 else { return nil }
        if let span = CallingHours.Span("\(times[0])-\(times[1])"), times.allSatisfy({ $0.utf8.count == 5 }) {
            return .open(span)
        }
        linter.report(
            .badHours, (members["open"] ?? node).range, path,
            "\(quoted(times[0])) to \(quoted(times[1])) are no hours; write them as \"HH:MM\", from 00:00 to 24:00")
        return nil
    }
}
