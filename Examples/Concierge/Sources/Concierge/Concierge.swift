import Hotel
import Logging
import Patchbay

/// `concierge [PORT]`: the hotel's service.
@main
enum Concierge {
    static func main() async throws {
        let services = try Hotel.services(
            port: CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 8080, folder: "Pipelines",
            environment: try ServerEnvironment(), logger: Logger(label: "concierge"))
        try await services.run()
    }
}
