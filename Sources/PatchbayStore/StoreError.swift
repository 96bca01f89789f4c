/// Why the store could not do what it was asked.
public struct StoreError: Error, Sendable, CustomStringConvertible {
    /// What went wrong; a struct, so that new codes break nobody's switch.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        public let description: String
        init(_ description: String) { self.description = description }

        /// The file or folder cannot be opened or written, the disk is full, or the database is damaged.
        public static let unavailable = Code("store-unavailable")
        /// Somebody else has changed the same entry since it was read.
        public static let conflict = Code("store-conflict")
        /// What is to be entered belongs to somebody else.
        public static let taken = Code("store-taken")
        /// What was given cannot be kept as it is: too long, or with a name that is none.
        public static let refused = Code("store-refused")
    }

    public var code: Code
    /// What happened, and what to do about it.
    public var message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(message) [\(code)]" }
}
