public import PatchbayAudio
public import PatchbayCore

/// A stage made of any processor, without a component of its own: for pipelines that are written in Swift.
///
/// ```swift
/// Transform("louder", taking: .linear) { Gain(factor: 2) }
/// ```
///
/// A stage that files should name, or that has settings, deserves a ``StageComponent``.
public struct Transform: StageComponent {
    /// What a processor can take.
    public enum Input: Sendable {
        /// Any format; for processors that do not look at the audio.
        case anything
        /// Linear mono samples (``PatchbayAudio/AudioFormat/Encoding/pcm16``) at any rate.
        case linear
        /// This format only.
        case format(AudioFormat)
    }

    public let spec: ComponentSpec
    private let input: Input
    private let output: AudioFormat?
    private let make: @Sendable (AudioFormat) throws(PipelineError) -> any Processor

    /// - Parameters:
    ///   - name: What plans, logs and findings call it.
    ///   - output: What it gives; what it takes when absent.
    ///   - make: Makes the processor of one call, for the format that arrives.
    public init(
        _ name: String, taking input: Input = .anything, giving output: AudioFormat? = nil,
        _ make: @escaping @Sendable (AudioFormat) throws(PipelineError) -> any Processor
    ) {
        spec = ComponentSpec(name, .stage, summary: "A stage that was written where it stands.")
        self.input = input
        self.output = output
        self.make = make
    }

    /// The same for a processor that does not depend on the format.
    public init(
        _ name: String, taking input: Input = .anything, giving output: AudioFormat? = nil,
        _ make: @escaping @Sendable () throws(PipelineError) -> any Processor
    ) {
        self.init(name, taking: input, giving: output) { (_: AudioFormat) throws(PipelineError) in try make() }
    }

    public func output(for format: AudioFormat, settings: Settings) throws(FormatMismatch) -> AudioFormat {
        switch input {
        case .anything: break
        case .linear:
            guard format.encoding == .pcm16, format.channelCount == 1 else {
                throw FormatMismatch(
                    "takes linear mono samples", remedy: "put a decoder before it",
                    wanted: .pcm(format.sampleRate))
            }
        case .format(let wanted):
            guard format == wanted else {
                throw FormatMismatch("takes \(wanted)", remedy: "convert the audio before it", wanted: wanted)
            }
        }
        return output ?? format
    }

    public func makeProcessor(taking format: AudioFormat, settings: Settings) throws(PipelineError) -> any Processor {
        try make(format)
    }
}
