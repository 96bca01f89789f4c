/// A sound from a file, whatever kind it is: WAV or Ogg Opus, told apart by what is in it.
public struct SoundFile: Sendable {
    /// Interleaved 16-bit linear samples.
    public var samples: [Int16]
    /// Of the samples: `pcm16` with their rate and channels.
    public var format: AudioFormat

    /// A sound that is already there.
    public init(samples: [Int16], format: AudioFormat) {
        self.samples = samples
        self.format = format
    }

    /// - Throws: ``SoundFileError``.
    public init(bytes: [UInt8]) throws(SoundFileError) {
        if bytes.starts(with: Array("OggS".utf8)) {
            do throws(OggOpusError) {
                let file = try OggOpusFile(bytes: bytes)
                samples = file.samples
                format = AudioFormat(.pcm16, sampleRate: file.sampleRate, channelCount: file.channelCount)
            } catch {
                throw .oggOpus(error)
            }
        } else {
            do throws(WAVError) {
                let file = try WAVFile(bytes: bytes)
                samples = file.samples()
                format = AudioFormat(
                    .pcm16, sampleRate: file.format.sampleRate, channelCount: file.format.channelCount)
            } catch {
                throw .wav(error)
            }
        }
    }

    /// Reads a file from disk, blocking the calling thread.
    ///
    /// - Parameter maximumBytes: The largest file to read; 1 GiB when not given.
    /// - Throws: ``SoundFileError``, with the path in it.
    public init(path: String, maximumBytes: Int = 1 << 30) throws(SoundFileError) {
        let bytes: [UInt8]
        do throws(FileFault) {
            bytes = try readBytes(path, maximumBytes: maximumBytes)
        } catch {
            throw .file(path: path, error.message)
        }
        do throws(SoundFileError) {
            self = try SoundFile(bytes: bytes)
        } catch {
            throw error.naming(path)
        }
    }

    /// How many sample frames (one sample of each channel) it holds.
    public var sampleFrameCount: Int { samples.count / max(1, format.channelCount) }
}

/// Why a sound could not be read from a file.
public enum SoundFileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// It is a WAV file, or nothing that is known.
    case wav(WAVError)
    /// It is an Ogg file.
    case oggOpus(OggOpusError)
    /// The operating system could not read it, or it is too large.
    case file(path: String, String)

    public var description: String {
        switch self {
        case .wav(let error): error.description
        case .oggOpus(let error): error.description
        case .file(let path, let message): "\(path): \(message)"
        }
    }

    fileprivate func naming(_ path: String) -> SoundFileError {
        switch self {
        case .wav(let error): .wav(error.naming(path))
        case .oggOpus(let error): .oggOpus(error.naming(path))
        case .file: self
        }
    }
}
