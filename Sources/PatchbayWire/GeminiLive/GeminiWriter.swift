public import NIOCore

/// Writes the messages of a conversation that are sent many times a second, without allocating except to let the buffer
/// grow, once per message.
public enum GeminiWriter {
    /// Appends the caller's sound, client to server.
    ///
    /// - Parameters:
    ///   - bytes: Signed 16-bit samples, little endian, mono.
    ///   - sampleRate: In Hz. 16,000 is what the model hears; the server resamples others.
    public static func realtimeAudio(
        _ bytes: UnsafeRawBufferPointer, sampleRate: Int, into buffer: inout ByteBuffer
    ) {
        let size = 96 + RawWriter.integerWidth + Base64.encodedCount(of: bytes.count)
        write(into: &buffer, reserving: size) { writer in
            writer.append(#"{"realtimeInput":{"audio":{"data":""#)
            writer.append(base64: bytes)
            writer.append(#"","mimeType":"audio/pcm;rate="#)
            writer.append(sampleRate)
            writer.append(#""}}}"#)
        }
    }

    /// Appends the model's sound, server to client: signed 16-bit samples, little endian, mono.
    public static func modelAudio(_ bytes: UnsafeRawBufferPointer, sampleRate: Int, into buffer: inout ByteBuffer) {
        let size = 160 + RawWriter.integerWidth + Base64.encodedCount(of: bytes.count)
        write(into: &buffer, reserving: size) { writer in
            writer.append(
                #"{"serverContent":{"modelTurn":{"role":"model","parts":[{"inlineData":{"mimeType":"audio/pcm;rate="#)
            writer.append(sampleRate)
            writer.append(#"","data":""#)
            writer.append(base64: bytes)
            writer.append(#""}}]}}}"#)
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
