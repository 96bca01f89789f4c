import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayWire

/// Listens to an agent as a telephone would play it: turns, holes, silence, what is too much.
struct AgentCheckEar: Sendable {
    /// A pause in what arrives that ends a turn which nobody ended.
    static let turnGap = TimeSpan.milliseconds(1500)
    /// Holes in one turn that a caller notices.
    static let audibleHoles = TimeSpan.milliseconds(200)
    /// Peak below which nobody hears anything, of 32,768.
    static let audiblePeak = 200

    let format: AgentSocketFormat
    /// Sound has come, and no `turnEnded` since.
    private(set) var isTurnOpen = false
    private(set) var turnBegan: MediaTime?
    private(set) var lastSound = MediaTime.zero
    /// When everything that has come will have been played.
    private(set) var playoutEnd = MediaTime.zero
    private(set) var total = TimeSpan.zero
    private(set) var turns = 0
    private(set) var soundBytes = 0
    private(set) var holes = TimeSpan.zero
    private(set) var peak = 0
    private var samples: [Int16] = []

    init(_ format: AgentSocketFormat) { self.format = format }

    mutating func hear(_ sound: ByteBuffer, at now: MediaTime) {
        if !isTurnOpen || now - lastSound >= Self.turnGap {
            turns += 1
            turnBegan = now
            holes = .zero
        } else if now > playoutEnd {
            holes = holes + (now - playoutEnd)
        }
        isTurnOpen = true
        lastSound = now
        soundBytes += sound.readableBytes
        let duration = TimeSpan(nanoseconds: format.audioFormat.nanoseconds(byteCount: sound.readableBytes))
        playoutEnd = max(playoutEnd, now) + duration
        total = total + duration
        listen(sound)
    }

    /// The agent has ended its turn, or cut it.
    mutating func endTurn() { isTurnOpen = false }

    /// What waits is thrown away.
    mutating func cut(at now: MediaTime) { playoutEnd = min(playoutEnd, now) }

    func isQuiet(at now: MediaTime) -> Bool { now >= playoutEnd && (!isTurnOpen || now - lastSound >= Self.turnGap) }

    /// How far what has come is ahead of what has been played.
    func lead(at now: MediaTime) -> TimeSpan { max(.zero, playoutEnd - now) }

    private mutating func listen(_ sound: ByteBuffer) {
        guard peak < Self.audiblePeak else { return }
        let count = format.audioFormat.sampleFrames(byteCount: sound.readableBytes)
        if samples.count < count { samples = Array(repeating: 0, count: count) }
        sound.withUnsafeReadableBytes { bytes in
            samples.withUnsafeMutableBufferPointer { samples in
                switch format.encoding {
                case .mulaw: G711.decodeMulaw(bytes, into: samples)
                case .alaw: G711.decodeAlaw(bytes, into: samples)
                case .pcm16:
                    UnsafeMutableRawBufferPointer(samples).copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: bytes.prefix(2 * count)))
                }
            }
        }
        peak = max(peak, samples.prefix(count).lazy.map { Int($0.magnitude) }.max() ?? 0)
    }
}
