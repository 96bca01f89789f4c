/// The schema of `when`: that of its fields, with the forms of callers, hours and days, and with one outcome.
extension SchemaParts {
    private static let caller: JSONValue = [
        "type": "string",
        "pattern": #"^(anonymous|\+[1-9][0-9]{1,14}|\+[1-9][0-9]{0,13}\*|(client|sips?):([^\s*]+\*?|\*))$"#,
    ]
    private static let span: JSONValue = [
        "type": "string", "pattern": #"^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"#,
    ]

    var ruleForms: [JSONValue.Member] {
        var rule: JSONValue = [
            "title": "A rule",
            "description": "Conditions that must all hold, and exactly one outcome: \"pipeline\" or \"say\".",
        ]
        rule.merge(object(CallRule.fields))
        rule.replace("properties", "callers", "items", with: .reference("caller"))
        for name in ["during", "outside"] {
            rule.replace(
                "properties", name,
                with: [
                    "description": .string(CallRule.fields.first { $0.name == name }?.summary ?? ""),
                    "$ref": .string(JSONValue.pointer(to: "hours")),
                ])
        }
        rule.append("oneOf", [["required": ["pipeline"]], ["required": ["say"]]])
        return [
            .init("rule", rule), .init("caller", Self.caller), .init("hours", hours), .init("span", Self.span),
        ]
    }

    private var hours: JSONValue {
        var hours: JSONValue = ["title": "Hours of the week"]
        hours.merge(object(CallingHours.fields))
        for day in CallingHours.weekdays { hours.replace("properties", day, "items", with: .reference("span")) }
        hours.replace("properties", "dates", "type", with: "object")
        hours.replace("properties", "dates", "propertyNames", with: ["pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"])
        hours.replace(
            "properties", "dates", "additionalProperties", with: ["type": "array", "items": .reference("span")])
        return hours
    }
}
