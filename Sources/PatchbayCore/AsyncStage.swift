import Synchronization

/// A stage that may wait: for a service, a file, a model in another process.
///
/// It runs in a task beside the media path. What it returns goes on behind it when it is ready; what belongs to a turn that
/// has been interrupted meanwhile is dropped.
public protocol AsyncProcessor: Sendable {
    /// Handles one frame and gives what should follow it. Frames come one at a time, in order.
    func process(_ frame: Frame) async throws -> [Frame]
}

/// What a full queue gives up.
public enum DropPolicy: Sendable {
    /// The frame that has waited longest; right for audio that must be fresh.
    case oldest
    /// The frame that has just come; right where the beginning matters.
    case newest
}

/// The way back into a call's chain for results that come later. Safe from any thread.
public struct StageMailbox: Sendable {
    private let post: @Sendable ([Frame]) -> Void
    private let fail: @Sendable (PipelineError) -> Void

    public init(post: @escaping @Sendable ([Frame]) -> Void, fail: @escaping @Sendable (PipelineError) -> Void) {
        self.post = post
        self.fail = fail
    }

    /// Sends frames on behind the stage.
    public func deliver(_ frames: [Frame]) { post(frames) }
    /// Ends the call with an error.
    public func fail(_ error: PipelineError) { fail(error) }
}

/// Lets an ``AsyncProcessor`` stand in a chain: a bounded queue in front of a task.
///
/// System frames do not wait in the queue: they pass on at once, as their family demands, and are also offered to the
/// processor. Costs a task switch per frame (about 10 µs), which is why stages of the media path are synchronous.
public struct AsyncStage: Processor {
    private let worker: Worker

    /// - Parameters:
    ///   - capacity: Frames that may wait, 1 or more.
    ///   - dropping: What to give up when they are more.
    public init(_ processor: any AsyncProcessor, capacity: Int = 64, dropping policy: DropPolicy = .oldest) {
        worker = Worker(processor, capacity: max(1, capacity), policy: policy)
    }

    /// Frames given up because the queue was full.
    public var droppedCount: Int { worker.dropped.load(ordering: .relaxed) }

    public mutating func attach(_ mailbox: StageMailbox) { worker.start(mailbox) }

    public mutating func receive(
        _ frame: Frame, at now: MediaTime, into output: inout FrameOutput
    ) throws(PipelineError) {
        if frame.family == .system { output.emit(frame) }
        worker.offer(frame)
    }

    /// Ends its task when the chain that holds the stage is gone.
    private final class Worker: Sendable {
        let dropped = Atomic(0)
        private let processor: any AsyncProcessor
        private let queue: AsyncStream<Frame>.Continuation
        private let frames: AsyncStream<Frame>
        private let task = Mutex<Task<Void, Never>?>(nil)

        init(_ processor: any AsyncProcessor, capacity: Int, policy: DropPolicy) {
            self.processor = processor
            (frames, queue) = AsyncStream.makeStream(
                bufferingPolicy: policy == .oldest ? .bufferingNewest(capacity) : .bufferingOldest(capacity))
        }

        func start(_ mailbox: StageMailbox) {
            let frames = frames, processor = processor
            let running = Task {
                for await frame in frames {
                    do {
                        let results = try await processor.process(frame)
                        // System frames went on already; only what the processor adds for them follows.
                        if !results.isEmpty { mailbox.deliver(results) }
                    } catch let error as PipelineError {
                        mailbox.fail(error)
                    } catch {
                        mailbox.fail(PipelineError(.stageFailed, "\(error)", cause: error))
                    }
                }
            }
            task.withLock { $0 = running }
        }

        func offer(_ frame: Frame) {
            if case .dropped = queue.yield(frame) { dropped.add(1, ordering: .relaxed) }
        }

        deinit {
            queue.finish()
            task.withLock { $0?.cancel() }
        }
    }
}
