/// Why an Ogg Opus file could not be read or written.
public struct OggOpusError: Error, Hashable, Sendable, CustomStringConvertible {
    public struct Code: Hashable, Sendable {
        /// The code in messages and logs, such as `not-ogg-opus`.
        public let name: String

        /// The file does not begin as an Ogg stream of Opus.
        public static let notOggOpus = Code(name: "not-ogg-opus")
        /// The file ends before its headers do.
        public static let truncated = Code(name: "ogg-opus-truncated")
        /// A page is damaged, missing or out of order.
        public static let corruptPage = Code(name: "ogg-opus-corrupt-page")
        /// A header contradicts itself or the standard.
        public static let invalidHeader = Code(name: "ogg-opus-invalid-header")
        /// More than two channels, several streams in a row, a rate Opus does not have.
        public static let unsupportedLayout = Code(name: "ogg-opus-unsupported-layout")
        /// Larger, or longer once decoded, than the reader's limit.
        public static let tooLarge = Code(name: "ogg-opus-too-large")
        /// The codec could not start or refused an option.
        public static let codecFailed = Code(name: "ogg-opus-codec")
        /// The operating system could not read the file.
        public static let unreadable = Code(name: "ogg-opus-unreadable")
        /// The operating system could not write the file.
        public static let unwritable = Code(name: "ogg-opus-unwritable")
    }

    public let code: Code
    /// What is wrong, what is possible, and what to do.
    public let message: String
    /// Where in the file, in bytes from its start.
    public let offset: Int
    /// The file, where the bytes came from one.
    public internal(set) var path: String?

    init(_ code: Code, at offset: Int, _ message: String) {
        self.code = code
        self.message = message
        self.offset = offset
    }

    func naming(_ path: String) -> OggOpusError {
        var copy = self
        copy.path = path
        return copy
    }

    /// In one line: `call.opus: ogg-opus-truncated: … (byte 47)`.
    public var description: String {
        (path.map { "\($0): " } ?? "") + "\(code.name): \(message) (byte \(offset))"
    }
}
