public import NIOCore
public import PatchbayAudio
public import PatchbayCore

/// The examination of a carrier's serializer: whether it reads what the carrier says, writes what a call asks for, and survives
/// whatever else arrives.
public enum TransportConformance {
    /// The carrier's side of one stream, as messages. What it has no message for is `nil`.
    public struct Carrier {
        /// The message that begins the stream.
        public var start: ByteBuffer
        /// The format that it announces, or that is agreed.
        public var format: AudioFormat
        /// A message with sound of the caller, so many milliseconds after the beginning.
        public var media: (_ payload: ByteBuffer, _ milliseconds: Int64) -> ByteBuffer
        /// A message that a key was pressed.
        public var dtmf: ((Character) -> ByteBuffer)?
        /// The carrier's answer to a message that the serializer wrote for a mark.
        public var mark: ((_ written: ByteBuffer) -> ByteBuffer)?
        /// The message that ends the stream.
        public var stop: ByteBuffer?
        /// Whether a message that is cut off can be told from a whole one. Not so where sound comes as bare bytes.
        public var noticesTruncation: Bool
        /// Whether the carrier can be told to forget what it has not played.
        public var canClear: Bool
        /// The sound in a message that the serializer wrote, as the carrier would play it; without it what is written is only
        /// counted.
        public var heard: ((_ written: ByteBuffer) -> ByteBuffer?)?

        public init(
            start: ByteBuffer, format: AudioFormat, media: @escaping (ByteBuffer, Int64) -> ByteBuffer,
            dtmf: ((Character) -> ByteBuffer)?, mark: ((ByteBuffer) -> ByteBuffer)?, stop: ByteBuffer?,
            noticesTruncation: Bool = true, canClear: Bool = true, heard: ((ByteBuffer) -> ByteBuffer?)? = nil
        ) {
            self.start = start
            self.format = format
            self.media = media
            self.dtmf = dtmf
            self.mark = mark
            self.stop = stop
            self.noticesTruncation = noticesTruncation
            self.canClear = canClear
            self.heard = heard
        }
    }

    /// Puts a serializer through a stream, then through broken messages.
    ///
    /// - Parameters:
    ///   - make: Makes a serializer for a new stream; called some thousand times.
    ///   - seed: What the broken messages are made from.
    /// - Returns: What does not hold; empty when it conforms. A trap ends the test.
    public static func check(
        _ carrier: Carrier, seed: UInt64 = 1, make: () -> any CarrierSerializer
    ) -> [ConformanceFailure] {
        var check = SerializerCheck(carrier)
        check.stream(make())
        check.payloads(make())
        check.brokenMessages(make, seed: seed)
        return check.findings.all
    }
}

extension ConformanceFailure.Rule {
    /// The beginning of a stream is read, with its format and the names of call and stream.
    public static let start = Self("reads-start")
    /// Sound is read, unchanged, with its time.
    public static let media = Self("reads-media")
    /// Keys are read.
    public static let dtmf = Self("reads-keys")
    /// Marks come back as they were written.
    public static let mark = Self("marks-return")
    /// The end of a stream is read.
    public static let stop = Self("reads-stop")
    /// Sound, marks and clears become messages, and the sound in them is what was given.
    public static let writes = Self("writes")
    /// What cannot be read is refused with an error of the serializer's own, and the stream goes on.
    public static let malformed = Self("refuses-the-malformed")
}
