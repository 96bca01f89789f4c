/// One line of the table.
public struct BenchRow: Codable, Hashable, Sendable {
    public enum Family: String, Codable, Hashable, Sendable, CaseIterable {
        case resampler, codec, vad

        /// The heading of its part, and the word that `--only` takes.
        public var plural: String {
            switch self {
            case .resampler: "resamplers"
            case .codec: "codecs"
            case .vad: "vad"
            }
        }
    }

    public var family: Family
    /// Who: `soxr HQ`.
    public var name: String
    /// What it did: `8000→16000`, `16000 Hz encode`.
    public var path: String
    /// `nil` when it could not take part.
    public var cost: Cost?
    /// The delay it claims, in milliseconds.
    public var delayReported: Double?
    /// The delay that its output has, in milliseconds. For voice detectors the time from the first sound to the edge.
    public var delayMeasured: Double?
    /// In dB.
    public var signalToNoise: Double?
    /// In dB.
    public var rejection: Double?
    /// In dB.
    public var ripple: Double?
    /// Gain at 3,400 Hz, in dB.
    public var gain3400: Double?
    /// Heap of one instance.
    public var bytes: Int?
    /// Why there are no figures, or what they do not say.
    public var note: String?

    public init(_ family: Family, _ name: String, _ path: String, note: String? = nil) {
        self.family = family
        self.name = name
        self.path = path
        self.note = note
    }

    private enum CodingKeys: String, CodingKey {
        case family, name, path, cost, bytes, note
        case delayReported = "delayReportedMs"
        case delayMeasured = "delayMeasuredMs"
        case signalToNoise = "signalToNoiseDb"
        case rejection = "rejectionDb"
        case ripple = "rippleDb"
        case gain3400 = "gain3400Db"
    }

    /// What tells rows apart from one run to the next.
    public var key: String { "\(family.rawValue)/\(name)/\(path)" }

    /// Delays further apart than this do not agree, in milliseconds: a sample at 8 kHz and a little.
    public static let delayTolerance = 0.15

    /// Whether a resampler leaves nothing that a listener could find: images and aliases 60 dB down, which G.711's own noise
    /// hides, and speech level within half a decibel.
    public var isClean: Bool {
        cost != nil && (rejection ?? 0) >= 60 && (ripple ?? .infinity) <= 0.5
    }

    /// Whether it has another delay than it claims.
    public var delayDisagrees: Bool {
        guard family != .vad, let delayReported, let delayMeasured else { return false }
        return abs(delayReported - delayMeasured) > Self.delayTolerance
    }
}

/// Everything that one run found.
public struct BenchReport: Codable, Sendable {
    /// Grows when the meaning of a figure or the name of a key changes.
    public static let currentVersion = 2

    public var version = BenchReport.currentVersion
    public var machine: Machine
    public var rows: [BenchRow]

    public init(machine: Machine, rows: [BenchRow]) {
        self.machine = machine
        self.rows = rows
    }
}
