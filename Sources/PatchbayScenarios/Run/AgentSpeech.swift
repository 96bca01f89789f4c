import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTransports

/// Sound for steps: texts by espeak-ng, WAV files as they are.
enum AgentSpeech {
    /// - Throws: When the file cannot be used, or espeak-ng is missing.
    static func audio(
        _ speech: String, in format: AudioFormat, voice: String, directory: String
    ) throws(PipelineError) -> ByteBuffer {
        guard speech.lowercased().hasSuffix(".wav") else {
            return try SpeechLibrary.shared.spoken(speech, voice: voice, directory: directory).audio(in: format)
        }
        // Straight from the file's rate, so that a recording of a call comes back bit for bit.
        let path = speech.hasPrefix("/") ? speech : "\(directory)/\(speech)"
        do {
            return try WAVFile(path: path).audio(in: format)
        } catch let error as PipelineError {
            throw error
        } catch {
            throw PipelineError(.stageFailed, "\(error)", place: path, cause: nil)
        }
    }
}
