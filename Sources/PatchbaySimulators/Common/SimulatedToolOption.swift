import Foundation

extension SimulatedAgentScript.Tool {
    /// Reads `--tool`, `--tool-parameters` and `--tool-after`: each tool is a name, or a name with arguments of its own,
    /// `book={"day": "Monday"}`.
    ///
    /// - Parameters:
    ///   - parameters: The arguments of those that have none of their own.
    ///   - earliest: The first turn at which a tool can be called.
    static func read(
        _ options: [String], parameters: String, afterTurn: Int, earliest: Int = 1, _ check: inout SimulatorOptionCheck
    ) -> [Self] {
        if !isObject(parameters) {
            check.fail("--tool-parameters \(parameters.prefix(60)): a JSON object is needed, such as {\"id\": 1}")
        }
        if afterTurn < earliest {
            check.fail(
                "--tool-after \(afterTurn): turns count from 1" + (earliest == 0 ? "; 0 calls at once" : ""))
        }
        return options.map { option in
            let parts = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let own = parts.count > 1 ? parts[1] : nil
            if parts[0].isEmpty { check.fail("--tool \(option.prefix(60)): the name of a tool is needed") }
            if let own, !isObject(own) {
                check.fail("--tool \(option.prefix(60)): a JSON object is needed behind \"=\", such as {\"id\": 1}")
            }
            return Self(parts[0], parameters: own ?? parameters, afterTurn: afterTurn)
        }
    }

    private static func isObject(_ text: String) -> Bool {
        (try? JSONSerialization.jsonObject(with: Data(text.utf8))) is [String: Any]
    }
}
