import PatchbayConfig
import PatchbayCore

/// Why calls end, as test files write it.
enum EndReasons {
    private static let kinds: [EndReason.Kind] = [
        .callerHungUp, .streamLost, .agentHungUp, .transferred, .operatorHungUp, .idle, .maximumDuration, .shutdown,
        .noStream,
        .answeredByRule, .failure,
    ]
    static let all = kinds.map(\.rawValue)
}

/// The reading of what is expected.
extension ScenarioReader {
    private static let subjects = [
        "agent", "toneHz", "agentSays", "callerSays", "callerHeard", "interrupted", "sent", "sentToCarrier",
        "toolCalled",
        "ends", "backend", "pipeline", "said", "ledger", "recording",
    ]
    private static let bounds = ["after", "before", "fromMs", "withinMs", "times"]

    mutating func expectation(_ settings: Settings, _ path: Path) -> Expectation? {
        guard let key = theOne(Self.subjects, of: path, what: "an expectation"),
            var subject = subject(key, settings, path)
        else { return nil }
        var times = settings.integer("times")
        if case .interrupted = subject, settings.bool("interrupted") == false {
            if times != nil { report(.notAllowed, path + ["times"], "\"interrupted\": false says how often: never") }
            times = 0
        }
        var isSound = true
        func event(_ key: String, _ reader: inout Self) -> EventName? {
            guard let text = settings.string(key) else { return nil }
            let event = reader.event(text, path + [.key(key)])
            isSound = isSound && event != nil
            return event
        }
        let after = event("after", &self), before = event("before", &self)
        guard isSound else { return nil }
        if let words = settings.string("reason") {
            if case .ended(let kind, _) = subject {
                subject = .ended(kind, detail: words)
            } else {
                report(.notAllowed, path + ["reason"], "only \"ends\" has a reason")
            }
        }
        if settings.json("with") != nil, key != "toolCalled" {
            report(.notAllowed, path + ["with"], "only \"toolCalled\" has arguments")
        }
        let from = milliseconds(settings, "fromMs"), within = milliseconds(settings, "withinMs")
        if let from, let within, from > within {
            report(.outOfRange, path + ["withinMs"], "the window ends before it begins")
        }
        checkBounds(key, settings, path)
        return Expectation(
            subject: subject, after: after, before: before, from: from, within: within, times: times,
            place: place(path))
    }

    /// Bounds that would have no effect are mistakes.
    private mutating func checkBounds(_ key: String, _ settings: Settings, _ path: Path) {
        let isWritten = { (name: String) -> Bool in
            name == "after" || name == "before" ? settings.string(name) != nil : settings.integer(name) != nil
        }
        let idle: [String] =
            switch key {
            case "pipeline", "said", "recording": Self.bounds
            case "ledger": ["before", "withinMs", "times"]
            case "agent" where settings.string("agent") == "silent": ["times"]
            case "ends": ["times"]
            default: []
            }
        for name in idle where isWritten(name) {
            report(.notAllowed, path + [.key(name)], "\"\(name)\" says nothing about \"\(key)\"")
        }
    }

    private mutating func subject(_ key: String, _ settings: Settings, _ path: Path) -> Expectation.Subject? {
        let text = settings.string(key) ?? ""
        if ["agentSays", "callerSays", "callerHeard", "said", "backend", "pipeline", "toolCalled"].contains(key),
            text.isEmpty
        {
            report(.notAllowed, path + [.key(key)], "\"\(key)\" is empty")
        }
        switch key {
        case "agent":
            switch text {
            case "speaks": return .agentSpeaks
            case "stops": return .agentStops
            default: return .agentSilent
            }
        case "toneHz":
            return .tone(frequency: settings.number("toneHz") ?? 440, level: settings.number("levelDBFS") ?? -40)
        case "agentSays": return .agentSays(text)
        case "callerSays": return .callerSays(text)
        case "callerHeard": return .callerHeard(text)
        case "interrupted": return .interrupted
        case "sent": return pattern(settings, key, path).map { .sent($0) }
        case "sentToCarrier": return pattern(settings, key, path).map { .sentToCarrier($0) }
        case "toolCalled":
            guard settings.json("with") != nil else { return .toolCalled(text, nil) }
            return pattern(settings, "with", path).map { .toolCalled(text, $0) }
        case "ends": return EndReason.Kind(rawValue: text).map { .ended($0, detail: nil) }
        case "backend": return .backend(text)
        case "pipeline": return .pipeline(text)
        case "said": return .said(text)
        case "ledger": return ledger(settings, path + ["ledger"])
        case "recording":
            guard let recording = settings.object("recording") else { return nil }
            let from = recording.integer("fromMs") ?? 0, to = recording.integer("toMs") ?? 0
            guard from <= to else {
                report(.outOfRange, path + ["recording"], "\"toMs\" is smaller than \"fromMs\"")
                return nil
            }
            return .recording(from...to)
        default: return nil
        }
    }

    private mutating func pattern(_ settings: Settings, _ key: String, _ path: Path) -> MessagePattern? {
        if let pattern = MessagePattern(settings.json(key) ?? "") { return pattern }
        report(.wrongType, path + [.key(key)], "\"\(key)\" is an object with the members that a message must have")
        return nil
    }

    private mutating func ledger(_ settings: Settings, _ path: Path) -> Expectation.Subject? {
        guard let ledger = settings.object("ledger") else { return nil }
        func range(_ name: String, _ reader: inout Self) -> ClosedRange<Int>? {
            let from = ledger.integer("\(name)FromMs"), to = ledger.integer("\(name)ToMs")
            guard from != nil || to != nil else { return nil }
            guard from ?? 0 <= to ?? .max else {
                reader.report(.outOfRange, path, "\"\(name)ToMs\" is smaller than \"\(name)FromMs\"")
                return nil
            }
            return (from ?? 0)...(to ?? 86_400_000)
        }
        let played = range("played", &self), unplayed = range("unplayed", &self)
        if played == nil, unplayed == nil, diagnostics.isEmpty {
            report(.missingField, path, "\"ledger\" says nothing", .init("add \"playedFromMs\" or \"playedToMs\""))
        }
        return .ledger(played: played, unplayed: unplayed)
    }
}
