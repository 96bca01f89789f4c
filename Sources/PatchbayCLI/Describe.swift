import ArgumentParser
import Foundation
import Glibc
import Patchbay
import PatchbayScenarios

struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists everything that pipeline files can name.",
        discussion: """
            EXAMPLES
              patchbay list
              patchbay list --format json
            """)

    @Option(help: "text or json") var format = OutputFormat.text

    func run() throws {
        let registry = try ComponentRegistry.standard()
        switch format {
        case .json: Terminal.result(registry.json.text())
        case .text: Terminal.print(registry.list(width: Terminal.width, with: [.test]))
        }
    }
}

struct Describe: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints the settings of a component, or the keys of a file: types, ranges, defaults.",
        discussion: """
            EXAMPLES
              patchbay describe resampler
              patchbay describe elevenlabs --format json
              patchbay describe pipeline     the keys of a pipeline; also: when, fragment, server, test
            """)

    @Argument(help: "A name that `patchbay list` prints.") var name: String
    @Option(help: "text or json") var format = OutputFormat.text

    func run() throws {
        let registry = try ComponentRegistry.standard()
        let pages = registry.pages(named: name) + [SpecPage.test].filter { $0.name == name }
        guard !pages.isEmpty else {
            let known = registry.pageNames + [SpecPage.test.name]
            let hint = closestMatch(to: name, in: known).map { "did you mean \"\($0)\"? " } ?? ""
            throw ValidationError("there is nothing called \"\(name)\"; \(hint)known: \(known.joined(separator: ", "))")
        }
        switch format {
        case .json: Terminal.result((pages.count == 1 ? pages[0].json : .array(pages.map(\.json))).text())
        case .text: Terminal.print(pages.map { $0.text(width: Terminal.width) }.joined(separator: "\n"))
        }
    }
}

extension SpecPage {
    static let testSummary = "A file *.test.json: calls of a pipeline, and what must come of them."
    static let test = SpecPage(document: "test", summary: testSummary, fields: ScenarioFile.fields)
}

extension Terminal {
    /// Columns of the terminal that results go to; 100 where they go elsewhere.
    static var width: Int {
        var size = winsize()
        guard isatty(STDOUT_FILENO) == 1, ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col >= 20 else {
            return 100
        }
        return Int(size.ws_col)
    }

    /// Colour for results, only where a person looks, and never against their wish (https://no-color.org).
    static let hasColourInResults =
        isatty(STDOUT_FILENO) == 1 && ProcessInfo.processInfo.environment["NO_COLOR"] == nil

    /// A result that ends in a line feed of its own.
    static func print(_ text: String) { result(text.hasSuffix("\n") ? String(text.dropLast()) : text) }
}

extension String {
    func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
