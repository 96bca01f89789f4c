import ArgumentParser
import Foundation
import FrontDesk
import Logging
import Patchbay

/// `frontdesk`: the service, its backend alone, and data to try it with.
@main
struct FrontDeskCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "frontdesk",
        abstract: "Appointments for a clinic and for salons, by telephone: a service that embeds Patchbay.",
        discussion: """
            EXAMPLES
              frontdesk seed --data Data
              BACKEND_TOKEN=choose-one frontdesk backend --data Data --port 8090
              frontdesk serve Pipelines/salons --data Data --port 8080 --env-file Pipelines/salons/.env
            """,
        subcommands: [Serve.self, Backend.self, Plant.self])
}

/// What all commands are told.
struct Place: ParsableArguments {
    @Option(help: "Folder of the data.") var data = "Data"
    @Option(help: "File with settings as NAME=value. (default: .env, if there is one)") var envFile: String?
    @Option(help: "trace, debug, info, notice, warning, error or critical") var logLevel = "info"

    func service() async throws -> FrontDeskService {
        guard let level = Logger.Level(rawValue: logLevel) else {
            throw ValidationError("--log-level is \"\(logLevel)\"; see --help for what it may be")
        }
        var logger = Logger(label: "frontdesk") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = level
        return try FrontDeskService(
            directory: data, environment: try ServerEnvironment(file: envFile), logger: logger)
    }
}

struct Port: ParsableArguments {
    @Option(help: "Address to listen on.") var host = "127.0.0.1"
    @Option(help: "Port to listen on; 0 takes any free one.") var port = 8080

    func validate() throws {
        guard (0...65535).contains(port) else { throw ValidationError("--port is \(port); allowed are 0 to 65535") }
    }

    /// For those who wait for it: people, scripts and tests.
    var announce: @Sendable (Int) -> Void {
        { [host] port in FileHandle.standardError.write(Data("frontdesk listens on \(host):\(port)\n".utf8)) }
    }

    /// Runs what listens there; a port that is taken is told in words.
    func serving(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch {
            guard let failure = StartFailure(error, listeningOn: host, port: port) else { throw error }
            throw failure
        }
    }
}

struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Answers calls and the HTTP API, on one port.",
        discussion: """
            EXAMPLES
              frontdesk serve Pipelines/salons --port 8080 --data Data

            Settings are those of `patchbay serve`, and BACKEND_TOKEN and TOOL_SECRET for the HTTP API. SIGHUP reads the
            pipelines again, SIGTERM lets running calls finish.
            """)

    @Argument(help: "Folder with pipelines.") var pipelines: String
    @OptionGroup var port: Port
    @OptionGroup var place: Place

    func run() async throws {
        try await port.serving {
            try await place.service()
                .telephone(pipelines, host: port.host, port: port.port, started: port.announce).run()
        }
    }
}

struct Backend: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The HTTP API alone, for `patchbay serve` or an agent vendor to ask.",
        discussion: """
            EXAMPLES
              BACKEND_TOKEN=choose-one frontdesk backend --port 8090 --data Data
            """)

    @OptionGroup var port: Port
    @OptionGroup var place: Place

    func run() async throws {
        try await port.serving {
            try await place.service().backend(host: port.host, port: port.port, started: port.announce).run()
        }
    }
}

struct Plant: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "seed", abstract: "Puts an invented clinic and two invented salons in; what is there stays.",
        discussion: """
            EXAMPLES
              frontdesk seed --data Data
            """)

    @OptionGroup var place: Place

    func run() async throws {
        try await place.service().seed()
        print("\(place.data) has clinic, salon-north and salon-south")
    }
}
