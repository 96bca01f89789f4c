import Logging
import PatchbayConfig
import PatchbayTransports
import PatchbayWire

/// What a stream carries because its pipeline says so.
struct StreamParameters: Sendable {
    private(set) var list: [TwiML.Stream.Parameter] = []

    init() {}

    /// Those that are longer than the carrier takes are left out: a call is worth more than its parameters.
    init(_ settings: Settings, _ logger: Logger) {
        for (name, value) in settings.variables("parameters").sorted(by: { $0.key < $1.key }) {
            let value = value.description
            guard name.unicodeScalars.count + value.unicodeScalars.count < TwilioTransport.maximumParameterLength else {
                logger.warning("a parameter of the stream is too long and left out", metadata: ["name": "\(name)"])
                continue
            }
            list.append(TwiML.Stream.Parameter(name: name, value: value))
        }
    }
}
