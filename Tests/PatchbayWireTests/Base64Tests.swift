import NIOCore
import Testing

@testable import PatchbayWire

@Suite struct Base64Tests {
    /// RFC 4648 §10.
    static let vectors = [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ]

    private func decode(_ text: String) throws(WireError) -> [UInt8] {
        var buffer = ByteBuffer()
        try ByteBuffer(string: text).withUnsafeReadableBytes { (bytes: UnsafeRawBufferPointer) throws(WireError) in
            _ = try buffer.writeDecodingBase64(bytes)
        }
        return Array(buffer.readableBytesView)
    }

    private func encode(_ bytes: [UInt8]) -> String {
        var buffer = ByteBuffer()
        bytes.withUnsafeBytes { buffer.writeBase64($0) }
        return String(buffer: buffer)
    }

    @Test(arguments: vectors) func rfcVectors(plain: String, encoded: String) throws {
        #expect(encode(Array(plain.utf8)) == encoded)
        #expect(try decode(encoded) == Array(plain.utf8))
    }

    /// Slow, obvious and separate from the code under test.
    private func reference(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var bits = bytes.flatMap { byte in (0..<8).map { byte >> (7 - UInt8($0)) & 1 } }
        while bits.count % 6 != 0 { bits.append(0) }
        var text = stride(from: 0, to: bits.count, by: 6).map { start in
            alphabet[bits[start..<start + 6].reduce(0) { $0 << 1 | Int($1) }]
        }
        while text.count % 4 != 0 { text.append("=") }
        return String(text)
    }

    @Test func everyLengthAgreesWithTheReference() throws {
        var generator = SeededGenerator(seed: 1)
        for length in 0...200 {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let encoded = encode(bytes)
            #expect(encoded == reference(bytes), "length \(length), seed 1")
            #expect(try decode(encoded) == bytes, "length \(length), seed 1")
        }
    }

    @Test func everyByteAtEveryPosition() {
        let alphabet = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        for position in 0..<8 {
            for byte in UInt8.min...UInt8.max {
                var text = Array("AAAAAAAA".utf8)
                text[position] = byte
                let isValid = alphabet.contains(byte) || (position == 7 && byte == UInt8(ascii: "="))
                var room = [UInt8](repeating: 0, count: 8)
                let written = text.withUnsafeBytes { source in
                    room.withUnsafeMutableBytes { Base64.decodeIfValid(source, into: $0) }
                }
                #expect((written != nil) == isValid, "byte \(byte) at \(position)")
            }
        }
    }

    @Test(arguments: [
        "A", "AA", "AAA", "AAAAA", "=", "====", "A===", "AA=A", "=AAA", "AAAA====", "AA==AAAA", "AAA=AAAA", "AA A",
        "AAA\n",
        "AA-_", "AAA\u{E9}", "AAAA A==",
    ])
    func refused(text: String) {
        #expect(errorCode { () throws(WireError) in _ = try decode(text) } == .invalidBase64)
    }

    @Test func bitsThatBelongToNoByteAreIgnored() throws {
        #expect(try decode("Zh==") == Array("f".utf8))
        #expect(try decode("Zm9=") == Array("fo".utf8))
    }

    @Test func faultsNameTheFirstWrongCharacter() {
        do throws(WireError) {
            _ = try decode("AAAAAA*A")
            Issue.record("must throw")
        } catch {
            #expect(error.offset == 6)
            #expect(error.description == "character 42 is not base64 (byte 6) [invalid-base64]")
        }
    }

    @Test func aFailedDecodeAppendsNothing() {
        var buffer = ByteBuffer(string: "kept")
        _ = try? ByteBuffer(string: "AAAAAA*A").withUnsafeReadableBytes { try buffer.writeDecodingBase64($0) }
        #expect(String(buffer: buffer) == "kept")
    }

    @Test func decodesInPlace() {
        var room = Array("Zm9vYmFyZm9vYmFy".utf8)
        room.withUnsafeMutableBytes { room in
            #expect(Base64.decodeIfValid(UnsafeRawBufferPointer(room), into: room) == 12)
        }
        #expect(room.prefix(12).elementsEqual("foobarfoobar".utf8))
    }
}
