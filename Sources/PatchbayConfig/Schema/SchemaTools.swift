/// The schema of `tools`: that of its fields, with the forms of names, addresses and schemas.
extension SchemaParts {
    private static let name: JSONValue = ["type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"]

    var toolForms: [JSONValue.Member] {
        var tool: JSONValue = ["title": "A tool", "description": "An HTTP request that an agent may have made."]
        tool.merge(object(ToolDeclaration.fields))
        tool.replace("properties", "name", "pattern", with: "^[A-Za-z0-9_-]{1,64}$")
        tool.replace("properties", "aliases", "items", with: Self.name)
        tool.replace("properties", "parameters", "type", with: "object")
        tool.replace("properties", "parameters", "properties", with: ["type": ["const": "object"]])
        tool.replace("properties", "parameters", "required", with: ["type"])
        tool.replace("properties", "description", "pattern", with: #"\S"#)
        // Retries of what is not idempotent need a key by which the service tells them apart.
        tool.append(
            "if",
            [
                "properties": ["method": ["enum": ["POST", "PATCH"]]],
                "not": ["properties": ["idempotencyKey": ["const": true]], "required": ["idempotencyKey"]],
            ])
        tool.append("then", ["properties": ["retries": ["const": 0]]])
        return [.init("tool", tool)]
    }
}
