import Foundation
import NIOCore
import NIOPosix
import Patchbay
import Synchronization
import Testing

@testable import PatchbayControl

/// Callers without a telephone: who is let in, whose call it is, how many there may be.
@Suite struct BrowserCallTests {
    private static func page(_ name: String) -> String {
        #"{"name": "\#(name)", "transport": "browser", "stages": ["echo"]}"#
    }

    private static func settings(maximumCalls: Int = 100) -> String {
        """
        {"browser": {"maximumCalls": \(maximumCalls)},
         "access": {
          "tokens": [
            {"name": "page", "token": {"env": "PAGE"}, "rights": ["talk"]},
            {"name": "page-a", "token": {"env": "PAGE_A"}, "tenant": "a", "rights": ["talk"]},
            {"name": "dialler", "token": {"env": "DIALLER"}, "rights": ["read", "calls", "dial"]}
          ],
          "jwt": {"secret": {"env": "JWT"}, "tenantClaim": "tenant", "rightsClaim": "scope", "requireExpiry": true}}}
        """
    }
    private static let environment = [
        "PAGE": "page-token", "PAGE_A": "page-a-token", "DIALLER": "dialler-token", "JWT": TokenMaker.secret,
    ]
    private static let start =
        #"{"type":"start","audio":{"form":"base64","input":["pcm16_16000"],"output":["pcm16_16000"]}}"#

    private static func run(
        settings: String = settings(), _ documents: [String] = [page("page-a")],
        _ body: @Sendable (TestServer) async throws -> Void
    ) async throws {
        // A server of the tests takes its documents one by one.
        let other = documents.dropFirst().first ?? echoDocument
        try await TestServer.run(
            documents.first ?? echoDocument, other, environment: environment, settings: settings
        ) { (server: TestServer) async throws in
            try await body(server)
        }
    }

    /// What a page heard.
    private final class Page: WebSocketDelegate {
        private let messages = Mutex<[String]>([])
        private let end = Mutex<WebSocketClose?>(nil)

        func webSocketDidReceive(text: ByteBuffer, from connection: WebSocketConnection) {
            messages.withLock { $0.append(String(buffer: text)) }
        }
        func webSocketDidReceive(binary: ByteBuffer, from connection: WebSocketConnection) {}
        func webSocketDidClose(_ close: WebSocketClose, of connection: WebSocketConnection) {
            end.withLock { $0 = close }
        }

        var isClosed: Bool { end.withLock { $0 != nil } }
        var call: String? {
            messages.withLock { $0.first { $0.contains("\"ready\"") } }?.split(separator: "\"")
                .first { $0.hasPrefix("call-") }.map(String.init)
        }
    }

    /// Opens the socket; throws what the handshake was refused with.
    private static func open(
        _ server: TestServer, _ query: String = "", token: String? = nil, protocols: [String] = [],
        isForwarded: Bool = true
    ) async throws -> (connection: WebSocketConnection, page: Page) {
        let page = Page()
        var headers = isForwarded ? [("X-Forwarded-For", "203.0.113.9")] : []
        if let token { headers.append(("Authorization", "Bearer \(token)")) }
        let target = WebSocketTarget(
            "ws://127.0.0.1:\(server.port)/ws\(query)", headers: headers, subprotocols: protocols)
        let connection = try await WebSocketClient.connect(
            to: target, on: MultiThreadedEventLoopGroup.singleton.next(), delegate: page)
        return (connection, page)
    }

    /// 101, or what the handshake was refused with.
    private static func status(
        _ server: TestServer, _ query: String = "", token: String? = nil, protocols: [String] = [],
        isForwarded: Bool = true
    ) async throws -> Int? {
        do {
            try await open(server, query, token: token, protocols: protocols, isForwarded: isForwarded)
                .connection.close()
            return 101
        } catch let error as WebSocketConnectError {
            return error.status
        }
    }

    private static func say(_ text: String, _ connection: WebSocketConnection) async throws {
        try await connection.eventLoop.submit {
            var batch = MessageBatch()
            batch.text { $0.writeString(text) }
            connection.send(&batch)
        }.get()
    }

    /// Calls, and waits until the call runs.
    private static func call(
        _ server: TestServer, _ query: String = "", token: String? = nil
    ) async throws -> (connection: WebSocketConnection, page: Page, record: CallRecord) {
        let (connection, page) = try await open(server, query, token: token)
        try await say(start, connection)
        try await server.wait("the call") { page.call != nil || page.isClosed }
        let record = try #require(page.call.flatMap { server.switchboard.registry.find($0) })
        return (connection, page, record)
    }

    private static func jwt(_ claims: String) -> String {
        TokenMaker.hs256(#"{"sub": "visitor", "exp": \#(Int(Date().timeIntervalSince1970) + 60), \#(claims)}"#).reveal()
    }

    private static func trail(_ server: TestServer) async throws -> [[String: Any]] {
        try await server.get("/audit", headers: TestServer.admin).json["entries"] as? [[String: Any]] ?? []
    }

    @Test func whoIsLetIn() async throws {
        try await Self.run { server in
            let expired = TokenMaker.hs256(#"{"sub": "x", "tenant": "a", "scope": "talk", "exp": 1}"#).reveal()
            let table: [(token: String?, status: Int)] = [
                (nil, 401), ("wrong", 401), ("", 401), ("dialler-token", 403), ("page-token", 101),
                ("page-a-token", 101), (TestServer.adminToken, 101),
                (Self.jwt(#""tenant": "a", "scope": "talk""#), 101),
                (Self.jwt(#""tenant": "a", "scope": "read dial""#), 403), (Self.jwt(#""scope": "talk""#), 401),
                (expired, 401),
            ]
            for (token, status) in table {
                #expect(try await Self.status(server, token: token) == status, "\(token ?? "no token")")
                guard let token, !token.isEmpty else { continue }
                // As a page does, whose scripts cannot set header fields.
                #expect(
                    try await Self.status(server, protocols: ["patchbay", "bearer.\(token)"]) == status, "\(token)")
            }
            #expect(try await Self.status(server, isForwarded: false) == 101, "this machine needs none")
            #expect(try await Self.status(server, token: "wrong", isForwarded: false) == 401, "a token always counts")
            let refused = try await Self.trail(server).filter { $0["action"] as? String == "request.refused" }
            #expect(refused.count == 13 && refused.allSatisfy { $0["subject"] as? String == "GET /ws" })
            #expect(refused.contains { $0["actor"] as? String == "dialler" && $0["peer"] as? String == "203.0.113.9" })
            // Nothing else is opened by what a page has.
            let page = [("Authorization", "Bearer page-token")]
            for path in ["/calls", "/events", "/numbers", "/metrics"] {
                #expect(try await server.get(path, headers: page).status == 403, "\(path)")
            }
            #expect(try await server.post("/calls", headers: page, body: #"{"to": "+15550100002"}"#).status == 403)
        }
    }

    @Test func anOpenServerLetsEverybodyInButNoWrongToken() async throws {
        try await Self.run(settings: #"{"browser": {"open": true, "origins": ["https://www.example.com"]}}"#) {
            server in
            #expect(try await Self.status(server) == 101)
            #expect(try await Self.status(server, token: "wrong") == 401)
            #expect(try await Self.status(server, "?tenant=a") == 404, "strangers choose no tenant")
            let target = WebSocketTarget(
                "ws://127.0.0.1:\(server.port)/ws", headers: [("Origin", "https://www.example.org")])
            let refusal = await #expect(throws: WebSocketConnectError.self) {
                _ = try await WebSocketClient.connect(
                    to: target, on: MultiThreadedEventLoopGroup.singleton.next(), delegate: Page())
            }
            #expect(refusal?.status == 403)
            let outcomes = try await Self.trail(server).filter { $0["action"] as? String == "browser.refused" }
            #expect(outcomes.count == 2 && outcomes.allSatisfy { $0["actor"] as? String == "public" })
        }
    }

    @Test func aTenantsTokenCallsItsOwnPipelineOnly() async throws {
        try await Self.run([Self.page("page-a"), Self.page("page-b")]) { server in
            for tenant in ["a", "b"] {
                let text = #"{"name": "Tenant \#(tenant)", "pipeline": "page-\#(tenant)"}"#
                #expect(try await server.put("/tenants/\(tenant)", body: text).status == 201)
            }
            let jwt = Self.jwt(#""tenant": "b", "scope": "talk""#)
            for (query, token, status) in [
                ("?pipeline=page-b", "page-a-token", 403), ("?tenant=b", "page-a-token", 404),
                ("?pipeline=page-a&tenant=a", "page-a-token", 101), ("?pipeline=page-a", jwt, 403),
                ("?pipeline=nowhere", "page-a-token", 404), ("?pipeline=echo", "page-a-token", 404),
                ("", "page-token", 404), ("?pipeline=page-b", "page-token", 101),
                ("?pipeline=page-b&tenant=b", "page-token", 404), ("?tenant=b", TestServer.adminToken, 101),
                ("?tenant=c", TestServer.adminToken, 404), ("?pipeline=page%2Da", "page-a-token", 101),
            ] {
                #expect(try await Self.status(server, query, token: token) == status, "\(query) \(token)")
            }
            let calls = [
                try await Self.call(server, token: "page-a-token"), try await Self.call(server, token: jwt),
            ]
            #expect(calls.map(\.record.info.tenant) == ["a", "b"])
            #expect(calls.map(\.record.info.pipeline) == ["page-a", "page-b"])
            for call in calls { call.connection.close() }
            try await server.wait("the end") { server.switchboard.registry.activeCount == 0 }
            let named = try await Self.call(server, "?tenant=b", token: TestServer.adminToken)
            #expect(named.record.info.tenant == "b" && named.record.info.pipeline == "page-b")
            let made = try await Self.trail(server).filter { $0["action"] as? String == "browser.call" }
            #expect(made.compactMap { $0["actor"] as? String } == ["admin", "jwt:visitor", "page-a"])
            #expect(made.compactMap { $0["tenant"] as? String } == ["b", "b", "a"])
        }
    }

    @Test func aPlaceIsTakenByTheHandshakeAndGivenBackOnEveryWayOut() async throws {
        try await Self.run(settings: Self.settings(maximumCalls: 2)) { server in
            // Two that have not even begun are two.
            let first = try await Self.open(server, token: "page-token")
            let second = try await Self.open(server, token: "page-token")
            #expect(try await Self.status(server, token: "page-token") == 503)
            first.connection.close()
            try await server.wait("the first one's place") { try await Self.status(server, token: "page-token") == 101 }
            // A start that is refused.
            try await Self.say(#"{"type":"start","audio":{"form":"base64","input":["mulaw_8000"]}}"#, second.connection)
            try await server.wait("the refusal") { second.page.isClosed }
            try await Self.wholeHouse(server)
            // Calls that somebody else ends, and one whose page goes.
            let calls = [
                try await Self.call(server, token: "page-token"), try await Self.call(server, token: "page-token"),
            ]
            #expect(try await Self.status(server, token: "page-token") == 503)
            await calls[0].record.call.cancel(EndReason(.operatorHungUp))
            calls[1].connection.close()
            try await Self.wholeHouse(server)
            // Pages that do not wait for the call that is being made, nor for the answer to the handshake.
            for _ in 0..<5 {
                let hasty = try await Self.open(server, token: "page-token")
                try await Self.say(Self.start, hasty.connection)
                hasty.connection.close()
                try await Self.abandonHandshake(server)
                try await Self.wholeHouse(server)
            }
            try await server.wait("the last call") { server.switchboard.registry.activeCount == 0 }
            #expect(
                try await Self.trail(server).contains {
                    $0["action"] as? String == "browser.refused"
                        && ($0["outcome"] as? String)?.contains("too many calls") == true
                })
        }
    }

    /// Waits until all places are free: two can be held at once.
    private static func wholeHouse(_ server: TestServer) async throws {
        try await server.wait("both places") {
            var open: [WebSocketConnection] = []
            defer { for connection in open { connection.close() } }
            for _ in 0..<2 {
                do {
                    open.append(try await Self.open(server, token: "page-token").connection)
                } catch is WebSocketConnectError {
                    return false
                }
            }
            return true
        }
        try await server.wait("their being given back") {
            server.switchboard.browserPlaces.takenCount == 0
        }
    }

    /// Asks for the socket and leaves before there is an answer.
    private static func abandonHandshake(_ server: TestServer) async throws {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: server.port).get()
        let request = """
            GET /ws HTTP/1.1\r\nHost: 127.0.0.1:\(server.port)\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n
            """
        try await channel.writeAndFlush(ByteBuffer(string: request))
        try await channel.close()
    }
}
