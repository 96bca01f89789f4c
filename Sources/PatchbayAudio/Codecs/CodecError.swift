/// Why audio cannot be encoded or decoded.
public struct CodecError: Error, Hashable, Sendable, CustomStringConvertible {
    public struct Code: Hashable, Sendable {
        /// The code in messages and logs, such as `codec-format`.
        public let name: String

        /// The encoding does not exist at this rate, with these channels or in packets of this length.
        public static let unsupportedFormat = Code(name: "codec-format")
        /// A setting is out of range, or does nothing beside another.
        public static let invalidOption = Code(name: "codec-option")
        /// The codec's library is not installed or could not start.
        public static let unavailable = Code(name: "codec-unavailable")
        /// A payload breaks the rules of its encoding. The decoder is unharmed: conceal the loss and go on.
        public static let corruptPayload = Code(name: "codec-corrupt-payload")
        /// The caller's buffer is smaller than the codec said it must be.
        public static let insufficientRoom = Code(name: "codec-insufficient-room")
        /// The library refused what it should have taken.
        public static let failed = Code(name: "codec-failed")
    }

    public let code: Code
    /// What is wrong, what is possible, and what to do.
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(code.name): \(message)" }
}
