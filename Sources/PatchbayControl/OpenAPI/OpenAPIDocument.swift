import PatchbayConfig

/// A control plane in the words of OpenAPI 3.1 (spec.openapis.org/oas/v3.1.1), at the paths that it really has.
struct OpenAPIDocument {
    var settings: ServerSettings
    /// Where the world reaches the server; the address that is asked when absent.
    var publicURL: String?

    var value: JSONValue {
        [
            "openapi": "3.1.0",
            "info": [
                "title": "Patchbay", "version": .string(ServerVersion.text),
                "summary": "The control plane of a server that answers telephone calls",
                "license": ["name": "Apache-2.0", "identifier": "Apache-2.0"],
            ],
            "servers": [["url": .string(publicURL ?? "/")]],
            "paths": paths,
            "components": ["schemas": .object(OpenAPISchemas.all), "securitySchemes": Self.proofs],
        ]
    }

    private var paths: JSONValue {
        var items: [(path: String, operations: [JSONValue.Member])] = []
        for route in RouteDescription.all {
            for (index, path) in settings.paths(route.key).enumerated() {
                let path = route.rest.isEmpty ? path : (path == "/" ? "" : path) + route.rest
                let operation = JSONValue.Member(
                    route.method.rawValue.lowercased(), Self.operation(route, alias: index))
                if let known = items.firstIndex(where: { $0.path == path }) {
                    items[known].operations.append(operation)
                } else {
                    items.append((path, [operation]))
                }
            }
        }
        return .object(items.map { .init($0.path, .object($0.operations)) })
    }

    private static func operation(_ route: RouteDescription, alias: Int) -> JSONValue {
        let words = route.rest.split(whereSeparator: { "/{}".contains($0) }).map(String.init)
        let name =
            ([route.method.rawValue.lowercased(), route.key.rawValue] + words + (alias > 0 ? ["\(alias + 1)"] : []))
            .joined(separator: "-")
        var members: [JSONValue.Member] = [
            .init("operationId", .string(name)), .init("summary", .string(route.summary)),
            .init("tags", [.string(route.key.rawValue)]),
        ]
        let parameters =
            route.pathParameters.map { name -> JSONValue in
                ["name": .string(name), "in": "path", "required": true, "schema": ["type": "string", "minLength": 1]]
            }
            + route.parameters.map { parameter -> JSONValue in
                [
                    "name": .string(parameter.name), "in": .string(parameter.place.rawValue),
                    "description": .string(parameter.summary), "schema": parameter.schema,
                ]
            }
        if !parameters.isEmpty { members.append(.init("parameters", .array(parameters))) }
        if let body = route.body {
            members.append(
                .init(
                    "requestBody",
                    [
                        "required": .boolean(body.isRequired),
                        "content": .object([.init(body.type, ["schema": body.schema])]),
                    ]))
        }
        members.append(.init("responses", responses(route)))
        members.append(.init("security", security(route.access)))
        return .object(members)
    }

    /// Its own answers, and those that its proof may get.
    private static func responses(_ route: RouteDescription) -> JSONValue {
        var answers = route.answers
        func add(_ status: Int, _ summary: String) {
            if !answers.contains(where: { $0.status == status }) { answers.append(.error(status, summary)) }
        }
        switch route.access {
        case .everybody: break
        case .carrier: add(403, "The signature is missing or does not fit.")
        case .vendor, .secret:
            add(401, "The proof is missing or does not fit.")
            add(403, "The server has no means to check it.")
        case .readers, .operators, .token:
            add(401, "A bearer token is needed, or this one is not accepted.")
            add(403, "The token does not open this, or the server knows no token.")
        }
        if route.body != nil {
            add(400, "The body cannot be read.")
            add(413, "The body is too long.")
        }
        if !route.parameters.isEmpty { add(400, "A parameter cannot be read.") }
        add(429, "Too many requests; `Retry-After` says when to come again.")
        return .object(
            answers.sorted { $0.status < $1.status }.map { answer in
                var members: [JSONValue.Member] = [.init("description", .string(answer.summary))]
                if let type = answer.type, let schema = answer.schema {
                    members.append(.init("content", .object([.init(type, ["schema": schema])])))
                }
                return .init("\(answer.status)", .object(members))
            })
    }

    private static func security(_ access: RouteDescription.Access) -> JSONValue {
        switch access {
        case .everybody: []
        case .carrier: [["carrierSignature": []]]
        case .vendor: [["vendorSignature": []]]
        case .secret: [["vendorSecret": []]]
        // This machine needs none.
        case .readers, .operators: [["token": []], [:]]
        case .token: [["token": []]]
        }
    }

    private static let proofs: JSONValue = [
        "token": ["type": "http", "scheme": "bearer", "description": "A token of the settings, or a JSON Web Token."],
        "carrierSignature": [
            "type": "apiKey", "in": "header", "name": "X-Twilio-Signature",
            "description": "As twilio.com/docs/usage/security has it.",
        ],
        "vendorSignature": [
            "type": "apiKey", "in": "header", "name": "ElevenLabs-Signature",
            "description": "As elevenlabs.io/docs/agents-platform/workflows/post-call-webhooks has it.",
        ],
        "vendorSecret": [
            "type": "apiKey", "in": "header", "name": "X-Tool-Secret",
            "description": "A header whose name and value the settings choose.",
        ],
    ]
}
