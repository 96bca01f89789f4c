import NIOCore
import PatchbayAudio
import PatchbayTesting
import Testing

@testable import PatchbayCore

/// The agent announces its format in the middle of a word, and the chain is completed then.
@Suite("Formats that are known only at connect")
struct LateFormatsTests {
    /// Announces what it is told to, and writes down the samples that it is given.
    struct Recorder: AgentBackend {
        var type: String { "recorder" }
        var format: AudioFormat

        func open(_ request: AgentRequest) throws(PipelineError) -> AgentSession {
            AgentSession(Conversation(format: format), endpoint: .webSocket { AgentTarget(url: "ws://recorder") })
        }

        struct Conversation: AgentConversation {
            let format: AudioFormat

            func opened(at now: MediaTime, into output: inout AgentOutput) {}

            func receive(_ frame: Frame, at now: MediaTime, into output: inout AgentOutput) {
                guard case .audio(let audio) = frame else { return }
                output.messages.text {
                    $0.writeString(audio.payload.readableBytesView.map(String.init).joined(separator: " "))
                }
            }

            func received(_ message: ByteBuffer, at now: MediaTime, into output: inout AgentOutput) {
                output.emit(.ready(input: format, output: format))
            }
        }
    }

    @Test(
        "What was said before, while and after the agent became ready is one piece of sound",
        arguments: [
            .telephony, .pcm(8000), .pcm(16_000), .pcm(24_000), .pcm(48_000), AudioFormat(.alaw, sampleRate: 8000),
        ] as [AudioFormat])
    func onePiece(_ format: AudioFormat) throws {
        var call = try makeHarness(backends: [Recorder(format: format)])
        call.carrier("start")
        var spoken = ByteBuffer()
        var packet = 0
        func speak(_ call: inout CallHarness) {
            // The plain carrier repeats one byte a packet; steps between packets are as hard as a sound can be.
            let byte = UInt8(truncatingIfNeeded: 0x20 + packet % 5 * 9)
            packet += 1
            spoken.writeRepeatingByte(byte, count: 160)
            call.carrier("audio \(String(byte, radix: 16)) 160 \(packet) \((packet - 1) * 20)")
        }
        call.advance(300, each: speak)
        call.agentConnected()
        call.advance(100, each: speak)
        call.agent("ready")
        call.advance(300, each: speak)

        var converter = try FormatConverter(from: .telephony, to: format)
        let expected = Array(converter.convert(spoken).readableBytesView)
        let given = call.agentMessages.flatMap { $0.text.split(separator: " ").compactMap { UInt8($0) } }
        #expect(given == expected)
        #expect(given.count >= format.byteCount(milliseconds: 690))
    }
}
