import Foundation
import NIOCore
import Patchbay
import PatchbayTesting
import Testing

/// Pipelines that are written in Swift.
@Suite struct BuilderTests {
    private let key = "sk-very-secret-0123456789"

    private func desk(_ name: String = "desk", _ numbers: [NumberClaim] = ["+15551234567"]) throws -> PipelineDocument {
        try PipelineDocument(
            name, description: "The front desk", numbers: numbers, variables: ["language": "en"],
            transport: TwilioTransport(), latencyBudgetMs: 60
        ) {
            Decoder()
            Resampler().with("rateHz", 16000)
            VAD()
            Agents {
                ElevenLabsAgent().with("agentId", "agent_1").with("apiKey", Secret(key)).with("language", "${language}")
                    .with("dynamicVariables", ["guest": "${call.from}", "vip": true, "floor": 3])
                EchoAgent()
            }
            Resampler().with("rateHz", 8000)
            Encoder()
        }
    }

    private func load(_ text: String) throws -> PipelineDocument {
        let (set, findings) = PipelineSet.load(
            sources: [SourceText(file: "desk.json", text)], registry: try .standard(), environment: ["KEY": key])
        return try #require(set?.documents.first, "\(findings.rendered())")
    }

    @Test func aPipelineInSwiftIsTheOneOfTheFile() throws {
        let file = try load(
            """
            {"name": "desk", "description": "The front desk", "numbers": ["+15551234567"], "variables": {"language": "en"},
             "transport": "twilio", "latencyBudgetMs": 60, "stages": ["decoder", {"type": "resampler", "rateHz": 16000}, "vad",
              {"type": "agent", "backends": [{"type": "elevenlabs", "agentId": "agent_1", "apiKey": {"env": "KEY"},
                "language": "${language}", "dynamicVariables": {"guest": "${call.from}", "vip": true, "floor": 3}}, "echo"]},
              {"type": "resampler", "rateHz": 8000}, "encoder"]}
            """)
        let call = CallVariables(from: "+1666", to: "+15551234567", sid: "CA1")
        let (one, other) = (try desk().plan(for: call), try file.plan(for: call))
        #expect(describe(one) == describe(other))
        #expect(try desk().summary == file.summary && desk().latencyBudgetMs == 60)
        let vendor = try #require(one.backends.first?.settings)
        #expect(vendor.secret("apiKey") == Secret(key) && vendor.string("language") == "en")
        #expect(vendor.variables("dynamicVariables") == ["guest": "+1666", "vip": true, "floor": 3])
        #expect(try desk().file == "PatchbayTests/BuilderTests.swift")
        #expect(try desk().version == desk().version && desk().version != desk("other").version)
        #expect(!String(describing: try desk()).contains(key))
    }

    private func describe(_ plan: PipelinePlan) -> [String] {
        let stages = (plan.stagesBefore + plan.stagesAfter).map { stage in
            "\(stage.place ?? "-") \(stage.component.spec.type) \(stage.input) \(stage.output) \(stage.settings.integer("rateHz") ?? 0)"
        }
        return stages + plan.backends.map { $0.component.spec.type } + [
            "\(plan.agentFormat)", plan.transport.component.spec.type,
        ]
    }

    @Test func everyMistakeIsReportedAtOnceWithItsPlace() throws {
        let invalid = #expect(throws: InvalidPipeline.self) {
            _ = try PipelineDocument("front desk", numbers: ["555"], transport: TwilioTransport().with("speed", 2)) {
                Decoder().with("law", "a")
                Resampler().with("rateHz", 7)
                Gain().with("gainDb", "6")
                Gain()
                Agents {
                    ElevenLabsAgent().with("agentId", "${nobody}").with("apiKey", "xi-0123456789")
                    ElevenLabsAgent().with("apiKey", Secret(""))
                }
                Resampler().with("rateHz", Secret("x")).with("qualty", "high")
            }
        }
        let findings = try #require(invalid).findings
        let seen = findings.map { "\($0.place): \($0.message) [\($0.code)]" }
        let expected = [
            #": the name "front desk" is not made of 1 to 64 letters"#, #"numbers.555: "555" is no number"#,
            #"transport (twilio): transport "twilio" has no field "speed""#,
            #"stages[0] (decoder): stage "decoder" has no field "law""#,
            #"stages[1] (resampler): "rateHz" is 7; allowed 8000 to 48000 (hertz)"#,
            #"stages[2] (gain): "gainDb" is a string; it must be a number from -60 to 40"#,
            #"stages[3] (gain): stage "gain" needs "gainDb"; add "gainDb": 6"#,
            #"stages[4].backends[0] (elevenlabs): there is no variable "nobody""#,
            #"stages[4].backends[0] (elevenlabs): agent "elevenlabs" has its secret "apiKey" in clear text; give it as Secret(…)"#,
            #"stages[4].backends[1] (elevenlabs): agent "elevenlabs" needs "apiKey": the secret is empty"#,
            #"stages[5] (resampler): stage "resampler" has no field "qualty"; did you mean"#,
            #"stages[5] (resampler): "rateHz" is an object; it must be a whole number"#,
        ]
        for words in expected {
            #expect(
                seen.contains { $0.hasPrefix(words) || ($0.hasPrefix("name") && $0.contains(words)) },
                "\(words)\namong\n\(seen.joined(separator: "\n"))")
        }
        #expect(findings.count == expected.count, "\(seen.joined(separator: "\n"))")
        #expect(invalid?.description.hasPrefix(#"pipeline "front desk", "#) == true)
    }

    @Test func jointsThatDoNotFitAreNamedByTheirPlaces() throws {
        let invalid = #expect(throws: InvalidPipeline.self) {
            _ = try PipelineDocument(
                "wide", transport: TwilioTransport(), registry: .init(transports: [], stages: [], agents: [])
            ) {
                Decoder()
                EchoAgent()
                Gain().with("gainDb", 3)
            }
        }
        let finding = try #require(invalid?.findings.first)
        #expect(finding.code.description == "format-mismatch" && finding.place == "stages[2] (gain)")
        #expect(!finding.message.contains(" line "), "\(finding.message)")
    }

    @Test func decisionsAndLoopsAreMadeWhenThePipelineIs() throws {
        func pipeline(denoised: Bool, gains: [Double]) throws -> [String] {
            try PipelineDocument("loops", transport: TwilioTransport()) {
                Decoder()
                if denoised { Denoiser() }
                for gain in gains { Gain().with("gainDb", gain) }
                if gains.isEmpty { EchoAgent() } else { ScriptAgent(speech: .init()).with("say", Self.sound) }
                Encoder()
            }.plan(for: CallVariables()).stagesBefore.map(\.component.spec.type)
        }
        #expect(try pipeline(denoised: false, gains: []) == ["decoder"])
        #expect(try pipeline(denoised: true, gains: [1, 2]) == ["decoder", "denoiser", "gain", "gain"])
    }

    private static let sound = "Pipelines/audio/caller-thanks.wav"

    @Test func stagesOfOneNameKeepTheirOwnCode() throws {
        let document = try PipelineDocument("twice", transport: TwilioTransport()) {
            Decoder()
            Transform("change", taking: .linear) { Halved() }
            Transform("change", taking: .linear) { format in
                #expect(format == .pcm(8000))
                return Shifted()
            }
            Transform("echo") { Halved() }
            EchoAgent()
            Encoder()
        }
        let plan = try document.plan(for: CallVariables())
        #expect(plan.stagesBefore.map(\.component.spec.type) == ["decoder", "change", "change", "echo"])
        var chain = Chain(.toAgent, try Array(plan.stagesBefore.dropFirst()).makeStages())
        var payload = ByteBuffer()
        for sample in [1000, -1000] as [Int16] { payload.writeInteger(sample, endianness: .little) }
        try chain.send(.audio(AudioFrame(payload, format: .pcm(8000))), at: .zero)
        var frames: [Frame] = []
        chain.takeExits(into: &frames)
        guard case .audio(var audio)? = frames.first else {
            Issue.record("no audio came out")
            return
        }
        #expect(audio.payload.readInteger(endianness: .little, as: Int16.self) == 253)
        #expect(audio.payload.readInteger(endianness: .little, as: Int16.self) == -247)
    }

    @Test func aTransformTakesWhatItSays() throws {
        func plan(_ input: Transform.Input) throws -> PipelinePlan {
            try PipelineDocument("takes", transport: TwilioTransport()) {
                Transform("picky", taking: input) { Halved() }
                EchoAgent()
            }.plan(for: CallVariables())
        }
        #expect(try plan(.anything).stagesBefore.map(\.input) == [.telephony])
        #expect(try plan(.format(.telephony)).stagesBefore.map(\.output) == [.telephony])
        #expect(try plan(.linear).stagesBefore.map(\.isInserted) == [true, false], "a decoder appears before it")
        #expect(throws: InvalidPipeline.self) {
            try plan(.format(AudioFormat(.pcm16, sampleRate: 8000, channelCount: 2)))
        }
    }

    @Test func sideChainsAndChoicesHoldPipelinesToo() throws {
        let document = try PipelineDocument(
            "choices", numbers: [NumberClaim("+15550100004", ["language": "de"])], variables: ["language": "en"],
            transport: TwilioTransport()
        ) {
            Tee { VAD() }
            Switch(on: "key") {
                for key in ["1", "2"] { Case(key) { Transform("key \(key)", taking: .linear) { Halved() } } }
                Otherwise { Mute() }
            }
            Switch(on: "${language}") {
                Case("de") { ScriptAgent().with("say", Self.sound).with("silenceSeconds", 5) }
                Otherwise { EchoAgent() }
            }
        }
        let set = try PipelineSet(documents: [document])
        let german = try #require(set.route("+15550100004")).plan(for: CallVariables())
        #expect(german.backends.map(\.component.spec.type) == ["script"])
        #expect(german.backends.first?.settings.integer("silenceSeconds") == 5)
        #expect(try document.plan(for: CallVariables()).backends.map(\.component.spec.type) == ["echo"])
        let structures = german.stagesBefore.filter { !$0.branches.isEmpty }
        #expect(structures.map(\.component.spec.type) == ["tee", "switch"])
        #expect(structures.last?.branches.map(\.label) == ["1", "2", "otherwise"])
        #expect(structures.last?.branches.first?.stages.last?.component.spec.type == "key 1")
        let invalid = #expect(throws: InvalidPipeline.self) {
            _ = try PipelineDocument("wrong", transport: TwilioTransport()) {
                Switch(on: "key") {
                    Case("1") { Gain().with("gainDb", 99) }
                    Case("eleven") { Mute() }
                }
                Tee { Resampler() }
                Agents {}
            }
        }
        let places = try #require(invalid).findings.map(\.place)
        #expect(places.contains("stages[0].cases.1[0] (gain)") && places.contains("stages[0] (switch)"), "\(places)")
        #expect(places.contains("stages[1].stages[0] (resampler)") && places.contains("stages[2] (agent)"), "\(places)")
    }

    @Test func rulesAreThoseOfDocuments() throws {
        func answering(_ rules: [SettingValue]) throws -> PipelineDocument {
            try PipelineDocument("front", numbers: ["+15550100005"], rules: rules, transport: TwilioTransport()) {
                EchoAgent()
            }
        }
        let front = try answering([
            ["callers": ["+4930*"], "say": "We do not answer Berlin."],
            ["outside": ["timeZone": "Europe/Berlin", "dates": ["2026-12-25": []]], "pipeline": "night"],
        ])
        let night = try PipelineDocument("night", transport: TwilioTransport()) { EchoAgent() }
        let set = try PipelineSet(documents: [front, night])
        guard case .say(let words, _, _)? = set.decide("+15550100005", from: "+493012", at: Date()) else {
            Issue.record("the first rule did not decide")
            return
        }
        #expect(words == "We do not answer Berlin.")
        guard case .pipeline(let route, _)? = set.decide("+15550100005", from: "+1", at: Date()) else {
            Issue.record("no pipeline answers")
            return
        }
        #expect(route.document.name == "night")
        #expect(throws: InvalidPipeline.self) { try PipelineSet(documents: [front]) }
        let invalid = #expect(throws: InvalidPipeline.self) {
            try answering([["callers": "+1", "pipeline": "x", "say": "y"]])
        }
        #expect(
            try #require(invalid).findings.allSatisfy { $0.place.hasPrefix("when[0]") }, "\(invalid?.findings ?? [])")
    }

    @Test func limitsAndMessagesAreCheckedAsInDocuments() throws {
        func made(_ limits: CallLimits, _ messages: Messages = Messages()) throws -> PipelineDocument {
            try PipelineDocument("a", transport: TwilioTransport(), messages: messages, limits: limits) { EchoAgent() }
        }
        var limits = CallLimits()
        limits.lead = .milliseconds(450)
        limits.agentReady = .milliseconds(500)
        #expect(try made(limits).limits.agentReady == .milliseconds(500))
        #expect(try made(limits, Messages([.busy: "Later."])).messages[.busy] == "Later.")
        limits.lead = .seconds(10)
        let invalid = #expect(throws: InvalidPipeline.self) { try made(limits) }
        #expect(invalid?.findings.map(\.code.description) == ["out-of-range"])
    }

    @Test func aWholeCallRunsOnTheVirtualClock() throws {
        let document = try PipelineDocument("soft", numbers: ["*"], transport: FileTransport()) {
            EchoAgent()
            Transform("halved", taking: .linear) { Halved() }
        }
        let route = try #require(try PipelineSet(documents: [document]).route("+4930"))
        let plan = try CallParts(route.plan(for: CallVariables(to: "+4930")))
            .makePlan(CallInfo(id: "1", callSid: "CA1", from: "", to: "+4930", pipeline: "soft"))
        let said = Tone(700, level: -12).samples(count: 8000, sampleRate: 8000)
        var call = try FileCall(plan, FileLine(said, format: .pcm(8000), callSid: "CA1", patience: .milliseconds(400)))
        #expect(call.run().kind == .callerHungUp)
        let heard = Array(call.line.sound.agent.dropFirst(1000).prefix(4000))
        #expect(abs(Tone.level(of: 700, in: heard, sampleRate: 8000) + 18) < 0.2)
    }

    @Test func numbersBringTheirVariablesAndASetRefusesTwoClaims() throws {
        let salon = try PipelineDocument(
            "salon", numbers: [NumberClaim("+15550100003", ["agentId": "agent_spa"]), "+4930*"],
            variables: ["agentId": "agent_desk"], transport: TwilioTransport()
        ) {
            ElevenLabsAgent().with("agentId", "${agentId}")
        }
        let set = try PipelineSet(documents: [salon, try desk()])
        func agent(_ number: String) throws -> String? {
            try set.route(number)?.plan(for: CallVariables()).backends.first?.settings.string("agentId")
        }
        #expect(try agent("+15550100003") == "agent_spa")
        #expect(try agent("+493012345") == "agent_desk")
        #expect(try agent("+15551234567") == "agent_1")
        #expect(try agent("+1999") == nil)
        let invalid = #expect(throws: InvalidPipeline.self) {
            _ = try PipelineSet(documents: [salon, try desk("salon", ["+4930*"])])
        }
        #expect(try #require(invalid).findings.map(\.code.description) == ["duplicate-name", "duplicate-number"])
    }

    @Test func anAuthorsComponentsJoinTheStandardOnes() throws {
        let registry = try ComponentRegistry.standard().adding(transports: [IntercomTransport()])
        #expect(registry.specs(named: "intercom").map(\.kind) == [.transport] && registry.stage("vad") != nil)
        #expect(throws: PipelineError.self) { try registry.adding(transports: [IntercomTransport()]) }
        let (set, findings) = PipelineSet.load(
            sources: [SourceText(file: "door.json", #"{"name": "door", "transport": "intercom", "stages": ["echo"]}"#)],
            registry: registry, environment: [:])
        #expect(set?.document(named: "door") != nil, "\(findings.rendered())")
    }
}

/// A little higher.
private struct Shifted: Processor {
    mutating func receive(_ frame: Frame, at now: MediaTime, into output: inout FrameOutput) throws(PipelineError) {
        guard case .audio(var audio) = frame else { return output.emit(frame) }
        var shifted = ByteBuffer()
        while let sample: Int16 = audio.payload.readInteger(endianness: .little) {
            shifted.writeInteger(sample + 6, endianness: .little)
        }
        audio.payload = shifted
        output.emit(.audio(audio))
    }
}
