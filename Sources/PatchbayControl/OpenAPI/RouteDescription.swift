import HTTPTypes
import PatchbayConfig

/// What one route of the control plane takes, answers and asks of whoever comes: what `/openapi.json` is made of.
struct RouteDescription: Sendable {
    /// Who may ask.
    enum Access: Sendable {
        case everybody
        /// The carrier, with its signature.
        case carrier
        /// The agent's vendor, with its signature.
        case vendor
        /// The agent's vendor where it does not sign, with a secret header.
        case secret
        /// This machine, or a token; or everybody, where the settings open the path.
        case readers
        /// This machine, or a token that may do more than read.
        case operators
        /// A token, from wherever: it costs money, or moves a caller.
        case token
    }

    struct Parameter: Sendable {
        enum Place: String, Sendable { case query, header }
        var name: String
        var place = Place.query
        var schema: JSONValue
        var summary: String
    }

    struct Body: Sendable {
        var type = "application/json"
        var schema: JSONValue
        var isRequired = true
    }

    struct Answer: Sendable {
        var status: Int
        var summary: String
        /// The type of its content; `nil` for none.
        var type: String?
        var schema: JSONValue?

        static func json(_ schema: JSONValue, _ summary: String, status: Int = 200) -> Answer {
            Answer(status: status, summary: summary, type: "application/json", schema: schema)
        }
        static func twiml(_ summary: String) -> Answer {
            Answer(status: 200, summary: summary, type: "text/xml", schema: Schema.text)
        }
        static func text(_ type: String, _ summary: String) -> Answer {
            Answer(status: 200, summary: summary, type: type, schema: Schema.text)
        }
        static func empty(_ summary: String, status: Int = 204) -> Answer { Answer(status: status, summary: summary) }
        static func error(_ status: Int, _ summary: String) -> Answer {
            .json(Schema.reference("Error"), summary, status: status)
        }
    }

    var method: HTTPRequest.Method
    var key: ServerSettings.PathKey
    /// What stands behind the key's path, with parameters in braces.
    var rest: String
    var summary: String
    var access: Access
    var parameters: [Parameter]
    var body: Body?
    var answers: [Answer]

    init(
        _ method: HTTPRequest.Method, _ key: ServerSettings.PathKey, _ rest: String, _ summary: String,
        for access: Access, parameters: [Parameter] = [], body: Body? = nil, _ answers: Answer...
    ) {
        (self.method, self.key, self.rest, self.summary) = (method, key, rest, summary)
        (self.access, self.parameters, self.body, self.answers) = (access, parameters, body, answers)
    }

    /// A route at the key's own path.
    init(
        _ method: HTTPRequest.Method, _ key: ServerSettings.PathKey, _ summary: String,
        for access: Access, parameters: [Parameter] = [], body: Body? = nil, _ answers: Answer...
    ) {
        (self.method, self.key, self.rest, self.summary) = (method, key, "", summary)
        (self.access, self.parameters, self.body, self.answers) = (access, parameters, body, answers)
    }

    /// The parameters of the path, in order.
    var pathParameters: [String] {
        rest.split(separator: "/").filter { $0.first == "{" && $0.last == "}" }.map {
            String($0.dropFirst().dropLast())
        }
    }
}

/// Parts of schemas (JSON Schema 2020-12, which OpenAPI 3.1 speaks).
enum Schema {
    static let text: JSONValue = ["type": "string"]
    static let integer: JSONValue = ["type": "integer"]
    static let number: JSONValue = ["type": "number"]
    static let boolean: JSONValue = ["type": "boolean"]
    static let instant: JSONValue = ["type": "string", "format": "date-time"]
    static let textOrNull: JSONValue = ["type": ["string", "null"]]
    static let anything: JSONValue = [:]
    static let anyObject: JSONValue = ["type": "object"]
    /// Values of variables by name.
    static let variables: JSONValue = [
        "type": "object", "additionalProperties": ["type": ["string", "number", "boolean"]],
    ]

    static func reference(_ name: String) -> JSONValue { ["$ref": .string("#/components/schemas/\(name)")] }
    static func list(_ schema: JSONValue) -> JSONValue { ["type": "array", "items": schema] }
    static func constant(_ texts: String...) -> JSONValue { ["enum": .array(texts.map { .string($0) })] }
    static func integer(_ range: ClosedRange<Int>) -> JSONValue {
        ["type": "integer", "minimum": JSONValue(range.lowerBound), "maximum": JSONValue(range.upperBound)]
    }

    /// An object of exactly these members.
    static func object(
        _ required: KeyValuePairs<String, JSONValue>, optional: KeyValuePairs<String, JSONValue> = [:]
    ) -> JSONValue {
        let members = (Array(required) + Array(optional)).map { JSONValue.Member($0.key, $0.value) }
        var schema: [JSONValue.Member] = [.init("type", "object"), .init("properties", .object(members))]
        if !required.isEmpty { schema.append(.init("required", .array(required.map { .string($0.key) }))) }
        schema.append(.init("additionalProperties", false))
        return .object(schema)
    }
}
