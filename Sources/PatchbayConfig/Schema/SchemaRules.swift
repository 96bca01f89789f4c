/// The schema of `when`.
extension SchemaParts {
    private static let span = #"^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"#

    var ruleForms: [JSONValue.Member] {
        var rule: JSONValue = [
            "title": "A rule",
            "description": "Conditions that must all hold, and exactly one outcome: \"pipeline\" or \"say\".",
        ]
        rule.merge(object(DocumentKeys.rule, []))
        rule.append("oneOf", [["required": ["pipeline"]], ["required": ["say"]]])
        var hours: JSONValue = ["title": "Opening hours"]
        hours.merge(object(DocumentKeys.hours, []))
        return [
            .init("rule", rule),
            .init(
                "caller",
                [
                    "type": "string",
                    "pattern": #"^(anonymous|\+[1-9][0-9]{1,14}|\+[1-9][0-9]{0,13}\*|(client|sips?):[^\s*]+\*?)$"#,
                ]),
            .init("hours", hours),
            .init("spans", ["type": "array", "items": ["type": "string", "pattern": .string(Self.span)]]),
        ]
    }

    func ruleBody(_ kind: DocumentKey.Kind) -> JSONValue {
        switch kind {
        case .callers: ["type": "array", "items": .reference("caller")]
        case .hours: .reference("hours")
        case .spans: .reference("spans")
        case .dates:
            [
                "type": "object", "propertyNames": ["pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"],
                "additionalProperties": .reference("spans"),
            ]
        default: ["type": "string", "minLength": 1]
        }
    }
}
