/// A resampler that takes part, whoever made it.
public struct ResamplerContender: Sendable {
    /// As the table shows it.
    public let name: String
    /// Makes one that changes the first rate into the second. Throws with what to install when its library is not there.
    public let make: @Sendable (_ from: Int, _ to: Int) throws -> any StreamConverter

    public init(_ name: String, make: @escaping @Sendable (_ from: Int, _ to: Int) throws -> any StreamConverter) {
        self.name = name
        self.make = make
    }

    /// Everyone, in the order of the table.
    public static let all: [ResamplerContender] = patchbay + libsamplerate + soxr + speexdsp
}
