import PatchbayConfig
import PatchbayWire

/// Words that the carrier's own voice says.
struct Spoken: Sendable, Hashable {
    var text: String
    var voice: CarrierVoice

    init(_ text: String, _ voice: CarrierVoice = CarrierVoice()) {
        self.text = text
        self.voice = voice
    }

    var verb: TwiML.Verb { .say(text, voice: voice.voice, language: voice.language) }
}

/// What callers hear when something is in the way: the document's words, else the server's, else ours.
struct Words: Sendable {
    private let levels: [Messages]

    init(_ levels: Messages...) { self.levels = levels }

    subscript(key: Messages.Key) -> Spoken {
        for (index, level) in levels.enumerated() {
            if let text = level[key] { return Spoken(text, voice(from: index)) }
        }
        return switch key {
        case .unknownNumber: Spoken("This number is not in service.")
        case .notConfigured: Spoken("Our AI assistant is temporarily unavailable.")
        case .missingAgent: Spoken("Our AI assistant is not properly configured.")
        case .failure: Spoken("We encountered an error. Please try again later.")
        case .draining: Spoken("We cannot take your call at the moment. Please call again in a few minutes.")
        case .busy: Spoken("All our lines are busy. Please call again in a few minutes.")
        }
    }

    /// A text of the first level that stands elsewhere: what a rule says, what a machine is told.
    func saying(_ text: String) -> Spoken { Spoken(text, voice(from: 0)) }

    /// Language and voice are taken together: those of two levels may not fit each other.
    private func voice(from index: Int) -> CarrierVoice {
        levels[index...].lazy.map(\.voice).first { $0 != CarrierVoice() } ?? CarrierVoice()
    }
}
