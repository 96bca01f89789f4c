import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import Testing

@testable import PatchbayTransports

/// A certificate authority and two server certificates, made afresh by the `openssl` command.
struct TestAuthority {
    let directory: URL
    var caFile: String { directory.appending(path: "ca.pem").path }
    var otherCAFile: String { directory.appending(path: "other.pem").path }

    init() throws {
        directory = FileManager.default.temporaryDirectory.appending(path: "patchbay-tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        for name in ["ca", "other"] {
            try openssl(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout \(name).key "
                    + "-out \(name).pem -subj /CN=patchbay-test-\(name)")
        }
        try makeCertificate("local", names: "DNS:localhost,IP:127.0.0.1")
        try makeCertificate("foreign", names: "DNS:elsewhere.test")
    }

    private func makeCertificate(_ name: String, names: String) throws {
        try "subjectAltName=\(names)\n".write(
            to: directory.appending(path: "\(name).ext"), atomically: true, encoding: .utf8)
        try openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout \(name).key -out \(name).csr "
                + "-subj /CN=patchbay-test")
        try openssl(
            "x509 -req -in \(name).csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile \(name).ext "
                + "-out \(name).pem")
    }

    private func openssl(_ arguments: String) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments.split(separator: " ").map(String.init)
        process.currentDirectoryURL = directory
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "openssl \(arguments)")
    }

    func serverContext(_ name: String) throws -> NIOSSLContext {
        let chain = try NIOSSLCertificate.fromPEMFile(directory.appending(path: "\(name).pem").path)
        let key = try NIOSSLPrivateKey(file: directory.appending(path: "\(name).key").path, format: .pem)
        return try NIOSSLContext(
            configuration: .makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key)))
    }

    func remove() { try? FileManager.default.removeItem(at: directory) }
}

@Suite(.timeLimit(.minutes(2))) struct WebSocketTLSTests {
    let loop = MultiThreadedEventLoopGroup.singleton.next()

    @Test func talksOverTLS() async throws {
        let authority = try TestAuthority()
        defer { authority.remove() }
        let serverSide = TestDelegate(echoes: true)
        let server = try await TestServer.start(tls: authority.serverContext("local"), delegate: serverSide)
        let context = try WebSocketTLS.makeContext(caFile: authority.caFile)
        for host in ["localhost", "127.0.0.1"] {
            let delegate = TestDelegate()
            let connection = try await WebSocketClient.connect(
                to: WebSocketTarget("wss://\(host):\(server.port)/"), on: loop, tls: context, delegate: delegate)
            let text = String(repeating: "over TLS ", count: 30_000)
            try await loop.submit { _ = connection.send(text: text) }.get()
            #expect(try await delegate.inbox.next() == .text(text))
            connection.close()
            #expect(try await delegate.inbox.next() == .closed(1000, "", locally: true, error: nil))
            #expect(try await serverSide.inbox.next() == .text(text))
            #expect(try await serverSide.inbox.next() == .closed(1000, "", locally: false, error: nil))
            try await connection.channel.closeFuture.bounded()
        }
        try await server.stop()
    }

    @Test func closesWithACodeOverTLS() async throws {
        let authority = try TestAuthority()
        defer { authority.remove() }
        let server = try await TestServer.start(tls: authority.serverContext("local"), delegate: TestDelegate())
        let delegate = TestDelegate()
        let connection = try await WebSocketClient.connect(
            to: WebSocketTarget("wss://localhost:\(server.port)/"), on: loop,
            tls: WebSocketTLS.makeContext(caFile: authority.caFile), delegate: delegate)
        let large = String(repeating: "x", count: 1_048_577)
        try await loop.submit { _ = connection.send(text: large) }.get()
        #expect(
            try await delegate.inbox.next()
                == .closed(1009, "message exceeds 1048576 bytes", locally: false, error: nil))
        try await connection.channel.closeFuture.bounded()
        try await server.nextConnection().channel.closeFuture.bounded()
        try await server.stop()
    }

    @Test func checksCertificateAndName() async throws {
        let authority = try TestAuthority()
        defer { authority.remove() }
        for (certificate, ca) in [("local", authority.otherCAFile), ("foreign", authority.caFile)] {
            let server = try await TestServer.start(tls: authority.serverContext(certificate), delegate: TestDelegate())
            for host in ["localhost", "127.0.0.1"] {
                let error = await #expect(throws: WebSocketConnectError.self) {
                    try await WebSocketClient.connect(
                        to: WebSocketTarget("wss://\(host):\(server.port)/?key=secret"), on: loop,
                        tls: WebSocketTLS.makeContext(caFile: ca))
                }
                #expect(error?.code == .tlsFailed, "\(certificate) at \(host): \(String(describing: error))")
                #expect(error?.message.contains("\(host):\(server.port)") == true)
            }
            try await server.stop()
        }
    }

    @Test func reportsAServerWithoutTLS() async throws {
        let server = try await TestServer.start(delegate: TestDelegate())
        let error = await #expect(throws: WebSocketConnectError.self) {
            try await WebSocketClient.connect(
                to: WebSocketTarget("wss://127.0.0.1:\(server.port)/"), on: loop, tls: WebSocketTLS.makeContext(),
                timeout: .seconds(3))
        }
        #expect(error?.code == .tlsFailed || error?.code == .timedOut)
        try await server.stop()
    }

    @Test func reportsAMissingCAFile() {
        #expect(throws: (any Error).self) { try WebSocketTLS.makeContext(caFile: "/nonexistent/ca.pem") }
    }
}
