import ArgumentParser
import Patchbay
import PatchbayScenarios

struct TestCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test",
        abstract: "Runs the calls of *.test.json files on a clock of their own, and checks what comes of them.",
        discussion: """
            EXAMPLES
              patchbay test
              patchbay test Pipelines/demo.test.json --filter interrupts
              patchbay test --record logs/20261224T103000Z-call-1x.wire.jsonl --output Pipelines/rush.test.json
              patchbay test --format json | jq '.[] | select(.passed | not) | .name'

            --record makes a test of a call that patchbay serve --wire-log has written down, and runs it.
            A minute of call takes some milliseconds. No network, no account: vendors are played by the test.
            Exit code 0 when all pass, 1 when one fails or none ran, 78 when a file has errors.
            """)

    @Argument(help: "Files, or folders with *.test.json. (default: Pipelines)") var paths: [String] = []
    @Option(help: "Only tests whose name contains this.") var filter = ""
    @Option(help: "A file of a wire log to make a test of.") var record: String?
    @Option(help: "The test to write, ending in .test.json. (default: recorded.test.json)") var output: String?
    @Option(help: "The pipeline to test. (default: the one that the log names)") var pipeline: String?
    @Flag(help: "Overwrite the files that --record writes, if they are there.") var force = false
    @Option(help: "text or json") var format = OutputFormat.text

    func validate() throws {
        guard let record else {
            if output != nil || pipeline != nil || force {
                throw ValidationError("--output, --pipeline and --force go with --record")
            }
            return
        }
        if !paths.isEmpty { throw ValidationError("--record \(record) makes a test of its own; name no other file") }
        if let output {
            guard output.hasSuffix(ScenarioFile.suffix) else {
                throw ValidationError("--output is \"\(output)\"; it ends in \(ScenarioFile.suffix)")
            }
            try OutputFile.check(output, option: "--output")
        }
    }

    func run() async throws {
        let paths = try recorded() ?? self.paths
        try await runTests(paths)
    }

    /// Makes a test of a wire log; `nil` when none is named.
    private func recorded() throws -> [String]? {
        guard let record else { return nil }
        let output = output ?? "recorded\(ScenarioFile.suffix)"
        do {
            let call = try RecordedCall(path: record)
            for gap in call.gaps { Terminal.note("the log is not complete: \(gap)") }
            let files = try ScenarioRecorder(call).write(to: output, pipeline: pipeline, overwrites: force)
            Terminal.note("written: \(files.joined(separator: ", "))")
        } catch let diagnostic as Diagnostic where diagnostic.code == .notAllowed {
            throw CommandFailure(description: "\(diagnostic.file) is there already; --force overwrites it")
        } catch let diagnostic as Diagnostic {
            Terminal.note([diagnostic].page)
            throw ExitCode.badDocument
        }
        return [output]
    }

    private func runTests(_ paths: [String]) async throws {
        let paths = paths.isEmpty ? ["Pipelines"] : paths
        var (files, diagnostics) = ScenarioFile.files(in: paths)
        var runner = ScenarioRunner(registry: try .standard())
        let style = ReportStyle(colour: Terminal.hasColourInResults)
        var results: [ScenarioResult] = []
        var known: Set<Diagnostic> = []
        for path in files {
            let (file, findings) = ScenarioFile.load(path: path)
            diagnostics += findings
            guard let file else { continue }
            let (new, faults) = runner.run(file, filter: filter)
            // Files that test one folder's pipelines find the same in them.
            diagnostics += faults.filter { known.insert($0).inserted }
            results += new
            guard format == .text, !new.isEmpty else { continue }
            Terminal.result("\(path)")
            for result in new { Terminal.result(result.text(style: style)) }
        }
        if !diagnostics.isEmpty { Terminal.note(diagnostics.page) }
        switch format {
        case .json: Terminal.result(try results.json)
        case .text:
            if files.isEmpty, !diagnostics.hasErrors {
                Terminal.note("no *.test.json in \(paths.joined(separator: ", "))")
            } else if results.isEmpty, !filter.isEmpty {
                Terminal.note("no test has \"\(filter)\" in its name")
            }
            Terminal.result(results.summary)
        }
        if diagnostics.hasErrors { throw ExitCode.badDocument }
        // A mistaken path or a test that was renamed must not pass for success.
        if results.isEmpty || results.contains(where: { !$0.isPassed }) { throw ExitCode(1) }
    }
}
