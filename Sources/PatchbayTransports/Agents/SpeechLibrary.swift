import Foundation
public import NIOCore
public import PatchbayAudio
public import PatchbayConfig
public import PatchbayCore
import Synchronization

/// A text with its sound.
public struct SpokenText: Sendable {
    public var text: String
    /// Samples in ``format``.
    public var audio: ByteBuffer
    public static let format = AudioFormat.pcm(16000)

    /// The sound in another mono format, with its tail.
    public func audio(in target: AudioFormat) throws(PipelineError) -> ByteBuffer {
        var converter = try FormatConverter(from: Self.format, to: target)
        var converted = converter.convert(audio)
        converted.writeImmutableBuffer(converter.flush())
        return converted
    }
}

/// Turns texts and WAV files into sound, once each, without any account: texts are spoken by espeak-ng.
public final class SpeechLibrary: Sendable {
    public static let shared = SpeechLibrary()
    /// Texts kept; the library forgets everything when it would hold more.
    public static let capacity = 1000
    private static let command = "espeak-ng"

    private struct Key: Hashable {
        var speech: Speech
        var voice, directory: String
    }
    private let known = Mutex<[Key: SpokenText]>([:])

    public init() {}

    /// The sound of a text that its author wrote: a text that ends in `.wav` is the path of a file.
    public func spoken(_ text: String, voice: String, directory: String) throws(PipelineError) -> SpokenText {
        try spoken(Speech(text), voice: voice, directory: directory)
    }

    /// The sound of words, or of a WAV file.
    ///
    /// Blocks for up to 50 ms the first time; not for an event loop.
    ///
    /// - Parameter directory: Where relative paths start.
    /// - Throws: When the file cannot be used, or espeak-ng is missing or refuses the voice.
    public func spoken(_ speech: Speech, voice: String, directory: String) throws(PipelineError) -> SpokenText {
        let key = Key(speech: speech, voice: voice, directory: directory)
        if let known = known.withLock({ $0[key] }) { return known }
        let audio =
            switch speech {
            case .file(let path): try Self.samples(ofFile: path.hasPrefix("/") ? path : "\(directory)/\(path)")
            case .words(let text): try Self.speak(text, voice: voice)
            }
        let spoken = SpokenText(text: speech.text, audio: audio)
        known.withLock {
            if $0.count >= Self.capacity { $0.removeAll() }
            $0[key] = spoken
        }
        return spoken
    }

    private static func samples(ofFile path: String) throws(PipelineError) -> ByteBuffer {
        do {
            return try WAVFile(path: path).audio(in: SpokenText.format)
        } catch let error as PipelineError {
            throw error
        } catch let error as WAVError where error.code == .unreadable {
            throw PipelineError(.stageFailed, "\(path): \(error.message)")
        } catch {
            throw PipelineError(.stageFailed, "\(error)", place: path)
        }
    }

    /// The text goes in by standard input, so that nothing in it can be taken for an option.
    private static func speak(_ text: String, voice: String) throws(PipelineError) -> ByteBuffer {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [command, "-v", voice, "--stdin", "--stdout"]
        let input = Pipe(), output = Pipe(), errors = Pipe()
        process.standardInput = input
        process.standardOutput = output
        process.standardError = errors
        do {
            try process.run()
            try input.fileHandleForWriting.write(contentsOf: Data((text + "\n").utf8))
            try input.fileHandleForWriting.close()
            let data = try output.fileHandleForReading.readToEnd() ?? Data()
            let complaint = String(decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
            process.waitUntilExit()
            guard process.terminationStatus == 0, !data.isEmpty else {
                let detail =
                    process.terminationStatus == 127
                    ? "it is not installed; install it (apt-get install espeak-ng) or name a WAV file"
                    : complaint.prefix(200).split(whereSeparator: \.isNewline).joined(separator: " ")
                throw PipelineError(
                    .stageFailed,
                    "espeak-ng could not speak a text with voice \"\(voice)\": \(detail)"
                )
            }
            return try WAVFile(bytes: [UInt8](data)).audio(in: SpokenText.format)
        } catch let error as PipelineError {
            throw error
        } catch {
            throw PipelineError(.stageFailed, "a text could not be spoken", cause: error)
        }
    }
}
