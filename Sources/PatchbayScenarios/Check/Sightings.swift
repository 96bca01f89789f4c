import Foundation
import NIOCore
import PatchbayAudio
import PatchbayCore

/// Finds in a call what an expectation looks for.
enum Sightings {
    /// A tone is looked for in pieces of this many samples: 60 ms, a resolution of 17 Hz.
    private static let block = 480
    /// A tone has at least this part of the sound's energy; two at once, as keys are, have half each.
    private static let share = 0.3

    static func of(
        _ subject: Expectation.Subject, in trace: ScenarioTrace, _ window: ClosedRange<TimeSpan>
    ) -> [Sighting] {
        switch subject {
        case .agentSpeaks: trace.agent.stretches.map { Sighting(time: $0.start, detail: "") }
        case .agentStops: trace.agent.stretches.map { Sighting(time: $0.end, detail: "") }
        case .tone(let frequency, let level): tones(frequency, level, in: trace.agent)
        case .agentSays(let text): words(trace.words, .agent, text)
        case .callerSays(let text): words(trace.words, .caller, text)
        case .callerHeard(let text): words(trace.heard, .agent, text)
        case .interrupted: entries(trace, .interrupted)
        case .backend(let type): entries(trace, .agentReady).filter { $0.detail == type }
        case .sent(let pattern): messages(trace.sent, pattern)
        case .sentToCarrier(let pattern): messages(trace.sentToCarrier, pattern)
        case .toolCalled(let tool, let pattern):
            trace.toolCalls.filter { $0.names.contains(tool) && pattern?.matches($0.arguments) ?? true }
                .map { Sighting(time: $0.time, detail: $0.arguments) }
        case .ended(let kind, let detail): end(trace, kind, detail)
        case .agentSilent, .pipeline, .said, .ledger, .recording: []
        }
    }

    private static func entries(_ trace: ScenarioTrace, _ event: EventName) -> [Sighting] {
        trace.times(of: event).map { Sighting(time: $0.time, detail: $0.detail) }
    }

    private static func words(
        _ words: [ScenarioTrace.Words], _ speaker: TextFrame.Speaker, _ text: String
    ) -> [Sighting] {
        words.filter { $0.speaker == speaker && $0.text.contains(text) }.map { Sighting(time: $0.time, detail: "") }
    }

    private static func messages(_ messages: [ScenarioTrace.Message], _ pattern: MessagePattern) -> [Sighting] {
        let token = pattern.token.map { Array($0.utf8) }
        return messages.filter { message in
            // Most messages are audio; reading every one of an hour would take longer than the call.
            if let token, !contains(message.payload, token) { return false }
            return pattern.matches(String(buffer: message.payload))
        }.map { Sighting(time: $0.time, detail: "") }
    }

    private static func contains(_ payload: ByteBuffer, _ token: [UInt8]) -> Bool {
        payload.withUnsafeReadableBytes { bytes in
            guard let first = token.first, bytes.count >= token.count else { return false }
            return (0...bytes.count - token.count).contains { start in
                bytes[start] == first && bytes[start..<start + token.count].elementsEqual(token)
            }
        }
    }

    private static func end(_ trace: ScenarioTrace, _ kind: EndReason.Kind, _ detail: String?) -> [Sighting] {
        guard let end = trace.end, end.kind == kind, detail.map({ end.detail.contains($0) }) ?? true else { return [] }
        return [Sighting(time: trace.duration, detail: end.description)]
    }

    // MARK: Tones

    private static func tones(_ frequency: Double, _ level: Double, in track: SoundTrack) -> [Sighting] {
        var sightings: [Sighting] = []
        var wasHeard = false
        for stretch in track.stretches {
            for start in blocks(of: stretch) {
                let samples = Array(track.samples[start..<min(start + block, track.samples.count)])
                let isHeard = isTone(frequency, level, in: samples)
                if isHeard, !wasHeard { sightings.append(Sighting(time: time(start), detail: "")) }
                wasHeard = isHeard
            }
        }
        return sightings
    }

    private static func blocks(of stretch: SoundTrack.Stretch) -> StrideTo<Int> {
        let rate = Int64(SoundTrack.sampleRate)
        let start = Int(stretch.start.milliseconds * rate / 1000), end = Int(stretch.end.milliseconds * rate / 1000)
        return stride(from: start, to: max(start + 1, end - block + 1), by: block / 2)
    }

    private static func time(_ sample: Int) -> TimeSpan {
        .milliseconds(Int64(sample * 1000 / SoundTrack.sampleRate))
    }

    private static func isTone(_ frequency: Double, _ level: Double, in samples: [Int16]) -> Bool {
        let heard = Tone.level(of: frequency, in: samples, sampleRate: SoundTrack.sampleRate)
        guard heard >= level, !samples.isEmpty else { return false }
        let energy = samples.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(samples.count)
        let amplitude = 32767 * pow(10, heard / 20)
        return amplitude * amplitude / 2 >= share * energy
    }

    /// The loudest other tone of a window, for the words of a failure.
    static func strongestTone(
        beside wanted: Double, in trace: ScenarioTrace, _ window: ClosedRange<TimeSpan>
    ) -> String {
        let inside = trace.agent.stretches.first { $0.start < window.upperBound && $0.end > window.lowerBound }
        guard let inside else { return "; nothing was heard there" }
        let samples = Array(
            trace.agent.samples(from: max(inside.start, window.lowerBound), to: min(inside.end, window.upperBound))
                .prefix(4 * block))
        let frequencies = Array(stride(from: 60.0, through: 3800, by: 10))
        let strongest = Tone.strongest(of: frequencies, in: samples, sampleRate: SoundTrack.sampleRate)
        return strongest.map { "; strongest there: \(Int($0)) Hz" } ?? ""
    }
}
