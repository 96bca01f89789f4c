import ArgumentParser
import Logging
import NIOCore
import NIOPosix
import Patchbay
import PatchbaySimulators

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Runs a pipeline on a sound file, without a server or a carrier.",
        discussion: """
            EXAMPLES
              patchbay run Pipelines/demo.json --input question.wav --wait 4000 --output answer.wav
              patchbay run Pipelines/salon.json --number +15551234567 --input caller.opus --output call.opus
              patchbay run Pipelines/salon.json --agent echo --input caller.wav

            The file takes the caller's place and speaks at once, or after --wait, in the format of the pipeline's own
            carrier. Agents in this process (echo, script) are run on a clock of their own, as fast as the machine is;
            others in real time, with the requests of their tools. The caller hangs up when the file is over and both sides are silent. Rules are asked as on
            a server; where one speaks itself, that is the whole call.
            """)

    @Argument(help: "The pipeline's file.") var pipeline: String
    @Option(help: "What the caller says: a WAV or Ogg Opus file.") var input: String
    @Option(help: "Stereo file to write, .wav, .opus or .ogg: caller left, agent right.") var output: String?
    @Option(help: "The called number, in E.164. (default: the first of the pipeline)") var number: String?
    @Option(help: "The caller's number.") var from = "+15550100001"
    @Option(help: "When the call begins: 2026-12-24T18:00, on this machine's clock, or with a zone. (default: now)")
    var at: String?
    @Option(help: "Milliseconds of silence before the file, for instance to hear a greeting out.") var wait = 0
    @Option(help: "Seconds of silence on both sides after which the caller hangs up.") var patience = 3
    @Option(help: "Seconds after which the caller hangs up in any case.") var limit = 3600
    @Flag(help: "Take as long as the call takes.") var realTime = false
    @Option(help: "text or json") var format = OutputFormat.text
    @Option(help: "trace, debug, info, notice, warning, error or critical") var logLevel = Logger.Level.error
    @OptionGroup var options: PipelineOptions

    private static let endings = [".wav", ".opus", ".ogg"]
    private static let callSid = "CA" + String(repeating: "0", count: 32)

    func validate() throws {
        guard (0...3_600_000).contains(wait) else {
            throw ValidationError("--wait is \(wait); allowed are 0 to 3600000 milliseconds")
        }
        guard (1...3600).contains(patience) else {
            throw ValidationError("--patience is \(patience); allowed are 1 to 3600 seconds")
        }
        guard (1...86_400).contains(limit) else {
            throw ValidationError("--limit is \(limit); allowed are 1 to 86400 seconds")
        }
        guard let output else { return }
        guard Self.endings.contains(where: output.lowercased().hasSuffix) else {
            throw ValidationError("--output is \"\(output)\"; it ends in .wav, .opus or .ogg")
        }
        try OutputFile.check(output, option: "--output")
    }

    func run() async throws {
        let moment = try CallMoment(at).date
        let environment = try await options.environment()
        let set = try options.pipelines([pipeline], try .standard(), environment)
        // The file's own pipeline comes before those that its rules lead to.
        let called = try number ?? Self.number(of: set, pipeline)
        var plan: PipelinePlan
        switch set.decide(called, from: from, at: moment) {
        case .pipeline(let route, let steps):
            if let step = steps.last(where: \.holds) { Terminal.note("a rule decides: \(step)") }
            plan = try route.plan(for: CallVariables(from: from, to: called, sid: Self.callSid))
        case .say(let words, _, let steps):
            if let step = steps.last { Terminal.note("a rule answers, so no call is made: \(step)") }
            return show(words)
        case nil:
            guard number == nil, let document = set.documents.first else {
                throw CommandFailure(description: "\(pipeline) does not answer \(called)")
            }
            if !document.rules.isEmpty {
                Terminal.note("note: \(document.file) answers no number, so its rules are not asked here")
            }
            plan = try document.plan(for: CallVariables(from: from, to: called, sid: Self.callSid), variables: [:])
        }
        let carrierFormat = plan.transport.component.format(plan.transport.settings)
        try checkOutputRate(carrierFormat.sampleRate)
        plan.transport.component = FileTransport(inPlaceOf: carrierFormat)
        let transcript = DemoTranscript()
        let (sound, reason) = try await call(
            plan, to: called, speaking: try speech(at: carrierFormat.sampleRate), transcript)
        RecordingWriter.shared.finish()

        if let output { try write(sound, to: output) }
        let timeline = CallTimeline(caller: sound.caller, agent: sound.agent, sampleRate: sound.sampleRate)
        let summary = CallSummary(callSid: Self.callSid, timeline)
        switch format {
        case .json: Terminal.result(try summary.json)
        case .text:
            for entry in transcript.lines { Terminal.result(entry) }
            Terminal.result(summary.text)
            if let output { Terminal.result("recording             \(output) (stereo: caller left, agent right)") }
        }
        if reason.isFailure { throw CommandFailure(description: "the call failed: \(reason)") }
    }

    /// Opus has five rates. The recording has that of the call.
    private func checkOutputRate(_ rate: Int) throws {
        guard let output, !output.lowercased().hasSuffix(".wav"), !AudioFormat.opusSampleRates.contains(rate) else {
            return
        }
        throw ValidationError("--output: the call has \(rate) Hz, which Opus has not; end the name in .wav")
    }

    /// What a rule says in place of a conversation.
    private func show(_ words: String) {
        switch format {
        case .text: Terminal.result("said                  \(words)")
        case .json: Terminal.result("{\"said\":\(VariableValue.string(words).json)}")
        }
    }

    /// A number of the only pipeline: the first that it claims, with digits in place of a star.
    private static func number(of set: PipelineSet, _ path: String) throws -> String {
        guard let document = set.documents.first, set.documents.count == 1 || document.file == path else {
            throw ValidationError("\(path) holds \(set.documents.count) pipelines; name one file, or a --number")
        }
        switch document.numbers.first?.pattern {
        case .exact(let number): return number
        case .prefix(let prefix): return prefix + String(repeating: "0", count: max(1, 12 - prefix.count))
        case .any, nil: return "+15550100002"
        }
    }

    /// The file, mono, at the rate of the call, with the silence before it.
    private func speech(at rate: Int) throws -> [Int16] {
        do {
            let file = try SoundFile(path: input)
            let wav = WAVFile(
                samples: file.samples, sampleRate: file.format.sampleRate, channelCount: file.format.channelCount)
            var scratch: [Int16] = []
            return try wav.audio(in: .pcm(rate)).withUnsafeSamples(copyingInto: &scratch) {
                Array(repeating: 0, count: wait * rate / 1000) + $0
            }
        } catch {
            throw CommandFailure(description: "\(input) cannot be spoken: \(error)")
        }
    }

    /// Whether all agents live in this process. Asked without the recorders, which would begin a file.
    private func canRunByItself(_ plan: PipelinePlan, _ info: CallInfo) throws -> Bool {
        var plan = plan
        plan.stagesBefore = plan.stagesBefore.withoutTaps
        plan.stagesAfter = plan.stagesAfter.withoutTaps
        return FileCall.isPossible(try CallParts(plan).makePlan(info))
    }

    private func call(
        _ plan: PipelinePlan, to called: String, speaking speech: [Int16], _ transcript: DemoTranscript
    ) async throws -> (FileSound, EndReason) {
        let parts = try CallParts(plan)
        let info = CallInfo(
            id: "run", callSid: Self.callSid, from: from, to: called, pipeline: plan.pipeline,
            version: plan.version)
        let format = plan.transport.component.format(plan.transport.settings)
        let (patience, limit) = (TimeSpan.seconds(Int64(patience)), TimeSpan.seconds(Int64(limit)))
        let makeLine = { @Sendable () throws(PipelineError) in
            try FileLine(speech, format: format, callSid: Self.callSid, patience: patience, limit: limit)
        }
        if !realTime, try canRunByItself(plan, info) {
            var call = try FileCall(try parts.makePlan(info), try makeLine(), observers: [transcript])
            for tick in 1... {
                if let reason = call.step() { return (call.line.sound, reason) }
                // A recording's ring is made for calls in real time; this one is far ahead of it.
                if tick % 50 == 0 { RecordingWriter.shared.drain() }
            }
        }
        Terminal.note("in real time: \(speech.count / format.sampleRate) s of speech, and the answers")
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let call = Call(
            info: info, on: MediaLoop(loop), dialer: WebSocketAgentDialer(tls: try WebSocketTLS.makeContext()),
            logger: Logging.make(logLevel)
        ) { _, _ in }
        try await call.start(observers: [transcript], tools: parts.toolRunner(logger: call.logger)) {
            () throws(PipelineError) in try parts.makePlan(info)
        }
        let sound = try await loop.flatSubmit {
            do {
                return FileDriver(try makeLine(), call).begin()
            } catch {
                return loop.makeFailedFuture(error)
            }
        }.get()
        guard case .ended(let reason)? = await call.status?.state else {
            throw CommandFailure(description: "the call did not end")
        }
        return (sound, reason)
    }

    private func write(_ sound: FileSound, to path: String) throws {
        do {
            if path.lowercased().hasSuffix(".wav") {
                try WAVFile(samples: sound.stereo, sampleRate: sound.sampleRate, channelCount: 2).write(to: path)
            } else {
                let writer = try OggOpusWriter(
                    path: path, sampleRate: sound.sampleRate, channelCount: 2,
                    options: OpusOptions(application: .audio, bitrate: 48_000))
                try writer.append(sound.stereo)
                try writer.finish()
            }
        } catch {
            throw CommandFailure(description: "\(path) cannot be written: \(error)")
        }
    }
}

extension [PlannedStage] {
    fileprivate var withoutTaps: [PlannedStage] {
        filter { !($0.component is any TapComponent) }.map { stage in
            var stage = stage
            for index in stage.branches.indices {
                stage.branches[index].stages = stage.branches[index].stages.withoutTaps
            }
            return stage
        }
    }
}
