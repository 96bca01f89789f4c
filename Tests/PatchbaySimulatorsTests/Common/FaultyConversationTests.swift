import NIOCore
import PatchbayAudio
import PatchbayCore
import Testing

@testable import PatchbaySimulators

/// Says `tick n` every 100 ms from its opening on, repeats what it hears, and leaves at `bye`.
private struct Ticker: SimulatedConversation {
    struct Statistics: SimulatedConversationStatistics {
        var messagesReceived = 0
        var bytesReceived = 0
        var close: SimulatedClose?
    }

    var statistics = Statistics()
    var deadline: MediaTime?
    var ticks = 0

    private func say(_ text: String, into output: inout SimulatorOutput) {
        output.messages.text { $0.writeString(text) }
    }

    mutating func open(at now: MediaTime, into output: inout SimulatorOutput) {
        say("open", into: &output)
        deadline = now + .milliseconds(100)
    }

    mutating func receive(_ message: ByteBuffer, at now: MediaTime, into output: inout SimulatorOutput) {
        say("heard " + String(buffer: message), into: &output)
        guard message == ByteBuffer(string: "bye") else { return }
        deadline = nil
        statistics.close = SimulatedClose(code: 1000)
        output.close = statistics.close
    }

    mutating func speechReady(
        _ request: SpeechRequest, _ audio: Result<ByteBuffer, PipelineError>, at now: MediaTime,
        into output: inout SimulatorOutput
    ) {}

    mutating func deadlineReached(at now: MediaTime, into output: inout SimulatorOutput) {
        ticks += 1
        say("tick \(ticks)", into: &output)
        deadline = now + .milliseconds(100)
    }

    mutating func closed(code: UInt16, reason: String) {
        deadline = nil
        statistics.close = SimulatedClose(code: code, reason: reason)
    }
}

/// On a clock that only moves when it is told to.
private struct Run {
    var conversation: FaultyConversation<Ticker>
    var now = MediaTime(milliseconds: 1000)
    var said: [(text: String, at: Int64)] = []
    var close: (SimulatedClose, at: Int64)?
    private var output = SimulatorOutput()

    init(number: Int = 0, _ change: (inout SimulatorFaults) -> Void) {
        var faults = SimulatorFaults()
        change(&faults)
        conversation = FaultyConversation(Ticker(), faults: faults, number: number)
        conversation.open(at: now, into: &output)
        take()
    }

    mutating func send(_ text: String, kind: MessageBatch.Message.Kind = .text) {
        conversation.receive(kind, ByteBuffer(string: text), at: now, into: &output)
        take()
    }

    mutating func advance(_ milliseconds: Int64) {
        let end = now + .milliseconds(milliseconds)
        while let due = conversation.deadline, due <= end {
            now = max(now, due)
            conversation.deadlineReached(at: now, into: &output)
            take()
        }
        now = end
    }

    private mutating func take() {
        for index in output.messages.messages.indices {
            said.append((String(buffer: output.messages.message(at: index)), now.milliseconds - 1000))
        }
        output.messages.clear()
        if let end = output.close { close = (end, now.milliseconds - 1000) }
        output.close = nil
    }

    var texts: [String] { said.map(\.text) }
}

@Suite struct FaultyConversationTests {
    @Test func isInvisibleWithoutFaults() {
        var run = Run { _ in }
        run.send("a")
        run.advance(250)
        #expect(run.said.map(\.at) == [0, 0, 100, 200])
        #expect(run.texts == ["open", "heard a", "tick 1", "tick 2"])
        run.send("bye")
        run.advance(1000)
        #expect(run.close?.0 == SimulatedClose(code: 1000) && run.texts.last == "heard bye")
        run.send("late")
        #expect(run.texts.count == 5 && run.conversation.statistics.messagesReceived == 2)
        #expect(run.conversation.statistics.bytesReceived == 4)
    }

    @Test func beginsLateAndThenReadsWhatCame() {
        var run = Run { $0.slowStart = .milliseconds(500) }
        run.send("a")
        run.advance(499)
        #expect(run.said.isEmpty)
        run.advance(101)
        #expect(run.texts == ["open", "heard a", "tick 1"] && run.said.map(\.at) == [500, 500, 600])
        #expect(run.conversation.statistics.messagesReceived == 1)
    }

    @Test func readsOnlySoMuchBeforeItBegins() {
        var run = Run { $0.slowStart = .seconds(1) }
        for _ in 0..<FaultyConversation<Ticker>.maximumWaiting + 5 { run.send("a") }
        run.advance(1000)
        #expect(run.texts.count == 1 + FaultyConversation<Ticker>.maximumWaiting)
    }

    @Test func neverBegins() {
        var run = Run { $0.neverStarts = true }
        run.send("a")
        run.advance(100_000)
        #expect(run.said.isEmpty && run.conversation.statistics.messagesReceived == 1)
        #expect(run.conversation.deadline == nil)
    }

    @Test func stallsAndClosesAllTheSame() {
        var run = Run {
            $0.stallAfter = .milliseconds(250)
            $0.closeWith = .init(code: 1011, reason: "crash", after: .milliseconds(900))
        }
        run.advance(800)
        run.send("a")
        #expect(run.texts == ["open", "tick 1", "tick 2"])
        run.advance(200)
        #expect(run.close?.0 == SimulatedClose(code: 1011, reason: "crash") && run.close?.at == 900)
        #expect(run.conversation.statistics.close?.code == 1011 && run.conversation.deadline == nil)
    }

    @Test func refusesBinaryMessagesByDefault() {
        var run = Run { _ in }
        run.send("a", kind: .binary)
        #expect(run.close?.0.code == 1003 && run.conversation.statistics.close?.code == 1003)
    }

    @Test func delaysEachMessageInOrder() {
        let seed = UInt64.random(in: .min ... .max)
        func jittered(number: Int) -> Run {
            var run = Run(number: number) { $0.jitter = .init(maximum: .milliseconds(300), seed: seed) }
            for text in ["a", "b", "c"] {
                run.send(text)
                run.advance(500)
            }
            run.send("bye")
            run.advance(1000)
            return run
        }
        var prompt = ["open", "heard a"]
        for number in 1...15 {
            prompt.append("tick \(number)")
            if number == 5 { prompt.append("heard b") }
            if number == 10 { prompt.append("heard c") }
        }
        prompt.append("heard bye")
        let first = jittered(number: 0)
        #expect(first.texts == prompt, "seed \(seed)")
        let times = first.said.map(\.at)
        #expect(times == times.sorted(), "seed \(seed)")
        #expect(times.enumerated().contains { $0.element % 100 != 0 }, "seed \(seed)")
        #expect(first.close.map { $0.at >= times.last ?? 0 } == true, "seed \(seed)")
        #expect(jittered(number: 0).said.map(\.at) == times, "seed \(seed)")
        #expect(jittered(number: 1).said.map(\.at) != times, "seed \(seed)")
    }
}

@Suite struct SimulatorEarTests {
    /// 200 ms of silence, 400 ms of a loud square wave, 800 ms of silence.
    private static func samples(_ rate: Int) -> [Int16] {
        (0..<rate * 14 / 10).map { index in
            guard (rate / 5..<rate * 3 / 5).contains(index) else { return 0 }
            return index / 20 % 2 == 0 ? 8000 : -8000
        }
    }

    @Test(arguments: [AudioFormat.Encoding.pcm16, .l16, .mulaw, .alaw], [8000, 16_000, 24_000])
    func hearsSpeechInEveryFormat(encoding: AudioFormat.Encoding, rate: Int) throws {
        let format = AudioFormat(encoding, sampleRate: rate)
        var converter = try FormatConverter(from: .pcm(rate), to: format)
        var linear = ByteBuffer()
        for sample in Self.samples(rate) { linear.writeInteger(sample, endianness: .little) }
        var ear = SimulatorEar(format: format, endOfTurnSilence: 600)
        #expect(ear.hear(converter.convert(linear)) == [.speechStarted, .speechStopped])
    }

    @Test func isDeafToWhatItCannotDecode() {
        var ear = SimulatorEar(format: AudioFormat(.opus, sampleRate: 48_000), endOfTurnSilence: 600)
        #expect(ear.hear(ByteBuffer(repeating: 77, count: 200)).isEmpty)
    }
}
