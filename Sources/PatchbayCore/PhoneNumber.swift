/// A number that can be dialled, in the international form of ITU-T E.164: `+` and 7 to 15 digits, the first of them not 0.
///
/// The plan's shortest numbers in use have seven digits with their country code; shorter ones are service numbers, which only
/// mean something within a country.
public struct PhoneNumber: Hashable, Sendable, CustomStringConvertible {
    public let description: String

    public init?(_ text: String) {
        let digits = text.utf8.dropFirst()
        guard text.utf8.first == UInt8(ascii: "+"), (7...15).contains(digits.count),
            digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            digits.first != UInt8(ascii: "0")
        else { return nil }
        description = text
    }
}
