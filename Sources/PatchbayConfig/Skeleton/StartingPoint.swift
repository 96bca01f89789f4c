/// A document that is worth starting from, with a name.
public struct StartingPoint: Sendable {
    /// What it is asked for by.
    public let name: String
    /// One sentence: what it shows.
    public let summary: String
    /// The document as text, ended by a line feed.
    public let text: String

    private init(_ name: String, _ summary: String, _ text: String) {
        self.name = name
        self.summary = summary
        self.text = text + "\n"
    }

    /// All of them; the first is the one to begin with. They use the components that come with Patchbay.
    public static let all = [first, echo, agent, tools, keys, recording, afterHours, test]

    /// The document with another name and another number, as far as it has them.
    public func text(name: String? = nil, number: String? = nil) -> String {
        var text = text
        if let name {
            text = text.replacing("\"name\": \(jsonQuoted(self.name))", with: "\"name\": \(jsonQuoted(name))")
        }
        if let number { text = text.replacing("\"+15550100009\"", with: jsonQuoted(number)) }
        return text
    }

    /// The starting point of that name.
    public static func named(_ name: String) -> StartingPoint? { all.first { $0.name == name } }

    private static let first = StartingPoint(
        "first", "A conversation in the file itself: greets, answers, lets itself be interrupted, says goodbye.",
        """
        {
          "name": "first",
          "description": "A first pipeline; needs no account",
          "numbers": ["+15550100009"],
          "variables": { "place": "the front desk" },
          "transport": "twilio",
          "stages": [
            "decoder",
            "vad",
            "turns",
            {
              "type": "script",
              "say": "Hello, this is ${place}. How can I help you?",
              "replies": ["I see. Is there anything else?", "I have written it down."],
              "goodbye": "Thank you for calling. Goodbye!"
            },
            "encoder"
          ]
        }
        """)

    private static let echo = StartingPoint(
        "echo", "Says back what it hears: the shortest way to try a line.",
        """
        {
          "name": "echo",
          "numbers": ["+15550100009"],
          "transport": "twilio",
          "stages": ["echo"]
        }
        """)

    private static let agent = StartingPoint(
        "agent", "An agent of ElevenLabs, and words that are spoken when it cannot be reached.",
        """
        {
          "name": "agent",
          "numbers": {
            "+15550100009": { "greeting": "Hello! How can I help you?" }
          },
          "transport": "twilio",
          "stages": [
            {
              "type": "agent",
              "bridge": "One moment, please.",
              "backends": [
                {
                  "type": "elevenlabs",
                  "agentId": "${env.ELEVENLABS_AGENT_ID}",
                  "apiKey": { "env": "ELEVENLABS_API_KEY" },
                  "firstMessage": "${greeting}"
                },
                {
                  "type": "script",
                  "say": "Nobody can answer just now. Please call again later.",
                  "silenceSeconds": 3
                }
              ]
            }
          ],
          "messages": { "failure": "Something went wrong. Please call again." }
        }
        """)

    private static let tools = StartingPoint(
        "tools", "An agent that looks things up and books in a service of yours.",
        """
        {
          "name": "tools",
          "numbers": ["+15550100009"],
          "transport": "twilio",
          "stages": [
            {
              "type": "elevenlabs",
              "agentId": "${env.ELEVENLABS_AGENT_ID}",
              "apiKey": { "env": "ELEVENLABS_API_KEY" }
            }
          ],
          "tools": [
            {
              "name": "get_available_slots",
              "description": "The free appointments of a day. Ask for the day first.",
              "method": "GET",
              "url": "${env.BACKEND_URL}/api/appointments/slots",
              "parameters": {
                "type": "object",
                "properties": { "day": { "type": "string", "format": "date" } },
                "required": ["day"]
              },
              "headers": { "Authorization": { "env": "BACKEND_AUTHORIZATION" } },
              "retries": 1,
              "waiting": "One moment, please, I am looking."
            },
            {
              "name": "book_appointment",
              "aliases": ["create_appointment"],
              "description": "Books one of the free appointments. Repeat day and time to the caller before.",
              "url": "${env.BACKEND_URL}/api/appointments",
              "parameters": {
                "type": "object",
                "properties": {
                  "startTime": { "type": "string", "format": "date-time" },
                  "customerName": { "type": "string", "minLength": 2 }
                },
                "required": ["startTime", "customerName"]
              },
              "body": { "startTime": "{startTime}", "customerName": "{customerName}", "phone": "${call.from}" },
              "headers": { "Authorization": { "env": "BACKEND_AUTHORIZATION" } }
            }
          ]
        }
        """)

    private static let keys = StartingPoint(
        "ivr", "A menu of keys: each key has its answer.",
        """
        {
          "name": "ivr",
          "numbers": ["+15550100009"],
          "transport": "twilio",
          "stages": [
            "decoder",
            { "type": "dtmf", "mute": true },
            {
              "type": "script",
              "say": "For opening hours, press one. For the address, press two. To end the call, press the hash key.",
              "keys": {
                "1": "We are open from nine to five.",
                "2": "You find us at Station Road, number twelve."
              },
              "goodbye": "Goodbye!",
              "goodbyeKey": "#",
              "silenceSeconds": 20
            },
            "encoder"
          ]
        }
        """)

    private static let recording = StartingPoint(
        "recording", "A call that is recorded, after it has said so.",
        """
        {
          "name": "recording",
          "numbers": ["+15550100009"],
          "transport": "twilio",
          "stages": [
            "decoder",
            "vad",
            "turns",
            {
              "type": "recorder",
              "path": "recordings/${call.sid}.wav",
              "announcement": "This call is recorded. To pause the recording, press zero.",
              "pauseKey": "0",
              "resumeKey": "0"
            },
            {
              "type": "script",
              "say": "What can I write down for you?",
              "replies": ["And your name?"],
              "goodbye": "Thank you. Goodbye!"
            },
            "encoder"
          ]
        }
        """)

    private static let afterHours = StartingPoint(
        "after-hours", "Rules before the stages: who calls, and when, decides what they hear.",
        """
        {
          "name": "after-hours",
          "numbers": ["+15550100009"],
          "when": [
            { "callers": ["anonymous"], "say": "Please call again with your number shown." },
            {
              "outside": {
                "timeZone": "Europe/Berlin",
                "monday": ["09:00-12:30", "14:00-18:00"],
                "tuesday": ["09:00-12:30", "14:00-18:00"],
                "wednesday": ["09:00-12:30"],
                "thursday": ["09:00-12:30", "14:00-20:00"],
                "friday": ["09:00-12:30"],
                "dates": { "2026-12-24": ["09:00-11:00"], "2026-12-25": [], "2026-12-26": [] }
              },
              "say": "We are closed. Please call again during our opening hours."
            }
          ],
          "transport": "twilio",
          "stages": [
            "decoder",
            "vad",
            {
              "type": "script",
              "say": "Hello! How can I help you?",
              "replies": ["I have written it down. Is there anything else?"],
              "goodbye": "Goodbye!"
            },
            "encoder"
          ]
        }
        """)

    private static let test = StartingPoint(
        "test", "A file *.test.json for the pipeline \"first\": what a caller does, and what must come of it.",
        """
        {
          "description": "Beside first.json, as first.test.json; patchbay test runs it on a clock of its own",
          "tests": [
            {
              "name": "greets, answers every sentence, and says goodbye",
              "caller": [
                { "after": "agent stops", "plusMs": 500, "as": "question", "say": "I have a question about my order." },
                { "after": "agent stops", "plusMs": 500, "say": "That was all, thank you." },
                { "after": "agent stops", "plusMs": 500, "say": "Thank you and goodbye." }
              ],
              "expect": [
                { "agent": "speaks", "withinMs": 500 },
                { "agentSays": "How can I help you", "before": "question begins" },
                { "agent": "speaks", "after": "question ends", "withinMs": 1500 },
                { "interrupted": false },
                { "ends": "agentHungUp" }
              ]
            }
          ]
        }
        """)
}
