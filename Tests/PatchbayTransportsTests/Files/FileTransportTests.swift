import NIOCore
import NIOPosix
import PatchbayAudio
import PatchbayConfig
import PatchbayCore
import Testing

@testable import PatchbayTransports

@Suite struct FileTransportTests {
    private func plan(
        _ agent: any AgentComponent = EchoAgent(), _ format: AudioFormat = .pcm(8000),
        settings: [String: VariableValue] = [:]
    ) throws -> CallPlan {
        let transport = FileTransport(inPlaceOf: format)
        return CallPlan(
            info: CallInfo(id: "1", callSid: "CA1", from: "", to: "", pipeline: "p"),
            carrier: transport.makeSerializer(Settings([])), carrierFormat: format, toAgent: Chain(.toAgent, []),
            joint: format, backends: [try agent.makeBackend(Settings(agent.spec.fields, settings))],
            toCaller: Chain(.toCaller, []))
    }

    /// A sound that no shift leaves unchanged.
    private func speech(_ count: Int) -> [Int16] { (0..<count).map { Int16(1000 + $0 % 20_000) } }

    @Test(arguments: [8000, 16_000, 48_000])
    func theEchoOfAFileIsTheFile(rate: Int) throws {
        let format = AudioFormat.pcm(rate)
        let said = speech(rate * 3 / 2 + 7)
        let line = try FileLine(said, format: format, callSid: "CA1", patience: .milliseconds(500))
        var call = try FileCall(try plan(EchoAgent(), format), line)
        #expect(call.run().kind == .callerHungUp)
        let sound = call.line.sound
        #expect(sound.faults == 0)
        #expect(Array(sound.caller.prefix(said.count)) == said)
        #expect(sound.caller.count == sound.agent.count)
        let start = try #require(sound.agent.firstIndex(of: 1000))
        #expect(start < rate / 10, "the echo comes within 100 ms")
        #expect(Array(sound.agent[start..<(start + said.count)]) == said)
        // Half a second after the last word, and not much later.
        #expect(sound.caller.count < said.count + rate * 8 / 10)
        #expect(sound.stereo.count == 2 * sound.caller.count)
    }

    @Test func theSameFileGivesTheSameCall() throws {
        func run() throws -> FileSound {
            let line = try FileLine(speech(8000), format: .telephony, callSid: "CA1", patience: .seconds(1))
            var call = try FileCall(try plan(EchoAgent(), .telephony), line)
            _ = call.run()
            return call.line.sound
        }
        #expect(try run() == run())
    }

    @Test func theLimitEndsACallThatWouldNot() throws {
        let line = try FileLine(
            speech(800_000), format: .pcm(8000), callSid: "CA1", limit: .milliseconds(400))
        var call = try FileCall(try plan(), line)
        #expect(call.run().kind == .callerHungUp)
        #expect(call.line.tick == 20)
        #expect(call.line.isHungUp)
    }

    @Test func inRealTimeTheSameHappensOnALoop() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        struct NoDialer: AgentDialer {
            func dial(_ target: AgentTarget, on loop: any EventLoop) -> EventLoopFuture<any AgentConnection> {
                loop.makeFailedFuture(PipelineError(.agentUnreachable, "nobody"))
            }
        }
        let info = CallInfo(id: "1", callSid: "CA1", from: "", to: "", pipeline: "p")
        let call = Call(info: info, on: MediaLoop(loop), dialer: NoDialer(), logger: .init(label: "test")) { _, _ in }
        let transport = FileTransport()
        let backend = try EchoAgent().makeBackend(Settings([]))
        try await call.start(observers: []) { () throws(PipelineError) in
            CallPlan(
                info: info, carrier: transport.makeSerializer(Settings([])), carrierFormat: .pcm(8000),
                toAgent: Chain(.toAgent, []), joint: .pcm(8000), backends: [backend], toCaller: Chain(.toCaller, []))
        }
        let said = speech(1600)
        let sound = try await loop.flatSubmit {
            do {
                let line = try FileLine(said, format: .pcm(8000), callSid: "CA1", patience: .milliseconds(200))
                return FileDriver(line, call).begin()
            } catch {
                return loop.makeFailedFuture(error)
            }
        }.get()
        #expect(Array(sound.caller.prefix(1600)) == said)
        let start = try #require(sound.agent.firstIndex(of: 1000))
        #expect(sound.agent[start...].prefix(160) == said[..<160])
    }

    @Test func aCutEmptiesTheLineAndEchoesItsMarks() throws {
        var line = try FileLine([], format: .pcm(8000), callSid: "CA1")
        var serializer = FileSerializer(format: .pcm(8000))
        var toLine = MessageBatch(), toCall = MessageBatch()
        func deliver() {
            for index in toLine.messages.indices { line.receive(toLine.message(at: index), into: &toCall) }
            toLine.clear()
        }
        let loud = ByteBuffer(bytes: Array(repeatElement([0x00, 0x10], count: 480).joined()))
        serializer.audio(loud, into: &toLine)
        serializer.mark(PlaybackMark(generation: 3, offsetMilliseconds: 60), into: &toLine)
        deliver()
        #expect(toCall.isEmpty, "nothing has been played yet")
        line.tick(into: &toCall)
        toCall.clear()
        serializer.clear(into: &toLine)
        deliver()
        #expect(toCall.messages.count == 1)
        let event = try serializer.deserialize(toCall.message(at: 0))
        guard case .mark(let mark) = event else {
            Issue.record("\(event)")
            return
        }
        #expect(mark == PlaybackMark(generation: 3, offsetMilliseconds: 60))
        line.tick(into: &toCall)
        #expect(line.sound.agent == [Int16](repeating: 4096, count: 160) + [Int16](repeating: 0, count: 160))
    }

    /// A background never ends; the call does.
    @Test func whatGoesOnEvenlyKeepsNoCallOpen() throws {
        var generator = SystemRandomNumberGenerator()
        func run(_ level: (Int) -> Int16) throws -> Int {
            var line = try FileLine(
                speech(1600), format: .pcm(8000), callSid: "CA1", patience: .seconds(1), limit: .seconds(20))
            var serializer = FileSerializer(format: .pcm(8000))
            var toLine = MessageBatch(), toCall = MessageBatch()
            for tick in 0..<1000 where !line.isHungUp {
                // Three packets are always ahead, as a mixer keeps them.
                for _ in 0..<(tick == 0 ? 4 : 1) {
                    let range = -level(tick)...level(tick)
                    var payload = ByteBuffer()
                    for _ in 0..<160 {
                        payload.writeInteger(Int16.random(in: range, using: &generator), endianness: .little)
                    }
                    serializer.audio(payload, into: &toLine)
                }
                for index in toLine.messages.indices { line.receive(toLine.message(at: index), into: &toCall) }
                toLine.clear()
                line.tick(into: &toCall)
                toCall.clear()
            }
            return line.tick
        }
        // The file takes 10 ticks and patience 50; noise is known as such after a second.
        #expect((60...120).contains(try run { _ in 2000 }))
        // Words of half a second over it, up to the eighth second, and the pauses between them.
        #expect((430...460).contains(try run { $0 < 400 && $0 % 40 < 25 ? 16_000 : 2000 }))
    }

    @Test(arguments: [[], [0x78], [0x61, 1, 2], [0x6D, 0, 0]] as [[UInt8]])
    func otherMessagesAreRefused(bytes: [UInt8]) {
        var serializer = FileSerializer(format: .pcm(8000))
        #expect(throws: FileMessage.Malformed.self) { try serializer.deserialize(ByteBuffer(bytes: bytes)) }
    }

    @Test func settingsChooseTheFormat() {
        let transport = FileTransport()
        func settings(_ values: [String: VariableValue]) -> Settings { Settings(transport.spec.fields, values) }
        #expect(transport.format(settings([:])) == .pcm(8000))
        #expect(
            transport.format(settings(["rateHz": 16_000, "encoding": "alaw"])) == AudioFormat(.alaw, sampleRate: 16_000)
        )
        #expect(transport.problems(in: settings(["rateHz": 22_050])).isEmpty)
        #expect(transport.problems(in: settings(["rateHz": 11_025])).map(\.field) == ["rateHz"])
        #expect(FileTransport(inPlaceOf: .telephony).format(settings(["rateHz": 16_000])) == .telephony)
    }

    @Test func stereoHasNoPlaceOnALine() {
        let error = #expect(throws: PipelineError.self) {
            _ = try FileLine([], format: AudioFormat(.pcm16, sampleRate: 8000, channelCount: 2), callSid: "")
        }
        #expect(error?.code == .unsupportedFormat)
    }
}
