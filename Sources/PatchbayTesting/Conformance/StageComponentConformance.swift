import NIOCore
public import PatchbayAudio
public import PatchbayConfig
import PatchbayCore

/// The examination of a stage's component: whether what it says while documents are checked holds when a call runs.
///
/// Its processors are examined by ``ProcessorConformance``; here is only what the component says about them.
public enum StageComponentConformance {
    /// Formats that stages meet: what carriers and agents speak, and two that few stages take.
    public static let usualFormats: [AudioFormat] = [
        .telephony, AudioFormat(.alaw, sampleRate: 8000), .pcm(8000), .pcm(16000), .pcm(24000), .pcm(48000),
        AudioFormat(.l16, sampleRate: 16000), AudioFormat(.pcm16, sampleRate: 16000, channelCount: 2),
        AudioFormat(.opus, sampleRate: 48000),
    ]

    /// Asks a component everything that a document's check and a call ask it.
    ///
    /// - Parameters:
    ///   - values: Settings, as a document would have them; defaults hold for the others.
    ///   - directory: The folder that relative paths start from.
    ///   - formats: What it is offered. It has to take one of them.
    /// - Returns: What does not hold; empty when it conforms.
    public static func check(
        _ component: any StageComponent, values: [String: VariableValue] = [:], directory: String = ".",
        formats: [AudioFormat] = usualFormats
    ) -> [ConformanceFailure] {
        var findings = ConformanceFindings()
        SpecCheck(component.spec).run(into: &findings)
        findings.expect(
            component.spec.kind == .stage, .spec, "a stage is registered as \(component.spec.kind.rawValue)")
        let settings = Settings(component.spec.fields, values, directory: directory)
        for problem in component.problems(in: settings) where problem.severity == .error {
            findings.add(.settings, "the settings given are refused: \(problem.message)")
        }
        var takesSomething = false
        for format in formats {
            var check = ComponentCheck(component: component, settings: settings, taking: format, findings: findings)
            for wanted in [nil, AudioFormat.telephony, format] { check.run(wanted: wanted) }
            takesSomething = takesSomething || !check.given.isEmpty
            findings = check.findings
        }
        findings.expect(takesSomething, .takesSomething, "it takes none of \(formats.map(\.description))")
        return findings.all
    }
}

extension ConformanceFailure.Rule {
    /// The spec can be printed, linted and completed: names, sentences, defaults and examples.
    public static let spec = Self("spec")
    /// The settings of the examination are ones that the component takes.
    public static let settings = Self("settings")
    /// It takes one of the formats.
    public static let takesSomething = Self("takes-something")
    /// A format that is refused is refused with a reason and a remedy, and the format it wants instead is taken.
    public static let mismatch = Self("refuses-with-a-remedy")
    /// What `output(for:wanted:settings:)` accepts, `makeProcessor(taking:giving:settings:)` makes.
    public static let making = Self("makes-what-it-accepts")
    /// The stage gives what the component announced.
    public static let announced = Self("gives-what-it-announces")
    /// `isIdentity(for:settings:)` holds only where every byte passes unchanged.
    public static let identity = Self("identity-changes-nothing")
    /// `listensOnly(_:)` holds only where the sound passes unchanged and at once.
    public static let listening = Self("listening-changes-nothing")
    /// The component says of its stages what they say themselves: delay and marks of speech.
    public static let agreement = Self("agrees-with-its-stage")
}

/// One format offered to one component.
private struct ComponentCheck {
    let component: any StageComponent
    let settings: Settings
    let taking: AudioFormat
    private(set) var findings: ConformanceFindings
    /// What it has announced to give.
    private(set) var given: Set<AudioFormat> = []

    init(component: any StageComponent, settings: Settings, taking: AudioFormat, findings: ConformanceFindings) {
        self.component = component
        self.settings = settings
        self.taking = taking
        self.findings = findings
    }

    mutating func run(wanted: AudioFormat?) {
        let giving: AudioFormat
        do throws(FormatMismatch) {
            giving = try component.output(for: taking, wanted: wanted, settings: settings)
        } catch {
            examine(error, wanted: wanted)
            return
        }
        guard given.insert(giving).inserted else { return }
        let processor: any Processor
        do {
            processor = try component.makeProcessor(taking: taking, giving: giving, settings: settings)
        } catch {
            findings.add(.making, "it accepts \(taking) and then cannot be made for it: \(error)")
            return
        }
        if component.delay(taking: taking, giving: giving, settings: settings) != processor.delay {
            findings.add(.agreement, "for \(taking) it declares another delay than its stage")
        }
        if component.marksSpeech != processor.marksSpeech {
            findings.add(.agreement, "marksSpeech is \(component.marksSpeech), of its stage \(processor.marksSpeech)")
        }
        listen(to: processor, giving: giving)
    }

    private mutating func examine(_ mismatch: FormatMismatch, wanted: AudioFormat?) {
        findings.expect(!mismatch.message.isEmpty, .mismatch, "it refuses \(taking) without a reason")
        findings.expect(!mismatch.remedy.isEmpty, .mismatch, "it refuses \(taking) without a remedy")
        guard let better = mismatch.wanted else { return }
        do throws(FormatMismatch) {
            _ = try component.output(for: better, wanted: wanted, settings: settings)
        } catch {
            findings.add(.mismatch, "it wants \(better) instead of \(taking), and refuses that too: \(error.message)")
        }
    }

    private mutating func listen(to processor: any Processor, giving: AudioFormat) {
        let samples = ConformanceSound.voice(milliseconds: 100, sampleRate: taking.sampleRate, seed: 1)
        guard let payloads = try? ConformanceSound.payloads(samples, format: taking) else { return }
        var run = ConformanceRun(
            processor, taking: taking, giving: giving, context: "\(taking)", findings: ConformanceFindings())
        run.play(payloads, generation: 1)
        run.push(.utteranceEnded(generation: 1))
        for failure in run.findings.all {
            findings.add(failure.rule == .format ? .announced : failure.rule, failure.seen)
        }
        if run.spoken.isEmpty, !run.isDead { findings.add(.announced, "\(taking): no sound came out of it") }
        // A host may give a listener a copy, and forget what becomes of it.
        if component.listensOnly(settings) {
            findings.expect(
                giving == taking, .listening, "it says that it only listens, and gives \(giving) for \(taking)")
            findings.expect(
                run.spoken.map(\.payload) == payloads, .listening,
                "it says that it only listens, and changes or delays \(taking)")
        }
        guard component.isIdentity(for: taking, settings: settings) else { return }
        findings.expect(
            giving == taking, .identity, "it says that it changes nothing, and gives \(giving) for \(taking)")
        let out = run.spoken.map(\.payload)
        findings.expect(out == payloads, .identity, "it says that it changes nothing of \(taking), and changes bytes")
    }
}
