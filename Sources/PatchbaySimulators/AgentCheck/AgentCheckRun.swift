import Foundation
public import NIOCore
import NIOPosix
public import NIOSSL
import PatchbayAudio
import PatchbayCore
public import PatchbayTransports

extension AgentCheck {
    /// What the caller says where no espeak-ng is installed: a second of two tones in turn, at 16 kHz.
    private static var tones: ByteBuffer {
        var buffer = ByteBuffer()
        for index in 0..<16000 {
            let frequency = index / 1600 % 2 == 0 ? 300.0 : 500.0
            buffer.writeInteger(
                Int16(8000 * sin(2 * .pi * frequency * Double(index) / 16000)), endianness: .little)
        }
        return buffer
    }

    /// The sound of what the caller says: a text, or the path of a WAV file.
    ///
    /// - Returns: Tones, and why, when it cannot be spoken.
    public static func question(_ text: String, voice: String) async -> (sound: ByteBuffer, problem: String?) {
        do {
            let sound = try await NIOThreadPool.singleton.runIfActive {
                try SpeechLibrary.shared.spoken(text, voice: voice, directory: ".").audio
            }
            return (sound, nil)
        } catch {
            return (tones, "the caller speaks in tones: \(error)")
        }
    }

    /// Connects to an agent and leads the conversation in real time, some fifteen seconds with an agent that works.
    ///
    /// Never throws: an agent that cannot be reached is a finding.
    ///
    /// - Parameter tls: Needed for `wss:`.
    public static func run(
        _ plan: Plan, target: WebSocketTarget, tls: NIOSSLContext? = nil
    ) async -> AgentCheckReport {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        var configuration = WebSocketConfiguration.client
        // More than the protocol allows, so that what is too long is seen and told.
        configuration.maximumMessageBytes = 64 << 20
        let connection: WebSocketConnection
        do {
            connection = try await WebSocketClient.connect(
                to: target, on: eventLoop, tls: tls, configuration: configuration)
        } catch {
            return unreachable(error)
        }
        let report = try? await eventLoop.flatSubmit {
            let running = RunningAgentCheck(AgentCheck(plan), connection)
            running.perform { $0.open(at: $1, into: &$2) }
            connection.setDelegate(AgentCheckSocket(running))
            return running.report.futureResult
        }.get()
        return report ?? AgentCheckReport()
    }

    private static func unreachable(_ error: any Error) -> AgentCheckReport {
        var report = AgentCheckReport()
        let refusal = error as? WebSocketConnectError
        let advice =
            switch refusal?.status {
            case 401, 403: "; is the token right?"
            case .some: "; does a WebSocket server answer at this path?"
            case nil: "; does the agent run?"
            }
        let code: AgentFinding.Code = refusal?.status == nil ? .unreachable : .refused
        report.findings = [
            AgentFinding(
                code: code, severity: .error, message: "\(error)\(advice)", section: code.section, time: .zero)
        ]
        return report
    }
}

/// A check on its socket: gives it the time, and does what it asks for. Lives on one event loop.
private final class RunningAgentCheck {
    let report: EventLoopPromise<AgentCheckReport>
    private var check: AgentCheck
    private var output = AgentCheck.Output()
    private let connection: WebSocketConnection
    private var isOver = false

    init(_ check: AgentCheck, _ connection: WebSocketConnection) {
        self.check = check
        self.connection = connection
        report = connection.eventLoop.makePromise()
    }

    func perform(_ body: (inout AgentCheck, MediaTime, inout AgentCheck.Output) -> Void) {
        guard !isOver else { return }
        body(&check, .now, &output)
        if !output.messages.isEmpty { let _: Bool = connection.send(&output.messages) }
        if output.closes {
            output.closes = false
            connection.close(code: 1000)
        }
        if output.isComplete {
            isOver = true
            connection.close(code: 1000)
            report.succeed(check.report)
        } else if !isScheduled, let due = check.deadline {
            isScheduled = true
            let deadline = NIODeadline.uptimeNanoseconds(UInt64(max(0, due.nanoseconds)))
            connection.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
                self.isScheduled = false
                self.perform { $0.deadlineReached(at: $1, into: &$2) }
            }
        }
    }

    private var isScheduled = false
}

private final class AgentCheckSocket: WebSocketDelegate {
    private let running: NIOLoopBound<RunningAgentCheck>

    /// On the connection's event loop only.
    init(_ running: RunningAgentCheck) {
        self.running = NIOLoopBound(running, eventLoop: running.report.futureResult.eventLoop)
    }

    func webSocketDidReceive(text: ByteBuffer, from connection: WebSocketConnection) {
        running.value.perform { $0.receive(text, at: $1, into: &$2) }
    }

    func webSocketDidReceive(binary: ByteBuffer, from connection: WebSocketConnection) {
        running.value.perform { $0.receive(binary: binary, at: $1, into: &$2) }
    }

    func webSocketDidClose(_ close: WebSocketClose, of connection: WebSocketConnection) {
        running.value.perform { $0.closed(code: close.code, reason: close.reason, at: $1, into: &$2) }
    }
}
