import PatchbayCore

/// Where a tool's request goes: scheme, host and port, a path and a query with places for arguments.
///
/// The host stands fixed once the call begins. Arguments come from outside and are percent-encoded down to the unreserved
/// characters (RFC 3986 §2.3), so that none of them can begin a path segment, a query, a fragment or a header line; those that a
/// server might still take for a step in the path, `.` and `..`, are refused.
public struct ToolAddress: Sendable, Equatable {
    /// Longest address of a request, in bytes.
    public static let maximumBytes = 8000

    /// Scheme, host and port in small letters: `https://clinic.example:8443`. The port is there when it was written.
    public let origin: String
    let path: [ToolPlace]
    /// The names as they were written, encoded.
    let query: [(name: String, value: [ToolPlace])]

    /// Why a text is no address, as a sentence.
    struct Fault: Error, Equatable {
        var message: String
        var remedy: String?
    }

    public static func == (one: ToolAddress, two: ToolAddress) -> Bool {
        one.origin == two.origin && one.path == two.path
            && one.query.elementsEqual(two.query) { $0.name == $1.name && $0.value == $1.value }
    }

    /// Reads an address whose variables have been filled in.
    init(_ text: String) throws(Fault) {
        guard let scheme = text.range(of: "://"), ["http", "https"].contains(text[..<scheme.lowerBound].lowercased())
        else { throw Fault(message: "has no scheme", remedy: "write the whole address: https://…") }
        guard text.utf8.count <= Self.maximumBytes else {
            throw Fault(message: "has more than \(Self.maximumBytes) bytes")
        }
        let rest = text[scheme.upperBound...]
        let authority = rest.prefix { !"/?#".contains($0) }
        origin = try Self.origin(String(text[..<scheme.lowerBound]).lowercased(), String(authority))
        let behind = rest[authority.endIndex...]
        guard !behind.contains("#") else {
            throw Fault(message: "has a fragment, which no server is ever sent", remedy: "leave out what follows \"#\"")
        }
        let path = behind.prefix { $0 != "?" }
        try Self.checkCharacters(behind)
        guard !path.split(separator: "/").contains(where: { Self.isDotSegment(String($0)) }) else {
            throw Fault(message: "has the step \".\" or \"..\" in its path", remedy: "write the path that is meant")
        }
        self.path = path.isEmpty ? [.literal("/")] : ToolPlace.places(in: String(path))
        query = try Self.query(behind.dropFirst(path.count + 1))
    }

    private static func origin(_ scheme: String, _ authority: String) throws(Fault) -> String {
        guard !authority.contains("@") else {
            throw Fault(
                message: "holds a user or a password", remedy: "send them in \"headers\", from { \"env\": \"NAME\" }")
        }
        guard !authority.contains("{") else {
            throw Fault(message: "has an argument in its host; an agent must not choose where requests go")
        }
        var host = authority[...]
        var port: Substring?
        if host.hasPrefix("[") {
            guard let close = host.firstIndex(of: "]") else { throw Fault(message: "has no sound host") }
            let behind = host[host.index(after: close)...]
            guard behind.isEmpty || behind.hasPrefix(":"),
                host[..<close].dropFirst().utf8.allSatisfy({
                    UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || ":.abcdefABCDEF".utf8.contains($0)
                })
            else { throw Fault(message: "has no sound host") }
            port = behind.isEmpty ? nil : behind.dropFirst()
            host = host[...close]
        } else if let colon = host.firstIndex(of: ":") {
            port = host[host.index(after: colon)...]
            host = host[..<colon]
        }
        if let port {
            guard let number = Int(port), (1...65_535).contains(number), port.utf8.allSatisfy(\.isDigit) else {
                throw Fault(message: "has no sound port")
            }
        }
        let isSound =
            host.hasPrefix("[")
            || !host.isEmpty && host.utf8.count <= 253
                && host.utf8.allSatisfy { $0.isNameByte || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") }
        guard isSound else { throw Fault(message: host.isEmpty ? "has no host" : "has no sound host") }
        return "\(scheme)://\(host.lowercased())" + (port.map { ":\($0)" } ?? "")
    }

    private static func checkCharacters(_ text: Substring) throws(Fault) {
        var escape = 0
        for byte in text.utf8 {
            if escape > 0 {
                guard byte.isDigit || (byte | 0x20) >= UInt8(ascii: "a") && (byte | 0x20) <= UInt8(ascii: "f") else {
                    throw Fault(message: "has a \"%\" without two hexadecimal digits")
                }
                escape -= 1
            } else if byte == UInt8(ascii: "%") {
                escape = 2
            } else if !byte.isNameByte && !"-.~!$&'()*+,;=:@/?{}".utf8.contains(byte) {
                throw Fault(
                    message: "has a character that no address may have",
                    remedy: "write it percent-encoded, %20 for a space")
            }
        }
        guard escape == 0 else { throw Fault(message: "has a \"%\" without two hexadecimal digits") }
    }

    private static func query(_ text: Substring) throws(Fault) -> [(name: String, value: [ToolPlace])] {
        var items: [(name: String, value: [ToolPlace])] = []
        for item in text.split(separator: "&") {
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts.first ?? "")
            guard !name.contains("{") else {
                throw Fault(message: "has an argument for the name of a query's item", remedy: "write the name itself")
            }
            items.append((name, ToolPlace.places(in: String(parts.dropFirst().first ?? ""))))
        }
        return items
    }

    private static func isDotSegment(_ segment: String) -> Bool {
        let plain = segment.replacing("%2e", with: ".").replacing("%2E", with: ".")
        return plain == "." || plain == ".."
    }

    /// The arguments that stand in its path, and all that stand in it.
    var pathParameters: Set<String> { Self.parameters(in: path) }
    var parameters: Set<String> {
        query.reduce(into: pathParameters) { $0.formUnion(Self.parameters(in: $1.value)) }
    }

    /// The names of the items that are written in its query, plain.
    var queryNames: [String] { query.map(\.name.percentDecoded) }

    private static func parameters(in places: [ToolPlace]) -> Set<String> {
        Set(places.compactMap { if case .parameter(let name) = $0 { name } else { nil } })
    }

    // MARK: With arguments

    /// The address of one request.
    ///
    /// - Parameter more: Items that are put behind the query, plain.
    /// - Throws: In words for the agent, when an argument cannot stand in a path, or the whole becomes too long.
    func url(with arguments: ToolArguments, query more: [(name: String, value: String)]) throws(ToolFailure) -> String {
        var path = ""
        for place in self.path {
            switch place {
            case .literal(let text): path += text
            case .parameter(let name): path += try Self.step(arguments[name], name)
            }
        }
        for segment in path.split(separator: "/") where Self.isDotSegment(String(segment)) {
            throw ToolFailure("The arguments must not lead to another path.")
        }
        var items: [String] = []
        for item in query {
            if item.value.count == 1, case .parameter(let name)? = item.value.first, arguments[name] == nil { continue }
            let value = item.value.map { place in
                switch place {
                case .literal(let text): text
                case .parameter(let name): (arguments[name]?.plainText ?? "").percentEncoded
                }
            }
            items.append("\(item.name)=\(value.joined())")
        }
        items += more.map { "\($0.name.percentEncoded)=\($0.value.percentEncoded)" }
        let url = origin + path + (items.isEmpty ? "" : "?" + items.joined(separator: "&"))
        guard url.utf8.count <= Self.maximumBytes else {
            throw ToolFailure("The arguments are too long for the address of a request; shorten them.")
        }
        return url
    }

    /// An argument as part of a path's segment.
    private static func step(_ value: JSONValue?, _ name: String) throws(ToolFailure) -> String {
        guard let value, value != .null, value.isScalar else {
            throw ToolFailure("\(quoted(name)) must be given, as a text or a number.")
        }
        let text = value.plainText
        let steps = text.split(omittingEmptySubsequences: false) { $0 == "/" || $0 == "\\" }
        guard !text.isEmpty, !steps.contains(where: { isDotSegment(String($0)) }),
            !text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control })
        else { throw ToolFailure("\(quoted(name)) is \(quoted(text)), which cannot be looked up.") }
        return text.percentEncoded
    }
}

extension String {
    /// Every byte but the unreserved characters of RFC 3986 §2.3 as `%` and two digits.
    var percentEncoded: String {
        var result = ""
        for byte in utf8 {
            if byte.isNameByte || "-.~".utf8.contains(byte) {
                result.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                result += digits.utf8.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return result
    }
}

extension String {
    /// The text that stands percent-encoded in a query, where `+` is a space.
    fileprivate var percentDecoded: String {
        var result: [UInt8] = []
        var rest = utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"),
                let decoded = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                result.append(decoded)
                rest = rest.dropFirst(2)
            } else {
                result.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}

extension ToolAddress {
    /// The text of an address for one call.
    ///
    /// Before the host ends, what a variable holds is the author's own and goes in as it is, so that a variable may hold
    /// `https://clinic.example/api`. Behind it everything is encoded, whoever it comes from.
    static func text(of text: Settings.Text, in scope: ReferenceScope) throws(PipelineError) -> String {
        guard case .template(let template) = text else { return text.asWritten }
        var result = ""
        for part in template.parts {
            switch part {
            case .literal(let literal): result += literal
            case .reference(let reference):
                let value = try scope.value(of: reference)?.description ?? ""
                result += hasHost(result) ? value.percentEncoded : value
            }
        }
        return result
    }

    /// Whether the host is complete in the beginning of an address.
    static func hasHost(_ text: String) -> Bool {
        guard let scheme = text.range(of: "://") else { return false }
        return text[scheme.upperBound...].contains { "/?#".contains($0) }
    }
}
