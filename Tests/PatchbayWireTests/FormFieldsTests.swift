import Testing

@testable import PatchbayWire

@Suite struct FormFieldsTests {
    @Test func keepsOrderBlanksAndDuplicates() throws {
        let form = try FormFields(parsing: "b=2&a=&b=1&c&=x&&%41+b=%C3%A9+%26%3d".utf8)
        #expect(form.fields.map(\.name) == ["b", "a", "b", "c", "", "A b"])
        #expect(form.fields.map(\.value) == ["2", "", "1", "", "x", "é &="])
        #expect(form["b"] == "2")
        #expect(form.values(of: "b") == ["2", "1"])
        #expect(form["a"] == "")
        #expect(form["absent"] == nil)
        #expect(try FormFields(parsing: "".utf8).fields.isEmpty)
    }

    @Test(arguments: [
        ("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("%%41", "%A"), ("a%2", "a%2"), ("%2b+", "+ "), ("a=b", "a=b"),
    ])
    func values(raw: String, value: String) throws {
        #expect(try FormFields(parsing: "v=\(raw)".utf8)["v"] == value)
    }

    @Test func bytesThatAreNoTextSurvive() throws {
        let form = try FormFields(parsing: "v=%FF%00x".utf8)
        #expect(form.fields.first?.valueBytes == [0xFF, 0x00, 0x78])
        #expect(form["v"] == "\u{FFFD}\u{0}x")
    }

    @Test func limits() throws {
        let thousand = Array(repeating: "a=1", count: 1_000).joined(separator: "&")
        #expect(try FormFields(parsing: thousand.utf8).fields.count == 1_000)
        #expect(errorCode { () throws(WireError) in _ = try FormFields(parsing: (thousand + "&b=").utf8) } == .tooLarge)
        #expect(
            errorCode { () throws(WireError) in _ = try FormFields(parsing: "a=12".utf8, maximumSize: 3) } == .tooLarge)
    }

    @Test func writesWhatItReads() throws {
        let form = FormFields(["To": "+1 555", "Name": "JOSÉ & SONS=LTD", "Blank": "", "Safe": "a-b.c_d*"])
        #expect(form.encoded == "To=%2B1+555&Name=JOS%C3%89+%26+SONS%3DLTD&Blank=&Safe=a-b.c_d*")
        #expect(try FormFields(parsing: form.encoded.utf8) == form)
    }
}
