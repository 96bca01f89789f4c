public import NIOCore

/// Writes the events that are sent many times a second, without allocating except to let the buffer grow, once per event.
public enum OpenAIRealtimeWriter {
    /// Appends the caller's audio, client to server: raw bytes in the session's input format, at most 15 MiB.
    public static func appendAudio(_ bytes: UnsafeRawBufferPointer, into buffer: inout ByteBuffer) {
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: 64 + Base64.encodedCount(of: bytes.count)) { room in
            var writer = RawWriter(room)
            writer.append(#"{"type":"input_audio_buffer.append","audio":""#)
            writer.append(base64: bytes)
            writer.append(#""}"#)
            return writer.count
        }
    }

    /// Appends audio of the model, server to client: raw bytes in the session's output format.
    public static func audioDelta(
        _ bytes: UnsafeRawBufferPointer, eventID: String, at place: OpenAIRealtimeServerEvent.Place,
        into buffer: inout ByteBuffer
    ) {
        // Names of the simulated server's own making need no escapes.
        var ids = (eventID, place.responseID, place.itemID)
        let size =
            192 + 2 * RawWriter.integerWidth + Base64.encodedCount(of: bytes.count) + ids.0.utf8.count
            + ids.1.utf8.count + ids.2.utf8.count
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { room in
            var writer = RawWriter(room)
            writer.append(#"{"type":"response.output_audio.delta","event_id":""#)
            ids.0.withUTF8 { writer.append(UnsafeRawBufferPointer($0)) }
            writer.append(#"","response_id":""#)
            ids.1.withUTF8 { writer.append(UnsafeRawBufferPointer($0)) }
            writer.append(#"","item_id":""#)
            ids.2.withUTF8 { writer.append(UnsafeRawBufferPointer($0)) }
            writer.append(#"","output_index":"#)
            writer.append(place.outputIndex)
            writer.append(#","content_index":"#)
            writer.append(place.contentIndex)
            writer.append(#","delta":""#)
            writer.append(base64: bytes)
            writer.append(#""}"#)
            return writer.count
        }
    }
}
