import NIOCore
import Testing

@testable import PatchbayTransports

@Suite struct WebSocketTargetTests {
    @Test(
        arguments: [
            ("ws://example.com", false, "example.com", 80, "/", "example.com"),
            ("wss://example.com", true, "example.com", 443, "/", "example.com"),
            ("WSS://Example.com:443/a", true, "Example.com", 443, "/a", "Example.com"),
            ("ws://example.com:443/", false, "example.com", 443, "/", "example.com:443"),
            (
                "ws://127.0.0.1:8080/a/b?c=d%20e&f=%C3%A9/", false, "127.0.0.1", 8080, "/a/b?c=d%20e&f=%C3%A9/",
                "127.0.0.1:8080"
            ),
            ("ws://host?x=1", false, "host", 80, "/?x=1", "host"),
            ("wss://[::1]/x", true, "::1", 443, "/x", "[::1]"),
            ("wss://[2001:db8::7]:9000", true, "2001:db8::7", 9000, "/", "[2001:db8::7]:9000"),
        ] as [(String, Bool, String, Int, String, String)])
    func parses(url: String, isSecure: Bool, host: String, port: Int, target: String, hostHeader: String) throws {
        let address = try WebSocketAddress(url)
        #expect(address.isSecure == isSecure)
        #expect(address.host == host)
        #expect(address.port == port)
        #expect(address.requestTarget == target)
        #expect(address.hostHeader == hostHeader)
    }

    @Test(arguments: [
        "", "example.com", "http://example.com", "ws:/example.com", "ws://", "ws:///path", "ws://:80/", "ws://host:0/",
        "ws://host:65536/", "ws://host:8o/", "ws://host:/x:", "ws://user:pw@host/", "ws://host/#part", "ws://ho st/",
        "ws://host/\r\nX: y", "ws://höst/", "ws://[::1", "ws://[::g]/", "ws://[::1]x/", "ws://a,b/", "ws://host/é",
    ])
    func refuses(url: String) {
        let error = #expect(throws: WebSocketConnectError.self) { try WebSocketAddress(url) }
        #expect(error?.code == .invalidTarget)
    }

    @Test func omitsServerNamesOfAddresses() throws {
        #expect(try WebSocketAddress("wss://127.0.0.1/").serverName == nil)
        #expect(try WebSocketAddress("wss://[::1]/").serverName == nil)
        #expect(try WebSocketAddress("wss://localhost/").serverName == "localhost")
    }

    @Test func neverPrintsSecrets() {
        let target = WebSocketTarget(
            "wss://api.example.com/v1/convai?agent_id=a&conversation_signature=s3cret",
            headers: [("xi-api-key", "s3cret")])
        var dumped = ""
        dump(target, to: &dumped)
        for text in ["\(target)", String(reflecting: target), dumped, "\([target])", "\(Optional(target) as Any)"] {
            #expect(!text.contains("s3cret"), "\(text)")
            #expect(text.contains("wss://api.example.com/v1/convai"))
        }
        let invalid = WebSocketTarget("https://host/?key=s3cret")
        #expect(!"\(invalid)".contains("s3cret"))
        let error = #expect(throws: WebSocketConnectError.self) { try WebSocketAddress("https://host/?key=s3cret") }
        #expect(error.map { !"\($0)".contains("s3cret") } == true)
    }

    @Test(arguments: [
        ("X-Ok", "a\r\nInjected: b"), ("Bad Name", "a"), ("", "a"), ("Host", "evil"), ("sec-websocket-key", "a"),
    ])
    func refusesHeaders(name: String, value: String) {
        #expect(throws: WebSocketConnectError.self) {
            try WebSocketClientRequest(WebSocketTarget("ws://host/", headers: [(name, value)]))
        }
    }
}
