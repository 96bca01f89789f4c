/// A message, form or document that does not follow the rules of its protocol.
public struct WireError: Error, Sendable, CustomStringConvertible {
    /// A stable name for the kind of fault. A struct, so that a new code breaks nobody's `switch`.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        public let description: String
        public init(_ name: String) { self.description = name }

        /// The text is not JSON as RFC 8259 defines it.
        public static let malformedJSON = Code("malformed-json")
        /// Objects and arrays nest deeper than the reader allows.
        public static let nestedTooDeep = Code("nested-too-deep")
        /// A field without which the message means nothing is absent.
        public static let missingField = Code("missing-field")
        /// A field that the protocol does not have, where the reader is strict.
        public static let unexpectedField = Code("unexpected-field")
        /// A field holds another JSON type than it must.
        public static let wrongType = Code("wrong-type")
        /// A field has the right type and a value that is not allowed.
        public static let invalidValue = Code("invalid-value")
        /// A payload is not base64 in the standard alphabet with padding.
        public static let invalidBase64 = Code("invalid-base64")
        /// An event that the protocol does not have, where the reader is strict.
        public static let unknownEvent = Code("unknown-event")
        /// A message belongs to another stream than the one on this socket.
        public static let wrongStream = Code("wrong-stream")
        /// A well-formed request for something this side cannot do.
        public static let unsupported = Code("unsupported")
        /// A named limit was exceeded.
        public static let tooLarge = Code("too-large")
    }

    public var code: Code
    /// What was found and what was expected. Never holds audio, a secret or a whole payload.
    public var message: String
    /// Byte offset in the message, from 0; `nil` where the fault has no single place.
    public var offset: Int?
    public var cause: (any Error)?

    public init(_ code: Code, _ message: String, offset: Int? = nil, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.offset = offset
        self.cause = cause
    }

    public var description: String {
        var text = message
        if let offset { text += " (byte \(offset))" }
        text += " [\(code)]"
        if let cause { text += " (caused by: \(cause))" }
        return text
    }
}

extension WireError {
    @inline(never)
    static func missing(_ field: String, in place: String) -> WireError {
        WireError(.missingField, "\(place) has no \"\(field)\"")
    }

    @inline(never)
    static func wrongType(_ field: String, expected: String, offset: Int? = nil) -> WireError {
        WireError(.wrongType, "\"\(field)\" must be \(expected)", offset: offset)
    }
}
