import PatchbayAudio
import PatchbayCore

/// Everything that a recording needs to know of its call.
struct RecordingRequest: Sendable {
    /// How the file is written.
    enum Format: String, Sendable, CaseIterable {
        /// 16-bit linear samples in a WAV file.
        case wav
        /// Opus in an Ogg file (RFC 7845).
        case opus

        /// What a path ends in, without the dot, in lower case.
        var extensions: [String] {
            switch self {
            case .wav: ["wav"]
            case .opus: ["opus", "ogg"]
            }
        }

        /// The format that belongs to a path, or `nil`.
        init?(path: String) {
            let name = path.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
            guard let dot = name.lastIndex(of: ".") else { return nil }
            let ending = name[name.index(after: dot)...].lowercased()
            guard let format = Self.allCases.first(where: { $0.extensions.contains(ending) }) else { return nil }
            self = format
        }
    }

    var path: RecordingPath
    var format: Format
    /// Of the file, in Hz.
    var sampleRate: Int
    /// Of Opus, in bit/s for both channels; `nil` for the default.
    var bitrate: Int?
    var carrierFormat: AudioFormat
    var maximumDuration: TimeSpan
    var callID: String
    var callSid: String

    /// Ten seconds of both sides, with a header for every packet.
    var ringBytes: Int {
        let seconds = 10
        let packetsPerSecond = 1_000_000 / max(2500, carrierFormat.packetMicroseconds)
        // Opus has no fixed size; 128 kbit/s are more than speech takes.
        let bytesPerSecond = carrierFormat.bytesPerSecond > 0 ? carrierFormat.bytesPerSecond : 16_000
        let padded = bytesPerSecond + packetsPerSecond * 2 * RecordingRing.headerBytes
        return RecordingRing.reservedBytes + 2 * seconds * padded
    }

    /// The rate of the file when the settings name none: the carrier's, or the next one that the format knows.
    static func sampleRate(for carrierRate: Int, _ format: Format) -> Int {
        switch format {
        case .wav: carrierRate
        case .opus: AudioFormat.opusSampleRates.first { $0 >= carrierRate } ?? 48_000
        }
    }
}
