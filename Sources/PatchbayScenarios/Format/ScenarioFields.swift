import PatchbayConfig

/// The keys of a `*.test.json`.
enum ScenarioFields {
    private static let time = [
        Field("atMs", .integer(-120_000...86_400_000), "Begins at this time of the stream, in milliseconds."),
        Field(
            "after", .string, example: "\"agent stops\"",
            "Begins after this event: the next one, or the numbered one of the call (\"agent stops 2\")."),
        Field("plusMs", .integer(0...3_600_000), "And so much later, in milliseconds."),
    ]
    private static let name = Field(
        "as", .string, example: "\"question\"",
        "A name, for \"after\": \"question begins\" and \"question ends\" are events then.")

    static let callerStep =
        [
            name,
            Field("say", .string, example: "\"audio/question.wav\"", "What the caller says: a WAV file, or a text."),
            Field(
                "tone",
                .object([
                    Field("frequencyHz", .number(50...3900), isRequired: true, example: "440", "In hertz."),
                    Field("durationMs", .integer(20...600_000), isRequired: true, example: "500", "In milliseconds."),
                    Field("levelDBFS", .number(-80...0), default: -12, "Peak, in dBFS."),
                ]), "A tone instead of speech."),
            Field("silenceMs", .integer(0...3_600_000), "Says nothing for so long, in milliseconds."),
            Field("press", .string, example: "\"1\"", "Keys to press: 0 to 9, *, # and A to D."),
            Field("hangUp", .boolean, "Hangs up."),
            Field("cutOff", .boolean, "The line goes dead without a word."),
        ] + time

    static let agentStep =
        [
            name,
            Field(
                "accept",
                .object([
                    Field("conversation", .string, default: "conv_test", "The vendor's name for the conversation."),
                    Field("inputFormat", .string, example: "\"pcm_16000\"", "What the vendor wants to hear."),
                    Field("outputFormat", .string, example: "\"pcm_16000\"", "What the vendor's voice comes in."),
                ]), "Begins the conversation."),
            Field("say", .string, "A turn: a text, or a WAV file."),
            Field("words", .string, "The words that go with a WAV file."),
            Field("chunkMs", .integer(20...10_000), default: 200, "Audio in one message, in milliseconds."),
            Field("paceMs", .integer(0...10_000), default: 50, "Time between two messages, in milliseconds."),
            Field("complete", .boolean, default: true, "Whether the end of the turn is told."),
            Field("hears", .string, "What it understood the caller to say."),
            Field("interrupt", .boolean, "Cuts its own turn."),
            Field("send", .json, example: "{ \"type\": \"ping\" }", "A message, as it stands, or \"file.jsonl:12\"."),
            Field(
                "sendBinary", .json, example: "\"f39/fw==\"",
                "A binary message: its bytes in base64, a JSON object, or \"file.jsonl:12\" with either."),
            Field("silenceMs", .integer(0...3_600_000), "Does nothing for so long, in milliseconds."),
            Field("close", .integer(1000...4999), "Closes the connection with this code; 1006 cuts it."),
            Field("reason", .string, "The reason of the close."),
        ] + time

    static let connection = [
        Field("backend", .string, example: "\"elevenlabs\"", "The type of the agent that must have dialled."),
        Field("connectMs", .integer(0...60_000), default: 40, "Until the connection stands, in milliseconds."),
        Field("refuse", .string, "Why the connection fails."),
        Field("steps", .objects(agentStep), "What the vendor's server does, in order."),
    ]

    static let tool = [
        Field("tool", .string, isRequired: true, example: "\"get_slots\"", "The tool's name."),
        Field(
            "with", .json, example: "{ \"day\": \"2026-01-31\" }", "Members that the arguments must have; any without."),
        Field("answer", .json, example: "{ \"slots\": [\"09:00\"] }", "What it answers: text or JSON."),
        Field("error", .string, "The error that it answers with instead."),
        Field("afterMs", .integer(0...600_000), default: 50, "Until it answers, in milliseconds."),
    ]

    static let expectation = [
        Field(
            "agent", .choice(["speaks", "stops", "silent"]),
            "What is heard of the agent: it begins, it ends, or nothing at all."),
        Field("toneHz", .number(50...3900), "A tone is heard, in hertz."),
        Field("levelDBFS", .number(-80...0), default: -40, "How loud the tone is at least, in dBFS."),
        Field("agentSays", .string, "Words of the agent."),
        Field("callerSays", .string, "Words of the caller, as the agent understood them."),
        Field("callerHeard", .string, "Words that the caller had really heard when a turn ended or was cut."),
        Field("interrupted", .boolean, "The agent's turn is cut, or not."),
        Field("sent", .json, example: "{ \"type\": \"pong\" }", "A message to the agent that has these members."),
        Field("sentToCarrier", .json, example: "{ \"event\": \"clear\" }", "The same to the carrier."),
        Field("ends", .choice(EndReasons.all), "The call ends, and why."),
        Field("reason", .string, "Words of the reason of the end."),
        Field("toolCalled", .string, example: "\"book_appointment\"", "An agent calls this tool."),
        Field(
            "with", .json, example: "{ \"day\": \"2026-01-31\" }",
            "Members that the arguments of \"toolCalled\" must have."),
        Field("backend", .string, "The type of an agent that is ready to talk."),
        Field("pipeline", .string, "The name of the pipeline that takes the call."),
        Field("said", .string, "What a rule says instead of any pipeline."),
        Field(
            "ledger",
            .object([
                Field("playedFromMs", .integer(0...86_400_000), "At least played, in milliseconds."),
                Field("playedToMs", .integer(0...86_400_000), "At most played, in milliseconds."),
                Field("unplayedFromMs", .integer(0...86_400_000), "At least waiting, in milliseconds."),
                Field("unplayedToMs", .integer(0...86_400_000), "At most waiting, in milliseconds."),
            ]), "What has been played, and what waits at the carrier, at the time that \"after\" and \"fromMs\" name."),
        Field(
            "recording",
            .object([
                Field("fromMs", .integer(0...86_400_000), default: 0, "At least so long, in milliseconds."),
                Field("toMs", .integer(0...86_400_000), default: 86_400_000, "At most so long, in milliseconds."),
            ]), "The length of the recording."),
        Field("after", .string, "What the bounds count from; the beginning of the stream without."),
        Field("before", .string, "The event that ends the window."),
        Field("fromMs", .integer(-120_000...86_400_000), "Not earlier, in milliseconds."),
        Field("withinMs", .integer(-120_000...86_400_000), "Not later, in milliseconds."),
        Field("times", .integer(0...100_000), "How often exactly; 0 for never."),
    ]

    static let test = [
        Field("name", .string, isRequired: true, "What is tested."),
        Field("number", .string, "The called number; the first of the pipeline without."),
        Field("from", .string, default: "+15550100009", "The caller's number."),
        Field(
            "at", .string, default: "2026-01-07T10:00:00Z", example: "\"2026-12-24T10:30:00+01:00\"",
            "When the call comes (RFC 3339), for rules that look at the clock."),
        Field("context", .variables, "What is known about the caller: ${context.NAME}."),
        Field("ringMs", .integer(0...120_000), default: 200, "Until the stream begins, in milliseconds."),
        Field(
            "limitMs", .integer(1000...3_600_000), default: 120_000,
            "Time on the line after which the caller hangs up, in milliseconds."),
        Field("soundDBFS", .number(-80...0), default: -38, "Peak from which something counts as sound, in dBFS."),
        Field("voice", .string, default: "en", "Voice of espeak-ng for texts."),
        Field("caller", .objects(callerStep), "What the caller does, in order."),
        Field("agents", .objects(connection), "The vendors' side of each connection, in the order of dialling."),
        Field("tools", .objects(tool), "What the tools of the pipeline answer; no request is made."),
        Field("expect", .objects(expectation), isRequired: true, "What must come of it."),
    ]

    static let document = [
        Field("description", .string, "For people."),
        Field("pipeline", .string, "The pipeline's file; the one of the same name beside this one without."),
        Field(
            "environment", .variables,
            "Environment variables for the pipeline; it sees no others."),
        Field("tests", .objects(test), isRequired: true, "The tests."),
    ]
}
