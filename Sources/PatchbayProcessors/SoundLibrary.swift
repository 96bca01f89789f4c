import Glibc
import NIOCore
public import PatchbayAudio
public import PatchbayCore
import Synchronization

/// Background sounds, read and resampled once and shared by every call. Safe from any thread.
public final class SoundLibrary: Sendable {
    /// The library of the process.
    public static let shared = SoundLibrary()

    /// Sounds that are kept; when there are more, all are read again.
    private static let capacity = 32
    /// Lengths of a sound, in seconds.
    private static let lengths = 0.2...300.0
    private static let maximumBytes = 64 << 20

    /// A file as it was when it was read: another date or size makes it another file.
    private struct Key: Hashable {
        var path: String
        var rate: Int
        var size: Int
        var seconds: Int
        var nanoseconds: Int
    }
    private let known = Mutex<[Key: SoundLoop]>([:])

    public init() {}

    /// The sound of a WAV file at a sample rate, ready to go round and round.
    ///
    /// Blocks the first time, for some 5 ms for each second of sound that has to be resampled; not for an event loop.
    ///
    /// - Throws: When the file cannot be read, or is shorter than 0.2 s or longer than 5 min.
    public func loop(ofFile path: String, sampleRate: Int) throws(PipelineError) -> SoundLoop {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw PipelineError(.stageFailed, "the sound \(path) cannot be opened: \(String(cString: strerror(errno)))")
        }
        let key = Key(
            path: path, rate: sampleRate, size: Int(status.st_size), seconds: status.st_mtim.tv_sec,
            nanoseconds: status.st_mtim.tv_nsec)
        if let loop = known.withLock({ $0[key] }) { return loop }
        let loop = try Self.read(path, sampleRate)
        known.withLock {
            if $0.count >= Self.capacity { $0.removeAll() }
            $0[key] = loop
        }
        return loop
    }

    private static func read(_ path: String, _ sampleRate: Int) throws(PipelineError) -> SoundLoop {
        let file: WAVFile
        do {
            file = try WAVFile(path: path, maximumBytes: maximumBytes)
        } catch {
            throw PipelineError(.stageFailed, "\(error)", cause: error)
        }
        let seconds = Double(file.durationNanoseconds) / 1e9
        guard lengths.contains(seconds) else {
            throw PipelineError(
                .stageFailed, "the sound \(path) is \(seconds) s long; 0.2 to 300 s are possible: cut it, or repeat it")
        }
        let audio = try file.audio(in: .pcm(sampleRate))
        var scratch: [Int16] = []
        return audio.withUnsafeSamples(copyingInto: &scratch) { samples in
            SoundLoop(Array(samples), blend: sampleRate / 20)
        }
    }
}
