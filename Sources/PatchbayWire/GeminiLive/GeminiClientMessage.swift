public import NIOCore

/// What a client sends to Gemini Live. Every message has exactly one of `setup`, `realtimeInput`, `clientContent` and
/// `toolResponse` (ai.google.dev/api/live#BidiGenerateContentClientMessage).
public enum GeminiClientMessage: Sendable, Equatable {
    /// The first message. Nothing else may be sent before the server's `setupComplete`.
    case setup(GeminiSetup)
    /// The caller's sound: `byteCount` bytes were appended to the decoder's buffer.
    case audio(byteCount: Int, sampleRate: Int)
    /// The caller's sound pauses; only with automatic turn detection. More sound opens the stream again.
    case audioStreamEnd
    /// The caller begins to speak; only without automatic turn detection. Interrupts the model.
    case activityStart
    case activityEnd
    /// Words of the caller that were written.
    case text(String)
    case video
    /// Words for the context. Interrupts the model; `isComplete` makes it answer.
    case content([Turn], isComplete: Bool)
    case toolResponses([FunctionResponse])
    /// A message of a newer protocol, by its members.
    case other([String])

    public struct Turn: Sendable, Equatable {
        public enum Role: String, Sendable { case user, model }
        public var role: Role
        public var text: String

        public init(_ role: Role, _ text: String) {
            self.role = role
            self.text = text
        }
    }

    /// What a function gave.
    public struct FunctionResponse: Sendable, Equatable {
        /// Required by the Gemini API; Vertex AI does without.
        public var id: String?
        public var name: String
        /// The JSON text of an object. Its key `output` or `error` says how it went; without either all of it is
        /// output.
        public var response: String

        public init(id: String?, name: String, response: String) {
            self.id = id
            self.name = name
            self.response = response
        }

        /// - Parameter output: Text; where it is JSON, the model gets it as such.
        public init(id: String?, name: String, output: String, isError: Bool) {
            let value = JSONText.object { text in
                text.key(isError ? "error" : "output")
                if Self.isJSON(output) { text.raw(output) } else { text.string(output) }
            }
            self.init(id: id, name: name, response: String(decoding: value.bytes, as: UTF8.self))
        }

        private static func isJSON(_ text: String) -> Bool {
            var text = text
            return text.withUTF8 { bytes in
                do {
                    var scanner = try JSONScanner(UnsafeRawBufferPointer(bytes))
                    // It will stand four levels deep.
                    try scanner.skipValue(depth: 4)
                    try scanner.finish()
                    return true
                } catch {
                    return false
                }
            }
        }
    }
}

extension GeminiClientMessage {
    /// Appends the message.
    ///
    /// - Parameter audio: The bytes of an `audio`; its `byteCount` is not looked at. ``GeminiWriter`` writes sound
    ///   without the detour through a message.
    public func write(
        audio: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0), into buffer: inout ByteBuffer
    ) {
        if case .audio(_, let sampleRate) = self {
            GeminiWriter.realtimeAudio(audio, sampleRate: sampleRate, into: &buffer)
        } else {
            buffer.write(.object(writeMembers))
        }
    }

    private func writeMembers(_ text: inout JSONText) {
        switch self {
        case .setup(let setup): text.member("setup") { setup.write(into: &$0) }
        case .audio, .other: break
        case .video: text.member("realtimeInput") { $0.member("video") { _ in } }
        case .audioStreamEnd: text.member("realtimeInput") { $0.member("audioStreamEnd", true) }
        case .activityStart: text.member("realtimeInput") { $0.member("activityStart") { _ in } }
        case .activityEnd: text.member("realtimeInput") { $0.member("activityEnd") { _ in } }
        case .text(let words): text.member("realtimeInput") { $0.member("text", words) }
        case .content(let turns, let isComplete):
            text.member("clientContent") { content in
                if !turns.isEmpty {
                    content.key("turns")
                    content.array { list in
                        for turn in turns { list.object { turn.write(into: &$0) } }
                    }
                }
                content.member("turnComplete", isComplete)
            }
        case .toolResponses(let responses):
            text.member("toolResponse") { tool in
                tool.key("functionResponses")
                tool.array { list in
                    for response in responses {
                        list.object { object in
                            object.member("id", response.id)
                            object.member("name", response.name)
                            object.member("response", raw: response.response)
                        }
                    }
                }
            }
        }
    }
}

extension GeminiClientMessage.Turn {
    fileprivate func write(into text: inout JSONText) {
        text.member("role", role.rawValue)
        text.key("parts")
        text.array { parts in parts.object { $0.member("text", self.text) } }
    }
}
