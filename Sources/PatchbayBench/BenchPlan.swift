import PatchbayAudio

/// What a run of the table measures.
public struct BenchPlan: Sendable {
    /// A change of rate, in Hz.
    public struct Rates: Hashable, Sendable {
        public var from: Int
        public var to: Int

        public init(from: Int, to: Int) {
            self.from = from
            self.to = to
        }

        /// Reads `8000:16000`; `nil` for anything else, and for rates outside 4,000 to 192,000 Hz or off the grid of 50 Hz
        /// that whole packets need.
        public init?(_ text: some StringProtocol) {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
            guard parts.count == 2, let from = parts[0], let to = parts[1], from != to,
                [from, to].allSatisfy({ (4000...192_000).contains($0) && $0 % 50 == 0 })
            else { return nil }
            self.init(from: from, to: to)
        }

        public static let usual = [
            Rates(from: 8000, to: 16000), Rates(from: 16000, to: 8000), Rates(from: 8000, to: 24000),
            Rates(from: 24000, to: 8000),
        ]
    }

    /// Words of which one must be a family's (`resamplers`, `codecs`, `vad`) or be in the name; all rows if empty.
    public var only: [String]
    public var rates: [Rates]
    /// Sound that each round of a timing works through, in seconds.
    public var seconds: Double
    public var rounds: Int
    /// The model file of the neural voice detector.
    public var sileroModel: String

    public init(
        only: [String] = [], rates: [Rates] = Rates.usual, seconds: Double = 10, rounds: Int = 7,
        sileroModel: String? = nil
    ) {
        self.only = only
        self.rates = rates
        self.seconds = seconds
        self.rounds = rounds
        self.sileroModel = sileroModel ?? SileroModel.defaultPath
    }

    /// One row or two that belong together, not yet measured.
    public struct Case: Sendable {
        public var family: BenchRow.Family
        public var name: String
        public var path: String
        let measure: @Sendable (CostMeter) throws -> [BenchRow]
    }

    /// What `only` leaves of everything.
    public var cases: [Case] {
        let resamplers = rates.flatMap { rates in
            ResamplerContender.all.map { contender in
                Case(family: .resampler, name: contender.name, path: "\(rates.from)→\(rates.to)") {
                    [try ResamplerBench(contender, from: rates.from, to: rates.to).row($0)]
                }
            }
        }
        let codecs = CodecContender.all.map { contender in
            Case(family: .codec, name: contender.name, path: contender.path) { try CodecBench(contender).rows($0) }
        }
        let detectors = DetectorContender.all(sileroModel: sileroModel).map { contender in
            Case(family: .vad, name: contender.name, path: "\(contender.sampleRate) Hz") {
                [try DetectorBench(contender).row($0)]
            }
        }
        return (resamplers + codecs + detectors).filter { includes($0.family, $0.name) }
    }

    /// The words of `only` that nothing has in its name.
    public var unknownWords: [String] {
        let everything = BenchPlan(rates: rates).cases
        return only.filter { word in
            let single = BenchPlan(only: [word])
            return !everything.contains { single.includes($0.family, $0.name) }
        }
    }

    /// Whether `only` has a word for it.
    public func includes(_ family: BenchRow.Family, _ name: String) -> Bool {
        only.isEmpty
            || only.contains { word in
                let word = word.lowercased()
                return word == family.plural || word == family.rawValue || name.lowercased().contains(word)
            }
    }

    /// Measures every case, one after the other, on this thread. Takes a second or so for each.
    ///
    /// - Parameter progress: Told before each case.
    public func run(progress: (_ done: Int, _ of: Int, _ next: Case) -> Void = { _, _, _ in }) -> BenchReport {
        let cases = cases
        let meter = CostMeter(packets: Int(seconds * 50), rounds: rounds)
        var rows: [BenchRow] = []
        for (index, item) in cases.enumerated() {
            progress(index, cases.count, item)
            do {
                rows += try item.measure(meter)
            } catch {
                rows.append(BenchRow(item.family, item.name, item.path, note: "\(error)"))
            }
        }
        return BenchReport(machine: .current, rows: rows)
    }
}
