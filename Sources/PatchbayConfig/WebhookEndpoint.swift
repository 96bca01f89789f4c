/// Somebody who is told of calls: an entry of `webhooks` in `server.json`.
public struct WebhookEndpoint: Sendable, Equatable {
    /// What somebody can be told.
    public enum Event: String, Sendable, CaseIterable {
        /// A call has been taken.
        case callStarted = "call.started"
        /// It is over.
        case callEnded = "call.ended"
        /// What was said in it is on record.
        case transcriptReady = "transcript.ready"
    }

    /// Endpoints of one server.
    public static let maximumCount = 50

    /// Unique; names the endpoint in logs, metrics and the list of dead letters.
    public var name: String
    public var url: String
    public var events: Set<Event>
    /// What messages are signed with.
    public var secret: Secret
    /// The one tenant of whose calls it is told; `nil` for all.
    public var tenant: String?

    public init(name: String, url: String, events: Set<Event>, secret: Secret, tenant: String? = nil) {
        self.name = name
        self.url = url
        self.events = events
        self.secret = secret
        self.tenant = tenant
    }

    static let fields = [
        Field("name", .string, isRequired: true, example: #""crm""#, "Unique; names it in logs and lists."),
        Field(
            "url", .string, isRequired: true, example: #""https://crm.example.com/hooks/calls""#,
            "Where messages are posted: https://, or http:// to this machine."),
        Field(
            "events", .strings, isRequired: true, example: #"["call.started", "call.ended", "transcript.ready"]"#,
            "What it is told: \(Event.allCases.map(\.rawValue).joined(separator: ", "))."),
        Field(
            "secret", .secret, isRequired: true, example: #"{ "env": "CRM_WEBHOOK_SECRET" }"#,
            "What messages are signed with."),
        Field("tenant", .string, "The one tenant of whose calls it is told; without it, of all."),
    ]
}

/// Reads `webhooks` of `server.json`.
struct WebhookReader {
    private let linter: Linter
    private let path = DocumentPath.root.key("webhooks")

    init(_ linter: Linter) { self.linter = linter }

    func read(_ node: JSONNode) -> [WebhookEndpoint] {
        guard case .array(let elements) = node.content else {
            linter.reportWrongType(
                node, path, "webhooks", expected: "a list of objects",
                remedy: { if case .object = node.content { "write a list: [{ … }]" } else { nil } }())
            return []
        }
        var endpoints: [WebhookEndpoint] = []
        var names: [String: Range<Int>] = [:]
        for (index, element) in elements.enumerated() {
            let place = path.index(index)
            guard index < WebhookEndpoint.maximumCount else {
                linter.report(
                    .limitExceeded, element.headRange, place,
                    "a server has at most \(WebhookEndpoint.maximumCount) webhooks")
                break
            }
            if let endpoint = read(element, "webhooks[\(index)]", place, &names) { endpoints.append(endpoint) }
        }
        return endpoints
    }

    private func read(
        _ node: JSONNode, _ owner: String, _ path: DocumentPath, _ names: inout [String: Range<Int>]
    ) -> WebhookEndpoint? {
        guard let members = linter.members(node, path, owner) else { return nil }
        let errorsBefore = linter.errorCount
        let settings = linter.readFields(
            members, of: node, fields: WebhookEndpoint.fields, owner: quoted(owner), path
        ).settings
        if let node = members["name"], let name = settings.string("name") {
            check(name, node, path.key("name"), &names)
        }
        if let node = members["url"], let url = settings.string("url") { check(url, node, path.key("url")) }
        let events = members["events"].map { readEvents($0, path.key("events")) } ?? []
        guard linter.errorCount == errorsBefore, let name = settings.string("name"), let url = settings.string("url"),
            // Not there when the environment is not looked at.
            let secret = settings.secret("secret")
        else { return nil }
        return WebhookEndpoint(
            name: name, url: url, events: events, secret: secret, tenant: settings.string("tenant"))
    }

    private func check(_ name: String, _ node: JSONNode, _ path: DocumentPath, _ names: inout [String: Range<Int>]) {
        let isName =
            (1...64).contains(name.utf8.count) && name.utf8.allSatisfy { $0.isNameByte || $0 == UInt8(ascii: "-") }
        if !isName {
            linter.report(
                .badName, node.range, path,
                "the name \(quoted(name)) is not made of 1 to 64 letters, digits, \"-\" and \"_\"")
        } else if let first = names[name] {
            linter.report(
                .duplicateName, node.range, path,
                "another webhook is named \(quoted(name)) too, at \(linter.line(of: first))",
                .init("rename one of them"))
        } else {
            names[name] = node.range
        }
    }

    private func check(_ url: String, _ node: JSONNode, _ path: DocumentPath) {
        do throws(ToolAddress.Fault) {
            let address = try ToolAddress(url)
            guard address.parameters.isEmpty else {
                throw ToolAddress.Fault(message: "has a place for an argument, {…}, and nobody gives one here")
            }
            guard address.origin.hasPrefix("http:"), !Self.isLoopback(address.origin) else { return }
            throw ToolAddress.Fault(
                message: "is not encrypted, and what is said in calls goes there", remedy: "write https://")
        } catch {
            // A password must not be shown, not even in an excerpt.
            if url.contains("@") { linter.hide(node.range) }
            linter.report(
                .badAddress, node.range, path, "the address \(error.message)", error.remedy.map { .init($0) })
        }
    }

    /// Whether an origin is this machine: by a name or address that leads nowhere else.
    private static func isLoopback(_ origin: String) -> Bool {
        let host = origin.dropFirst("http://".count)
        if host.hasPrefix("[::1]") { return true }
        let name = host.prefix { $0 != ":" }
        let isAddress = name.hasPrefix("127.") && name.utf8.allSatisfy { $0.isDigit || $0 == UInt8(ascii: ".") }
        return name == "localhost" || isAddress
    }

    private func readEvents(_ node: JSONNode, _ path: DocumentPath) -> Set<WebhookEndpoint.Event> {
        guard case .array(let elements) = node.content else { return [] }
        if elements.isEmpty {
            linter.report(
                .emptyList, node.headRange, path, "\"events\" names nothing, so nothing would ever be sent",
                .init("name one, or remove the webhook"))
        }
        let known = WebhookEndpoint.Event.allCases.map(\.rawValue)
        var events: Set<WebhookEndpoint.Event> = []
        for (index, element) in elements.enumerated() {
            guard case .string(let text) = element.content else { continue }
            if let event = WebhookEndpoint.Event(rawValue: text) {
                events.insert(event)
            } else {
                linter.report(
                    .notAllowed, element.range, path.index(index), "there is no event \(quoted(text))",
                    .among(known, for: text, label: "events"))
            }
        }
        return events
    }
}
