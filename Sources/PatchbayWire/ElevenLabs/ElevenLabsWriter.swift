public import NIOCore

/// Writes the messages of a conversation that are sent many times a second, without allocating except to let the buffer
/// grow, once per message.
public enum ElevenLabsWriter {
    /// Appends the caller's audio, client to server: raw bytes in the server's `user_input_audio_format`, no header.
    public static func userAudioChunk(_ bytes: UnsafeRawBufferPointer, into buffer: inout ByteBuffer) {
        write(into: &buffer, reserving: 32 + Base64.encodedCount(of: bytes.count)) { writer in
            writer.append(#"{"user_audio_chunk":""#)
            writer.append(base64: bytes)
            writer.append(#""}"#)
        }
    }

    /// Appends the answer to a ping, client to server.
    public static func pong(eventId: Int, into buffer: inout ByteBuffer) {
        write(into: &buffer, reserving: 32 + RawWriter.integerWidth) { writer in
            writer.append(#"{"type":"pong","event_id":"#)
            writer.append(eventId)
            writer.append("}")
        }
    }

    /// Appends agent audio, server to client: raw bytes in `agent_output_audio_format`.
    ///
    /// - Parameter alignment: JSON text of an object with the times of the spoken characters.
    public static func audio(
        _ bytes: UnsafeRawBufferPointer, eventId: Int?, alignment: String? = nil, into buffer: inout ByteBuffer
    ) {
        let alignmentSize = alignment.map { $0.utf8.count } ?? 0
        let size = 96 + RawWriter.integerWidth + Base64.encodedCount(of: bytes.count) + alignmentSize
        write(into: &buffer, reserving: size) { writer in
            writer.append(#"{"type":"audio","audio_event":{"audio_base_64":""#)
            writer.append(base64: bytes)
            writer.append("\"")
            if let eventId {
                writer.append(#","event_id":"#)
                writer.append(eventId)
            }
            if var alignment {
                writer.append(#","alignment":"#)
                alignment.withUTF8 { writer.append(UnsafeRawBufferPointer($0)) }
            }
            writer.append("}}")
        }
    }

    @inline(__always)
    private static func write(into buffer: inout ByteBuffer, reserving size: Int, _ body: (inout RawWriter) -> Void) {
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { room in
            var writer = RawWriter(room)
            body(&writer)
            return writer.count
        }
    }
}
