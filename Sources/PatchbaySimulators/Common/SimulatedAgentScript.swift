/// What a simulated agent says and does, turn by turn.
///
/// A line is a text, which espeak-ng speaks, or the path of a WAV file (it ends in `.wav`), which is played as it is.
/// The defaults make a conversation that needs no configuration: a greeting, three replies, a goodbye.
public struct SimulatedAgentScript: Sendable, Equatable {
    /// A tool that the agent asks its client to run.
    public struct Tool: Sendable, Equatable {
        public var name: String
        /// The arguments as the JSON text of an object.
        public var parameters: String
        /// The turn of the caller, from 1, after which it is called, in place of a reply. Tools of the same turn are
        /// called together.
        public var afterTurn: Int
        /// Whether the agent waits for the result before it goes on.
        public var expectsResponse: Bool

        public init(_ name: String, parameters: String = "{}", afterTurn: Int = 1, expectsResponse: Bool = true) {
            self.name = name
            self.parameters = parameters
            self.afterTurn = afterTurn
            self.expectsResponse = expectsResponse
        }
    }

    /// Said first; empty to wait for the caller.
    public var greeting: String
    /// Said after the caller's first, second, … turn, as far as no tool is called then.
    public var replies: [String]
    /// Said when all replies are used up, before the agent ends the call. Without one the replies start again.
    public var goodbye: String?
    public var tools: [Tool]
    /// Said about the results of tools; `{result}` stands for them.
    public var toolReply: String
    /// Said when a tool failed or took too long; `{result}` stands for what it said.
    public var toolFailureReply: String
    /// What the agent claims to have heard in the caller's first, second, … utterance; then from the start again.
    public var transcripts: [String]

    public init(
        greeting: String = "Hello! This is the simulated agent. How can I help you today?",
        replies: [String] = [
            "I see. Could you tell me a little more about that?", "Thank you, I have made a note of it.",
            "All right. Is there anything else I can do for you?",
        ],
        goodbye: String? = "Thank you for calling. Goodbye!",
        tools: [Tool] = [],
        toolReply: String = "The answer is: {result}",
        toolFailureReply: String = "I am sorry, that did not work: {result}",
        transcripts: [String] = ["Hello, I have a question.", "It is about my order.", "No, thank you, that is all."]
    ) {
        self.greeting = greeting
        self.replies = replies
        self.goodbye = goodbye
        self.tools = tools
        self.toolReply = toolReply
        self.toolFailureReply = toolFailureReply
        self.transcripts = transcripts
    }

    /// The lines that are known before a conversation begins.
    var fixedLines: [String] {
        ([greeting] + replies + [goodbye].compactMap(\.self) + [toolReply, toolFailureReply])
            .filter { !$0.isEmpty && !$0.contains(Self.resultPlaceholder) }
    }

    static let resultPlaceholder = "{result}"
}
