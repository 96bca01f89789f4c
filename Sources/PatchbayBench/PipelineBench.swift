import NIOCore
import PatchbayAudio
public import PatchbayConfig
import PatchbayCore

/// What each stage of a pipeline costs, measured with the frames that it would get in a call.
public struct PipelineReport: Codable, Sendable {
    public struct Stage: Codable, Sendable {
        /// `toAgent` or `toCaller`.
        public var leg: String
        public var type: String
        /// Where the document declares it, or `inserted`.
        public var address: String
        public var takes: String
        public var gives: String
        public var cost: Cost
        /// Audio it holds back, in milliseconds.
        public var delay: Double
        /// Heap of one instance.
        public var bytes: Int?

        private enum CodingKeys: String, CodingKey {
            case leg, type, address, takes, gives, cost, bytes
            case delay = "delayMs"
        }
    }

    /// All stages of one leg as one chain.
    public struct Leg: Codable, Sendable {
        public var leg: String
        public var cost: Cost
        /// In milliseconds.
        public var delay: Double

        private enum CodingKeys: String, CodingKey {
            case leg, cost
            case delay = "delayMs"
        }
    }

    public var pipeline: String
    public var file: String
    public var machine: Machine
    public var stages: [Stage]
    public var legs: [Leg]

    /// CPU time of both legs for 20 ms, in µs.
    public var cpu: Double { legs.reduce(0) { $0 + $1.cost.cpu } }

    /// Calls that one core could take if it had nothing else to do than these stages.
    public var callsPerCore: Double { cpu > 0 ? 20_000 / cpu : 0 }
}

/// Pushes real frames through the stages of a pipeline.
public struct PipelineBench {
    private let plan: PipelinePlan
    private let meter: CostMeter

    public init(_ plan: PipelinePlan, seconds: Double = 10, rounds: Int = 7) {
        self.plan = plan
        meter = CostMeter(packets: Int(seconds * 50), rounds: rounds)
    }

    /// Measures one stage after the other and then each leg as a whole, on this thread.
    ///
    /// What leaves one stage enters the next, in packets as they come. Sockets, the carrier's and the agent's messages and
    /// pacing are not in it. Of a stage with a task of its own only the handing over is.
    ///
    /// - Throws: ``PatchbayCore/PipelineError`` when a stage cannot be made or gives up.
    public func run(progress: (_ stage: String) -> Void = { _ in }) throws -> PipelineReport {
        var report = PipelineReport(
            pipeline: plan.pipeline, file: plan.file, machine: .current, stages: [], legs: [])
        let carrier = plan.transport.component.format(plan.transport.settings)
        try measure(.toAgent, plan.stagesBefore, from: carrier, into: &report, progress)
        try measure(.toCaller, plan.stagesAfter, from: plan.agentFormat, into: &report, progress)
        return report
    }

    private func measure(
        _ leg: Leg, _ planned: [PlannedStage], from format: AudioFormat, into report: inout PipelineReport,
        _ progress: (String) -> Void
    ) throws {
        let source = try Packets(format)
        var packets = source.frames
        // The chain around a stage is not the stage's.
        let frame = try HeapMeter.bytes { Kept(try Line(leg, [], source)) }
        for stage in planned {
            progress("\(leg.rawValue): \(stage.component.spec.type)")
            var made = try Line(leg, [stage], source)
            let outputs = try made.pass(packets)
            let bytes = try HeapMeter.bytes {
                var line = try Line(leg, [stage], source)
                _ = try line.pass(Array(packets.prefix(25)))
                return Kept(line)
            }
            report.stages.append(
                PipelineReport.Stage(
                    leg: leg.rawValue, type: stage.component.spec.type,
                    address: stage.place ?? "inserted", takes: "\(stage.input)",
                    gives: "\(stage.output)", cost: try made.cost(of: packets, meter), delay: made.delay,
                    bytes: bytes.map { max(0, $0 - (frame ?? 0)) }))
            packets = outputs
        }
        progress("\(leg.rawValue): all stages")
        var all = try Line(leg, planned, source)
        report.legs.append(
            PipelineReport.Leg(leg: leg.rawValue, cost: try all.cost(of: source.frames, meter), delay: all.delay))
    }

    private final class Kept {
        let line: Line
        init(_ line: Line) { self.line = line }
    }
}

/// Two seconds of speech, packed as a joint has it.
private struct Packets {
    let frames: [[Frame]]
    let milliseconds: Double

    init(_ format: AudioFormat) throws(PipelineError) {
        milliseconds = format.packetMilliseconds
        let linear = AudioFormat(.pcm16, sampleRate: format.sampleRate, packetMilliseconds: milliseconds)
        var converter = try FormatConverter(from: linear, to: format)
        let speech = SyntheticSpeech.samples(seconds: 2, sampleRate: format.sampleRate)
        let length = max(1, linear.sampleFramesPerPacket)
        var frames: [[Frame]] = []
        for start in stride(from: 0, through: speech.count - length, by: length) {
            var payload = ByteBuffer()
            for sample in speech[start..<start + length] { payload.writeInteger(sample, endianness: .little) }
            frames.append([.audio(AudioFrame(converter.convert(payload), format: format))])
        }
        self.frames = frames
    }
}

/// Stages of one call with their own clock.
private struct Line {
    private var chain: Chain
    private var now = MediaTime(milliseconds: 1000)
    private let step: TimeSpan
    private let milliseconds: Double
    private var exits: [Frame] = []

    init(_ leg: Leg, _ planned: [PlannedStage], _ packets: Packets) throws(PipelineError) {
        chain = Chain(leg, try planned.makeStages())
        milliseconds = packets.milliseconds
        step = TimeSpan(nanoseconds: Int64(milliseconds * 1e6))
        try chain.send(.callStarted(CallStart(callSid: "CA", streamSid: "MZ")), at: now)
        if leg == .toCaller { try chain.send(.agentTurnStarted(generation: 0), at: now) }
        chain.takeExits(into: &exits)
    }

    var delay: Double { Double(chain.delay.nanoseconds) / 1e6 }

    /// What comes out, packet by packet.
    mutating func pass(_ packets: [[Frame]]) throws(PipelineError) -> [[Frame]] {
        var all: [[Frame]] = []
        for packet in packets {
            try send(packet)
            all.append(exits)
        }
        exits = []
        return all
    }

    mutating func cost(of packets: [[Frame]], _ meter: CostMeter) throws(PipelineError) -> Cost {
        var failure: PipelineError?
        let cost = meter.measure(milliseconds: milliseconds) { number in
            do throws(PipelineError) {
                try send(packets[number % packets.count])
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        return cost
    }

    private mutating func send(_ packet: [Frame]) throws(PipelineError) {
        now = now + step
        // As a call does: converters use their buffers again once nobody holds their last result.
        exits.removeAll(keepingCapacity: true)
        for frame in packet { try chain.send(frame, at: now) }
        try chain.deadlinesReached(at: now)
        chain.takeExits(into: &exits)
    }
}
