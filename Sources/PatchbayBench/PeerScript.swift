import Foundation

/// Runs a program that measures something which is not a library, and prints a table of the same shape.
public struct PeerScript {
    private let command: [String]

    /// - Parameter command: The program and its arguments; looked for in the `PATH`.
    public init(_ command: [String]) { self.command = command }

    /// Python's `audioop.ratecv` by the project's script.
    public static func audioop(script: String, plan: BenchPlan) -> PeerScript {
        let rates = plan.rates.map { "\($0.from):\($0.to)" }.joined(separator: ",")
        return PeerScript([
            "python3", script, "--rates", rates, "--seconds", "\(plan.seconds)", "--rounds", "\(plan.rounds)",
        ])
    }

    /// Waits for it to end. What it says on its standard error is shown to the user.
    ///
    /// - Throws: ``StoredReportError`` when it cannot be started, fails, or prints something else.
    public func run() throws(StoredReportError) -> [BenchRow] {
        let name = command.joined(separator: " ")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        let output = Pipe()
        process.standardOutput = output
        let data: Data
        do {
            try process.run()
            data = try output.fileHandleForReading.readToEnd() ?? Data()
        } catch {
            throw StoredReportError("cannot run \(name): \(error.localizedDescription)")
        }
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw StoredReportError("\(name) ended with code \(process.terminationStatus)")
        }
        return try BenchReport(data, from: name).rows
    }
}
