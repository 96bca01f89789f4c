import ArgumentParser
import Patchbay

struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists every component that pipeline files can name.",
        discussion: """
            EXAMPLES
              patchbay list
              patchbay list --format json
            """)

    @Option(help: "text or json") var format = OutputFormat.text

    func run() throws {
        let registry = try ComponentRegistry.standard()
        switch format {
        case .json: Terminal.result(registry.json)
        case .text:
            for kind in ComponentKind.allCases {
                Terminal.result("\(kind.rawValue)s")
                for spec in registry.specs where spec.kind == kind {
                    Terminal.result("  \(spec.type.padded(to: 14)) \(spec.summary)")
                }
            }
        }
    }
}

struct Describe: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints a component's settings with types, ranges and defaults.",
        discussion: """
            EXAMPLES
              patchbay describe resampler
              patchbay describe elevenlabs --format json
            """)

    @Argument(help: "The component's type, as `patchbay list` prints it.") var type: String
    @Option(help: "text or json") var format = OutputFormat.text

    func run() throws {
        let registry = try ComponentRegistry.standard()
        let specs = registry.specs(named: type)
        guard !specs.isEmpty else {
            let known = registry.specs.map(\.type)
            let hint = closestMatch(to: type, in: known).map { "did you mean \"\($0)\"? " } ?? ""
            throw ValidationError("there is no component \"\(type)\"; \(hint)known: \(known.joined(separator: ", "))")
        }
        for spec in specs { Terminal.result(format == .json ? spec.json : spec.table) }
    }
}
