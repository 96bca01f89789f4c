/// Why a resampler could not be made.
public struct ResamplerError: Error, Hashable, Sendable, CustomStringConvertible {
    public struct Code: Hashable, Sendable {
        /// The code in messages and logs, such as `sample-rate-out-of-range`.
        public let name: String

        public static let sampleRateOutOfRange = Code(name: "sample-rate-out-of-range")
        /// Rates that a resampler could take, but not this engine.
        public static let unsupportedRatePair = Code(name: "unsupported-rate-pair")
        public static let unsupportedChannelCount = Code(name: "unsupported-channel-count")
        /// The library could not start, most likely for want of memory.
        public static let unavailable = Code(name: "resampler-unavailable")
    }

    public let code: Code
    /// What is wrong and what is possible.
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(code.name): \(message)" }
}
