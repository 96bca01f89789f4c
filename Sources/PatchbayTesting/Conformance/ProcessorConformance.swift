public import PatchbayAudio
public import PatchbayCore

/// The examination of a stage: whether it keeps the rules that every ``Processor`` owes its neighbours.
///
/// ```swift
/// let failures = ProcessorConformance.check(make: { Loudness() }, taking: .pcm(16000), giving: .pcm(16000))
/// #expect(failures.isEmpty, "\(failures)")
/// ```
///
/// Needs no test framework and no clock; costs some seconds of sound through the stage. A stage that traps ends the test: that is
/// a finding too. An ``AsyncStage`` cannot be examined, because its results come when they like; examine its processor.
public enum ProcessorConformance {
    /// What a stage may do differently by design.
    public struct Options: Sendable {
        /// Frames that the stage is there to act on and does not pass on, or not at once.
        public var swallows: @Sendable (Frame) -> Bool
        /// Rules that cannot hold for it, for instance ``ConformanceFailure/Rule/cuts`` where the stage depends on packets.
        public var exempt: Set<ConformanceFailure.Rule>
        /// What the random cuts are made from; the same seed gives the same cuts.
        public var seed: UInt64

        public init(
            exempt: Set<ConformanceFailure.Rule> = [], seed: UInt64 = 1,
            swallows: @escaping @Sendable (Frame) -> Bool = { _ in false }
        ) {
            self.swallows = swallows
            self.exempt = exempt
            self.seed = seed
        }
    }

    /// Puts a stage through every rule.
    ///
    /// - Parameters:
    ///   - make: Makes a new stage; called some dozens of times.
    ///   - taking: The format of the audio that it is given.
    ///   - giving: The format that has to come out.
    /// - Returns: What it breaks, at most three findings of each rule; empty when it conforms.
    public static func check(
        make: @escaping () throws -> any Processor, taking: AudioFormat, giving: AudioFormat,
        options: Options = Options()
    ) -> [ConformanceFailure] {
        var check = ProcessorCheck(make: make, taking: taking, giving: giving, options: options)
        guard check.isPossible else { return check.findings.all }
        check.frames()
        check.order()
        check.interruption()
        check.tail()
        check.packets()
        check.cuts()
        check.delay()
        check.determinism()
        check.disorder()
        return check.findings.all
    }
}

extension ConformanceFailure.Rule {
    /// A stage can be made, and sound be made for it.
    public static let makes = Self("makes")
    /// Nothing that may come makes it throw.
    public static let accepts = Self("accepts")
    /// A frame of any case passes on unchanged and once. Holds without exception for an interruption, the end of an utterance,
    /// a hang-up and the end of the call.
    public static let passes = Self("passes-frames")
    /// A system frame passes on in the step that brought it.
    public static let promptness = Self("system-frames-at-once")
    /// Data of one kind comes out in the order in which it went in.
    public static let order = Self("keeps-order")
    /// After an interruption nothing of an older turn comes out, under whatever stamp.
    public static let interruption = Self("forgets-at-interruption")
    /// What is held back comes out before the end of the utterance: all of it, and nothing behind it.
    public static let tail = Self("flushes-its-tail")
    /// Audio comes out in the format that was declared, in whole sample frames.
    public static let format = Self("format")
    /// What comes out bears the generation of what went in.
    public static let generations = Self("generations")
    /// A deadline that has been reached moves into the future or goes away.
    public static let deadline = Self("deadline-moves")
    /// Packets of any size do: none, one sample, 7 ms, a second.
    public static let packets = Self("any-packet-size")
    /// The same sound cut differently gives the same bytes.
    public static let cuts = Self("cuts-make-no-difference")
    /// The declared delay is the one that can be measured, within 1 ms.
    public static let delay = Self("delay-as-declared")
    /// The same input gives the same output, in another stage of the kind.
    public static let determinism = Self("determinism")
}
