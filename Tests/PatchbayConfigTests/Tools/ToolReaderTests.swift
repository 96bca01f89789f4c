import PatchbayCore
import Testing

@testable import PatchbayConfig

@Suite("Tools of pipelines")
struct ToolReaderTests {
    private func plan(
        _ tools: String, agent: String = #""echo""#, variables: String = "{}",
        call: CallVariables = CallVariables(from: "+49301", to: "+2", sid: "CA1")
    ) throws -> PipelinePlan {
        let text = """
            {"name": "desk", "numbers": ["+15551234567"], "variables": \(variables), "transport": "twilio",
             "stages": [\(agent)], "tools": [\(tools)]}
            """
        let (set, findings) = PipelineSet.load(
            sources: [SourceText(file: "desk.json", text)], registry: try .test(), environment: testEnvironment)
        let document = try #require(set?.documents.first, "\(findings.rendered())")
        return try document.plan(for: call)
    }

    private func request(_ tool: Tool?) throws -> ToolRequest {
        guard case .request(let request)? = tool?.work else {
            throw PipelineError(.badTool, "no request")
        }
        return request
    }

    @Test("A tool is filled in for each call, with the call's values as values")
    func planned() throws {
        let plan = try plan(
            """
            {"name": "book", "aliases": ["create"], "description": "Books at ${shop}.", "url": "${env.BACKEND_URL}/b/{id}?s=${shop}",
             "parameters": {"type": "object", "properties": {"id": {"type": "string"}, "n": {"type": "integer"}, "note": {"type": "string"}},
                            "required": ["id"]},
             "body": {"id": "{id}", "count": "{n}", "note": "n: {note}", "who": "${call.from}", "vip": "${vip}", "ctx": "${context.x}"},
             "headers": {"Authorization": {"env": "AGENT_KEY"}, "X-Shop": "${shop}"}, "waiting": "At ${shop}, please wait.",
             "waitingAfterMs": 700, "timeoutMs": 900}
            """, variables: #"{"shop": "A&B", "vip": true}"#)
        let tool = try #require(plan.tools.first)
        #expect(tool.names == ["book", "create"] && tool.description == "Books at A&B.")
        #expect(tool.timeout == .milliseconds(900))
        #expect(
            tool.waiting == WaitingWords("At A&B, please wait.", after: .milliseconds(700), voice: "en", directory: ".")
        )
        let request = try request(tool)
        #expect(request.writtenAddress == "${env.BACKEND_URL}/b/{id}?s=${shop}")
        #expect(request.headers.map { $0.value.reveal() } == ["sk-live-0123456789", "A&B"])
        let full = try request.message(for: ToolArguments(["id": "7", "n": 4, "note": "\"}"]))
        #expect(full.url == "https://backend.example/b/7?s=A%26B")
        #expect(
            full.body == #"{ "id": "7", "count": 4, "note": "n: \"}", "who": "+49301", "vip": true }"#)
        let short = try request.message(for: ToolArguments(["id": "7"]))
        #expect(short.body == #"{ "id": "7", "note": "n: ", "who": "+49301", "vip": true }"#)
        #expect(plan.secrets.contains(Secret("sk-live-0123456789")))
    }

    @Test(
        "Arguments without a place go where the method puts them",
        arguments: [
            ("GET", "https://a.example/x/7?a=b%20c&l=1&l=2&o=%7B%20%22k%22%3A%20true%20%7D", nil),
            ("DELETE", "https://a.example/x/7?a=b%20c&l=1&l=2&o=%7B%20%22k%22%3A%20true%20%7D", nil),
            ("POST", "https://a.example/x/7", #"{ "a": "b c", "l": [1, 2], "o": { "k": true }, "z": null }"#),
            ("PUT", "https://a.example/x/7", #"{ "a": "b c", "l": [1, 2], "o": { "k": true }, "z": null }"#),
        ] as [(String, String, String?)])
    func rest(_ method: String, _ url: String, _ body: String?) throws {
        let plan = try plan(
            """
            {"name": "t", "description": "x", "method": "\(method)", "url": "https://a.example/x/{id}",
             "parameters": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}}
            """)
        let message = try request(plan.tools.first).message(
            for: ToolArguments(["id": 7, "a": "b c", "l": [1, 2], "o": ["k": true], "z": .null]))
        #expect(message.url == url && message.body == body)
    }

    @Test("An agent has its own tools beside those of the document; an override takes only the latter")
    func own() throws {
        let text = """
            {"name": "desk", "transport": "twilio", "stages": [{"type": "agent", "backends": [
              {"type": "script", "say": "x", "tools": [{"name": "a", "description": "x", "url": "https://a.example"}]},
              {"type": "script", "say": "x", "tools": [{"name": "a", "description": "x", "url": "https://b.example"}]}]}],
             "tools": [{"name": "common", "description": "x", "url": "https://a.example"}]}
            """
        func plan(_ options: LoadOptions) throws -> PipelinePlan {
            let (set, findings) = PipelineSet.load(
                sources: [SourceText(file: "desk.json", text)], registry: try .test(), environment: [:],
                options: options)
            return try #require(set?.documents.first, "\(findings.rendered())").plan(for: CallVariables())
        }
        let normal = try plan(LoadOptions())
        #expect(
            normal.tools.map(\.name) == ["common"] && normal.backends.map { $0.tools.map(\.name) } == [["a"], ["a"]])
        let overridden = try plan(LoadOptions(agentOverride: "echo"))
        #expect(overridden.tools.map(\.name) == ["common"] && overridden.backends.map(\.tools.count) == [0])
    }

    @Test("A fragment's agent may have tools; what its includer's variables hold is not asked there")
    func fragment() throws {
        let source = SourceText(
            file: "a.fragment.json",
            #"{"stages": [{"type": "echo", "tools": [{"name": "a", "description": "x", "url": "${base}/x"}]}]}"#)
        #expect(PipelineSet.checkFragment(source, registry: try .test(), environment: [:]).isEmpty)
    }

    @Test("Without the environment, an address that begins with it is not judged")
    func noEnvironment() throws {
        let text =
            #"{"name": "d", "transport": "twilio", "stages": ["echo"], "tools": [{"name": "a", "description": "x", "url": "${env.NOT_SET}/x"}]}"#
        let (_, findings) = PipelineSet.load(
            sources: [SourceText(file: "d.json", text)], registry: try .test(), environment: [:],
            options: LoadOptions(checkEnvironment: false))
        #expect(findings.isEmpty)
    }

    @Test("What the environment holds is as much a value as any other")
    func environment() throws {
        let text = """
            {"name": "d", "variables": {"base": "https://a.example/api"}, "transport": "twilio", "stages": ["echo"], "tools": [
              {"name": "a", "description": "x", "method": "GET", "url": "${env.BASE}/x?key=${env.KEY}"},
              {"name": "b", "description": "x", "method": "GET", "url": "${base}/x/${call.to}?key=${env.KEY}"}]}
            """
        let (set, findings) = PipelineSet.load(
            sources: [SourceText(file: "d.json", text)], registry: try .test(),
            environment: ["BASE": "https://b.example/v1", "KEY": "a+b/c=&d{x}"])
        let plan = try #require(set?.documents.first, "\(findings.rendered())").plan(
            for: CallVariables(from: "", to: "+2", sid: ""))
        #expect(
            try plan.tools.map { try request($0).message(for: ToolArguments([:])).url } == [
                "https://b.example/v1/x?key=a%2Bb%2Fc%3D%26d%7Bx%7D",
                "https://a.example/api/x/%2B2?key=a%2Bb%2Fc%3D%26d%7Bx%7D",
            ])
    }

    @Test("Words that cannot be said are found at the desk")
    func unspeakable() throws {
        let registry = try ComponentRegistry(
            transports: [TestTransport()], stages: [], agents: [TestAgent.echo],
            checkSpeech: { words, _ throws(PipelineError) in
                if words.speech == "Wait.", words.voice == "xx" { throw PipelineError(.stageFailed, "no voice") }
            })
        func findings(_ voice: String) -> [Diagnostic] {
            let text = """
                {"name": "d", "transport": "twilio", "stages": ["echo"], "tools": [{"name": "a", "description": "x",
                 "url": "https://a.example", "waiting": "Wait.", "voice": "\(voice)"}]}
                """
            return PipelineSet.load(sources: [SourceText(file: "d.json", text)], registry: registry, environment: [:])
                .diagnostics
        }
        #expect(findings("en").isEmpty)
        #expect(
            findings("xx").map(\.code.description) == ["not-speakable"]
                && findings("xx").first?.path == "tools[0].waiting")
    }

    @Test("A route names the tools, without values of the environment and without credentials")
    func report() throws {
        let text = """
            {"name": "desk", "numbers": ["+15551234567"], "transport": "twilio", "stages": ["echo"],
             "tools": [{"name": "look", "aliases": ["find"], "description": "x", "method": "GET", "url": "${env.AGENT_KEY}.example/x",
                        "headers": {"X-Key": {"env": "AGENT_KEY"}}}]}
            """.replacing("${env.AGENT_KEY}.example", with: "https://a.example/${env.AGENT_KEY}")
        let (set, _) = PipelineSet.load(
            sources: [SourceText(file: "desk.json", text)], registry: try .test(), environment: testEnvironment)
        let decision = try #require(set?.decide(CallVariables(from: "+1", to: "+15551234567", sid: ""), at: .now))
        let report = try RouteReport(number: "+15551234567", decision)
        #expect(report.text().contains("look  GET https://a.example/${env.AGENT_KEY}/x, also find"))
        #expect(
            report.json["tools"]?.line
                == #"[{ "name": "look", "aliases": ["find"], "method": "GET", "url": "https://a.example/${env.AGENT_KEY}/x" }]"#
        )
        #expect(!report.text().contains("sk-live") && !report.json.line.contains("sk-live"))
    }

    @Test("The starting point with tools is sound")
    func startingPoint() throws {
        let point = try #require(StartingPoint.named("tools"))
        let (set, findings) = PipelineSet.load(
            sources: [SourceText(file: "tools.json", point.text)], registry: try .test(),
            environment: [
                "ELEVENLABS_AGENT_ID": "a", "ELEVENLABS_API_KEY": "b", "BACKEND_URL": "https://a.example",
                "BACKEND_AUTHORIZATION": "c",
            ])
        #expect(set?.documents.first?.tools.count == 2, "\(findings.rendered())")
    }

    @Test("Tools in Swift keep the rules of files")
    func functions() throws {
        let tool = try Tool(
            "hours", description: "When we are open.",
            parameters: ["type": "object", "properties": ["day": ["type": "string"]], "required": ["day"]],
            aliases: ["get_hours"]
        ) { arguments, _ in arguments.string("day") ?? "" }
        #expect(
            tool.definition.parameters
                == #"{ "type": "object", "properties": { "day": { "type": "string" } }, "required": ["day"] }"#)
        #expect(throws: PipelineError.self) { try Tool("my tool", description: "x") { _, _ in "" } }
        #expect(throws: PipelineError.self) {
            try Tool("a", description: "x", parameters: ["type": "object", "requird": []]) { _, _ in "" }
        }
        #expect(throws: PipelineError.self) { try Tool("a", description: "x", parameters: "object") { _, _ in "" } }
        #expect(throws: PipelineError.self) {
            try Tool.checkNames(of: [tool, Tool("get_hours", description: "x") { _, _ in "" }])
        }
    }

    @Test(
        "Arguments are read strictly",
        arguments: [
            ("", "{}"), (" \n", "{}"), ("null", "{}"), (#"{"a": 1}"#, #"{ "a": 1 }"#), ("[]", nil), ("1", nil),
            ("{", nil), ("{'a': 1}", nil),
            (#"{"a": 1,}"#, nil), (String(repeating: "[", count: 100), nil), ("\u{0}", nil),
        ])
    func arguments(_ text: String, _ json: String?) { #expect((try? ToolArguments(parsing: text))?.text == json) }

    @Test("Arguments have types")
    func types() throws {
        let arguments = try ToolArguments(parsing: #"{"a": "x", "b": 3, "c": 2.5, "d": true, "e": ["y"], "f": null}"#)
        #expect(arguments.string("a") == "x" && arguments.integer("b") == 3 && arguments.number("c") == 2.5)
        #expect(arguments.bool("d") == true && arguments.integer("c") == nil && arguments.string("b") == nil)
        #expect(arguments["f"] == .null && arguments["g"] == nil)
        struct Order: Decodable, Equatable { var a: String, b: Int, e: [String] }
        #expect(try arguments.decoded(as: Order.self) == Order(a: "x", b: 3, e: ["y"]))
        #expect(throws: ToolFailure.self) { try ToolArguments(parsing: String(repeating: " ", count: 70_000) + "{}") }
    }
}
