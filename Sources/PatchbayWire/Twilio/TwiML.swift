/// A voice TwiML document: what Twilio is to do with a call, verb by verb.
///
/// Source: Twilio's "TwiML for Programmable Voice" (twilio.com/docs/voice/twiml).
public struct TwiML: Sendable, Equatable {
    /// The largest document that Twilio accepts, in bytes (twilio.com/docs/api/errors/11750).
    public static let maximumSize = 65_536

    public var verbs: [Verb]

    /// - Parameter verbs: Executed in order. Without any, the call is hung up.
    public init(_ verbs: [Verb] = []) { self.verbs = verbs }

    /// A request that Twilio makes for its next instructions.
    public enum Method: String, Sendable { case get = "GET", post = "POST" }

    public enum Verb: Sendable, Equatable {
        /// Speaks a text. `loop` 0 repeats it until the caller hangs up.
        case say(_ text: String, voice: String? = nil, language: String? = nil, loop: Int? = nil)
        /// Plays an audio file.
        case play(_ url: String, loop: Int? = nil)
        /// Waits; one second unless said otherwise.
        case pause(seconds: Int? = nil)
        case hangup
        /// Refuses the call; only as the first verb.
        case reject(reason: RejectReason? = nil)
        /// Fetches the next instructions; verbs after it never run.
        case redirect(_ url: String, method: Method? = nil)
        case dial(Dial)
        /// Streams both ways, and goes on with the next verb (or `action`) once the stream has ended.
        case connect(Stream, action: String? = nil, method: Method? = nil)
        /// Streams one way, and goes on with the next verb at once.
        case start(Stream)
    }

    public enum RejectReason: String, Sendable { case rejected, busy }

    /// A call to somebody else, connected to this one.
    public struct Dial: Sendable, Equatable {
        public enum Target: Sendable, Equatable {
            /// A phone number in E.164.
            case number(String)
            /// A SIP address, `sip:user@host`.
            case sip(String)
            /// The identity of a Twilio client.
            case client(String)
            /// The name of a conference room.
            case conference(String)
        }

        public var target: Target
        public var callerId: String?
        public var action: String?
        public var method: Method?
        /// Seconds to let it ring.
        public var timeout: Int?
        /// Longest duration of the connected call in seconds.
        public var timeLimit: Int?
        public var answerOnBridge: Bool?

        public init(
            _ target: Target, callerId: String? = nil, action: String? = nil, method: Method? = nil,
            timeout: Int? = nil,
            timeLimit: Int? = nil, answerOnBridge: Bool? = nil
        ) {
            self.target = target
            self.callerId = callerId
            self.action = action
            self.method = method
            self.timeout = timeout
            self.timeLimit = timeLimit
            self.answerOnBridge = answerOnBridge
        }
    }

    /// A media stream (twilio.com/docs/voice/twiml/stream).
    public struct Stream: Sendable, Equatable {
        public enum Track: String, Sendable {
            case inbound = "inbound_track"
            case outbound = "outbound_track"
            case both = "both_tracks"
        }

        /// A name and value that Twilio hands on in `start.customParameters`; together under 500 characters.
        public struct Parameter: Sendable, Equatable {
            public var name: String
            public var value: String

            public init(name: String, value: String) {
                self.name = name
                self.value = value
            }
        }

        /// Where Twilio connects to: `wss://`, or `ws://` to a loopback host, which Twilio itself cannot reach but a
        /// simulated phone can. Without a query, which Twilio drops: use parameters or the path.
        public var url: String
        /// Unique in the call; Twilio uses the stream's SID when absent.
        public var name: String?
        public var track: Track?
        public var statusCallback: String?
        public var statusCallbackMethod: Method?
        public var parameters: [Parameter]

        public init(
            url: String, name: String? = nil, track: Track? = nil, statusCallback: String? = nil,
            statusCallbackMethod: Method? = nil, parameters: [Parameter] = []
        ) {
            self.url = url
            self.name = name
            self.track = track
            self.statusCallback = statusCallback
            self.statusCallbackMethod = statusCallbackMethod
            self.parameters = parameters
        }
    }

    /// The document as text, to be sent as `text/xml`.
    ///
    /// Attributes in alphabetical order, nothing between elements. Characters that XML 1.0 cannot hold are left out.
    /// - Throws: ``WireError/Code/invalidValue`` for what Twilio would refuse or misread, ``WireError/Code/tooLarge``
    ///   beyond ``maximumSize`` or a parameter's limit.
    public func document() throws(WireError) -> String {
        for (index, verb) in verbs.enumerated() { try validate(verb, isFirst: index == 0) }
        let text =
            #"<?xml version="1.0" encoding="UTF-8"?>"# + XMLElement("Response", children: verbs.map(\.element)).text
        guard text.utf8.count <= Self.maximumSize else {
            throw WireError(
                .tooLarge, "the TwiML document takes \(text.utf8.count) bytes; Twilio accepts \(Self.maximumSize)")
        }
        return text
    }

    private func validate(_ verb: Verb, isFirst: Bool) throws(WireError) {
        switch verb {
        case .connect(let stream, _, _):
            try stream.validate()
            guard stream.track == nil || stream.track == .inbound else {
                throw WireError(
                    .invalidValue,
                    "<Connect><Stream> can only have the track inbound_track, not \(stream.track?.rawValue ?? "")")
            }
        case .start(let stream):
            try stream.validate()
        case .reject where !isFirst:
            throw WireError(
                .invalidValue, "<Reject> must be the first verb: after any other the call is already answered")
        case .redirect(let url, _), .play(let url, _):
            guard !url.isEmpty else { throw WireError(.invalidValue, "<Redirect> and <Play> need an address") }
        case .say(_, _, _, let loop?) where loop < 0, .pause(let loop?) where loop < 0:
            throw WireError(.invalidValue, "\(loop) is negative; loops and pauses start at 0")
        case .say, .pause, .hangup, .reject, .dial: break
        }
    }
}

extension TwiML.Stream {
    /// Twilio's limit for name and value of one `<Parameter>` together, in characters: they must stay below it.
    public static let parameterLimit = 500

    func validate() throws(WireError) {
        guard let split = SplitURL(url), split.scheme == "wss" || split.scheme == "ws", !split.host.isEmpty else {
            throw WireError(.invalidValue, "stream URL \"\(url)\" must begin with wss:// and a host")
        }
        if split.scheme == "ws" {
            guard ["127.0.0.1", "localhost", "[::1]"].contains(split.host.lowercased()) else {
                throw WireError(
                    .invalidValue, "stream URL \"\(url)\" must begin with wss://; ws:// is for loopback hosts only")
            }
        }
        guard !url.contains("?"), !url.contains("#") else {
            throw WireError(
                .invalidValue,
                "stream URL \"\(url)\" has a query or fragment, which Twilio drops; use parameters or the path")
        }
        guard url.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value != 0x7F }) else {
            throw WireError(.invalidValue, "stream URL has white space or control characters")
        }
        for parameter in parameters {
            guard !parameter.name.isEmpty else { throw WireError(.invalidValue, "a stream parameter has no name") }
            let size = parameter.name.unicodeScalars.count + parameter.value.unicodeScalars.count
            guard size < Self.parameterLimit else {
                let name = parameter.name.prefix(64)
                throw WireError(
                    .tooLarge, "stream parameter \"\(name)\" takes \(size) characters with its value; Twilio allows 499"
                )
            }
        }
    }
}
