import Logging
import Metrics
import PatchbayAudio
public import PatchbayCore

/// One recording on its way to the disk: takes what the tap left in the ring, aligns it, encodes it, writes it.
///
/// Used by one thread at a time. A fault of the disk ends the file, not the call: what comes afterwards is taken out of the
/// ring and forgotten.
final class RecordingFile {
    private let feed: RecordingFeed
    private let logger: Logger
    private var timeline: StereoTimeline
    private var caller: RunDecoder
    private var agent: RunDecoder
    private var resampler: StreamResampler?
    private var sink: (any RecordingSink)?
    private var path: String?
    private var failure: String?
    private var stereo: [Int16] = []
    private var resampled: [Int16] = []
    /// Samples that went to the sink since it was flushed.
    private var unflushed = 0
    private var writtenFrames = 0
    private(set) var isComplete = false

    init(_ feed: RecordingFeed, logger: Logger) throws(PipelineError) {
        let request = feed.request
        self.feed = feed
        var logger = logger
        logger[metadataKey: "call"] = "\(request.callID)"
        logger[metadataKey: "callSid"] = "\(request.callSid)"
        self.logger = logger
        timeline = StereoTimeline(
            sampleRate: request.carrierFormat.sampleRate, maximumDuration: request.maximumDuration)
        caller = try RunDecoder(request.carrierFormat)
        agent = try RunDecoder(request.carrierFormat)
        if request.sampleRate != request.carrierFormat.sampleRate {
            do {
                let carrierRate = request.carrierFormat.sampleRate
                // Nobody waits for a recording, and it is to be aligned to the sample.
                let engine: StreamResampler.Engine =
                    PolyphaseDesign.supports(from: carrierRate, to: request.sampleRate)
                    ? .polyphase(.linearPhase) : .libsamplerate(.medium)
                resampler = try StreamResampler(
                    from: carrierRate, to: request.sampleRate, channelCount: 2, engine: engine)
            } catch {
                throw PipelineError(.unsupportedFormat, "cannot record at \(request.sampleRate) Hz", cause: error)
            }
        }
    }

    /// Works off what waits, and completes the file when the call is over.
    ///
    /// - Parameter isLast: Whether to complete it although the call goes on.
    func step(isLast: Bool) {
        guard !isComplete else { return }
        // Asked first: what was written before the call's end is then in the ring.
        let end = feed.end ?? (isLast ? .unknown : nil)
        feed.ring.drain { kind, position, payload in
            let position = TimeSpan(nanoseconds: position)
            switch kind {
            case .caller: caller.decode(payload) { timeline.callerAudio($0, at: position) }
            case .agent: agent.decode(payload) { timeline.agentAudio($0, at: position) }
            case .cut: timeline.agentCut(at: position)
            case .pause: timeline.pause(at: position)
            case .resume: timeline.resume(at: position)
            case .skip: break
            }
        }
        switch end {
        case .at(let position)?: timeline.end(at: position)
        case .unknown?: timeline.end(at: nil)
        case nil: break
        }
        stereo.removeAll(keepingCapacity: true)
        timeline.takeFinal(into: &stereo)
        if !stereo.isEmpty { attempt { try write() } }
        if end != nil || timeline.isFull { complete(isCut: end == nil) }
    }

    private func write() throws {
        if sink == nil { try openSink() }
        if let resampler {
            Self.reserve(&resampled, resampler.maximumOutput(forInput: stereo.count))
            let count = stereo.withUnsafeBufferPointer { input in
                resampled.withUnsafeMutableBufferPointer { resampler.process(input, into: $0) }
            }
            try append(Array(resampled.prefix(count)))
        } else {
            try append(stereo)
        }
    }

    private func append(_ samples: [Int16]) throws {
        try sink?.append(samples)
        writtenFrames += samples.count / 2
        unflushed += samples.count / 2
        if unflushed >= feed.request.sampleRate {
            unflushed = 0
            try sink?.flush()
        }
    }

    private func openSink() throws {
        let (descriptor, path) = try feed.request.path.create()
        self.path = path
        sink = try feed.request.makeSink(descriptor)
    }

    private func complete(isCut: Bool) {
        isComplete = true
        attempt {
            if let resampler, sink != nil {
                Self.reserve(&resampled, resampler.maximumFlushOutput)
                let count = resampled.withUnsafeMutableBufferPointer { resampler.flush(into: $0) }
                try append(Array(resampled.prefix(count)))
            }
            try sink?.finish()
        }
        sink = nil
        let dropped = feed.droppedBytes.load(ordering: .relaxed)
        Counter(label: RecordingMetrics.dropped).increment(by: dropped)
        guard let path else { return }
        let outcome = failure != nil ? "failed" : isCut ? "truncated" : "complete"
        Counter(label: RecordingMetrics.recordings, dimensions: [("outcome", outcome)]).increment()
        if isCut, failure == nil {
            let minutes = feed.request.maximumDuration.milliseconds / 60_000
            logger.warning("the recording has reached its \(minutes) minutes and ends; the call goes on")
        }
        logger.debug(
            "recorded",
            metadata: [
                "path": "\(path)", "outcome": "\(outcome)", "droppedBytes": "\(dropped)",
                "seconds": "\(Double(writtenFrames) / Double(feed.request.sampleRate))",
            ])
    }

    /// Does what may fail, once: after a failure nothing more is written.
    private func attempt(_ action: () throws -> Void) {
        guard failure == nil else { return }
        do {
            try action()
        } catch {
            failure = "\(error)"
            Counter(label: RecordingMetrics.errors).increment()
            logger.error("the recording ends early, the call goes on: \(error)")
            // As far as it goes, the file is to be valid.
            try? sink?.finish()
            sink = nil
        }
    }

    private static func reserve(_ samples: inout [Int16], _ count: Int) {
        if samples.count < count { samples.append(contentsOf: repeatElement(0, count: count - samples.count)) }
    }

    /// How it stands, or ended.
    var report: RecordingReport {
        RecordingReport(
            callID: feed.request.callID, callSid: feed.request.callSid, path: path,
            duration: .milliseconds(Int64(writtenFrames) * 1000 / Int64(feed.request.sampleRate)),
            droppedPayloads: feed.droppedPayloads.load(ordering: .relaxed), trimmedSamples: timeline.trimmedSamples,
            failure: failure)
    }
}

/// What became of one recording.
public struct RecordingReport: Sendable {
    public var callID: String
    public var callSid: String
    /// The file; `nil` when there was nothing to record or it could not be created.
    public var path: String?
    /// Length of what was written.
    public var duration: TimeSpan
    /// Audio payloads that were lost because the disk was too slow; silence in the recording.
    public var droppedPayloads: Int
    /// Samples that came too late or overlapped others.
    public var trimmedSamples: Int
    /// Why the file ended before the call, or `nil`.
    public var failure: String?
}

/// Every metric of recordings.
public enum RecordingMetrics {
    public static let recordings = "patchbay_recordings_total"
    public static let errors = "patchbay_recording_errors_total"
    public static let dropped = "patchbay_recording_dropped_bytes_total"

    /// What each of them means.
    public static let all = [
        MetricDescription(
            recordings, .counter, ["outcome"], "Recordings: complete, truncated at their longest duration, failed."),
        MetricDescription(errors, .counter, [], "Recordings that the disk refused or ended."),
        MetricDescription(
            dropped, .counter, [],
            "Audio that found no room between a call and the disk, in bytes of the carrier's encoding."),
    ]
}
