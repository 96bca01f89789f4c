import NIOCore
import Testing

@testable import PatchbayTransports

@Suite struct WebSocketParserTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var frames: [TestFrame]
        var events: [WebSocketEvent]
        var fault: UInt16?
        var limit: Int?
        var testDescription: String { name }

        init(
            _ name: String, _ frames: [TestFrame], _ events: [WebSocketEvent] = [], fault: UInt16? = nil,
            limit: Int? = nil
        ) {
            self.name = name
            self.frames = frames
            self.events = events
            self.fault = fault
            self.limit = limit
        }
    }

    static func text(_ text: String) -> WebSocketEvent { .text(ByteBuffer(string: text)) }
    static func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) } }
    static func letters(_ count: Int) -> String {
        String(repeating: "abcdefg", count: count / 7 + 1).prefix(count) + ""
    }

    /// RFC 6455, sections 5 to 8, rule by rule. Each case is played to a server (masked) and to a client (unmasked).
    static let cases: [Case] = [
        Case("empty text", [.text("")], [text("")]),
        Case("text", [.text("Hello")], [text("Hello")]),
        Case("text of 125 bytes", [.text(letters(125))], [text(letters(125))]),
        Case("text of 126 bytes", [.text(letters(126))], [text(letters(126))]),
        Case("binary of 65535 bytes", [.binary(bytes(65_535))], [.binary(ByteBuffer(bytes: bytes(65_535)))]),
        Case("binary of 65536 bytes", [.binary(bytes(65_536))], [.binary(ByteBuffer(bytes: bytes(65_536)))]),
        Case(
            "three messages", [.text("a"), .binary([1, 2]), .text("c")],
            [text("a"), .binary(ByteBuffer(bytes: [1, 2])), text("c")]),
        Case(
            "ping and pong", [.ping([1, 2, 3]), .pong()], [.ping(ByteBuffer(bytes: [1, 2, 3])), .pong(ByteBuffer())]),
        Case("ping of 125 bytes", [.ping(bytes(125))], [.ping(ByteBuffer(bytes: bytes(125)))]),
        Case("ping of 126 bytes", [.ping(bytes(126))], fault: 1002),
        Case("fragmented ping", [TestFrame(opcode: 0x9, isFinal: false)], fault: 1002),
        Case("fragmented close", [TestFrame(opcode: 0x8, isFinal: false)], fault: 1002),
        Case("two fragments", [.text("Hel", isFinal: false), .more(Array("lo".utf8), isFinal: true)], [text("Hello")]),
        Case(
            "empty fragments", [.text("", isFinal: false), .more([], isFinal: false), .more([], isFinal: true)],
            [text("")]),
        Case(
            "ping between fragments",
            [.binary([1], isFinal: false), .ping([9]), .more([2], isFinal: false), .more([3], isFinal: true)],
            [.ping(ByteBuffer(bytes: [9])), .binary(ByteBuffer(bytes: [1, 2, 3]))]),
        Case(
            "message after fragments", [.text("a", isFinal: false), .more([0x62], isFinal: true), .text("c")],
            [text("ab"), text("c")]),
        Case("continuation without a start", [.more([1], isFinal: true)], fault: 1002),
        Case("continuation after the end", [.text("a"), .more([1], isFinal: true)], [text("a")], fault: 1002),
        Case("text inside fragments", [.text("a", isFinal: false), .text("b")], fault: 1002),
        Case("binary start inside fragments", [.text("a", isFinal: false), .binary([1], isFinal: false)], fault: 1002),
        Case("RSV1", [TestFrame(opcode: 0x1, reserved: 4)], fault: 1002),
        Case("RSV2", [TestFrame(opcode: 0x1, reserved: 2)], fault: 1002),
        Case("RSV3 on a ping", [TestFrame(opcode: 0x9, reserved: 1)], fault: 1002),
        Case("length 5 in 16 bits", [TestFrame(opcode: 0x2, payload: bytes(5), form: .sixteenBits)], fault: 1002),
        Case("length 125 in 16 bits", [TestFrame(opcode: 0x2, payload: bytes(125), form: .sixteenBits)], fault: 1002),
        Case("length 300 in 64 bits", [TestFrame(opcode: 0x2, payload: bytes(300), form: .sixtyFourBits)], fault: 1002),
        Case(
            "length with its highest bit", [TestFrame(opcode: 0x2, form: .sixtyFourBits, claimedLength: 1 << 63)],
            fault: 1002),
        Case(
            "length beyond all memory", [TestFrame(opcode: 0x2, form: .sixtyFourBits, claimedLength: 1 << 62)],
            fault: 1009),
        Case("at the limit", [.binary(bytes(1_000))], [.binary(ByteBuffer(bytes: bytes(1_000)))], limit: 1_000),
        Case("over the limit", [.binary(bytes(1_001))], fault: 1009, limit: 1_000),
        Case(
            "fragments at the limit", [.binary(bytes(600), isFinal: false), .more(bytes(400), isFinal: true)],
            [.binary(ByteBuffer(bytes: bytes(600) + bytes(400)))], limit: 1_000),
        Case(
            "fragments over the limit", [.binary(bytes(600), isFinal: false), .more(bytes(401), isFinal: true)],
            fault: 1009, limit: 1_000),
        Case(
            "control frames do not count",
            [
                .binary(bytes(990), isFinal: false), .ping(bytes(50)),
                .more(bytes(10), isFinal: true),
            ],
            [.ping(ByteBuffer(bytes: bytes(50))), .binary(ByteBuffer(bytes: bytes(990) + bytes(10)))], limit: 1_000),
        Case("UTF-8 of every length", [.text("aé€😀 Grüße, 世界")], [text("aé€😀 Grüße, 世界")]),
        Case(
            "a scalar cut by fragments",
            [.text("x", isFinal: false), .more([0xE2, 0x82], isFinal: false), .more([0xAC], isFinal: true)],
            [text("x€")]),
        Case("bad UTF-8", [TestFrame(opcode: 0x1, payload: Array("12345678".utf8) + [0xFF])], fault: 1007),
        Case("bad UTF-8 in fragments", [.text("x", isFinal: false), .more([0xE2, 0x28], isFinal: true)], fault: 1007),
        Case("unfinished UTF-8", [TestFrame(opcode: 0x1, payload: [0x61, 0xE2, 0x82])], fault: 1007),
        Case("bad UTF-8 is fine in binary", [.binary([0xFF, 0xFE])], [.binary(ByteBuffer(bytes: [0xFF, 0xFE]))]),
        Case("close without payload", [.close()], [.close(code: nil, reason: "")]),
        Case("close 1000", [.close(1000, "bye ✓")], [.close(code: 1000, reason: "bye ✓")]),
        Case(
            "nothing after close", [.text("a"), .close(1001), .text("b"), TestFrame(opcode: 0x3)],
            [text("a"), .close(code: 1001, reason: "")]),
        Case("close inside fragments", [.text("a", isFinal: false), .close(1000)], [.close(code: 1000, reason: "")]),
        Case("close with one byte", [.close([3])], fault: 1002),
        Case("close with a bad reason", [.close([0x03, 0xE8, 0xC3])], fault: 1007),
        Case(
            "close with 123 bytes of reason", [.close(1000, letters(123))], [.close(code: 1000, reason: letters(123))]),
        Case("close with 124 bytes of reason", [.close(1000, letters(124))], fault: 1002),
    ]

    @Test(arguments: cases, [WebSocketRole.server, .client])
    func followsTheRules(_ test: Case, role: WebSocketRole) {
        let bytes = test.frames.flatMap { $0.sent(to: role).bytes }
        let expected = ParseResult(events: test.events, faultCode: test.fault)
        #expect(parse([bytes], role: role, maximumMessageBytes: test.limit) == expected)
    }

    /// However the bytes are cut in two, and cut into single bytes, the events are the same.
    @Test(arguments: cases, [WebSocketRole.server, .client])
    func isCutInvariant(_ test: Case, role: WebSocketRole) {
        let bytes = test.frames.flatMap { $0.sent(to: role).bytes }
        let expected = ParseResult(events: test.events, faultCode: test.fault)
        let cuts = bytes.count < 3_000 ? Array(bytes.indices) : Array(0..<20) + [1_000, 65_000, bytes.count - 1]
        for cut in cuts {
            let result = parse(
                [Array(bytes[..<cut]), Array(bytes[cut...])], role: role, maximumMessageBytes: test.limit)
            #expect(result == expected, "cut at byte \(cut)")
        }
        if bytes.count < 3_000 {
            let result = parse(bytes.map { [$0] }, role: role, maximumMessageBytes: test.limit)
            #expect(result == expected, "byte by byte")
        }
    }

    @Test func demandsMaskingByRole() {
        let masked = TestFrame.text("a").sent(to: .server).bytes
        #expect(parse([TestFrame.text("a").bytes], role: .server) == ParseResult(faultCode: 1002))
        #expect(parse([masked], role: .client) == ParseResult(faultCode: 1002))
        #expect(parse([masked], role: .server).events == [Self.text("a")])
        #expect(parse([TestFrame.text("a").bytes], role: .client).events == [Self.text("a")])
    }

    @Test(arguments: [3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF] as [UInt8])
    func refusesReservedOpcodes(_ opcode: UInt8) {
        let frame = TestFrame(opcode: opcode).sent(to: .server)
        #expect(parse([frame.bytes], role: .server) == ParseResult(faultCode: 1002))
    }

    @Test func knowsEveryCloseCode() {
        for code in UInt16.min ... .max {
            let isAllowed =
                (1000...1003).contains(code) || (1007...1014).contains(code) || (3000...4999).contains(code)
            let result = parse([TestFrame.close(code).bytes], role: .client)
            let expected =
                isAllowed ? ParseResult(events: [.close(code: code, reason: "")]) : ParseResult(faultCode: 1002)
            if result != expected {
                Issue.record("code \(code): \(result)")
            }
        }
    }

    @Test func repeatsItsFault() {
        var parser = WebSocketParser(role: .server)
        parser.append(ByteBuffer(bytes: TestFrame.text("a").bytes))
        #expect(throws: WebSocketFault.self) { try parser.next() }
        parser.append(ByteBuffer(bytes: TestFrame.text("a").sent(to: .server).bytes))
        #expect(throws: WebSocketFault.self) { try parser.next() }
        #expect(parser.pendingBytes == 0)
    }

    @Test func keptMessagesStayValid() throws {
        var parser = WebSocketParser(role: .server)
        var kept: [ByteBuffer] = []
        var expected: [String] = []
        for round in 0..<50 {
            var bytes: [UInt8] = []
            for index in 0..<4 {
                let message = "round \(round) message \(index) " + Self.letters(round * 3)
                expected.append(message)
                bytes += TestFrame.text(message).sent(to: .server, mask: [UInt8(round), 0xA5, UInt8(index), 1]).bytes
            }
            let cut = bytes.count - round
            for chunk in [bytes[..<cut], bytes[cut...]] {
                parser.append(ByteBuffer(bytes: chunk))
                while case .text(let payload)? = try parser.next() { kept.append(payload) }
            }
        }
        #expect(kept.map { String(buffer: $0) } == expected)
    }

    /// Storage that the parser reuses is the point of it: the same addresses come back once messages are let go.
    @Test func reusesItsStorage() throws {
        var parser = WebSocketParser(role: .server)
        var addresses: Set<UInt> = []
        let bytes = ByteBuffer(bytes: TestFrame.text(Self.letters(300)).sent(to: .server).bytes)
        for _ in 0..<100 {
            parser.append(bytes)
            guard case .text(let payload)? = try parser.next() else {
                Issue.record("no message")
                return
            }
            payload.withUnsafeReadableBytes { _ = addresses.insert(UInt(bitPattern: $0.baseAddress)) }
        }
        #expect(addresses.count == 1)
    }

    @Test func acceptsItsDefaults() {
        #expect(WebSocketParser(role: .server).maximumMessageBytes == 1_048_576)
        #expect(WebSocketParser(role: .client).maximumMessageBytes == 16_777_216)
    }
}

@Suite struct WebSocketParserFuzzTests {
    static let seeds = (0..<4).map { UInt64(0x5EED_0000 + $0) }

    /// Any bytes give events or a typed fault, the same for every cut, and never hold more than was received.
    @Test(arguments: seeds, [WebSocketRole.server, .client])
    func survivesDamagedStreams(seed: UInt64, role: WebSocketRole) {
        var generator = SeededGenerator(seed: seed)
        for round in 0..<400 {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 1...5, using: &generator) { bytes += frame(for: role, &generator).bytes }
            for _ in 0..<Int.random(in: 0...3, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            bytes.removeLast(Int.random(in: 0...min(3, bytes.count), using: &generator))
            let whole = parse([bytes], role: role, maximumMessageBytes: 2_000)
            var chunks: [[UInt8]] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Int.random(in: 1...min(40, rest.count), using: &generator)
                chunks.append(Array(rest.prefix(count)))
                rest = rest.dropFirst(count)
            }
            let cut = parse(chunks, role: role, maximumMessageBytes: 2_000)
            #expect(cut == whole, "seed \(seed), round \(round)")
        }
    }

    @Test(arguments: seeds, [WebSocketRole.server, .client])
    func survivesNoise(seed: UInt64, role: WebSocketRole) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<3_000 {
            let count = Int.random(in: 0...64, using: &generator)
            var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            // Steer past the first checks, so that the noise reaches the lengths and payloads.
            if bytes.count > 1 {
                bytes[0] &= 0x8F
                bytes[1] = role == .server ? bytes[1] | 0x80 : bytes[1] & 0x7F
            }
            _ = parse([bytes], role: role)
        }
    }

    private func frame(for role: WebSocketRole, _ generator: inout SeededGenerator) -> TestFrame {
        let opcodes: [UInt8] = [0, 1, 1, 1, 2, 2, 8, 9, 10]
        let opcode = opcodes.randomElement(using: &generator) ?? 1
        let size = opcode > 7 ? 125 : [10, 300, 1_500].randomElement(using: &generator) ?? 10
        let payload = (0..<Int.random(in: 0...size, using: &generator)).map { _ in
            UInt8.random(in: 32...126, using: &generator)
        }
        let key = (0..<4).map { _ in UInt8.random(in: 0...255, using: &generator) }
        let isFinal = opcode > 7 || Int.random(in: 0..<4, using: &generator) > 0
        return TestFrame(opcode: opcode, payload: payload, isFinal: isFinal).sent(to: role, mask: key)
    }
}

@Suite struct WebSocketKernelTests {
    @Test func masksEveryLengthAndOffset() {
        let key: [UInt8] = [0x01, 0x80, 0x7F, 0xFE]
        let word = key.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
        for start in 0..<9 {
            for count in 0..<70 {
                var bytes = (0..<start + count + 8).map { UInt8(truncatingIfNeeded: $0 &* 31) }
                let expected = bytes.enumerated().map { index, byte in
                    (start..<start + count).contains(index) ? byte ^ key[(index - start) % 4] : byte
                }
                bytes.withUnsafeMutableBytes {
                    applyWebSocketMask(word, to: UnsafeMutableRawBufferPointer(rebasing: $0[start..<start + count]))
                }
                #expect(bytes == expected, "start \(start), count \(count)")
            }
        }
    }

    @Test func maskKeysDoNotRepeat() {
        var keys = WebSocketMaskKeys()
        let drawn = (0..<1_000).map { _ in keys.next() }
        // Two equal keys among 1,000 have a chance of about 1 in 8,600; three repetitions have none.
        #expect(Set(drawn).count >= 997)
    }

    /// Every one-, two- and three-byte sequence, and the four-byte ones at the edges, against the standard library.
    @Test func validatesUTF8LikeTheStandardLibrary() {
        func check(_ bytes: [UInt8]) {
            for padding in [0, 7, 8] {
                let padded = [UInt8](repeating: 0x61, count: padding) + bytes
                let expected = String(validating: padded, as: UTF8.self) != nil
                if padded.withUnsafeBytes(isValidUTF8) != expected { Issue.record("\(padded): expected \(expected)") }
            }
        }
        for first in UInt8.min ... .max { check([first]) }
        for first in UInt8(0x80) ... .max {
            for second in UInt8.min ... .max { check([first, second]) }
        }
        let edges: [UInt8] = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF]
        for first in UInt8(0xE0) ... .max {
            for second in UInt8(0x7F)...0xC0 {
                for third in edges {
                    check([first, second, third])
                    for fourth in edges { check([first, second, third, fourth]) }
                }
            }
        }
    }
}
