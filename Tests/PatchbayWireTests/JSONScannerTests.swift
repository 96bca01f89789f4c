import NIOCore
import Testing

@testable import PatchbayWire

@Suite struct JSONScannerTests {
    @Test(arguments: [
        "{}", "[]", " { } ", "\t[\r\n]", "null", "true", "false", "0", "-0", "10", "-1.5", "1e5", "1E+5", "1.25e-10",
        "\"\"",
        #"{"a":1,"b":[1,2,{"c":null}],"a":2}"#, #""\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00""#, #"["é東👋"]"#,
        #"{"a" : [ true , false , null ] }"#, #""\ud800""#,
    ])
    func accepted(text: String) throws {
        try checkJSON(text)
    }

    @Test(arguments: [
        "", " ", "{", "}", "[", "]", "{]", "[}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{,\"a\":1}",
        "{\"a\":1 \"b\":2}",
        "{a:1}", "{'a':1}", "{\"a\" 1}", "{\"a\":1}}", "{} {}", "{}x", "[1,]", "[,]", "[1 2]", "[1]]", "tru", "truex",
        "TRUE",
        "nul", "nulll", "NaN", "Infinity", "+1", "01", "-", "-a", "1.", ".5", "1.e5", "1e", "1e+", "0x10", "1_000",
        "--1", "1.5.2",
        "\"", "\"a", "\"\\\"", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12G4\"", "\"\\u123", "\"a\nb\"", "\"a\tb\"",
        "\"\u{0}\"",
        "\"aaaaaaaaaaaaaaaa\u{1F}\"", "// no\n{}", "{\"a\":1}\u{0}", "\u{FEFF}{}",
    ])
    func refused(text: String) {
        #expect(errorCode { () throws(WireError) in try checkJSON(text) } == .malformedJSON)
    }

    /// Ill-formed sequences of RFC 3629, at the start and after enough text to fill whole words.
    @Test(
        arguments: [
            [0x80], [0xBF], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xC3, 0x28], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF],
            [0xE2, 0x82], [0xE2, 0x28, 0xA1], [0xED, 0xA0, 0x80], [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x9F, 0x98],
            [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFE], [0xFF],
        ] as [[UInt8]])
    func illFormedUTF8(sequence: [UInt8]) {
        for padding in [0, 3, 7, 8, 9, 31] {
            let bytes = Array("\"".utf8) + [UInt8](repeating: 0x61, count: padding) + sequence + Array("\"".utf8)
            #expect(errorCode { () throws(WireError) in try checkJSON(bytes) } == .malformedJSON, "after \(padding)")
        }
    }

    @Test func nestingHasALimit() throws {
        let limit = JSONScanner.maximumDepth
        try checkJSON(String(repeating: "[", count: limit) + String(repeating: "]", count: limit))
        for opening in ["[", "{\"a\":"] {
            let text = String(repeating: opening, count: 100_000)
            #expect(errorCode { () throws(WireError) in try checkJSON(text) } == .nestedTooDeep)
        }
    }

    /// Quotes, backslashes and control characters at each place in a word.
    @Test func stringsEndWhereTheyEnd() throws {
        for length in 0...40 {
            let body = String(repeating: "x", count: length)
            try checkJSON("\"\(body)\"")
            try checkJSON("\"\(body)\\\"\(body)\"")
            try checkJSON("\"\(body)é\(body)\"")
            for bad in ["\"\(body)", "\"\(body)\u{1}\"", "\"\(body)\\q\"", "\"\(body)\"\""] {
                #expect(
                    errorCode { () throws(WireError) in try checkJSON(bad) } == .malformedJSON,
                    "\(bad.debugDescription)")
            }
        }
    }

    @Test(arguments: [
        (#""plain""#, "plain"), (#""\u00e9""#, "é"), (#""\uD83D\uDC4B!""#, "👋!"), (#""a\/b\\c\"d""#, "a/b\\c\"d"),
        (#""\b\f\n\r\t""#, "\u{8}\u{C}\n\r\t"), (#""\ud83d""#, "\u{FFFD}"), (#""\udc4b\ud83d""#, "\u{FFFD}\u{FFFD}"),
        (#""\ud83dx\u0041""#, "\u{FFFD}xA"), (#""\u0000""#, "\u{0}"), (#""東\n京""#, "東\n京"),
    ])
    func stringValues(json: String, value: String) throws {
        let message = buffer("{\"v\":\(json)}")
        let decoded = try message.withUnsafeReadableBytes { bytes in try JSONObject(message: bytes).string("v") }
        #expect(decoded == value)
    }

    @Test func objectsReadWhatSendersWrite() throws {
        let message = buffer(
            #"{"s":"x","i":7,"t":"8","f":1.5,"e":4.0,"b":true,"n":null,"o":{"k":[1,"two",{}]},"i":9,"big":99999999999999999999}"#
        )
        try message.withUnsafeReadableBytes { bytes in
            let object = try JSONObject(message: bytes)
            #expect(object.string("s") == "x")
            #expect(object.integer("i") == 9, "the last of two equal keys counts")
            #expect(object.integer("t") == 8)
            #expect(object.integer("e") == 4)
            #expect(object.integer("f") == nil)
            #expect(object.integer("big") == nil)
            #expect(object.number("f") == 1.5)
            #expect(object.bool("b") == true)
            #expect(object.string("n") == nil)
            #expect(object.string("absent") == nil)
            #expect(object.text("o") == #"{"k":[1,"two",{}]}"#)
            #expect(object.object("o")?["k"]?.elements?.map(\.text) == ["1", "\"two\"", "{}"])
            #expect(errorCode { () throws(WireError) in _ = try object.requiredString("i", in: "x") } == .wrongType)
            #expect(errorCode { () throws(WireError) in _ = try object.requiredString("n", in: "x") } == .missingField)
            #expect(errorCode { () throws(WireError) in _ = try object.requiredInteger("f", in: "x") } == .wrongType)
        }
    }

    @Test(
        arguments: [
            ("0", 0), ("\"0\"", 0), ("42", 42), ("\"42\"", 42), ("-7", -7), ("\"-7\"", -7),
            ("9223372036854775807", Int.max),
            ("\"9223372036854775807\"", Int.max), ("\"00012\"", 12), ("null", nil),
        ] as [(String, Int?)])
    func integers(json: String, value: Int?) throws {
        try buffer(json).withUnsafeReadableBytes { (bytes: UnsafeRawBufferPointer) throws(WireError) in
            var scanner = try JSONScanner(bytes)
            #expect(try scanner.scanInteger("n") == value)
            try scanner.finish()
        }
    }

    @Test(arguments: [
        "\"\"", "\"-\"", "\"4.5\"", "\" 4\"", "4.5", "1e3", "9223372036854775808", "\"99999999999999999999\"", "\"4a\"",
    ])
    func noIntegers(json: String) {
        let code = errorCode { () throws(WireError) in
            try buffer(json).withUnsafeReadableBytes { (bytes: UnsafeRawBufferPointer) throws(WireError) in
                var scanner = try JSONScanner(bytes)
                _ = try scanner.scanInteger("n")
            }
        }
        #expect(code == .wrongType)
    }

    @Test func writtenStringsReadBack() throws {
        let text = (0..<0x20).map { String(Unicode.Scalar(UInt8($0))) }.joined() + "\"\\/é東👋\u{7F}\u{2028}"
        var json = JSONText()
        json.object { $0.member("v", text) }
        let message = ByteBuffer(bytes: json.bytes)
        let decoded = try message.withUnsafeReadableBytes { bytes in try JSONObject(message: bytes).string("v") }
        #expect(decoded == text)
    }

    @Test func faultsSayWhereAndWhat() {
        do throws(WireError) {
            try checkJSON(#"{"a":1 "b":2}"#)
            Issue.record("must throw")
        } catch {
            #expect(error.description == "expected ',' or '}', found '\"' (byte 7) [malformed-json]")
        }
    }
}
