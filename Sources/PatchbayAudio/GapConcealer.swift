import Glibc

/// Fills the place of packets that never came, so that a lost one does not click.
///
/// What was heard last is played again while it fades out, mirrored in time and value, which makes it go on from the last
/// sample in value and in slope; after 50 ms there is silence. The packet after the gap is blended in over 5 ms. Nobody's
/// pitch is followed: this hides a packet or two, not a pause.
///
/// ```swift
/// while missing > 0 { concealer.conceal(into: packet); missing -= 1 }
/// concealer.fadeIn(next)       // changes nothing unless something was concealed
/// concealer.remember(next)
/// ```
///
/// Mono µ-law, A-law and 16-bit linear samples. Remembering a packet copies it; the work is done only when one is missing.
/// Allocates nothing after `init`.
public struct GapConcealer: Sendable {
    public let format: AudioFormat
    /// The end of the last good packet, encoded, its newest byte last.
    private var last: [UInt8]
    private var lastCount = 0
    /// The same as samples, while something is concealed.
    private var samples: [Int16]
    private var sampleCount = 0
    /// Samples concealed since the gap began; `nil` outside of gaps.
    private var concealed: Int?
    private var index = 0
    private var direction = -1
    private var sign: Float = -1
    private var offset: Float = 0
    private var sinceTurn = 0
    private let fadeLength: Int
    private let blendLength: Int

    /// What is repeated, and how long it takes to fade, in milliseconds.
    private static let memoryMilliseconds = 20
    private static let fadeMilliseconds = 50
    private static let blendMilliseconds = 5

    /// - Parameter format: Mono µ-law, A-law or `pcm16`. In any other encoding nothing is remembered, so that gaps are filled
    ///   with the encoding's silence.
    public init(format: AudioFormat) {
        self.format = format
        let count = max(1, format.sampleRate * Self.memoryMilliseconds / 1000)
        last = [UInt8](repeating: 0, count: max(1, format.byteCount(sampleFrames: count)))
        samples = [Int16](repeating: 0, count: count)
        fadeLength = max(1, format.sampleRate * Self.fadeMilliseconds / 1000)
        blendLength = max(1, format.sampleRate * Self.blendMilliseconds / 1000)
    }

    /// Whether the last thing written was concealment.
    public var isConcealing: Bool { concealed != nil }

    /// Keeps the end of a good packet, at most 20 ms. Ends the gap.
    public mutating func remember(_ payload: UnsafeRawBufferPointer) {
        concealed = nil
        guard canConceal, !payload.isEmpty else { return }
        let width = sampleWidth
        let whole = payload.count / width * width
        let count = min(whole, last.count / width * width)
        last.withUnsafeMutableBytes {
            $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: payload[whole - count..<whole]))
        }
        lastCount = count
    }

    /// Writes what is heard in place of a missing packet, of any length. Further calls go on where the last one ended.
    public mutating func conceal(into payload: UnsafeMutableRawBufferPointer) {
        guard canConceal, lastCount > 0 else {
            payload.initializeMemory(as: UInt8.self, repeating: format.encoding.silenceByte)
            return
        }
        if concealed == nil { begin() }
        for position in 0..<payload.count / sampleWidth { write(next(), to: payload, at: position) }
    }

    /// Blends the beginning of the first good packet after a gap with the end of the concealment, in place. Call it before
    /// ``remember(_:)``; without a gap it changes nothing.
    public mutating func fadeIn(_ payload: UnsafeMutableRawBufferPointer) {
        guard concealed != nil else { return }
        for position in 0..<min(blendLength, payload.count / sampleWidth) {
            let share = 0.5 - 0.5 * cosf(.pi * (Float(position) + 0.5) / Float(blendLength))
            let sample = Float(read(UnsafeRawBufferPointer(payload), at: position))
            let old = next()
            write(old + (sample - old) * share, to: payload, at: position)
        }
        concealed = nil
    }

    /// Forgets everything.
    public mutating func reset() {
        concealed = nil
        lastCount = 0
    }

    // MARK: -

    private var canConceal: Bool {
        guard format.channelCount == 1 else { return false }
        switch format.encoding {
        case .mulaw, .alaw, .pcm16: return true
        case .l16, .g722, .opus: return false
        }
    }

    private var sampleWidth: Int { format.encoding == .pcm16 ? 2 : 1 }

    private mutating func begin() {
        sampleCount = lastCount / sampleWidth
        last.withUnsafeBytes { bytes in
            for position in 0..<sampleCount { samples[position] = read(bytes, at: position) }
        }
        concealed = 0
        index = sampleCount - 1
        sign = 1
        direction = 1
        turn()
    }

    /// Mirrors the repetition at the sample that was played last: with `y = 2·last - x` value and slope go on.
    private mutating func turn() {
        offset = 2 * sign * Float(samples[index])
        sign = -sign
        direction = -direction
        sinceTurn = 0
    }

    /// The next sample of the concealment.
    private mutating func next() -> Float {
        guard let heard = concealed, heard < fadeLength else { return 0 }
        concealed = heard + 1
        if sampleCount > 1 {
            if !(0..<sampleCount).contains(index + direction) { turn() }
            index += direction
        }
        sinceTurn += 1
        // The mirror's offset has to go again, or the sound would stand beside its zero.
        let held = sinceTurn < blendLength ? 0.5 + 0.5 * cosf(.pi * Float(sinceTurn) / Float(blendLength)) : 0
        let level = 0.5 + 0.5 * cosf(.pi * Float(heard + 1) / Float(fadeLength))
        return level * (sign * Float(samples[index]) + offset * held)
    }

    private func read(_ bytes: UnsafeRawBufferPointer, at position: Int) -> Int16 {
        switch format.encoding {
        case .mulaw: G711.decodeMulaw(bytes[position])
        case .alaw: G711.decodeAlaw(bytes[position])
        case .pcm16, .l16, .g722, .opus:
            Int16(littleEndian: bytes.loadUnaligned(fromByteOffset: position * 2, as: Int16.self))
        }
    }

    private func write(_ value: Float, to bytes: UnsafeMutableRawBufferPointer, at position: Int) {
        let sample = saturated(value)
        switch format.encoding {
        case .mulaw: bytes[position] = G711.encodeMulaw(sample)
        case .alaw: bytes[position] = G711.encodeAlaw(sample)
        case .pcm16, .l16, .g722, .opus:
            bytes.storeBytes(of: sample.littleEndian, toByteOffset: position * 2, as: Int16.self)
        }
    }
}
