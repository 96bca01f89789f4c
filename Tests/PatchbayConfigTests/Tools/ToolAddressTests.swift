import PatchbayCore
import Testing

@testable import PatchbayConfig

@Suite("Addresses of tools")
struct ToolAddressTests {
    private func url(_ address: String, _ arguments: JSONValue = [:], _ more: [(name: String, value: String)] = [])
        throws
        -> String
    {
        try ToolAddress(address).url(with: ToolArguments(arguments), query: more)
    }

    @Test(
        "Arguments go into the path and the query",
        arguments: [
            ("https://a.example", [:], "https://a.example/"),
            ("HTTPS://A.Example:8443/x", [:], "https://a.example:8443/x"),
            ("http://[::1]:80/p/{id}", ["id": 17], "http://[::1]:80/p/17"),
            (
                "https://a/p/{id}/notes?day={day}", ["id": "A17", "day": "2026-01-31"],
                "https://a/p/A17/notes?day=2026-01-31"
            ),
            ("https://a/p?day={day}&x=1", [:], "https://a/p?x=1"),
            ("https://a/p?q=n-{day}", [:], "https://a/p?q=n-"),
            ("https://a/p/{id}.json", ["id": "a b"], "https://a/p/a%20b.json"),
            ("https://a/{{x}/{id}", ["id": true], "https://a/{x}/true"),
        ] as [(String, JSONValue, String)])
    func filling(_ address: String, _ arguments: JSONValue, _ expected: String) throws {
        #expect(try url(address, arguments) == expected)
    }

    private static let attacks = [
        "a/b", "a?b=c", "a#b", "a&b=c", "a b", "a\r\nX-Evil: 1", "ä€😀", "%2e%2e%2fadmin", "..;/x", "a@evil.example",
        "//evil.example", "http://evil.example", "a%00", "{id}", "${env.HOME}", "a\\b", "a=b", "a+b", "'\"<>", "a;b",
    ]

    @Test("No argument changes the structure of an address", arguments: attacks)
    func attack(_ value: String) throws {
        let address = "https://clinic.example/api/patients/{id}/notes?name={id}"
        let plain = try url(address, ["id": "x"])
        guard let attacked = try? url(address, ["id": .string(value)]) else { return }
        for delimiter in "/?#&=@:" {
            #expect(
                attacked.filter { $0 == delimiter }.count == plain.filter { $0 == delimiter }.count,
                "\(delimiter): \(attacked)")
        }
        #expect(attacked.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F })
        #expect(attacked.hasPrefix("https://clinic.example/api/patients/") && attacked.contains("/notes?name="))
    }

    @Test(
        "What a server may take for a step in the path is refused",
        arguments: ["", ".", "..", "../admin", "..\\admin", "a/../../b", "%2e%2e", "%2E.", "./x", "a\u{0}b", "a\nb"])
    func steps(_ value: String) {
        #expect(throws: ToolFailure.self) { try url("https://a/p/{id}/q", ["id": .string(value)]) }
        #expect(throws: ToolFailure.self) { try url("https://a/p/{id}", ["id": .string(value)]) }
    }

    @Test("Not even together with what stands there already")
    func together() {
        #expect(throws: ToolFailure.self) { try url("https://a/p/.{id}/q", ["id": "."]) }
        #expect(throws: ToolFailure.self) { try url("https://a/p/{a}{b}/q", ["a": ".", "b": "."]) }
        #expect(throws: ToolFailure.self) { try url("https://a/{id}", [:]) }
        #expect(throws: ToolFailure.self) { try url("https://a/{id}", ["id": .null]) }
        #expect(throws: ToolFailure.self) { try url("https://a/{id}", ["id": ["x": 1]]) }
        #expect(throws: ToolFailure.self) {
            try url("https://a/?q={id}", ["id": .string(String(repeating: "x", count: 9000))])
        }
    }

    @Test(
        "What is no address is refused",
        arguments: [
            "", "clinic.example/api", "ftp://a/b", "https://", "https:///x", "https://user:pass@a/b", "https://a@b/",
            "https://{host}/x", "https://a:port/", "https://a:0/", "https://a:99999/", "https://a/b#c", "https://a/b c",
            "https://a/ä",
            "https://a/%zz", "https://a/%2", "https://a/../b", "https://a/./b", "https://a/%2e%2e/b",
            "https://a/?{x}=1",
            "https://[::1/", "https://[zz]/", "https://[::1]x/", "https://a\\b/", "https://a/\u{0}",
            "https://a_b.c:+1/", "javascript://a/",
        ])
    func faults(_ address: String) { #expect(throws: ToolAddress.Fault.self) { try ToolAddress(address) } }

    @Test("Whatever comes, the host stays and nothing breaks out")
    func random() throws {
        var generator = SeededGenerator(seed: 3)
        let address = try ToolAddress("https://clinic.example/api/{a}/x?q={b}")
        for _ in 0..<5000 {
            let a = String(decoding: generator.mutate(Array("patient 17".utf8)), as: UTF8.self)
            let b = String(decoding: generator.mutate(Array("../?#&=\r\n".utf8)), as: UTF8.self)
            guard
                let url = try? address.url(with: ToolArguments(["a": .string(a), "b": .string(b)]), query: [("c", a)])
            else { continue }
            let parts = url.split(separator: "/", omittingEmptySubsequences: false)
            #expect(parts.count == 6 && parts[2] == "clinic.example" && parts[3] == "api", "\(url)")
            #expect(url.filter { $0 == "?" }.count == 1 && url.filter { $0 == "&" }.count == 1, "\(url)")
            #expect(url.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F })
        }
    }

    private func scope(_ variables: [String: VariableValue], from: String = "+49 30/1") -> ReferenceScope {
        ReferenceScope(call: CallVariables(from: from, to: "+2", sid: "CA1"), variables: variables)
    }

    private func template(_ parts: [Template.Part]) -> Settings.Text {
        .template(Template(source: "as written", parts: parts))
    }

    @Test("A variable may hold the host with what is before the path; behind it everything is encoded")
    func variables() throws {
        let parts: [Template.Part] = [
            .reference(.variable("base")), .literal("/by/"), .reference(.caller), .literal("?x="),
            .reference(.variable("x")),
        ]
        let text = try ToolAddress.text(
            of: template(parts), in: scope(["base": "https://clinic.example/api", "x": "a&b={id}"]))
        #expect(text == "https://clinic.example/api/by/%2B49%2030%2F1?x=a%26b%3D%7Bid%7D")
        #expect(try ToolAddress(text).parameters.isEmpty)
    }
}
