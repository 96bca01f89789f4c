import AsyncHTTPClient
import Logging
import PatchbayConfig
import PatchbayCore
import Synchronization
import Testing

@testable import PatchbayTransports

/// Everything that was logged, as text.
final class LogLines: Sendable {
    private let lines = Mutex<[String]>([])
    var text: String { lines.withLock { $0.joined(separator: "\n") } }

    var logger: Logger {
        var logger = Logger(label: "test") { _ in Handler(lines: self) }
        logger.logLevel = .trace
        return logger
    }

    private struct Handler: LogHandler {
        let lines: LogLines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            lines.lines.withLock { $0.append("\(event.level) \(event.message) \(event.metadata ?? [:])") }
        }
    }
}

@Suite("Tools over HTTP")
struct CallToolsTests {
    private static let info = CallInfo(id: "call-1", callSid: "CA1", from: "+1", to: "+2", pipeline: "desk")
    private static let secret = "Bearer tok-4f9d2a7c31"

    private func tools(
        _ service: ToolService, _ json: String, own: String? = nil, variables: String = "{}", log: LogLines = LogLines()
    ) throws -> CallTools {
        let agent = own.map { #"{"type": "echo", "tools": [\#($0)]}"# } ?? #""echo""#
        let text = """
            {"name": "desk", "transport": "file", "variables": \(variables), "stages": [\(agent)], "tools": [\(json)]}
            """.replacing("ORIGIN", with: service.origin)
        let registry = try ComponentRegistry(transports: [FileTransport()], stages: [], agents: [EchoAgent()])
        let (set, findings) = PipelineSet.load(
            sources: [SourceText(file: "desk.json", text)], registry: registry, environment: ["AUTH": Self.secret])
        let plan = try #require(set?.documents.first, "\(findings.rendered())").plan(
            for: CallVariables(from: "+49", to: "+2", sid: "CA1"))
        return CallTools(common: plan.tools, own: plan.backends.map(\.tools), logger: log.logger)
    }

    private func run(_ tools: CallTools, _ name: String, _ arguments: String = "{}", id: String = "t1") async
        -> ToolResult
    {
        await tools.run(ToolCall(id: id, name: name, arguments: arguments), for: Self.info)
    }

    private static let lookup = """
        {"name": "patient_lookup", "aliases": ["find_patient"], "description": "x", "method": "GET",
         "url": "ORIGIN/api/patients/{id}", "headers": {"Authorization": {"env": "AUTH"}, "X-Caller": "${call.from}"},
         "parameters": {"type": "object", "properties": {"id": {"type": "string"}, "born": {"type": "string", "format": "date"}},
                        "required": ["id"], "additionalProperties": false}}
        """

    @Test("A GET with its path, query and headers; the body of the answer is the answer")
    func get() async throws {
        let log = LogLines()
        try await ToolService.run({ _, _ in .init(body: #"{"name": "Ada"}"#) }) { service in
            let tools = try tools(service, Self.lookup, log: log)
            let result = await run(tools, "find_patient", #"{"id": "A/17", "born": "1990-01-31"}"#)
            #expect(result == ToolResult(ToolCall(id: "t1", name: "find_patient"), output: #"{"name": "Ada"}"#))
            let request = try #require(service.requests.first)
            #expect(
                request.method == "GET" && request.uri == "/api/patients/A%2F17?born=1990-01-31" && request.body.isEmpty
            )
            #expect(request.headers.first(name: "Authorization") == Self.secret)
            #expect(
                request.headers.first(name: "X-Caller") == "+49"
                    && request.headers["Host"] == ["127.0.0.1:\(service.port)"])
        }
        #expect(log.text.contains(#""status": 200"#) && log.text.contains(#""tool": patient_lookup"#))
        #expect(!log.text.contains("tok-4f9d") && !log.text.contains("A%2F17"))
    }

    @Test("A POST with the arguments as its body")
    func post() async throws {
        try await ToolService.run({ _, _ in .init(status: 201, body: "") }) { service in
            let tools = try tools(
                service,
                #"{"name": "book", "description": "x", "url": "ORIGIN/b", "parameters": {"type": "object", "properties": {"day": {"type": "string"}}}}"#
            )
            let result = await run(tools, "book", #"{"day": "2026-01-31"}"#)
            #expect(!result.isError && result.output.isEmpty)
            let request = try #require(service.requests.first)
            #expect(request.method == "POST" && request.body == #"{ "day": "2026-01-31" }"#)
            #expect(request.headers.first(name: "Content-Type") == "application/json")
        }
    }

    @Test(
        "No argument takes the place of what the document decides",
        arguments: [
            (#"{"name": "Ada", "tenant": "OTHER"}"#, nil), (#"{"name": "Ada", "force": true}"#, nil),
            (#"{"name": "Ada", "tenantId": "evil"}"#, "/p?tenant=p-17&a%20b=1&tenantId=p-17&name=Ada"),
            (#"{"name": "Ada", "TenantId[]": "evil"}"#, "/p?tenant=p-17&a%20b=1&tenantId=p-17&name=Ada"),
            (#"{"name": "Ada", "a b": "evil"}"#, "/p?tenant=p-17&a%20b=1&tenantId=p-17&name=Ada"),
            (#"{"name": "Ada", "gone": "evil"}"#, "/p?tenant=p-17&a%20b=1&tenantId=p-17&name=Ada"),
        ])
    func decided(_ arguments: String, _ uri: String?) async throws {
        try await ToolService.run { service in
            let tools = try tools(
                service,
                #"""
                {"name": "t", "description": "x", "method": "GET", "url": "ORIGIN/p?tenant=${tenant}&a%20b=1",
                 "query": {"tenantId": "${tenant}", "gone": "{none}"}, "parameters": {"type": "object", "properties": {
                   "name": {}, "tenantId": {}, "TenantId[]": {}, "a b": {}, "gone": {}, "none": {}}}}
                """#, variables: #"{"tenant": "p-17"}"#)
            let result = await run(tools, "t", arguments)
            #expect(result.isError == (uri == nil) && service.requests.map(\.uri) == (uri.map { [$0] } ?? []))
        }
    }

    @Test(
        "What is wrong with a call is said, and no request is made",
        arguments: [
            ("patient_lookup", "{}", "\"id\" is missing"), ("patient_lookup", #"{"id": 1, "x": 2}"#, "no \"x\""),
            ("patient_lookup", #"{"id": "1", "born": "31.1."}"#, "a date such as"),
            ("patient_lookup", "[", "no JSON object"),
            ("patient_lookup", #"{"id": "../queue"}"#, "cannot be looked up"),
            ("patient_lookp", "{}", "Did you mean \"patient_lookup\"?"),
            ("delete_everything", "{}", "There are: patient_lookup"),
            ("a\nb\u{1B}[2J", "{}", "There is no tool \"ab2J\""),
        ])
    func refused(_ name: String, _ arguments: String, _ words: String) async throws {
        try await ToolService.run { service in
            let result = await run(try tools(service, Self.lookup), name, arguments)
            #expect(result.isError && result.output.contains(words), "\(result.output)")
            #expect(service.requests.isEmpty)
        }
    }

    @Test("An error of the service is told, without the credentials that it repeats")
    func errors() async throws {
        let body = #"{"success": false, "error": "born is required", "sent": "\#(Self.secret) and tok-4f9d2a7c31"}"#
        try await ToolService.run({ _, _ in .init(status: 422, body: body) }) { service in
            let result = await run(try tools(service, Self.lookup), "patient_lookup", #"{"id": "1"}"#)
            #expect(result.isError && result.output.hasPrefix("The service answered with status 422."))
            #expect(result.output.contains("born is required") && !result.output.contains("tok-4f9d2a7c31"))
        }
        try await ToolService.run({ _, _ in .init(status: 500, body: String(repeating: "x", count: 500_000)) }) {
            service in
            let result = await run(try tools(service, Self.lookup), "patient_lookup", #"{"id": "1"}"#)
            #expect(result.isError && result.output.utf8.count < 1200)
        }
    }

    @Test("An answer of a success keeps the credentials to itself, too, and its length is limited")
    func answers() async throws {
        let tool =
            #"{"name": "t", "description": "x", "method": "GET", "url": "ORIGIN/x", "headers": {"X-Key": {"env": "AUTH"}}, "maximumResponseBytes": 256}"#
        try await ToolService.run({ request, _ in
            .init(body: request.headers.first(name: "X-Key") ?? "")
        }) { service in
            let result = await run(try tools(service, tool), "t")
            #expect(result.output == "[secret]")
        }
        try await ToolService.run({ _, _ in .init(body: String(repeating: "x", count: 257)) }) { service in
            let result = await run(try tools(service, tool), "t")
            #expect(result.isError && result.output.contains("more than 256 bytes"))
        }
        try await ToolService.run({ _, _ in .init(body: String(repeating: "x", count: 256)) }) { service in
            let result = await run(try tools(service, tool), "t")
            #expect(result.output.utf8.count == 256)
        }
    }

    @Test(
        "Tried again only where it can do no harm",
        arguments: [
            (#""method": "GET", "retries": 2"#, 503, 3), (#""method": "PUT", "retries": 1"#, 502, 2),
            (#""method": "DELETE", "retries": 1"#, 504, 2), (#""method": "GET""#, 503, 1),
            (#""method": "POST""#, 503, 1),
            (#""retries": 1, "idempotencyKey": true"#, 503, 2), (#""method": "GET", "retries": 2"#, 500, 1),
            (#""method": "GET", "retries": 2"#, 404, 1),
        ])
    func retries(_ settings: String, _ status: Int, _ tries: Int) async throws {
        try await ToolService.run({ _, _ in .init(status: status) }) { service in
            let tools = try tools(service, #"{"name": "t", "description": "x", "url": "ORIGIN/x", \#(settings)}"#)
            let result = await run(tools, "t")
            #expect(result.isError && result.output.contains("\(status)") && service.requests.count == tries)
            let keys = Set(service.requests.map { $0.headers.first(name: "Idempotency-Key") ?? "" })
            #expect(keys.count == 1 && (keys.first?.count == 32) == settings.contains("idempotencyKey"))
        }
    }

    @Test("A try that succeeds is the answer; one that broke off counts as none")
    func recovery() async throws {
        try await ToolService.run({ _, number in number == 0 ? .init(isBroken: true) : .init(body: "at last") }) {
            service in
            let tools = try tools(
                service, #"{"name": "t", "description": "x", "method": "GET", "url": "ORIGIN/x", "retries": 1}"#)
            #expect(await run(tools, "t").output == "at last")
        }
        try await ToolService.run({ _, _ in .init(isBroken: true) }) { service in
            let log = LogLines()
            let tools = try tools(
                service, #"{"name": "t", "description": "x", "url": "ORIGIN/x?key=${env.AUTH}"}"#, log: log)
            let result = await run(tools, "t")
            #expect(service.requests.first?.uri == "/x?key=Bearer%20tok-4f9d2a7c31" && !log.text.contains("tok-4f9d"))
            #expect(result.isError && result.output == "The service cannot be reached just now.")
            #expect(service.requests.count == 1)
        }
    }

    @Test("Two calls of a tool have two keys, two tries of one have one")
    func keys() async throws {
        try await ToolService.run { service in
            let tools = try tools(
                service, #"{"name": "t", "description": "x", "url": "ORIGIN/x", "idempotencyKey": true}"#)
            for id in ["a", "b\r\nX: y", "a"] { _ = await run(tools, "t", id: id) }
            let keys = service.requests.map { $0.headers.first(name: "Idempotency-Key") ?? "" }
            #expect(keys.count == 3 && Set(keys).count == 3)
        }
    }

    @Test("A service that does not answer is given up in time")
    func timeout() async throws {
        let log = LogLines()
        try await ToolService.run({ _, _ in .init(isSilent: true) }) { service in
            let tools = try tools(
                service,
                #"{"name": "t", "description": "x", "method": "GET", "url": "ORIGIN/x", "timeoutMs": 150, "retries": 3}"#,
                log: log)
            let start = ContinuousClock.now
            let result = await run(tools, "t")
            #expect(result.isError && result.output.contains("150 ms"))
            // Generous: a busy machine may need seconds for what is due at once; without a limit it would never end.
            #expect(ContinuousClock.now - start < .seconds(30))
            // On a busy machine the time may be up before there is any connection.
            if !service.requests.isEmpty { await service.connectionClosed() }
        }
        #expect(log.text.contains("tool timed out"))
    }

    @Test("A call that ends takes its request with it")
    func cancellation() async throws {
        try await ToolService.run({ _, _ in .init(isSilent: true) }) { service in
            let tools = try tools(
                service, #"{"name": "t", "description": "x", "method": "GET", "url": "ORIGIN/x", "timeoutMs": 60000}"#)
            let task = Task { await run(tools, "t") }
            await service.received(1)
            task.cancel()
            #expect(await task.value.isError)
            await service.connectionClosed()
        }
    }

    @Test("A request that may change something comes to its end when its call does not wait for it")
    func leaving() async throws {
        let log = LogLines()
        let busy = ToolService.Answer(status: 503, headers: [("Retry-After", "1")])
        try await ToolService.run({ _, number in number == 0 ? busy : .init(body: "done") }) { service in
            let tools = try tools(
                service,
                #"{"name": "t", "description": "x", "url": "ORIGIN/x", "timeoutMs": 60000, "retries": 1, "idempotencyKey": true}"#,
                log: log)
            let task = Task { await run(tools, "t") }
            await service.received(1)
            task.cancel()
            #expect(await task.value.isError, "the agent is not kept waiting")
            await service.wait("the end of the request") { log.text.contains("nobody waited any more") }
            #expect(service.requests.count == 2)
        }
        #expect(log.text.contains(#""outcome": ok"#) && log.text.contains(#""status": 200"#), "\(log.text)")
    }

    @Test("Nobody waits for such a request beyond its time")
    func leavingForGood() async throws {
        let log = LogLines()
        try await ToolService.run({ _, _ in .init(isSilent: true) }) { service in
            let tools = try tools(
                service, #"{"name": "t", "description": "x", "url": "ORIGIN/x", "timeoutMs": 1000}"#, log: log)
            let task = Task { await run(tools, "t") }
            await service.received(1)
            task.cancel()
            #expect(await task.value.isError)
            await service.wait("the end of the request") { log.text.contains("nobody waited any more") }
        }
        #expect(log.text.contains("timeout"))
    }

    @Test("What the environment puts into a request is not told by its answer")
    func environmentValuesAreHidden() async throws {
        try await ToolService.run({ request, _ in .init(body: "\(request.uri) \(request.body)") }) { service in
            let tools = try tools(
                service,
                #"{"name": "t", "description": "x", "url": "ORIGIN/x?key=${env.AUTH}", "query": {"k": "${env.AUTH}"}, "body": {"a": ["${env.AUTH}"]}}"#
            )
            let output = await run(tools, "t").output
            #expect(output == #"/x?key=[secret]&k=[secret] { "a": ["[secret]"] }"#)
        }
    }

    @Test("A redirect is followed within the host, and nowhere else")
    func redirects() async throws {
        try await ToolService.run { other in
            let elsewhere = other.origin
            for (location, method, status, isFollowed) in [
                ("/y", "GET", 302, true), ("y?z=1", "GET", 301, true), ("/y", "POST", 307, true),
                ("/y", "POST", 302, false),
                ("\(elsewhere)/y", "GET", 302, false), ("//127.0.0.2/y", "GET", 302, false),
                ("https://127.0.0.1/y", "GET", 308, false),
                ("file:///etc/passwd", "GET", 302, false), ("http://user@127.0.0.1/y", "GET", 302, false),
            ] {
                try await ToolService.run({ request, _ in
                    request.uri.hasPrefix("/x")
                        ? .init(status: status, headers: [("Location", location)]) : .init(body: "there")
                }) { service in
                    let tools = try tools(
                        service,
                        #"{"name": "t", "description": "x", "method": "\#(method)", "url": "ORIGIN/x", "headers": {"Authorization": {"env": "AUTH"}}}"#
                    )
                    let result = await run(tools, "t")
                    #expect(
                        result.isError != isFollowed && (result.output == "there") == isFollowed,
                        "\(location): \(result.output)")
                }
            }
            #expect(other.requests.isEmpty, "the secret would have gone to another server")
        }
        try await ToolService.run({ _, _ in .init(status: 302, headers: [("Location", "/x")]) }) { service in
            let result = await run(
                try tools(service, #"{"name": "t", "description": "x", "method": "GET", "url": "ORIGIN/x"}"#), "t")
            #expect(result.isError && service.requests.count == HTTPTool.maximumRedirects + 1)
        }
    }

    @Test(
        "No argument gets out of its place",
        arguments: [
            "a?admin=1", "a#b", "a&b=c", "x\r\nX-Evil: 1\r\n\r\nGET /evil HTTP/1.1", "ä€😀", "a/b", "%0d%0a",
            "http://evil.example",
        ])
    func attacks(_ value: String) async throws {
        try await ToolService.run { service in
            let tools = try tools(
                service,
                #"{"name": "t", "description": "x", "method": "PUT", "url": "ORIGIN/p/{id}?q={q}", "body": {"v": "{q}"}, "parameters": {"type": "object", "properties": {"id": {"type": "string"}, "q": {"type": "string"}}, "required": ["id"]}}"#
            )
            let json = ToolArguments(["id": .string(value), "q": .string(value)]).text
            let result = await run(tools, "t", json)
            guard let request = service.requests.first else {
                #expect(result.isError)
                return
            }
            #expect(service.requests.count == 1 && request.headers["X-Evil"].isEmpty)
            #expect(request.uri.hasPrefix("/p/") && request.uri.split(separator: "/").count == 2)
            #expect(
                request.uri.split(separator: "?").count == 2 && !request.uri.contains("&") && !request.uri.contains("#")
            )
            #expect(JSONValue(parsing: request.body) == ["v": .string(value)])
        }
    }

    @Test("A header that a call's value would break in two is not sent")
    func headers() async throws {
        try await ToolService.run { service in
            let text = #"{"name": "t", "description": "x", "url": "ORIGIN/x", "headers": {"X-Name": "${name}"}}"#
            let log = LogLines()
            let tools = try tools(service, text, variables: #"{"name": "a\r\nX-Evil: 1"}"#, log: log)
            #expect(await run(tools, "t").output == "The tool is not set up correctly.")
            #expect(service.requests.isEmpty && log.text.contains("X-Name has a control character"))
        }
    }

    @Test("An agent calls its own tools and those of all, and no other's")
    func own() async throws {
        try await ToolService.run { service in
            let tools = try tools(
                service, #"{"name": "a", "description": "x", "url": "ORIGIN/a"}"#,
                own: #"{"name": "b", "description": "x", "url": "ORIGIN/b"}"#)
            #expect(tools.definitions.map(\.name) == ["a"] && tools.all.map(\.name) == ["a", "b"])
            for name in ["a", "b"] {
                let result = await run(tools, name)
                #expect(!result.isError)
            }
            #expect(tools.tools(ofBackend: 1).map(\.name) == ["a"] && tools.tools(ofBackend: -1).map(\.name) == ["a"])
        }
    }
}
