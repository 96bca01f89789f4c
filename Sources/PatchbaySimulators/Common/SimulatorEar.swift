import NIOCore
import PatchbayAudio

/// Hears where the caller's speech starts and stops, by its energy.
struct SimulatorEar: Sendable {
    private let format: AudioFormat
    private var vad: EnergyVAD
    private var samples: [Int16] = []

    /// - Parameters:
    ///   - format: Mono linear samples or G.711. In any other encoding nothing is heard.
    ///   - endOfTurnSilence: In milliseconds.
    init(format: AudioFormat, endOfTurnSilence: Int) {
        self.format = format
        vad = EnergyVAD(.init(minimumSpeech: 80, minimumSilence: endOfTurnSilence))
    }

    var isHearingSpeech: Bool { vad.isSpeaking }

    mutating func reset() { vad.reset() }

    /// - Returns: The edges in these bytes, in order.
    mutating func hear(_ audio: ByteBuffer) -> [EnergyVAD.Edge] {
        let count = format.sampleFrames(byteCount: audio.readableBytes)
        if samples.count < count { samples.append(contentsOf: repeatElement(0, count: count - samples.count)) }
        guard decode(audio, count: count) else { return [] }
        // A detector reports at most one edge of a block, so long messages are cut.
        let block = max(1, format.sampleRate / 50)
        var edges: [EnergyVAD.Edge] = []
        var vad = vad
        samples.withUnsafeBufferPointer { samples in
            for start in stride(from: 0, to: count, by: block) {
                let slice = UnsafeBufferPointer(rebasing: samples[start..<min(count, start + block)])
                if let edge = vad.process(slice, sampleRate: format.sampleRate) { edges.append(edge) }
            }
        }
        self.vad = vad
        return edges
    }

    private mutating func decode(_ audio: ByteBuffer, count: Int) -> Bool {
        audio.withUnsafeReadableBytes { bytes in
            samples.withUnsafeMutableBufferPointer { samples in
                switch format.encoding {
                case .mulaw: G711.decodeMulaw(bytes, into: samples)
                case .alaw: G711.decodeAlaw(bytes, into: samples)
                case .pcm16, .l16:
                    UnsafeMutableRawBufferPointer(samples).copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: bytes.prefix(2 * count)))
                    if format.encoding == .l16 {
                        for index in 0..<count { samples[index] = Int16(bigEndian: samples[index]) }
                    }
                case .g722, .opus: return false
                }
                return true
            }
        }
    }
}
