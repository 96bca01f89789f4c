/// Why a WAV file could not be read or written.
public struct WAVError: Error, Hashable, Sendable, CustomStringConvertible {
    public struct Code: Hashable, Sendable {
        /// The code in messages and logs, such as `not-wav`.
        public let name: String

        /// The file does not begin as a RIFF WAVE file.
        public static let notWAV = Code(name: "not-wav")
        /// The file ends inside a chunk.
        public static let truncated = Code(name: "wav-truncated")
        /// There is no `fmt ` chunk.
        public static let missingFormat = Code(name: "wav-missing-format")
        /// There is no `data` chunk.
        public static let missingData = Code(name: "wav-missing-data")
        /// The `fmt ` chunk contradicts itself or is too short.
        public static let invalidFormat = Code(name: "wav-invalid-format")
        /// A sound file, in an encoding that is not read here.
        public static let unsupportedEncoding = Code(name: "wav-unsupported-encoding")
        /// More than two channels, or a rate out of range.
        public static let unsupportedLayout = Code(name: "wav-unsupported-layout")
        /// Too long for the format, or for the reader's limit.
        public static let tooLarge = Code(name: "wav-too-large")
        /// The operating system could not read the file.
        public static let unreadable = Code(name: "wav-unreadable")
        /// The operating system could not write the file.
        public static let unwritable = Code(name: "wav-unwritable")
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

    init(_ fault: FileFault) {
        switch fault.kind {
        case .unreadable: self.init(.unreadable, at: fault.offset, fault.message)
        case .unwritable: self.init(.unwritable, at: fault.offset, fault.message)
        case .tooLarge:
            self.init(
                .tooLarge, at: fault.offset,
                "\(fault.message): sox in.wav out.wav trim 0 3600 : newfile : restart")
        }
    }

    func naming(_ path: String) -> WAVError {
        var copy = self
        copy.path = path
        return copy
    }

    /// In one line: `question.wav: wav-missing-data: … (byte 36)`.
    public var description: String {
        (path.map { "\($0): " } ?? "") + "\(code.name): \(message) (byte \(offset))"
    }
}
