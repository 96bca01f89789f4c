import Logging
import Patchbay
import Testing

/// Tools of a service that embeds Patchbay.
@Suite struct ToolTests {
    @Test func aPipelineInSwiftHasFunctionsAsTools() async throws {
        let book = try Tool(
            "book_room", description: "Books a room. Ask for the day and the number of guests first.",
            parameters: [
                "type": "object",
                "properties": [
                    "day": ["type": "string", "format": "date"], "guests": ["type": "integer", "minimum": 1],
                ],
                "required": ["day", "guests"],
            ]
        ) { arguments, call in
            guard let guests = arguments.integer("guests"), guests <= 4 else {
                throw ToolFailure("Rooms have four beds at most.")
            }
            return "Room \(100 + guests) is booked for \(call.info.from)."
        }
        let document = try PipelineDocument("desk", tools: [book], transport: TwilioTransport()) { EchoAgent() }

        let plan = try document.plan(for: CallVariables())
        let tools = try CallParts(plan).toolRunner(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        #expect(tools.definitions == [book.definition])
        let info = CallInfo(id: "c", callSid: "CA1", from: "+1", to: "+2", pipeline: "desk")
        func answer(_ arguments: String) async -> String {
            await tools.run(ToolCall(id: "1", name: "book_room", arguments: arguments), for: info).output
        }
        #expect(await answer(#"{"day": "2026-01-31", "guests": 2}"#) == "Room 102 is booked for +1.")
        #expect(await answer(#"{"day": "2026-01-31", "guests": 5}"#) == "Rooms have four beds at most.")
        #expect(await answer(#"{"guests": 0}"#).contains("\"day\" is missing"))
        #expect(throws: InvalidPipeline.self) {
            try PipelineDocument("desk", tools: [book, book], transport: TwilioTransport()) { EchoAgent() }
        }
    }
}
