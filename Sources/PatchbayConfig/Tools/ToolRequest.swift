import PatchbayCore

/// The HTTP request that a tool of a pipeline file stands for, with everything filled in that a call decides; arguments come last.
public struct ToolRequest: Sendable {
    public enum Method: String, Sendable, CaseIterable {
        case get = "GET"
        case post = "POST"
        case put = "PUT"
        case patch = "PATCH"
        case delete = "DELETE"

        /// Whether doing it twice is the same as doing it once (RFC 9110 §9.2.2).
        public var isIdempotent: Bool {
            switch self {
            case .get, .put, .delete: true
            case .post, .patch: false
            }
        }

        /// Whether arguments travel in a body unless the tool says otherwise. A body of a DELETE means nothing to most servers
        /// (RFC 9110 §9.3.5).
        var takesBody: Bool {
            switch self {
            case .post, .put, .patch: true
            case .get, .delete: false
            }
        }
    }

    public var method: Method
    /// The address as the document has it, for people and logs: with its `${…}` and `{…}`, without any value.
    public let writtenAddress: String
    /// How often it is tried again when the service cannot be reached or is overloaded. 0 where a repetition could do harm.
    public var retries: Int
    /// Whether every try of one call carries the same `Idempotency-Key`.
    public var sendsIdempotencyKey: Bool
    /// Longest answer, in bytes.
    public var responseLimit: Int
    /// Header fields; any value may be a credential.
    public let headers: [(name: String, value: Secret)]
    /// What the environment puts into the address, the query and the body; any of it may be a credential.
    public let environmentValues: [Secret]
    private let address: Result<ToolAddress, ToolAddress.Fault>
    private let query: [(key: String, value: ToolTemplate)]
    private let body: ToolTemplate?

    init(
        method: Method, writtenAddress: String, address: Result<ToolAddress, ToolAddress.Fault>,
        query: [(key: String, value: ToolTemplate)], headers: [(name: String, value: Secret)], body: ToolTemplate?,
        environmentValues: [Secret], retries: Int, sendsIdempotencyKey: Bool, responseLimit: Int
    ) {
        self.method = method
        self.writtenAddress = writtenAddress
        self.address = address
        self.query = query
        self.headers = headers
        self.environmentValues = environmentValues
        self.body = body
        self.retries = retries
        self.sendsIdempotencyKey = sendsIdempotencyKey
        self.responseLimit = responseLimit
    }

    /// What is wrong with the address once the call's variables are in it, for a log; `nil` when nothing is.
    public var addressFault: String? {
        guard case .failure(let fault) = address else { return nil }
        return "the address \(quoted(writtenAddress)) \(fault.message)"
    }

    /// Scheme, host and port that every request of it goes to.
    public var origin: String? { try? address.get().origin }

    /// The address and the body of the request for these arguments, which fit the tool's schema.
    ///
    /// Arguments that no place names go into the query of GET and DELETE, and into the JSON body of the others. One that is
    /// called like an item of the query that the document writes is left out: of two such items many servers take the last.
    /// - Throws: In words for the agent.
    public func message(for arguments: ToolArguments) throws(ToolFailure) -> (url: String, body: String?) {
        guard case .success(let address) = address else { throw ToolFailure("The tool is not set up correctly.") }
        var used = address.parameters
        var items: [(name: String, value: String)] = []
        for item in query {
            used.formUnion(item.value.parameters)
            if let value = item.value.value(with: arguments) { items += Self.items(item.key, value) }
        }
        var rest: [JSONValue.Member] = []
        if case .object(let members) = arguments.json { rest = members.filter { !used.contains($0.key) } }
        if let body {
            return (try address.url(with: arguments, query: items), (body.value(with: arguments) ?? .null).line)
        }
        if method.takesBody { return (try address.url(with: arguments, query: items), JSONValue.object(rest).line) }
        let written = Set((address.queryNames + query.map(\.key)).map(Self.itemName))
        for member in rest where !written.contains(Self.itemName(member.key)) {
            items += Self.items(member.key, member.value)
        }
        return (try address.url(with: arguments, query: items), nil)
    }

    /// What servers tell items of a query apart by, at the coarsest: some know no difference of case, others take `a[]` for `a`.
    private static func itemName(_ name: String) -> String {
        name.drop { $0 == " " }.prefix { $0 != "[" }.lowercased()
    }

    /// A list is an item for each element; `null` is none.
    private static func items(_ name: String, _ value: JSONValue) -> [(name: String, value: String)] {
        switch value {
        case .null: []
        case .array(let elements): elements.map { (name, $0.plainText) }
        case .boolean, .number, .string, .object: [(name, value.plainText)]
        }
    }
}

/// A tool as a pipeline file declares it, read and checked; variables are filled in for each call.
public struct ToolDeclaration: Sendable {
    public let name: String
    public let aliases: [String]
    public let parameters: JSONSchema
    public let method: ToolRequest.Method
    /// The address as it is written, for people: variables of the environment by their names.
    public let writtenAddress: String
    let address: Settings.Text
    let query: [(key: String, value: ToolTemplate)]
    let body: ToolTemplate?
    let environmentValues: [Secret]
    /// The rest of its fields.
    let settings: Settings

    /// The tool for one call.
    func tool(in scope: ReferenceScope) throws(PipelineError) -> Tool {
        let settings = try settings.resolved(in: scope)
        var query: [(key: String, value: ToolTemplate)] = []
        // One without a value is kept: no argument may take its place.
        for item in self.query { query.append((item.key, try item.value.resolved(in: scope) ?? .value(.null))) }
        let text = try ToolAddress.text(of: self.address, in: scope)
        let address: Result<ToolAddress, ToolAddress.Fault>
        do throws(ToolAddress.Fault) { address = .success(try ToolAddress(text)) } catch { address = .failure(error) }
        let request = ToolRequest(
            method: method, writtenAddress: writtenAddress, address: address, query: query,
            headers: settings.headers("headers"), body: try body?.resolved(in: scope),
            environmentValues: environmentValues,
            retries: settings.integer("retries") ?? 0, sendsIdempotencyKey: settings.bool("idempotencyKey") ?? false,
            responseLimit: settings.integer("maximumResponseBytes") ?? 0)
        let waiting = settings.speech("waiting").map { speech in
            WaitingWords(
                speech, after: .milliseconds(Int64(settings.integer("waitingAfterMs") ?? 0)),
                voice: settings.string("voice") ?? "en", directory: settings.directory(of: "waiting"))
        }
        return Tool(
            name: name, aliases: aliases, description: settings.string("description") ?? "", parameters: parameters,
            timeout: .milliseconds(Int64(settings.integer("timeoutMs") ?? 0)), waiting: waiting,
            work: .request(request))
    }

}

extension Tool {
    /// What it sends that may be a credential: header fields, and what comes from the environment.
    var secrets: [Secret] {
        guard case .request(let request) = work else { return [] }
        return request.headers.map(\.value) + request.environmentValues
    }
}

extension [ToolDeclaration] {
    func tools(in scope: ReferenceScope) throws(PipelineError) -> [Tool] {
        var tools: [Tool] = []
        for declaration in self { tools.append(try declaration.tool(in: scope)) }
        return tools
    }
}
