extension NumberPattern {
    /// What somebody who wrote a number that is none most likely meant.
    ///
    /// A replacement is only given where the text itself says which country it means: after the international prefix 00
    /// (ITU-T E.164 §7) or 011 (North America's), after a plus with spaces or a trunk 0 in brackets, or in eleven digits
    /// of North America with its country code 1. A national number says nothing of its country, and gets a sentence.
    static func suggestion(for text: String) -> Diagnostic.Suggestion? {
        guard text.utf8.count <= 40,
            text.unicodeScalars.allSatisfy({ "0123456789 +-()./*".unicodeScalars.contains($0) })
        else { return nil }
        let star = text.hasSuffix("*") ? "*" : ""
        guard !text.dropLast(star.count).contains("*") else { return nil }
        let isInternational = text.drop { $0 == " " || $0 == "(" }.hasPrefix("+")
        let digits = text.replacing("(0)", with: isInternational || text.hasPrefix("00") ? "" : "0").filter(\.isNumber)
        let candidate: String? =
            if isInternational {
                "+" + digits
            } else if digits.hasPrefix("00") {
                "+" + digits.dropFirst(2)
            } else if digits.hasPrefix("011") {
                "+" + digits.dropFirst(3)
            } else if digits.hasPrefix("1"), digits.count == 11 {
                "+" + digits
            } else {
                nil
            }
        if let candidate, NumberPattern(candidate + star) != nil {
            return .init("did you mean \"\(candidate)\(star)\"?", replacement: candidate + star)
        }
        guard !isInternational, !digits.isEmpty, digits.count <= 15 else { return nil }
        return .init(
            digits.hasPrefix("0")
                ? "write + and the country code instead of the leading 0, for instance +49 for Germany"
                : "write it with + and its country code, for instance +1 for North America")
    }
}
