public import PatchbayAudio

/// Who spoke when in a call, read off what both sides really said and heard.
public struct CallTimeline: Sendable {
    public enum Side: String, Sendable { case caller, agent }

    /// A stretch of speech, in milliseconds since the stream began.
    public struct Segment: Sendable, Equatable {
        public var side: Side
        public var start: Int
        public var end: Int
    }

    /// Pauses shorter than this belong to the speech around them, in milliseconds.
    static let gap = 400
    /// Sounds shorter than this are no speech, in milliseconds.
    static let minimum = 80
    /// Peak of a packet that counts as sound, of 32,768.
    static let threshold = 400

    public private(set) var segments: [Segment]
    /// Length of the call in milliseconds.
    public let duration: Int
    /// The first sound of the agent, in milliseconds since the stream began.
    public let timeToFirstAudio: Int?
    /// From the end of each thing the caller said to the beginning of the answer, in milliseconds.
    public private(set) var responseLatencies: [Int] = []
    /// From the moment the caller began to speak over the agent to the agent's silence, in milliseconds.
    public private(set) var interruptionLatencies: [Int] = []

    public init(_ line: PhoneLine) {
        self.init(
            caller: line.sent.map(G711.decodeMulaw), agent: line.heard.map(G711.decodeMulaw), sampleRate: 8000)
    }

    /// - Parameter sampleRate: In Hz. What is no whole 20 ms at the end is not looked at.
    public init(caller: [Int16], agent: [Int16], sampleRate: Int) {
        let packet = max(1, sampleRate / 50)
        duration = caller.count / packet * 20
        let caller = Self.segments(.caller, caller, packet), agent = Self.segments(.agent, agent, packet)
        segments = (caller + agent).sorted { ($0.start, $0.end) < ($1.start, $1.end) }
        timeToFirstAudio = agent.first?.start
        for said in caller {
            if let cut = agent.first(where: { $0.start < said.start && $0.end > said.start }) {
                interruptionLatencies.append(cut.end - said.start)
            }
            let next = caller.first { $0.start > said.end }?.start ?? .max
            if let answer = agent.first(where: { $0.start >= said.end && $0.start < next }) {
                responseLatencies.append(answer.start - said.end)
            }
        }
    }

    private static func segments(_ side: Side, _ audio: [Int16], _ size: Int) -> [Segment] {
        var segments: [Segment] = []
        for packet in 0..<audio.count / size {
            let samples = audio[packet * size..<(packet + 1) * size]
            guard samples.contains(where: { abs(Int($0)) > threshold }) else { continue }
            let start = packet * 20
            if let last = segments.last, start - last.end <= gap {
                segments[segments.count - 1].end = start + 20
            } else {
                segments.append(Segment(side: side, start: start, end: start + 20))
            }
        }
        return segments.filter { $0.end - $0.start >= minimum }
    }
}

extension PhoneLine {
    /// The call as stereo sound, caller left, agent right, both as they were at the caller's ear.
    public var recording: WAVFile {
        var samples: [Int16] = []
        samples.reserveCapacity(sent.count * 2)
        for (left, right) in zip(sent, heard) {
            samples.append(G711.decodeMulaw(left))
            samples.append(G711.decodeMulaw(right))
        }
        return WAVFile(samples: samples, sampleRate: 8000, channelCount: 2)
    }
}
