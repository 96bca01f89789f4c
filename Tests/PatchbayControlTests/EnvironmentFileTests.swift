import Foundation
import Testing

@testable import PatchbayControl

@Suite("The .env file")
struct EnvironmentFileTests {
    @Test(
        "A line",
        arguments: [
            ("A=b", "b"), ("A = b ", "b"), ("export A=b", "b"), ("A=", ""), ("A=a b", "a b"), ("A=x=y", "x=y"),
            ("A=\"b\"", "b"), ("A='b'", "b"), ("A=\"a # b\" # words", "a # b"), ("A='it\\n'", "it\\n"),
            ("A=\"one\\ntwo\"", "one\ntwo"), ("A=\"say \\\"hi\\\" for \\$5\"", "say \"hi\" for $5"),
            ("A=b # words", "b"), ("A=b#c", "b#c"), ("A=# words", ""), ("A=\"\"", ""), ("  A=b", "b"),
            ("\u{FEFF}A=b", "b"), ("A=b\r", "b"), ("exportA=1\nA=b", "b"),
            ("A=https://x.example/y?z#part", "https://x.example/y?z#part"),
            ("A=$B ${C}", "$B ${C}"),
        ])
    func line(_ text: String, _ value: String) throws {
        #expect(try EnvironmentFile(parsing: "# first\n\n\(text)\r\n").variables["A"] == value)
    }

    @Test(
        "A line that is none is told with its number, and without what it holds",
        arguments: [
            ("hunter2", "line 3: it is no NAME=VALUE; a comment begins with #"),
            ("A B=hunter2", "line 3: what stands before = is no name of a variable: letters, digits and _"),
            ("=hunter2", "line 3: what stands before = is no name of a variable: letters, digits and _"),
            ("1A=hunter2", "line 3: what stands before = is no name of a variable: letters, digits and _"),
            ("A=\"hunter2", "line 3: the value's \" is never closed"),
            ("A='hunter2' x", "line 3: something follows the value's closing '"),
        ])
    func fault(_ text: String, _ words: String) {
        let fault = #expect(throws: EnvironmentFile.Fault.self) { try EnvironmentFile(parsing: "A=b\n\n\(text)") }
        #expect(fault?.description == words)
    }

    @Test("The later of two lines holds, and the process's environment goes before the file")
    func order() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "patchbay-\(UUID()).env").path()
        defer { try? FileManager.default.removeItem(atPath: file) }
        try "A=1\nA=2\nPUBLIC_URL='https://voice.example.com'\nB=file".write(
            toFile: file, atomically: true, encoding: .utf8)
        let environment = try ServerEnvironment(process: ["B": "process"], file: file)
        #expect(environment.variables == ["A": "2", "B": "process", "PUBLIC_URL": "https://voice.example.com"])
        #expect(environment.options.publicURL == "https://voice.example.com")
    }

    @Test("A file that was named must be there")
    func missing() throws {
        let failure = #expect(throws: ServerEnvironment.Failure.self) {
            try ServerEnvironment(process: [:], file: "/nowhere/.env")
        }
        #expect(failure?.description == "/nowhere/.env cannot be read: it does not exist")
    }
}
