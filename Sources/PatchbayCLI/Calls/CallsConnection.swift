import ArgumentParser
import Foundation

/// Options of the commands that ask about calls.
struct CallsConnection: ParsableArguments {
    @OptionGroup var connection: ServerConnection
    @Option(help: "Path of the server's calls, as its server.json has it.") var path = "/calls"

    func validate() throws {
        guard path.hasPrefix("/") else { throw ValidationError("--path is \"\(path)\"; it begins with /") }
    }

    /// The path of one call.
    func path(of call: String) -> String { "\(path)/\(call.pathPart)" }
}

extension String {
    /// The text on one line that cannot move a terminal's cursor: agents and carriers wrote it.
    var plainLine: String {
        var line = ""
        for scalar in unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator: line += " "
            case .format: break
            default: line.unicodeScalars.append(scalar)
            }
        }
        return line
    }

    /// As a part of a path.
    var pathPart: String {
        addingPercentEncoding(withAllowedCharacters: CharacterSet(charactersIn: "-._~").union(.alphanumerics)) ?? self
    }
}
