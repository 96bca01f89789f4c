import Testing

@testable import PatchbayCore

@Suite struct AgentTranscriptTests {
    /// 2 s of sound for 18 characters.
    private func transcript(_ marks: [(characters: Int, span: TimeSpan)] = []) -> AgentTranscript {
        var transcript = AgentTranscript()
        transcript.textCame("one two three four")
        for (characters, span) in marks { transcript.spoken(characters, in: span) }
        transcript.audioCame(.seconds(2))
        transcript.turnCame()
        transcript.audioTaken(.seconds(2))
        return transcript
    }

    private func words(_ transcript: AgentTranscript, _ milliseconds: Int64) -> String {
        transcript.words(in: .milliseconds(milliseconds))
    }

    @Test func withoutMarksATextIsSpokenEvenly() {
        let even = transcript()
        #expect(
            words(even, 1000) == "one two" && words(even, 1400) == "one two" && words(even, 1500) == "one two three")
        #expect(words(even, 1980) == "one two three four")
    }

    @Test func marksSayWhatWasSpokenWhen() {
        // "one" takes a second and a half; the rest follows fast.
        let slow = transcript([(3, .milliseconds(1500))])
        #expect(words(slow, 1400) == "" && words(slow, 1500) == "one" && words(slow, 1700) == "one two")
        #expect(words(slow, 2000) == "one two three four")
        // All of it is said in half a second; then there is silence.
        let fast = transcript([(18, .milliseconds(500))])
        #expect(words(fast, 250) == "one two" && words(fast, 600) == "one two three four")
    }

    @Test func marksFollowEachOtherOverMessages() {
        var transcript = AgentTranscript()
        transcript.textCame("one two three four")
        for characters in [3, 4, 6, 5] {
            transcript.spoken(characters, in: .milliseconds(400))
            transcript.audioCame(.milliseconds(500))
        }
        #expect(
            words(transcript, 400) == "one" && words(transcript, 899) == "one" && words(transcript, 900) == "one two")
        #expect(words(transcript, 1400) == "one two three")
    }

    @Test func marksThatCannotBeAreIgnored() {
        for marks in [[(0, TimeSpan.milliseconds(10))], [(-4, .milliseconds(10))], [(3, .zero)], [(3, .seconds(-1))]] {
            #expect(words(transcript(marks), 1000) == "one two")
        }
        let tooMany = transcript([(.max, .milliseconds(100)), (.max, .milliseconds(200))])
        #expect(words(tooMany, 1000) == "one two three four")
        var none = AgentTranscript()
        none.spoken(5, in: .seconds(1))
        none.textCame("one two")
        none.audioCame(.seconds(1))
        #expect(none.words(in: .milliseconds(2000)) == "one two")
    }
}
