import Glibc

/// A sound that goes round and round, its end blended into its beginning so that the seam is not heard.
///
/// The samples are shared by all copies; a copy costs only its position.
public struct SoundLoop: Sendable {
    private let samples: [Int16]
    /// Index of the next sample.
    public private(set) var position = 0

    /// The longest stretch that is blended, in samples: a fraction of the sound.
    private static let largestBlend = 4

    /// - Parameters:
    ///   - sound: Mono samples. Empty for silence.
    ///   - blend: How many samples of the end are blended into the beginning, at equal power; the loop is as much shorter. At
    ///     most a quarter of the sound.
    public init(_ sound: [Int16], blend: Int) {
        let blend = max(0, min(blend, sound.count / Self.largestBlend))
        let length = sound.count - blend
        var samples = Array(sound.prefix(length))
        for index in 0..<blend {
            let angle = Float.pi / 2 * (Float(index) + 0.5) / Float(blend)
            samples[index] = saturated(Float(sound[index]) * sinf(angle) + Float(sound[length + index]) * cosf(angle))
        }
        self.samples = samples
    }

    /// Samples of one round.
    public var length: Int { samples.count }

    /// The same sound from its beginning.
    public func rewound() -> SoundLoop {
        var copy = self
        copy.position = 0
        return copy
    }

    /// Writes the next samples and moves on. Allocates nothing.
    public mutating func read(into destination: UnsafeMutableBufferPointer<Int16>) {
        guard !samples.isEmpty else { return destination.update(repeating: 0) }
        var written = 0
        samples.withUnsafeBufferPointer { samples in
            while written < destination.count {
                let count = min(destination.count - written, samples.count - position)
                for index in 0..<count { destination[written + index] = samples[position + index] }
                written += count
                position = position + count == samples.count ? 0 : position + count
            }
        }
    }

    /// Goes back by so many samples, as when what was read was never heard.
    public mutating func rewind(by count: Int) {
        guard !samples.isEmpty, count > 0 else { return }
        let rest = (position - count) % samples.count
        position = rest < 0 ? rest + samples.count : rest
    }
}
