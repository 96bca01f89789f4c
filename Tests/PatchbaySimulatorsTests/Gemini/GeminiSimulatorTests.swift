import PatchbayCore
import PatchbayTransports
import PatchbayWire
import Testing

@testable import PatchbaySimulators

@Suite struct GeminiSimulatorTests {
    private static let script = SimulatedAgentScript(
        greeting: "Hello there", replies: ["First reply", "Second reply"], transcripts: ["I have a question"])

    private func model(_ change: (inout GeminiSimulatedModel) -> Void = { _ in }) -> GeminiSimulatedModel {
        var model = GeminiSimulatedModel(script: Self.script)
        change(&model)
        return model
    }

    @Test func greetsWhenAskedHearsAndReplies() {
        var call = GeminiCall(model(), firstMessage: "Say hello")
        call.beSilent(milliseconds: 1_500)
        #expect(call.texts(of: .agent) == "Hello there" && call.heardMilliseconds == 1_000)
        call.speak(milliseconds: 800)
        call.beSilent(milliseconds: 3_000)
        #expect(call.texts(of: .caller) == "I have a question")
        #expect(call.texts(of: .agent) == "Hello there|First reply" && call.heardMilliseconds == 2_000)
        #expect(call.turnEnds == 2 && call.interruptions == 0 && call.faults == 0 && call.failure == nil)
    }

    @Test func waitsForTheCallerWithoutFirstWords() {
        var call = GeminiCall(model())
        call.beSilent(milliseconds: 30_000)
        #expect(call.heardMilliseconds == 0 && call.failure == nil)
    }

    @Test(arguments: [false, true]) func theCallerInterrupts(bundles: Bool) {
        var call = GeminiCall(model { $0.faults.bundlesMembers = bundles }, firstMessage: "Say hello")
        // All of it has been sent, and it is still being played.
        call.beSilent(milliseconds: 600)
        call.speak(milliseconds: 500)
        call.beSilent(milliseconds: 2_500)
        #expect(call.interruptions == 1)
        #expect(call.texts(of: .agent).hasSuffix("First reply"))
        #expect(call.service.statistics.interruptions == 1)
    }

    @Test func aTurnThatWeCutIsNotHeardToItsEnd() {
        var call = GeminiCall(
            model {
                $0.timing.pace = 1
                $0.timing.chunk = .milliseconds(100)
            }, firstMessage: "Say hello")
        call.beSilent(milliseconds: 600)
        let heard = call.heardMilliseconds
        call.frame(
            .interruption(
                Interruption(generation: 1, cause: "", heard: Heard(text: "Hello", duration: .zero, isComplete: false)))
        )
        call.beSilent(milliseconds: 2_000)
        #expect(call.heardMilliseconds == heard)
        #expect(call.service.statistics.interruptions == 1, "words in writing stop the model")
    }

    @Test func functionsAreCalledAndTheirAnswersSpoken() throws {
        var call = GeminiCall(
            model { $0.script.tools = [.init("weather", parameters: #"{"city":"Rome"}"#)] },
            tools: [ToolDefinition("weather", description: "")])
        call.speak(milliseconds: 800)
        call.beSilent(milliseconds: 1_500)
        let tool = try #require(call.toolCalls.first)
        #expect(tool.name == "weather" && tool.arguments == #"{"city":"Rome"}"#)
        call.answer(tool, "sunny")
        call.speechMade()
        call.beSilent(milliseconds: 2_000)
        #expect(call.texts(of: .agent) == "The answer is: sunny")
        #expect(call.service.statistics.toolResponses.map(\.response) == [#"{"output":"sunny"}"#])
    }

    @Test func functionsAreCancelledWhenTheCallerGoesOn() throws {
        var call = GeminiCall(model { $0.script.tools = [.init("weather")] })
        call.speak(milliseconds: 800)
        call.beSilent(milliseconds: 1_500)
        call.speak(milliseconds: 800)
        call.beSilent(milliseconds: 2_500)
        #expect(call.cancellations == 1)
        #expect(call.texts(of: .agent) == "First reply")
    }

    @Test func turnsThatThePipelineFindsAreAnswered() {
        var call = GeminiCall(model()) { $0.turnDetection = .none }
        call.beSilent(milliseconds: 1_000)
        call.frame(.speechStarted)
        call.speak(milliseconds: 500)
        call.frame(.speechStopped)
        call.beSilent(milliseconds: 2_000)
        #expect(call.texts(of: .agent) == "First reply")
        // 500 ms from before, and what was said.
        #expect(call.service.statistics.userAudioBytes == 32 * 1_000)
    }

    @Test func aPauseOfTheLineEndsTheCallersTurn() {
        var call = GeminiCall(model())
        call.speak(milliseconds: 800)
        call.advance(milliseconds: 3_000)
        #expect(call.texts(of: .agent) == "First reply")
        #expect(call.service.statistics.messages.contains(.audioStreamEnd))
    }

    // MARK: Going away

    @Test func nobodyNoticesThatTheServerGoesAway() {
        var call = GeminiCall(
            model {
                $0.timing.goAwayAfter = .seconds(4)
                $0.timing.goAwayTimeLeft = .seconds(5)
            }, firstMessage: "Say hello")
        call.beSilent(milliseconds: 3_500)
        for _ in 0..<6 {
            call.speak(milliseconds: 800)
            call.beSilent(milliseconds: 3_200)
        }
        #expect(call.reconnections >= 3 && call.failure == nil)
        #expect(call.turnEnds == 7 && call.heardMilliseconds == 7_000)
        let replies = ["First reply", "Second reply"]
        let expected = ["Hello there"] + (0..<6).map { replies[$0 % 2] }
        #expect(call.texts(of: .agent) == expected.joined(separator: "|"), "every turn was answered, and in its order")
        #expect(call.finished.dropFirst().allSatisfy { $0.isResumed })
        #expect(call.service.statistics.isResumed && call.interruptions == 0)
    }

    @Test func theCallerMaySpeakWhileTheOtherSocketIsOpened() {
        var call = GeminiCall(
            model {
                $0.timing.goAwayAfter = .seconds(3)
                $0.timing.goAwayTimeLeft = .seconds(5)
            })
        call.dialling = .milliseconds(1_500)
        // The line has to have been silent for a moment.
        call.beSilent(milliseconds: 3_700)
        #expect(call.reconnections == 1)
        call.speak(milliseconds: 800)
        call.beSilent(milliseconds: 3_500)
        #expect(call.texts(of: .caller) == "I have a question" && call.texts(of: .agent) == "First reply")
    }

    @Test func aLostConnectionGoesOn() {
        var call = GeminiCall(
            model { $0.faults.connection.closeWith = .init(code: 1006, after: .milliseconds(2_500)) },
            firstMessage: "Say hello")
        call.beSilent(milliseconds: 4_000)
        call.speak(milliseconds: 800)
        call.beSilent(milliseconds: 3_000)
        #expect(call.reconnections == 1 && call.failure == nil)
        #expect(call.texts(of: .agent) == "Hello there|First reply", "without another greeting")
    }

    @Test func withoutHandlesItEndsWhenTheTimeIsUp() {
        var call = GeminiCall(
            model {
                $0.timing.goAwayAfter = .seconds(2)
                $0.timing.goAwayTimeLeft = .seconds(3)
                $0.faults.isNotResumable = true
            })
        call.beSilent(milliseconds: 6_000)
        #expect(call.reconnections == 0 && call.failure?.code == .agentFailed && call.failure?.isRetryable == true)
    }

    @Test func aForgottenHandleEndsTheConversation() {
        var call = GeminiCall(
            model {
                $0.timing.goAwayAfter = .seconds(2)
                $0.faults.forgetsHandles = true
            })
        call.beSilent(milliseconds: 4_000)
        #expect(call.reconnections == 1 && call.failure?.isRetryable == true)
    }

    // MARK: Refusals

    @Test(arguments: [
        ("quota", PipelineError.Code.agentQuota), ("model", .agentUnknown), ("thinking", .agentSettingRefused),
    ])
    func refusals(what: String, code: PipelineError.Code) {
        let refusing = model {
            if what == "quota" { $0.faults.hasNoQuota = true }
            if what == "model" { $0.name = "another" }
        }
        let call = GeminiCall(refusing) { if what == "thinking" { $0.responseModalities = ["TEXT"] } }
        #expect(call.failure?.code == code && call.failure?.isRetryable == false)
    }

    @Test func aStallIsNoticed() {
        var call = GeminiCall(
            model { $0.faults.connection.stallAfter = .milliseconds(1_500) }, firstMessage: "Say hello")
        call.beSilent(milliseconds: 1_400)
        call.frame(.userTurnStarted)
        call.speak(milliseconds: 800)
        call.frame(.userTurnEnded(TurnEnd(.silence)))
        call.beSilent(milliseconds: 20_500)
        #expect(call.failure?.code == .agentTimeout)
    }

    @Test func nonsenseIsCountedAndTheConversationGoesOn() {
        var call = GeminiCall(model { $0.faults.malformedJSON = true }, firstMessage: "Say hello")
        call.beSilent(milliseconds: 2_000)
        #expect(call.faults == 1 && call.heardMilliseconds == 1_000 && call.failure == nil)
    }

    // MARK: Options

    @Test func optionsAreChecked() throws {
        var options = GeminiSimulatorOptions()
        options.goAwayAfter = 20
        options.models = ["a", "b"]
        let configuration = try options.configuration()
        #expect(configuration.models.map(\.name) == ["a", "b"])
        #expect(configuration.models[0].timing.goAwayAfter == .seconds(20))
        options.goAwayAfter = -1
        options.toolParameters = "[]"
        options.toolAfterTurn = 0
        do throws(SimulatorOptionFault) {
            _ = try options.configuration()
            Issue.record("nothing was objected to")
        } catch {
            #expect(error.problems.count == 3)
        }
    }
}
