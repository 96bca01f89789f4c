import NIOCore
import PatchbayAudio
import PatchbayCore
import Testing

@testable import PatchbayTransports

@Suite struct ScriptConversationTests {
    private struct Bench {
        var conversation: ScriptConversation
        var output = AgentOutput()
        var now = MediaTime(milliseconds: 0)
        var heard: [String] = []
        var interruptions = 0
        var hasHungUp = false

        init(replies: [String] = ["one", "two"], goodbye: String? = "bye") {
            func spoken(_ text: String) -> SpokenText {
                // One second each.
                SpokenText(text: text, audio: ByteBuffer(repeating: 1, count: SpokenText.format.bytesPerSecond))
            }
            conversation = ScriptConversation(
                Script(
                    greeting: spoken("hello"), replies: replies.map(spoken), keys: ["1": spoken("key one")],
                    goodbye: goodbye.map(spoken), goodbyeKey: "#", silence: .seconds(10)),
                inputRate: 8000)
            conversation.opened(at: now, into: &output)
            collect()
        }

        mutating func receive(_ frame: Frame) {
            conversation.receive(frame, at: now, into: &output)
            collect()
        }

        mutating func advance(_ milliseconds: Int64) {
            now = now + .milliseconds(milliseconds)
            if let deadline = conversation.deadline, deadline <= now {
                conversation.deadlineReached(at: now, into: &output)
                collect()
            }
        }

        /// The call plays what was said, with so much before it that somebody else says.
        mutating func play(after milliseconds: Int64 = 0) {
            receive(.agentStartedSpeaking)
            advance(milliseconds + 1000)
            receive(.agentStoppedSpeaking)
        }

        private mutating func collect() {
            for event in output.takeEvents() {
                switch event {
                case .text(let text): heard.append(text.text)
                case .interruption: interruptions += 1
                case .hangup: hasHungUp = true
                default: break
                }
            }
        }
    }

    private let start = Frame.callStarted(CallStart(callSid: "CA", streamSid: "MZ"))

    @Test func greetsRepliesToPausesAndSaysGoodbye() {
        var bench = Bench()
        #expect(bench.heard == ["hello"], "the greeting is ready while the phone rings")
        bench.receive(start)
        bench.play()
        for _ in 0..<3 {
            bench.receive(.speechStarted)
            bench.advance(800)
            bench.receive(.speechStopped)
            bench.play()
        }
        #expect(bench.heard == ["hello", "one", "two", "bye"])
        #expect(bench.hasHungUp)
        #expect(bench.interruptions == 0)
    }

    @Test func stopsTalkingWhenTheCallerSpeaks() {
        var bench = Bench()
        bench.receive(start)
        bench.advance(300)
        bench.receive(.speechStarted)
        #expect(bench.interruptions == 1)
        bench.receive(.speechStopped)
        #expect(bench.heard.last == "one")
    }

    @Test func answersKeysAndTheGoodbyeKey() {
        var bench = Bench()
        bench.receive(start)
        bench.advance(2000)
        bench.receive(.dtmf("1"))
        #expect(bench.heard.last == "key one")
        bench.receive(.dtmf("7"))
        #expect(!bench.hasHungUp)
        bench.receive(.dtmf("#"))
        #expect(bench.heard.last == "bye" && bench.hasHungUp)
    }

    @Test func silenceOnBothSidesEndsTheCall() {
        var bench = Bench()
        bench.receive(start)
        bench.advance(10_900)
        #expect(!bench.hasHungUp, "one second of greeting, then ten of silence")
        bench.advance(100)
        #expect(bench.hasHungUp)
    }

    @Test func silenceBeginsWhenTheGreetingHasBeenHeard() {
        var bench = Bench()
        bench.receive(start)
        // An announcement goes first.
        bench.play(after: 15_000)
        bench.advance(9900)
        #expect(!bench.hasHungUp)
        bench.advance(100)
        #expect(bench.hasHungUp)
    }

    @Test func whatIsNotHeardYetCanBeInterrupted() {
        var bench = Bench()
        bench.receive(start)
        bench.receive(.agentStartedSpeaking)
        bench.advance(15_500)
        bench.receive(.speechStarted)
        #expect(bench.interruptions == 1, "the greeting came behind an announcement")
        bench.receive(.agentStoppedSpeaking)
        bench.advance(30_000)
        #expect(!bench.hasHungUp, "the caller is speaking")
        bench.receive(.speechStopped)
        bench.play()
        bench.receive(.speechStarted)
        #expect(bench.interruptions == 1, "there is nothing left to cut")
    }

    @Test func hearsPausesByItselfWhereThePipelineHasNoVAD() {
        var bench = Bench()
        bench.receive(start)
        bench.advance(2000)
        var payload = ByteBuffer()
        for packet in 0..<100 {
            payload.clear()
            for sample in 0..<160 {
                let isLoud = (25..<60).contains(packet)
                payload.writeInteger(isLoud ? Int16(sample % 20 < 10 ? 8000 : -8000) : 0, endianness: .little)
            }
            bench.receive(.audio(AudioFrame(payload, format: .pcm(8000))))
            bench.advance(20)
        }
        #expect(bench.heard == ["hello", "one"])
    }
}
