import NIOCore
import PatchbayAudio
import PatchbayCore
import PatchbayTesting
import Synchronization
import Testing

@Suite struct AsyncStageTests {
    @Test func resultsComeBackThroughTheMailbox() async throws {
        struct Shout: AsyncProcessor {
            func process(_ frame: Frame) async throws -> [Frame] {
                if case .text(var text) = frame {
                    text.text = text.text.uppercased()
                    return [.text(text)]
                }
                return []
            }
        }
        let (results, source) = AsyncStream<[Frame]>.makeStream()
        var stage = AsyncStage(Shout())
        stage.attach(StageMailbox(post: { source.yield($0) }, fail: { _ in source.finish() }))
        var harness = ProcessorHarness(stage)
        #expect(try harness.push(.text(TextFrame("hello", speaker: .caller))).isEmpty, "data waits for its result")
        #expect(try harness.push(.speechStarted).count == 1, "system frames do not wait")
        let first = await results.first { _ in true }
        guard case .text(let text)? = first?.first else {
            Issue.record("no text came back")
            return
        }
        #expect(text.text == "HELLO")
    }

    @Test func errorsReachTheCall() async throws {
        struct Fails: AsyncProcessor {
            func process(_ frame: Frame) async throws -> [Frame] {
                throw PipelineError(.stageFailed, "the service is gone")
            }
        }
        let (errors, source) = AsyncStream<PipelineError>.makeStream()
        var stage = AsyncStage(Fails())
        stage.attach(StageMailbox(post: { _ in }, fail: { source.yield($0) }))
        var harness = ProcessorHarness(stage)
        _ = try harness.push(.text(TextFrame("x", speaker: .caller)))
        let error = await errors.first { _ in true }
        #expect(error?.message == "the service is gone")
    }

    @Test(arguments: [DropPolicy.oldest, .newest]) func aFullQueueDropsByItsPolicy(policy: DropPolicy) async throws {
        /// Holds the first frame until it is let go, then tells every number it gets.
        final class Gate: AsyncProcessor {
            let numbers = AsyncStream<Int>.makeStream()
            let opened = AsyncStream<Void>.makeStream()
            let entered = AsyncStream<Void>.makeStream()
            private let isFirst = Mutex(true)

            func process(_ frame: Frame) async throws -> [Frame] {
                guard case .audio(let audio) = frame else { return [] }
                let wasFirst = isFirst.withLock { first in
                    defer { first = false }
                    return first
                }
                if wasFirst {
                    entered.continuation.yield()
                    for await _ in opened.stream { break }
                }
                numbers.continuation.yield(audio.payload.readableBytes)
                return []
            }
        }
        let gate = Gate()
        var stage = AsyncStage(gate, capacity: 2, dropping: policy)
        stage.attach(StageMailbox(post: { _ in }, fail: { _ in }))
        var harness = ProcessorHarness(stage)
        func frame(_ number: Int) -> Frame {
            .audio(AudioFrame(ByteBuffer(repeating: 0, count: number), format: .telephony))
        }
        _ = try harness.push(frame(1))
        for await _ in gate.entered.stream { break }
        for number in 2...5 { _ = try harness.push(frame(number)) }
        #expect(harness.processor.droppedCount == 2)
        gate.opened.continuation.yield()
        var seen: [Int] = []
        for await number in gate.numbers.stream {
            seen.append(number)
            if seen.count == 3 { break }
        }
        #expect(seen == (policy == .oldest ? [1, 4, 5] : [1, 2, 3]))
    }
}
