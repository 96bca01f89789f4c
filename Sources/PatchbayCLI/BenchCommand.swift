import ArgumentParser
import Foundation
import Patchbay
import PatchbayBench

struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures resamplers, codecs and voice detectors on this machine; or a pipeline's stages.",
        discussion: """
            EXAMPLES
              patchbay bench                               everything: under a minute
              patchbay bench --only resamplers --rates 8000:16000,16000:8000
              patchbay bench --only soxr speexdsp --svg chart.svg
              patchbay bench --format json > before.json   store it …
              patchbay bench --compare before.json         … and see a change's effect
              patchbay bench pipeline Pipelines/demo.json  what each stage costs

            Libraries to compare with are looked for when the command runs; those that
            are not installed are named. With Benchmarks/Allocations preloaded, calls of
            the allocator are counted as well.
            """,
        subcommands: [BenchTable.self, BenchPipeline.self], defaultSubcommand: BenchTable.self)
}

/// How the tables of `bench` are printed.
enum BenchFormat: String, ExpressibleByArgument, CaseIterable {
    case text, json, markdown

    var style: BenchReport.Style { self == .markdown ? .markdown : .text }
}

/// Options of both benches.
struct BenchOptions: ParsableArguments {
    @Option(help: "Seconds of sound in each round of a timing.") var seconds = 10.0
    @Option(help: "Rounds at the least, of 50 ms or more each; each figure is that of the best.") var rounds = 7
    @Option(help: "text, json or markdown") var format = BenchFormat.text

    func validate() throws {
        guard (0.2...600).contains(seconds) else { throw ValidationError("--seconds is 0.2 to 600") }
        guard (1...1000).contains(rounds) else { throw ValidationError("--rounds is 1 to 1000") }
    }

    func warnOfDebugBuild() {
        guard Machine.isDebugBuild else { return }
        Terminal.note(
            """
            ************************************************************************************
            warning: this is a debug build. Our own code is 10 to 100 times slower in it, the
            libraries are not: these times mean nothing. Build with: swift build -c release
            ************************************************************************************
            """)
    }
}

struct BenchTable: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "table", abstract: "The table of resamplers, codecs and voice detectors.",
        discussion: """
            COLUMNS
              µs p50, p99  time for 20 ms of sound; the best of several rounds
              CPU          mean CPU time; × real time is 20 ms over it
              delay ms     measured: audio held back, and the shift of what comes out;
                           codecs: through both ends
              claimed      what it says of itself; ! where it is off by over 0.15 ms
              SNR dB       a tone of 1,020 Hz at -6 dBFS; codecs: 31 tones from 300 to
                           3,400 Hz (says little of Opus, which keeps the sound and
                           not the wave)
              reject dB    the strongest image or alias, from 0.575 of the lower rate
                           on; above 95 it is the rounding of 16 bits
              ripple dB    gains up to 0.425 of the lower rate, highest less lowest
              onset ms     from the first sound of a voice to the edge
              bytes        heap of one instance at work; of a codec, both ends
              allocs       calls of the allocator for 20 ms

            Exit code 0; a loss against --compare is marked, not an error.
            """)

    @Option(parsing: .upToNextOption, help: "Only these: resamplers, codecs, vad, or words of a name.")
    var only: [String] = []
    @Option(help: "Pairs of rates in Hz for the resamplers.")
    var rates = "8000:16000,16000:8000,8000:24000,24000:8000"
    @OptionGroup var options: BenchOptions
    @Option(help: "Earlier run (--format json) to show beside this one.") var compare: String?
    @Option(help: "Per cent by which a median may grow before it is marked.") var tolerance = 25.0
    @Option(help: "File for a chart of cost against delay.") var svg: String?
    @Option(parsing: .upToNextOption, help: "Runs of other programs (same JSON) whose rows to add.")
    var merge: [String] = []
    @Option(help: "Model file of the silero detector. (default: where `patchbay model silero` puts it)")
    var sileroModel: String?
    @Flag(help: "Also measure Python's audioop.ratecv, with Benchmarks/Audio/peers.py.") var withAudioop = false
    @Option(help: ArgumentHelp("Where that script is.", visibility: .hidden))
    var audioopScript = "Benchmarks/Audio/peers.py"

    /// As its script names it.
    private static let audioop = "audioop.ratecv"

    func validate() throws {
        guard (0...10_000).contains(tolerance) else {
            throw ValidationError("--tolerance is \(tolerance); allowed are 0 to 10000 per cent")
        }
    }

    func run() async throws {
        let plan = try plan()
        // What can be refused is refused before a minute of work.
        let earlier = try compare.map { try BenchReport(contentsOf: $0) }
        let merged = try merge.flatMap { try BenchReport(contentsOf: $0).rows }
        if let svg { try OutputFile.check(svg, option: "--svg") }
        let measuresAudioop = withAudioop && plan.includes(.resampler, Self.audioop)
        if measuresAudioop, !FileManager.default.isReadableFile(atPath: audioopScript) {
            throw ValidationError("\(audioopScript) is not here: run this in the project's folder")
        }
        options.warnOfDebugBuild()
        var report = plan.run { done, count, next in
            Terminal.progress("\(done + 1)/\(count)  \(next.name) \(next.path)")
        }
        if measuresAudioop {
            Terminal.progress(Self.audioop)
            report.rows += try PeerScript.audioop(script: audioopScript, plan: plan).run()
        }
        Terminal.endProgress()
        report.rows += merged
        try print(report, earlier)
        if let svg { try write(Chart(report).svg, to: svg) }
    }

    private func plan() throws -> BenchPlan {
        let parts = rates.split(separator: ",", omittingEmptySubsequences: false)
        let rates = try parts.map { part in
            guard let rates = BenchPlan.Rates(part) else {
                throw ValidationError(
                    "--rates takes pairs like 8000:16000,16000:8000, of 4000 to 192000 Hz in steps of 50; \"\(part)\" is none"
                )
            }
            return rates
        }
        let plan = BenchPlan(
            only: only, rates: rates, seconds: options.seconds, rounds: options.rounds, sileroModel: sileroModel)
        let unknown = plan.unknownWords.filter { !withAudioop || !Self.audioop.contains($0.lowercased()) }
        if !unknown.isEmpty {
            let names = BenchPlan().cases.reduce(into: [String]()) { if !$0.contains($1.name) { $0.append($1.name) } }
            throw ValidationError(
                "--only: nothing is called \(unknown.joined(separator: ", ")); there are resamplers, codecs, vad, "
                    + names.joined(separator: ", "))
        }
        return plan
    }

    private func print(_ report: BenchReport, _ earlier: BenchReport?) throws {
        let comparison = earlier.map { Comparison(report, with: $0, tolerance: tolerance / 100) }
        for warning in comparison?.warnings ?? [] { Terminal.note("warning: \(warning)") }
        switch options.format {
        case .json: Terminal.result(try report.json)
        case .text, .markdown:
            Terminal.result(report.tables(options.format.style, comparison: comparison) + "\n")
            Terminal.result(report.summary)
        }
        guard let comparison else { return }
        let worse = comparison.worse.map { line in
            let ratio =
                line.losses.contains("slower") ? line.ratio.map { String(format: " (%.2f times)", $0) } ?? "" : ""
            return "  \(line.row.name) \(line.row.path): \(line.losses.joined(separator: ", "))\(ratio)"
        }
        Terminal.note(
            worse.isEmpty
                ? "nothing got worse than in \(compare ?? "") (times by more than \(String(format: "%g", tolerance)) %)"
                : "worse than in \(compare ?? ""):\n" + worse.joined(separator: "\n"))
        if only.isEmpty, !comparison.missing.isEmpty {
            Terminal.note(
                "not measured now: " + comparison.missing.map { "\($0.name) \($0.path)" }.joined(separator: ", "))
        }
    }
}

struct BenchPipeline: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pipeline", abstract: "What each stage of a pipeline costs and delays, both ways.",
        discussion: """
            EXAMPLES
              patchbay bench pipeline Pipelines/demo.json
              patchbay bench pipeline Pipelines/demo.json --format json | jq .legs

            Synthetic speech goes in as the carrier and the agent would send it, and
            what leaves a stage enters the next. Nothing is dialled and no agent is
            called: secrets need not be set. Sockets and messages are not in the times.
            """)

    @Argument(help: "A pipeline file.") var file: String
    @OptionGroup var options: BenchOptions
    @Option(
        name: .customLong("env-file"),
        help: "File with settings, one NAME=value a line. (default: .env, if there is one)")
    var envFile: String?

    func run() async throws {
        let environment: ServerEnvironment
        do {
            environment = try ServerEnvironment(file: envFile)
        } catch {
            throw ValidationError("\(error)")
        }
        let (set, diagnostics) = PipelineSet.load(
            file, registry: try .standard(), environment: environment.variables,
            options: LoadOptions(checkEnvironment: false))
        if !diagnostics.isEmpty { Terminal.note(diagnostics.page) }
        guard let set, let document = set.documents.first else { throw ExitCode.badDocument }
        if set.documents.count > 1 {
            throw ValidationError("\(file) holds \(set.documents.count) pipelines; name one file")
        }
        options.warnOfDebugBuild()
        let plan = try document.plan(
            for: CallVariables(from: "+15550100001", to: "+15550100002", sid: "CA"),
            variables: document.numbers.first?.variables ?? [:])
        let report = try PipelineBench(plan, seconds: options.seconds, rounds: options.rounds).run {
            Terminal.progress($0)
        }
        Terminal.endProgress()
        switch options.format {
        case .json:
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            Terminal.result(String(decoding: try encoder.encode(report), as: UTF8.self))
        case .text, .markdown:
            Terminal.result("\(report.pipeline)  (\(report.file))\n\n\(report.table(options.format.style))\n")
            Terminal.result(report.summary)
        }
    }
}

private func write(_ text: String, to file: String) throws {
    do {
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
    } catch {
        throw CommandFailure(description: "cannot write \(file): \(error.localizedDescription)")
    }
}
