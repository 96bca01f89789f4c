public import PatchbayCore

/// Where a pipeline looks a caller up before its agent is chosen, as the document's `context` says.
public struct ContextDeclaration: Sendable {
    /// The key of a document that it stands under.
    static let key = "context"
    static let fields: [Field] = [
        Field(
            "url", .string, example: #""${env.CRM}/by?phone=${call.from}""#,
            "The address that is asked by GET for a JSON object; 404 means that the caller is unknown. What comes with the call "
                + "is percent-encoded and cannot change the host."),
        Field(
            "headers", .headers, example: #"{ "Authorization": { "env": "CUSTOMERS_AUTHORIZATION" } }"#,
            "HTTP header fields of that request: texts, or secrets by their names."),
        Field(
            "sqlite", .string, isPath: true, example: #""customers.db""#,
            "The path of a SQLite database, in place of an address. It is opened for reading alone."),
        Field(
            "query", .string, example: #""SELECT name, balance FROM customers WHERE phone = :from""#,
            "The statement that gives at most one row of it; :from, :to and :sid are bound, and no text is put into it."
        ),
        Field(
            "timeoutMs", .integer(50...5000), default: 800,
            "Time for an answer, while the caller hears ringing, in milliseconds."),
        Field(
            "default", .variables, example: #"{ "name": "Valued Customer" }"#,
            "The values of a caller who is unknown or could not be looked up, and those that an answer leaves out."),
    ]
    /// Fields that ``ContextReader`` reads itself.
    static let ownFields = ["url", "query"]

    enum Place: Sendable {
        case address(Settings.Text)
        case database(SQLStatement)
    }

    let place: Place
    /// The place as it is written, for people: variables of the environment by their names.
    let written: String
    let settings: Settings

    /// The look-up for one call.
    func lookup(in scope: ReferenceScope) throws(PipelineError) -> ContextLookup {
        let settings = try settings.resolved(in: scope)
        let work: ContextLookup.Work
        switch place {
        case .address(let text):
            let plain = try ToolAddress.text(of: text, in: scope)
            let address: Result<ToolAddress, ToolAddress.Fault>
            do throws(ToolAddress.Fault) {
                address = .success(try ToolAddress(plain))
            } catch {
                address = .failure(error)
            }
            work = .request(
                ToolRequest(
                    method: .get, writtenAddress: written, address: address, query: [],
                    headers: settings.headers("headers"), body: nil, environmentValues: [], retries: 0,
                    sendsIdempotencyKey: false,
                    responseLimit: ContextLookup.maximumAnswer))
        case .database(let statement):
            let path = settings.string("sqlite") ?? ""
            work = .query(
                file: path.hasPrefix("/") ? path : "\(settings.directory(of: "sqlite"))/\(path)", statement)
        }
        return ContextLookup(
            work: work, timeout: .milliseconds(Int64(settings.integer("timeoutMs") ?? 0)),
            fallback: settings.variables("default"), written: written)
    }
}

/// One look-up about one caller.
public struct ContextLookup: Sendable {
    /// Longest answer of a service, in bytes.
    public static let maximumAnswer = 64 << 10

    public enum Work: Sendable {
        case request(ToolRequest)
        case query(file: String, SQLStatement)
    }

    public var work: Work
    /// Time for an answer.
    public var timeout: TimeSpan
    /// What holds for an unknown caller, and where an answer leaves something out.
    public var fallback: [String: VariableValue]
    /// Where the values come from, as the document has it: without any value of the environment or of the call.
    public var written: String
}

extension Route {
    /// What has to be looked up before the call is planned; `nil` when its pipeline looks nothing up.
    ///
    /// - Throws: When a text refers to a variable that is not set, which the checks of documents exclude.
    public func contextLookup(for call: CallVariables) throws(PipelineError) -> ContextLookup? {
        guard let context = document.context else { return nil }
        return try context.lookup(
            in: ReferenceScope(call: call, variables: document.variables.merging(variables) { $1 }))
    }

    /// A call of which nothing could be found out beyond what it has: the defaults fill the rest.
    public func withDefaultContext(_ call: CallVariables) throws(PipelineError) -> CallVariables {
        var call = call
        if let lookup = try contextLookup(for: call) { call.context.merge(lookup.fallback) { own, _ in own } }
        return call
    }
}
