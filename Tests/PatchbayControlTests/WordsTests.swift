import Foundation
import Patchbay
import PatchbayWire
import Testing

@testable import PatchbayControl

/// What the carrier's own voice says, and in which language.
@Suite struct WordsTests {
    private static let server = """
        {"messages": {"language": "de-DE", "voice": "Polly.Vicki", "unknownNumber": "Kein \\"Anschluss\\" & <Ende>"}}
        """

    private static func form(_ to: String, _ sid: String, from: String = "+15550100099") -> FormFields {
        FormFields(["CallSid": sid, "From": from, "To": to, "CallStatus": "ringing"])
    }

    @Test func aTextGoesWithTheLanguageOfItsLevel() {
        let german = CarrierVoice(language: "de-DE", voice: "Polly.Vicki")
        let server = Messages([.failure: "Fehler", .busy: "Besetzt"], voice: german)
        let plain = Messages([.failure: "Defekt"])
        let french = Messages([.failure: "Erreur"], voice: CarrierVoice(language: "fr-FR"))
        #expect(Words(plain, server)[.failure] == Spoken("Defekt", german), "a pipeline goes by the server's language")
        // A French text is not said by a German voice.
        #expect(Words(french, server)[.failure] == Spoken("Erreur", CarrierVoice(language: "fr-FR")))
        #expect(Words(french, server)[.busy] == Spoken("Besetzt", german))
        #expect(Words(french, server).saying("Bonjour") == Spoken("Bonjour", CarrierVoice(language: "fr-FR")))
        #expect(Words(plain, server).saying("Hallo") == Spoken("Hallo", german))
        // Our own words are English, whatever the others are in.
        #expect(Words(plain, server)[.draining].voice == CarrierVoice())
        #expect(Words()[.unknownNumber] == Spoken("This number is not in service."))
    }

    @Test func theCarrierIsToldTheLanguage() async throws {
        let document = """
            {"name": "line", "numbers": ["+15550100001"], "transport": "twilio", "stages": ["echo"],
             "when": [{"callers": ["anonymous"], "say": "Bitte mit Nummer."}]}
            """
        try await TestServer.run(document, settings: Self.server) { (server: TestServer) async throws in
            let unknown = try await server.webhook("/twilio/voice", Self.form("+15550100002", "CA1"))
            #expect(
                unknown.body.contains(
                    #"<Say language="de-DE" voice="Polly.Vicki">Kein "Anschluss" &amp; &lt;Ende&gt;</Say><Hangup />"#))
            let rule = try await server.webhook(
                "/twilio/voice", Self.form("+15550100001", "CA2", from: "anonymous"))
            #expect(rule.body.contains(#"<Say language="de-DE" voice="Polly.Vicki">Bitte mit Nummer.</Say>"#))
            let failure = try await server.webhook("/twilio/error", Self.form("+15550100001", "CA3"))
            #expect(
                failure.body.contains("<Say>We encountered an error. Please try again later.</Say>"),
                "our own words stay where none are set")
        }
    }

    @Test func whatATransportSaysIsCheckedToo() throws {
        let text = """
            {"name": "line", "numbers": ["+15550100001"], "stages": ["echo"],
             "transport": {"type": "twilio", "say": "Hallo", "language": "german", "voice": "Vicki"}}
            """
        let (_, findings) = PipelineSet.load(
            sources: [SourceText(file: "line.json", text)], registry: try .standard(), environment: [:])
        #expect(findings.filter { $0.code == .notAllowed }.count == 2)
        #expect(findings.rendered().contains(#""german" is no language tag (BCP 47)"#))
    }
}
