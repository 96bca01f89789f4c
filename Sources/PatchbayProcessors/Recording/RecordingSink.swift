import PatchbayAudio

/// Where the finished samples of a recording go. Belongs to one recording; blocks.
protocol RecordingSink: AnyObject {
    /// Takes interleaved stereo samples.
    func append(_ samples: [Int16]) throws
    /// Brings the file up to date, so that a process that is killed afterwards leaves it valid up to here.
    func flush() throws
    /// Completes and closes the file, as far as it goes even when it throws.
    func finish() throws
}

extension WAVStreamWriter: RecordingSink {
    func finish() throws { try close() }
}
