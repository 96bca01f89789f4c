import Testing

@testable import PatchbayConfig

@Suite("JSON that is written")
struct JSONValueTests {
    @Test("What fits stands on one line, the rest is broken and indented")
    func layout() {
        let value: JSONValue = [
            "name": "x", "list": [1, 2, ["a": true, "b": []]], "empty": [:],
            "long": ["one word after the other", "until there is no room", "left"],
        ]
        #expect(
            value.text(width: 44) == """
                {
                  "name": "x",
                  "list": [1, 2, { "a": true, "b": [] }],
                  "empty": {},
                  "long": [
                    "one word after the other",
                    "until there is no room",
                    "left"
                  ]
                }
                """)
        #expect(JSONValue.array([]).text() == "[]" && JSONValue.null.line == "null")
    }

    @Test(
        "What is read is written the same",
        arguments: [
            #"{ "a": 1.50, "b": [null, true, "\u00e9\n\"\\"], "c": { "d": {} } }"#, "[]", "-1e3", #""${x}""#,
        ])
    func roundTrip(_ text: String) throws {
        let value = try #require(JSONValue(parsing: text))
        for width in [0, 20, 100] { #expect(JSONValue(parsing: value.text(width: width)) == value) }
        #expect(JSONValue(parsing: value.line) == value)
    }

    @Test("What is no JSON is not read; what JSON has no number for is null")
    func faults() {
        #expect(JSONValue(parsing: "{ … }") == nil)
        #expect(JSONValue(Double.nan) == .null && JSONValue(2.0).line == "2" && JSONValue(0.25).line == "0.25")
    }
}
