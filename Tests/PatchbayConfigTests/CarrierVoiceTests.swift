import Foundation
import Testing

@testable import PatchbayConfig

@Suite struct CarrierVoiceTests {
    private static let languages: [(String, Bool)] = [
        ("de-DE", true), ("en", true), ("cmn-Hans-CN", true), ("es-419", true), ("arb", true), ("en-gb", true),
        ("sl-rozaj-biske-1994-x", true), ("", false), ("d", false), ("german", false), ("de_DE", false), ("de-", false),
        ("-DE", false), ("de--DE", false), ("de-abcdefghi", false), ("12-DE", false), ("de-DE-a-b-c-d", false),
        ("de-ÄÖ", false), ("de-DE\"", false), ("de DE", false),
    ]
    private static let voices: [(String, Bool)] = [
        ("man", true), ("woman", true), ("alice", true), ("Polly.Vicki", true), ("Polly.Vicki-Neural", true),
        ("Google.de-DE-Chirp3-HD-Aoede", true), ("Google.en-US-Standard-A", true), ("", false), ("Vicki", false),
        ("Polly.", false), ("Polly", false), ("polly.Vicki", false), ("Polly.Vi cki", false), ("Azure.Katja", false),
        ("Polly.Vicki.Neural", false), ("Polly.\(String(repeating: "x", count: 65))", false), ("\"man", false),
    ]

    /// The lint and the schema have to agree.
    @Test func theFormsOfLanguagesAndVoices() throws {
        for (text, isRight) in Self.languages {
            #expect(CarrierVoice(language: text).problems.isEmpty == isRight, "\(text)")
            #expect(
                (text.range(of: CarrierVoice.languagePattern, options: .regularExpression) != nil) == isRight, "\(text)"
            )
        }
        for (text, isRight) in Self.voices {
            #expect(CarrierVoice(voice: text).problems.isEmpty == isRight, "\(text)")
            #expect(
                (text.range(of: CarrierVoice.voicePattern, options: .regularExpression) != nil) == isRight, "\(text)")
        }
        #expect(CarrierVoice(language: "${language}", voice: "${voice}").problems.isEmpty, "known with the call only")
    }
}
