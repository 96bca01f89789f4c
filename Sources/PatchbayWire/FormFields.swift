/// The fields of an `application/x-www-form-urlencoded` body, in order, as bytes.
///
/// Blank values, repeated names and bytes that are no UTF-8 are kept: a signature covers them all. Parsing and writing
/// follow the WHATWG URL Standard §5 (url.spec.whatwg.org/#application/x-www-form-urlencoded); a percent sign without
/// two hexadecimal digits stands for itself, as there.
public struct FormFields: Sendable, Equatable {
    public struct Field: Sendable, Equatable {
        public var nameBytes: [UInt8]
        public var valueBytes: [UInt8]

        public init(name: String, value: String) {
            self.init(nameBytes: Array(name.utf8), valueBytes: Array(value.utf8))
        }

        public init(nameBytes: [UInt8], valueBytes: [UInt8]) {
            self.nameBytes = nameBytes
            self.valueBytes = valueBytes
        }

        /// The name as text; what is no UTF-8 shows as U+FFFD.
        public var name: String { String(decoding: nameBytes, as: UTF8.self) }
        public var value: String { String(decoding: valueBytes, as: UTF8.self) }
    }

    public var fields: [Field]

    public init(_ fields: [Field] = []) { self.fields = fields }

    /// Fields from pairs of text.
    public init(_ pairs: KeyValuePairs<String, String>) {
        self.fields = pairs.map { Field(name: $0.key, value: $0.value) }
    }

    /// Parses a body, or the query of a URL without its question mark.
    ///
    /// - Throws: ``WireError/Code/tooLarge`` beyond `maximumCount` fields or `maximumSize` bytes; nothing else can
    ///   fail.
    public init(
        parsing body: some Collection<UInt8>, maximumCount: Int = 1_000, maximumSize: Int = 262_144
    ) throws(WireError) {
        guard body.count <= maximumSize else {
            throw WireError(.tooLarge, "a form of \(body.count) bytes; at most \(maximumSize) are read")
        }
        self.fields = []
        for part in body.split(separator: UInt8(ascii: "&")) {
            guard fields.count < maximumCount else {
                throw WireError(.tooLarge, "a form of more than \(maximumCount) fields")
            }
            let equals = part.firstIndex(of: UInt8(ascii: "="))
            fields.append(
                Field(
                    nameBytes: Self.decode(part[..<(equals ?? part.endIndex)]),
                    valueBytes: equals.map { Self.decode(part[part.index(after: $0)...]) } ?? []))
        }
    }

    /// The first value of that name; `nil` when the form has no such field.
    public subscript(name: String) -> String? { fields.first { $0.nameBytes.elementsEqual(name.utf8) }?.value }

    /// All values of that name, in order.
    public func values(of name: String) -> [String] {
        fields.filter { $0.nameBytes.elementsEqual(name.utf8) }.map(\.value)
    }

    public mutating func append(_ name: String, _ value: String) { fields.append(Field(name: name, value: value)) }

    /// The body that these fields are sent as.
    public var encoded: String {
        var text: [UInt8] = []
        for (index, field) in fields.enumerated() {
            if index > 0 { text.append(UInt8(ascii: "&")) }
            Self.encode(field.nameBytes, into: &text)
            text.append(UInt8(ascii: "="))
            Self.encode(field.valueBytes, into: &text)
        }
        return String(decoding: text, as: UTF8.self)
    }

    private static func decode(_ source: some Collection<UInt8>) -> [UInt8] {
        let source = Array(source)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(source.count)
        var index = 0
        while index < source.count {
            let byte = source[index]
            if byte == UInt8(ascii: "+") {
                bytes.append(UInt8(ascii: " "))
            } else if byte == UInt8(ascii: "%"), index + 2 < source.count, let high = hexValue(source[index + 1]),
                let low = hexValue(source[index + 2])
            {
                bytes.append(high << 4 | low)
                index += 2
            } else {
                bytes.append(byte)
            }
            index += 1
        }
        return bytes
    }

    private static func encode(_ source: [UInt8], into text: inout [UInt8]) {
        let digits = Array("0123456789ABCDEF".utf8)
        for byte in source {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "*"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"):
                text.append(byte)
            case UInt8(ascii: " "): text.append(UInt8(ascii: "+"))
            default: text += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
    }

    private static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x37
        case 0x61...0x66: byte - 0x57
        default: nil
        }
    }
}
