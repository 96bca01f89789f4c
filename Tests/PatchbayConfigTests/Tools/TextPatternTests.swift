import Testing

@testable import PatchbayConfig

@Suite("Patterns of schemas")
struct TextPatternTests {
    @Test(
        "Finds what ECMA-262 finds",
        arguments: [
            ("", "anything", true), ("b", "abc", true), ("^b", "abc", false), ("c$", "abc", true),
            ("^abc$", "abcd", false),
            ("^a.c$", "a\nc", false), ("^a.c$", "aöc", true), ("a|b|^$", "", true), ("^(ab)*$", "ababab", true),
            ("^(ab)*$", "aba", false), ("^(?:a|b)+c?$", "abba", true), ("^a{2,3}$", "aaaa", false),
            ("^a{2}$", "aa", true), ("^a{2,}$", "aaaaaa", true), (#"^\+[1-9]\d{1,14}$"#, "+4930123", true),
            (#"^\+[1-9]\d{1,14}$"#, "+0930123", false), ("^[a-cx-z]+$", "abcxyz", true), ("^[^a-c]+$", "xay", false),
            (#"^[\w.-]+@[\w-]+\.[a-z]+$"#, "a.b@c.de", true), (#"^\S+\s\S+$"#, "Ada Lovelace", true),
            (#"\bcat\b"#, "a cat sat", true), (#"\bcat\b"#, "concatenate", false), (#"\Bcat"#, "concat", true),
            (#"^[\D]+$"#, "abc1", false), (#"^[\d\D]$"#, "x", true), (#"^\u0041\x42\u{43}$"#, "ABC", true),
            ("^(?<year>[0-9]{4})$", "2026", true), ("^a??b$", "b", true), (#"^[\]\-]+$"#, "]-]", true),
            ("^[+-]$", "-", true), ("^(a|b|)(c|)$", "", true), (#"^\/\.$"#, "/.", true), ("x*", "", true),
            ("^(((a)))$", "a", true), ("[]", "a", false), ("[^]", "a", true), ("^(){1000}a$", "a", true),
        ])
    func matching(_ pattern: String, _ text: String, _ isFound: Bool) throws {
        #expect(try TextPattern(pattern).matches(text) == isFound, "/\(pattern)/ in \"\(text)\"")
    }

    @Test(
        "Refuses what it cannot judge",
        arguments: [
            "(", ")", "a)", "[a", "*a", "a**", "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", #"(a)\1"#, #"\k<a>"#, #"\p{L}"#,
            "\\",
            "a{2,1}", "a{1001}", "a{", #"\q"#, #"\u00"#, "[z-a]", "(?<a", "(?i)a", #"\u{110000}"#,
            String(repeating: "(", count: 60) + String(repeating: ")", count: 60), "((a{50}){50}){50}",
            "((((){1000}){1000}){1000}){1000}", "((((){0,1000}){0,1000}){0,1000})*", "(((()+){999}){999}){999}",
        ])
    func refusal(_ pattern: String) { #expect(throws: TextPattern.Fault.self) { try TextPattern(pattern) } }

    @Test("No text takes it long, however the expression is written")
    func linear() throws {
        let text = String(repeating: "a", count: 4000) + "!"
        for pattern in ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(x+x+)+y", "^([a-zA-Z]+)*$"] {
            #expect(try !TextPattern(pattern).matches(text))
        }
        #expect(try !TextPattern("a").matches(String(repeating: "b", count: 4096) + "a"), "beyond the limit")
    }

    @Test("Nobody's expression is a trap")
    func random() {
        var generator = SeededGenerator(seed: 5)
        let seeds = [
            "^(a+)+$", #"^[\w.-]+@[\w-]+\.[a-z]{2,}$"#, "(?<y>[0-9]{4})|x*?", #"\u{41}[^a-c\d]"#,
        ]
        for _ in 0..<3000 {
            let bytes = generator.mutate(Array(seeds.randomElement(using: &generator)?.utf8 ?? "".utf8))
            let pattern = String(decoding: bytes, as: UTF8.self)
            _ = try? TextPattern(pattern).matches(pattern)
        }
    }
}
