/// An element of an XML 1.0 document that is written and never read.
struct XMLElement {
    let name: String
    private var attributes: [(name: String, value: String)]
    var body: String = ""
    var children: [XMLElement] = []

    /// - Parameter attributes: Absent values are left out; the rest is written in alphabetical order.
    init(_ name: String, _ attributes: [String: String?] = [:], text: String = "", children: [XMLElement] = []) {
        self.name = name
        self.attributes = attributes.compactMap { name, value in value.map { (name, $0) } }.sorted { $0.name < $1.name }
        self.body = text
        self.children = children
    }

    var text: String {
        var text = "<\(name)"
        for (name, value) in attributes { text += " \(name)=\"\(Self.escape(value, inAttribute: true))\"" }
        guard !body.isEmpty || !children.isEmpty else { return text + " />" }
        text += ">" + Self.escape(body, inAttribute: false)
        for child in children { text += child.text }
        return text + "</\(name)>"
    }

    /// Escapes text for a document, and leaves out what XML 1.0 §2.2 does not allow in one.
    ///
    /// In attributes a parser turns line ends and tabs into spaces (§3.3.3), so they are written as references there.
    static func escape(_ text: String, inAttribute: Bool) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result.append(contentsOf: "&amp;".unicodeScalars)
            case "<": result.append(contentsOf: "&lt;".unicodeScalars)
            case ">": result.append(contentsOf: "&gt;".unicodeScalars)
            case "\"" where inAttribute: result.append(contentsOf: "&quot;".unicodeScalars)
            case "\n" where inAttribute: result.append(contentsOf: "&#10;".unicodeScalars)
            case "\r" where inAttribute: result.append(contentsOf: "&#13;".unicodeScalars)
            case "\t" where inAttribute: result.append(contentsOf: "&#09;".unicodeScalars)
            case "\n", "\r", "\t": result.append(scalar)
            case _ where scalar.value < 0x20 || scalar.value == 0xFFFE || scalar.value == 0xFFFF: break
            default: result.append(scalar)
            }
        }
        return String(result)
    }
}
