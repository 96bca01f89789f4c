import ArgumentParser
import AsyncHTTPClient
import Patchbay
import PatchbaySimulators
import UnixSignals

struct SimulateTwilio: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "twilio",
        abstract: "Twilio's REST API for calls, with telephones that ring, answer and speak.",
        discussion: """
            EXAMPLES
              patchbay simulate twilio
              patchbay simulate twilio --busy +15550100003 --machine '+1555020*' --answer-after 2000
              patchbay simulate twilio --fail-with 20429 --fail-times 1

            Point a server at it with TWILIO_BASE_URL=http://127.0.0.1:9100 and the same account sid and token; any Twilio
            client library works with it as well. It fetches the TwiML, streams audio, and sends signed reports.
            """)

    @Option(help: "Address to listen on.") var host = "127.0.0.1"
    @Option(help: "Port to listen on; 0 takes any free one.") var port = 9100
    @Option(help: "The account. (default: TWILIO_ACCOUNT_SID, or AC and 32 zeros)") var accountSid: String?
    @Option(help: "Its auth token. (default: TWILIO_AUTH_TOKEN)") var authToken: String?
    @Option(help: "A number of the account; may be repeated. (default: any)") var number: [String] = []
    @Option(help: "Milliseconds before a telephone rings.") var ringAfter = 50
    @Option(help: "Milliseconds that it rings before somebody answers.") var answerAfter = 300
    @Option(help: "Milliseconds after the answer until a machine is told from a person.") var machineAfter = 500
    @Option(help: "WAV files that the person says, one after each answer.") var audio: [String] = []
    @Option(help: "Seconds after which the person hangs up.") var hangUpAfter = 60
    @Option(help: "Numbers that are busy: +1555… or the beginning and a star; may be repeated.") var busy: [String] = []
    @Option(help: "Numbers where nobody answers; may be repeated.") var noAnswer: [String] = []
    @Option(help: "Numbers that cannot be connected; may be repeated.") var failed: [String] = []
    @Option(help: "Numbers where a machine answers; may be repeated.") var machine: [String] = []
    @Flag(help: "Send every report of a call twice.") var repeatCallbacks = false
    @Option(help: "Refuse orders with this error of Twilio's, for instance 21211.") var failWith: Int?
    @Option(help: "Orders that the faults meet; 0 for all.") var failTimes = 0
    @Option(help: "Seconds before an order is answered; it is dialled at once.") var slow: Double?
    @Flag(help: "Close the connection instead of answering an order; it is dialled.") var dropAnswer = false
    @Flag(help: "Close the connection instead of answering an order; it is not dialled.") var loseOrder = false
    @Option(help: "PEM file of authorities to trust.") var caFile: String?
    @Option(name: .customLong("env-file"), help: "File with settings. (default: .env, if there is one)") var envFile:
        String?

    func run() async throws {
        try await HTTPClient.withPromptClient { try await simulate(with: $0) }
    }

    private func simulate(with httpClient: HTTPClient) async throws {
        let environment = try await ServerEnvironment.read(envFile).options
        guard let token = authToken ?? environment.twilioAuthToken?.reveal() else {
            throw ValidationError("there is no auth token: pass --auth-token, or set TWILIO_AUTH_TOKEN")
        }
        let account = accountSid ?? environment.twilioAccountSid ?? "AC" + String(repeating: "0", count: 32)
        var options = TwilioSimulatorOptions(accountSid: account, authToken: token)
        (options.host, options.port, options.numbers) = (host, port, number)
        (options.ringAfter, options.answerAfter, options.machineAfter) = (ringAfter, answerAfter, machineAfter)
        (options.hangUpAfter, options.repeatsCallbacks) = (hangUpAfter, repeatCallbacks)
        (options.busy, options.noAnswer, options.failed, options.machine) = (busy, noAnswer, failed, machine)
        (options.faults.code, options.faults.count, options.faults.slow) = (failWith, failTimes, slow)
        (options.faults.dropsAnswer, options.faults.losesOrder) = (dropAnswer, loseOrder)
        options.steps = try audio.map { PhoneStep(.afterPause(milliseconds: 600), .speak(try CallCommand.spoken($0))) }
        let tls = try WebSocketTLS.makeContext(caFile: caFile)
        let simulator: TwilioSimulator
        do {
            simulator = try TwilioSimulator(options, httpClient: httpClient, tls: tls) { Terminal.note($0) }
        } catch {
            throw ValidationError(error.description)
        }
        let address = try await simulator.start()
        Terminal.result("listening on \(address.ipAddress ?? "?"):\(address.port ?? 0)")
        for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) { break }
        await simulator.stop()
        Terminal.note("\(await simulator.dialled) calls dialled")
    }
}
