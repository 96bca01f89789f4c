public import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTransports

/// Something a simulated agent says.
public struct SimulatedUtterance: Sendable, Equatable {
    public var text: String
    /// In the agent's output format.
    public var audio: ByteBuffer

    public init(text: String, audio: ByteBuffer) {
        self.text = text
        self.audio = audio
    }
}

/// Turns lines into utterances of one format.
///
/// Blocks up to 50 ms for a text it has not spoken before; not for an event loop.
struct SimulatorVoice: Sendable {
    /// Longer texts are cut: what a client sends must not cost seconds of speech synthesis.
    static let maximumText = 500

    let format: AudioFormat
    var library = SpeechLibrary.shared

    /// The sound of a script's lines, by line.
    func utterances(for lines: [String], language: String) throws(PipelineError) -> [String: SimulatedUtterance] {
        var utterances: [String: SimulatedUtterance] = [:]
        for line in lines where utterances[line] == nil {
            utterances[line] = try speak(line: line, language: language)
        }
        return utterances
    }

    /// A line of a script: a text, or the path of a WAV file (it ends in `.wav`).
    func speak(line: String, language: String) throws(PipelineError) -> SimulatedUtterance {
        guard line.lowercased().hasSuffix(".wav") else { return try speak(text: line, language: language) }
        let spoken = try library.spoken(line, voice: language, directory: ".")
        let name = line.split(separator: "/").last.map(String.init) ?? line
        return SimulatedUtterance(text: String(name.dropLast(4)), audio: try convert(spoken.audio))
    }

    /// A text that may come from a client, and so never names a file.
    func speak(text: String, language: String) throws(PipelineError) -> SimulatedUtterance {
        let words = String(text.prefix(Self.maximumText))
        guard words.contains(where: { $0.isLetter || $0.isNumber }) else {
            return SimulatedUtterance(text: text, audio: ByteBuffer())
        }
        let spoken = try library.spoken(words + ".", voice: Self.name(of: language), directory: ".")
        return SimulatedUtterance(text: text, audio: try convert(spoken.audio))
    }

    private func convert(_ audio: ByteBuffer) throws(PipelineError) -> ByteBuffer {
        var converter = try FormatConverter(from: SpokenText.format, to: format, engine: .libsamplerate(.best))
        var converted = ByteBuffer()
        converted.writeImmutableBuffer(converter.convert(audio))
        converted.writeImmutableBuffer(converter.flush())
        return converted
    }

    /// espeak-ng names Mandarin and Norwegian otherwise than vendors' lists of languages do. Only letters, digits and
    /// hyphens pass: the name becomes an argument of a command.
    private static func name(of language: String) -> String {
        switch language {
        case "zh": "cmn"
        case "no": "nb"
        default: String(language.filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }.prefix(16))
        }
    }
}
