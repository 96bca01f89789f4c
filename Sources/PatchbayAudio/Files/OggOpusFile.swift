/// An Ogg Opus file (RFC 7845) in memory, decoded.
///
/// Read are streams of one or two channels (mapping family 0). Pages of other streams beside it are passed over; of several Opus streams the first is read. A file
/// whose end is missing, as a process leaves it that died, is read as far as it goes; a damaged page is an error; a packet
/// that makes no sense on a sound page is concealed and counted.
public struct OggOpusFile: Sendable {
    /// Interleaved, without the encoder's look-ahead, the padding at the end, and with the header's gain applied.
    public var samples: [Int16]
    /// In Hz.
    public var sampleRate: Int
    /// 1, or 2 for interleaved stereo.
    public var channelCount: Int
    /// In Hz, of the sound before it was encoded, as the header notes it; 0 when it does not say.
    public var inputSampleRate: Int
    /// Who wrote the file.
    public var vendor: String
    /// `NAME=value`, in the order of the file.
    public var comments: [String]
    /// Packets that made no sense.
    public var concealedPacketCount: Int
    /// Whether the stream's last page is there.
    public var isComplete: Bool

    /// How many sample frames (one sample of each channel) the file holds.
    public var sampleFrameCount: Int { samples.count / channelCount }

    /// Decodes a file from its bytes.
    ///
    /// - Parameters:
    ///   - sampleRate: The rate to give: 8,000, 12,000, 16,000, 24,000 or 48,000 Hz. When not given, that of the sound
    ///     before it was encoded if it is one of these, and 48,000 Hz if not.
    ///   - maximumSamples: The most samples to give, all channels together; 2^29 (one GiB) when not given.
    /// - Throws: ``OggOpusError``.
    public init(bytes: [UInt8], sampleRate: Int? = nil, maximumSamples: Int = 1 << 29) throws(OggOpusError) {
        let reader = try OggOpusReader(sampleRate: sampleRate, maximumSamples: maximumSamples)
        self = try reader.read(bytes)
    }

    /// Decodes a file on disk, blocking the calling thread.
    ///
    /// - Parameter maximumBytes: The largest file to read; 256 MiB (a day of speech) when not given.
    /// - Throws: ``OggOpusError``, with the path in it.
    public init(
        path: String, sampleRate: Int? = nil, maximumBytes: Int = 1 << 28, maximumSamples: Int = 1 << 29
    ) throws(OggOpusError) {
        let bytes: [UInt8]
        do throws(FileFault) {
            bytes = try readBytes(path, maximumBytes: maximumBytes)
        } catch {
            throw OggOpusError(error).naming(path)
        }
        do throws(OggOpusError) {
            self = try OggOpusFile(bytes: bytes, sampleRate: sampleRate, maximumSamples: maximumSamples)
        } catch {
            throw error.naming(path)
        }
    }

    init(samples: [Int16], sampleRate: Int, header: OggOpusHeader, tags: OggOpusTags, concealed: Int, isComplete: Bool)
    {
        self.samples = samples
        self.sampleRate = sampleRate
        channelCount = header.channelCount
        inputSampleRate = header.inputSampleRate
        vendor = tags.vendor
        comments = tags.comments
        concealedPacketCount = concealed
        self.isComplete = isComplete
    }
}
