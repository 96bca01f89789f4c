import GRDB

/// SQL functions that find a telephone number in a text, and take it out.
///
/// `mentions(text, number)` is true where the number's digits stand in the text and no further digit touches them, so that
/// `+4930123` is not found in `+49301234`. `without(text, number)` is the text with `erased` in their place.
enum Mentions {
    /// Fewer digits are not looked for: they would be found everywhere.
    static let fewestDigits = 7

    static func add(to database: Database) {
        database.add(
            function: DatabaseFunction("mentions", argumentCount: 2, pure: true) { values in
                guard let (text, number) = Self.arguments(values) else { return false }
                return !places(of: number, in: text).isEmpty
            })
        database.add(
            function: DatabaseFunction("without", argumentCount: 2, pure: true) { values in
                guard let (text, number) = Self.arguments(values) else { return values.first ?? .null }
                return erasing(number, from: text)
            })
    }

    private static func arguments(_ values: [DatabaseValue]) -> (text: String, number: String)? {
        guard values.count == 2, let text = String.fromDatabaseValue(values[0]),
            let number = String.fromDatabaseValue(values[1])
        else { return nil }
        return (text, number)
    }

    static func erasing(_ number: String, from text: String) -> String {
        var bytes = Array(text.utf8)
        for place in places(of: number, in: text).reversed() {
            // The sign in front goes too.
            let start =
                place.lowerBound > 0 && bytes[place.lowerBound - 1] == plus ? place.lowerBound - 1 : place.lowerBound
            bytes.replaceSubrange(start..<place.upperBound, with: "erased".utf8)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static let plus = UInt8(ascii: "+")
    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// Where the number stands in the text, in bytes.
    static func places(of number: String, in text: String) -> [Range<Int>] {
        let digits = Array(number.utf8.filter(isDigit)), bytes = Array(text.utf8)
        guard digits.count >= fewestDigits, number.utf8.allSatisfy({ isDigit($0) || $0 == plus }),
            bytes.count >= digits.count
        else { return [] }
        var places: [Range<Int>] = []
        var start = 0
        while start < bytes.count {
            guard isDigit(bytes[start]) else {
                start += 1
                continue
            }
            var end = start
            while end < bytes.count, isDigit(bytes[end]) { end += 1 }
            if end - start == digits.count, bytes[start..<end].elementsEqual(digits) { places.append(start..<end) }
            start = end
        }
        return places
    }
}
