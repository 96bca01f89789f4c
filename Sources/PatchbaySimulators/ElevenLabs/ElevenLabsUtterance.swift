public import NIOCore
import PatchbayCore
import PatchbayTransports
import PatchbayWire

/// Something an agent says.
public struct ElevenLabsUtterance: Sendable, Equatable {
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
struct ElevenLabsVoice: Sendable {
    /// Longer texts are cut: what a client sends must not cost seconds of speech synthesis.
    static let maximumText = 500

    let format: ElevenLabsAudioFormat
    var library = SpeechLibrary.shared

    /// A line of the script: a text or a WAV file's path.
    func speak(line: String, language: String) throws(PipelineError) -> ElevenLabsUtterance {
        guard line.lowercased().hasSuffix(".wav") else { return try speak(text: line, language: language) }
        let spoken = try library.spoken(line, voice: language, directory: ".")
        let name = line.split(separator: "/").last.map(String.init) ?? line
        return ElevenLabsUtterance(text: String(name.dropLast(4)), audio: try convert(spoken.audio))
    }

    /// A text that may come from a client, and so never names a file.
    func speak(text: String, language: String) throws(PipelineError) -> ElevenLabsUtterance {
        let words = String(text.prefix(Self.maximumText))
        guard words.contains(where: { $0.isLetter || $0.isNumber }) else {
            return ElevenLabsUtterance(text: text, audio: ByteBuffer())
        }
        let spoken = try library.spoken(words + ".", voice: Self.name(of: language), directory: ".")
        return ElevenLabsUtterance(text: text, audio: try convert(spoken.audio))
    }

    private func convert(_ audio: ByteBuffer) throws(PipelineError) -> ByteBuffer {
        var converter = try FormatConverter(
            from: SpokenText.format, to: format.audioFormat, engine: .libsamplerate(.best))
        var converted = ByteBuffer()
        converted.writeImmutableBuffer(converter.convert(audio))
        converted.writeImmutableBuffer(converter.flush())
        return converted
    }

    /// espeak-ng names Mandarin and Norwegian otherwise than the vendor's list of languages does. Only letters, digits
    /// and hyphens pass: the name becomes an argument of a command.
    private static func name(of language: String) -> String {
        switch language {
        case "zh": "cmn"
        case "no": "nb"
        default: String(language.filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }.prefix(16))
        }
    }
}
