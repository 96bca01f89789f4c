/// What Twilio sends over a media stream.
///
/// Source: Twilio's "Media Streams – WebSocket Messages" (twilio.com/docs/voice/media-streams/websocket-messages).
public enum TwilioMessage: Sendable, Equatable {
    /// The first message on a socket.
    case connected(protocol: String, version: String)
    /// The second, exactly once: what is being streamed.
    case start(TwilioStart)
    /// A piece of audio. Its bytes are in the buffer that was given to the decoder.
    case media(TwilioMedia)
    /// The caller pressed a key: one of `0`–`9`, `*`, `#`, `A`–`D`.
    case dtmf(digit: Character)
    /// Everything queued before this mark was played, or thrown away by `clear`.
    case mark(name: String)
    /// The stream is over.
    case stop(TwilioStop)
    /// An event of a newer protocol; ignore it.
    case unknown(event: String)
}

/// The description of a stream in Twilio's `start` message.
public struct TwilioStart: Sendable, Equatable {
    /// The audio that the stream carries, as Twilio names it: `audio/x-mulaw`, 8,000 Hz, 1 channel as documented.
    public struct MediaFormat: Sendable, Equatable {
        public var encoding: String
        /// Samples per second.
        public var sampleRate: Int
        public var channels: Int

        public init(encoding: String = "audio/x-mulaw", sampleRate: Int = 8000, channels: Int = 1) {
            self.encoding = encoding
            self.sampleRate = sampleRate
            self.channels = channels
        }
    }

    public var streamSid: String
    public var callSid: String
    /// Empty when the sender left it out.
    public var accountSid: String
    /// `inbound`, `outbound` or both.
    public var tracks: [String]
    public var mediaFormat: MediaFormat
    /// The `<Parameter>`s of the TwiML; empty when there were none.
    public var customParameters: [String: String]
    /// `1` from Twilio; `nil` when the sender left it out.
    public var sequenceNumber: Int?

    public init(
        streamSid: String, callSid: String, accountSid: String = "", tracks: [String] = ["inbound"],
        mediaFormat: MediaFormat = MediaFormat(), customParameters: [String: String] = [:], sequenceNumber: Int? = 1
    ) {
        self.streamSid = streamSid
        self.callSid = callSid
        self.accountSid = accountSid
        self.tracks = tracks
        self.mediaFormat = mediaFormat
        self.customParameters = customParameters
        self.sequenceNumber = sequenceNumber
    }
}

/// The header of one piece of audio. `chunk`, `timestamp` and `sequenceNumber` are `nil` when the sender left them out.
public struct TwilioMedia: Sendable, Equatable {
    /// Whose voice it is, seen from Twilio: `inbound` is what the caller says.
    public enum Track: String, Sendable { case inbound, outbound }

    public var track: Track
    /// Counts the pieces of one track from 1; a gap means that audio was lost.
    public var chunk: Int?
    /// Milliseconds since the stream began; the first need not be 0.
    public var timestamp: Int?
    /// Counts all messages of the stream from 1.
    public var sequenceNumber: Int?
    /// Bytes of audio that were appended to the caller's buffer.
    public var byteCount: Int

    public init(track: Track = .inbound, chunk: Int?, timestamp: Int?, sequenceNumber: Int?, byteCount: Int) {
        self.track = track
        self.chunk = chunk
        self.timestamp = timestamp
        self.sequenceNumber = sequenceNumber
        self.byteCount = byteCount
    }
}

/// Twilio's last message on a stream. Both identifiers are empty when the sender left them out.
public struct TwilioStop: Sendable, Equatable {
    public var accountSid: String
    public var callSid: String

    public init(accountSid: String = "", callSid: String = "") {
        self.accountSid = accountSid
        self.callSid = callSid
    }
}
