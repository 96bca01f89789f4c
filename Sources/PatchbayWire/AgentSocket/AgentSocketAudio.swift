public import NIOCore

/// An audio format as the agent protocol names it: `mulaw_8000`, `pcm16_24000`.
///
/// `pcm16` is signed 16-bit little-endian, `mulaw` and `alaw` are those of ITU-T G.711; always one channel.
public struct AgentSocketFormat: Sendable, Hashable, CustomStringConvertible {
    public enum Encoding: String, Sendable, CaseIterable { case mulaw, alaw, pcm16 }

    /// The rates that the protocol knows, in Hz.
    public static let sampleRates = [8_000, 16_000, 24_000, 48_000]

    /// Every format that the protocol knows.
    public static let all = Encoding.allCases.flatMap { encoding in
        sampleRates.map { AgentSocketFormat(encoding, sampleRate: $0) }
    }

    public var encoding: Encoding
    /// Samples per second.
    public var sampleRate: Int

    public init(_ encoding: Encoding, sampleRate: Int) {
        self.encoding = encoding
        self.sampleRate = sampleRate
    }

    /// Parses `<encoding>_<rate>`.
    ///
    /// - Throws: ``WireError/Code/unsupported`` for any other name.
    public init(_ name: String) throws(WireError) {
        guard let format = Self.all.first(where: { $0.description == name }) else {
            throw WireError(
                .unsupported,
                "audio format \"\(name.prefix(64))\"; known are mulaw, alaw and pcm16, each followed by _8000, _16000, _24000 or _48000"
            )
        }
        self = format
    }

    public var description: String { "\(encoding.rawValue)_\(sampleRate)" }
    public var bytesPerSample: Int { encoding == .pcm16 ? 2 : 1 }
    /// Bytes of one second of audio.
    public var bytesPerSecond: Int { sampleRate * bytesPerSample }
}

/// How sound travels.
public enum AgentSocketAudioForm: String, Sendable, CaseIterable {
    /// As the payload of binary messages, without any header.
    case binary
    /// As base64 in a text message: `{"type":"audio","audio":"…"}`.
    case base64
}

/// The audio part of a `start`: the formats that one side offers, the preferred ones first.
public struct AgentSocketAudioOffer: Sendable, Equatable {
    public var form: AgentSocketAudioForm
    /// What the agent may take.
    public var inputs: [AgentSocketFormat]
    /// What the agent may give.
    public var outputs: [AgentSocketFormat]

    public init(form: AgentSocketAudioForm = .binary, inputs: [AgentSocketFormat], outputs: [AgentSocketFormat]) {
        self.form = form
        self.inputs = inputs
        self.outputs = outputs
    }
}

/// The audio part of a `ready`: what was chosen of an offer. What is absent is the first that was offered.
public struct AgentSocketAudioChoice: Sendable, Equatable {
    /// In which form the agent wants the caller's sound.
    public var form: AgentSocketAudioForm?
    public var input: AgentSocketFormat?
    public var output: AgentSocketFormat?

    public init(
        form: AgentSocketAudioForm? = nil, input: AgentSocketFormat? = nil, output: AgentSocketFormat? = nil
    ) {
        self.form = form
        self.input = input
        self.output = output
    }
}

/// The messages that carry sound as text, the same in both directions.
public enum AgentSocketAudio {
    /// Appends `{"type":"audio","audio":"…"}`. Allocates only to let the buffer grow, once.
    public static func write(_ bytes: UnsafeRawBufferPointer, into buffer: inout ByteBuffer) {
        let size = 32 + Base64.encodedCount(of: bytes.count)
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { room in
            var writer = RawWriter(room)
            writer.append(#"{"type":"audio","audio":""#)
            writer.append(base64: bytes)
            writer.append(#""}"#)
            return writer.count
        }
    }

    /// Reads such a message in one pass, without allocation beyond what `audio` needs to grow.
    ///
    /// - Returns: How many bytes were appended to `audio`; `nil` when the message is another one, or so unusual that the
    ///   general reader must look at it.
    static func read(
        _ message: UnsafeRawBufferPointer, into audio: inout ByteBuffer, limit: Int
    ) throws(WireError) -> Int? {
        var scanner = try JSONScanner(message)
        var text: JSONString?
        var isAudio = false
        var isFirst = true
        try scanner.beginObject()
        while let key = try scanner.nextKey(&isFirst) {
            guard key.isPlain else { return nil }
            if scanner.matches(key, "type") {
                guard try scanner.peek() == UInt8(ascii: "\"") else { return nil }
                guard scanner.matches(try scanner.scanString(), "audio") else { return nil }
                isAudio = true
            } else if scanner.matches(key, "audio") {
                guard text == nil, try scanner.peek() == UInt8(ascii: "\"") else { return nil }
                text = try scanner.scanStringUnchecked()
            } else {
                try scanner.skipValue(depth: 1)
            }
        }
        try scanner.finish()
        guard isAudio, let text else { return nil }
        return try scanner.appendBase64(text, limit: limit, to: &audio)
    }
}

extension AgentSocketAudioOffer {
    func write(into text: inout JSONText) {
        text.member("form", form.rawValue)
        text.member("input", inputs.map(\.description))
        text.member("output", outputs.map(\.description))
    }

    /// Names that this version does not know are no error: a newer Patchbay may offer more.
    init(_ object: JSONObject?) {
        func formats(_ name: String) -> [AgentSocketFormat] {
            (object?[name]?.elements ?? []).compactMap { $0.string.flatMap { try? AgentSocketFormat($0) } }
        }
        self.init(
            form: object?.string("form").flatMap(AgentSocketAudioForm.init) ?? .binary, inputs: formats("input"),
            outputs: formats("output"))
    }
}

extension AgentSocketAudioChoice {
    func write(into text: inout JSONText) {
        text.member("form", form?.rawValue)
        text.member("input", input?.description)
        text.member("output", output?.description)
    }

    /// Strict: sound in a format that nobody named could only be noise.
    init(_ object: JSONObject?) throws(WireError) {
        self.init()
        guard let object else { return }
        if let name = try object.optionalString("form") {
            guard let form = AgentSocketAudioForm(rawValue: name) else {
                throw WireError(.invalidValue, "\"form\" is \"\(name.prefix(64))\"; it is binary or base64")
            }
            self.form = form
        }
        input = try Self.format(object.optionalString("input"))
        output = try Self.format(object.optionalString("output"))
    }

    private static func format(_ name: String?) throws(WireError) -> AgentSocketFormat? {
        guard let name else { return nil }
        return try AgentSocketFormat(name)
    }
}
