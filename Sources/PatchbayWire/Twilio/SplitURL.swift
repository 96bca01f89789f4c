/// The parts of an absolute URL as they were written, nothing decoded, lower-cased or normalised.
///
/// A signature covers the very characters that Twilio requested, so the parts put together again must give the
/// original.
struct SplitURL: Equatable {
    var scheme: String
    /// `user:password`, without the `@`; `nil` when absent.
    var userinfo: String?
    /// A name or address; IPv6 literals keep their brackets (RFC 3986 §3.2.2).
    var host: String
    /// Without the colon; `nil` when absent.
    var port: String?
    var path: String
    /// Without the question mark; `nil` when absent.
    var query: String?

    /// `nil` when there is no scheme or the authority makes no sense. A fragment is dropped: no request carries one.
    init?(_ url: String) {
        let bytes = url.unicodeScalars
        guard let colon = bytes.firstIndex(of: ":"), bytes[colon...].starts(with: "://".unicodeScalars) else {
            return nil
        }
        scheme = String(url[..<colon])
        guard !scheme.isEmpty, scheme.utf8.allSatisfy({ $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") }) else {
            return nil
        }
        let afterScheme = bytes.index(colon, offsetBy: 3)
        let fragment = bytes[afterScheme...].firstIndex(of: "#") ?? bytes.endIndex
        let authorityEnd = bytes[afterScheme..<fragment].firstIndex { $0 == "/" || $0 == "?" } ?? fragment
        var authority = bytes[afterScheme..<authorityEnd]
        if let at = authority.lastIndex(of: "@") {
            userinfo = String(authority[..<at])
            authority = authority[bytes.index(after: at)...]
        }
        var afterHost = authority.startIndex
        if authority.first == "[" {
            guard let bracket = authority.firstIndex(of: "]") else { return nil }
            afterHost = bytes.index(after: bracket)
        } else {
            afterHost = authority.firstIndex(of: ":") ?? authority.endIndex
        }
        host = String(authority[..<afterHost])
        if afterHost < authority.endIndex {
            let digits = authority[bytes.index(after: afterHost)...]
            guard authority[afterHost] == ":", digits.allSatisfy({ $0.value >= 0x30 && $0.value <= 0x39 }) else {
                return nil
            }
            port = String(digits)
        }
        let question = bytes[authorityEnd..<fragment].firstIndex(of: "?")
        path = String(bytes[authorityEnd..<(question ?? fragment)])
        query = question.map { String(bytes[bytes.index(after: $0)..<fragment]) }
    }

    var text: String {
        var text = scheme + "://"
        if let userinfo { text += userinfo + "@" }
        text += host
        if let port { text += ":" + port }
        text += path
        if let query { text += "?" + query }
        return text
    }
}
