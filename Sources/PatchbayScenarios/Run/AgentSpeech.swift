import Foundation
import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTransports
import Synchronization

/// Sound for steps: texts by espeak-ng, WAV files as they are.
enum AgentSpeech {
    /// Sounds kept, because steps and tests play the same files again and their conversion is the slowest part of a test.
    private static let capacity = 200

    private struct Key: Hashable {
        var path: String
        var modified: Date?
        var format: AudioFormat
    }

    private static let known = Mutex<[Key: ByteBuffer]>([:])

    /// - Throws: When the file cannot be used, or espeak-ng is missing.
    static func audio(
        _ speech: String, in format: AudioFormat, voice: String, directory: String
    ) throws(PipelineError) -> ByteBuffer {
        guard speech.lowercased().hasSuffix(".wav") else {
            return try SpeechLibrary.shared.spoken(speech, voice: voice, directory: directory).audio(in: format)
        }
        // Straight from the file's rate, so that a recording of a call comes back bit for bit.
        let path = speech.hasPrefix("/") ? speech : "\(directory)/\(speech)"
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        let key = Key(path: path, modified: attributes?[.modificationDate] as? Date, format: format)
        if let audio = known.withLock({ $0[key] }) { return audio }
        let audio: ByteBuffer
        do {
            audio = try WAVFile(path: path).audio(in: format)
        } catch let error as PipelineError {
            throw error
        } catch {
            throw PipelineError(.stageFailed, "\(error)", place: path)
        }
        known.withLock {
            if $0.count >= capacity { $0.removeAll() }
            $0[key] = audio
        }
        return audio
    }
}
