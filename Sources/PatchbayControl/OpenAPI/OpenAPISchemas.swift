import PatchbayConfig

/// The shapes of answers, by name. Objects have exactly these members, so that a test finds what is missing here.
enum OpenAPISchemas {
    static let all: [JSONValue.Member] = [
        .init("Error", Schema.object(["error": Schema.object(["message": Schema.text])])),
        .init(
            "Server",
            Schema.object([
                "service": Schema.constant("patchbay"), "version": Schema.text,
                "status": Schema.constant("ready", "draining", "full"), "activeCalls": Schema.integer,
                "pipelines": Schema.list(Schema.text),
            ])),
        .init("Call", call), .init("Event", event), .init("Transcript", transcript),
        .init("Conversation", conversation),
        .init("Finding", finding),
        .init(
            "Refused",
            Schema.object(["error": Schema.text, "diagnostics": Schema.list(Schema.reference("Finding"))])),
        .init(
            "Unusable",
            Schema.object([
                "error": Schema.object(["message": Schema.text]),
                "diagnostics": Schema.list(Schema.reference("Finding")),
            ])),
        .init(
            "VendorError", Schema.object(["success": Schema.boolean, "error": Schema.text, "code": Schema.text])),
        .init("Pipelines", pipelines), .init("Reload", reload), .init("Tenant", tenant), .init("Number", number),
        .init("Dial", dial(["sessionId", "callId", "callSid"])),
        .init("CampaignDial", dial(["session_id", "call_id", "call_sid"])), .init("Session", session),
        .init("Blocked", Schema.object(["number": Schema.text, "reason": Schema.text, "since": Schema.instant])),
    ]

    /// A call of this process, or one of the store with what is kept of it.
    private static let call = Schema.object(
        [
            "id": Schema.text, "callSid": Schema.text, "streamSid": Schema.text,
            "direction": Schema.constant("inbound", "outbound"), "from": Schema.text, "to": Schema.text,
            "pipeline": Schema.text, "version": Schema.text, "backend": Schema.text,
            "state": Schema.constant("ringing", "streaming", "draining", "ended", "failed", "moved"),
            "startedAt": Schema.instant, "interruptions": Schema.integer, "agentTakeovers": Schema.integer,
        ],
        optional: [
            "tenant": Schema.text, "session": Schema.text, "endedAt": Schema.instant, "endReason": Schema.text,
            "conversationId": Schema.text, "playedMs": Schema.number, "unplayedMs": Schema.number,
            "delayMs": Schema.number, "timeToFirstAudioMs": Schema.number, "responseLatencyMs": Schema.number,
            "packetsReceived": Schema.integer, "packetsSent": Schema.integer, "packetsMissing": Schema.integer,
            "gaps": Schema.integer, "underruns": Schema.integer, "falseInterruptions": Schema.integer,
            "interruptionsRefused": Schema.integer, "carrierFaults": Schema.integer, "agentFaults": Schema.integer,
            "agentFailures": Schema.integer, "agentChanges": Schema.integer, "agentReconnects": Schema.integer,
            "agentSilenceMs": Schema.number, "concealedMs": Schema.number, "lateDroppedMs": Schema.number,
            "silenceSkippedMs": Schema.number,
            "heard": Schema.object(["text": Schema.text, "ms": Schema.number, "complete": Schema.boolean]),
            "events": Schema.list(Schema.reference("Event")), "rules": Schema.list(Schema.text),
            "recordings": Schema.list(Schema.text),
        ])

    private static let event = Schema.object([
        "sequence": Schema.integer, "atMs": Schema.integer, "event": Schema.text, "detail": Schema.text,
    ])

    private static let transcript = Schema.object([
        "callId": Schema.text,
        "turns": Schema.list(
            Schema.object([
                "speaker": Schema.constant("caller", "agent"), "text": Schema.text, "heard": Schema.text,
                "interrupted": Schema.boolean, "atMs": Schema.integer,
            ])),
        "toolCalls": Schema.list(
            Schema.object(
                ["name": Schema.text, "arguments": Schema.text, "error": Schema.boolean, "atMs": Schema.integer],
                optional: ["output": Schema.text, "milliseconds": Schema.integer])),
    ])

    private static let conversation = Schema.object([
        "conversation_id": Schema.textOrNull, "call_sid": Schema.text, "from": Schema.text, "to": Schema.text,
        "status": Schema.text, "started_at": Schema.instant,
    ])

    private static let finding = Schema.object(
        [
            "file": Schema.text, "line": Schema.integer, "column": Schema.integer, "code": Schema.text,
            "severity": Schema.constant("error", "warning"), "message": Schema.text, "path": Schema.text,
        ], optional: ["suggestion": Schema.text])

    private static let runningCalls = Schema.list(
        Schema.object(["version": Schema.text, "running": Schema.integer]))
    private static let cause = Schema.text

    private static let pipelines = Schema.object(
        [
            "revision": Schema.integer, "since": Schema.instant, "loadedBy": cause, "canReload": Schema.boolean,
            "pipelines": Schema.list(
                Schema.object(
                    [
                        "name": Schema.text, "file": Schema.text, "version": Schema.text, "numbers": Schema.integer,
                        "rules": Schema.integer, "calls": runningCalls,
                    ],
                    optional: [
                        "description": Schema.text,
                        "agents": Schema.list(
                            Schema.object(
                                [
                                    "backend": Schema.text, "state": Schema.constant("suspect", "avoided", "probing"),
                                    "failures": Schema.integer, "error": Schema.text,
                                ], optional: ["triedInMs": Schema.integer])),
                    ])),
            "retired": Schema.list(Schema.object(["name": Schema.text, "calls": runningCalls])),
            "former": Schema.list(
                Schema.object(
                    [
                        "revision": Schema.integer, "since": Schema.instant, "loadedBy": cause,
                        "pipelines": Schema.integer,
                    ], optional: ["restored": Schema.integer])),
        ],
        optional: [
            "restored": Schema.integer, "heldBack": Schema.integer,
            "lastError": Schema.object([
                "at": Schema.instant, "loadedBy": cause, "diagnostics": Schema.list(Schema.reference("Finding")),
            ]),
        ])

    private static let reload = Schema.object(
        [
            "result": Schema.text, "revision": Schema.integer, "since": Schema.instant, "loadMs": Schema.integer,
            "changed": Schema.list(Schema.text), "removed": Schema.list(Schema.text),
            "pipelines": Schema.list(
                Schema.object(["name": Schema.text, "file": Schema.text, "version": Schema.text])),
            "diagnostics": Schema.list(Schema.reference("Finding")),
        ], optional: ["restored": Schema.integer, "heldBack": Schema.integer])

    private static let tenant = Schema.object(
        [
            "id": Schema.text, "name": Schema.text,
            "numbers": Schema.list(Schema.object(["number": Schema.text], optional: ["sid": Schema.text])),
            "origin": Schema.text, "version": Schema.integer, "variables": Schema.variables,
        ],
        optional: [
            "pipeline": Schema.text, "updatedAt": Schema.instant, "updatedBy": Schema.text,
            "businessHoursSummary": Schema.text, "settings": Schema.anything,
        ])

    private static let number = Schema.object(
        [
            "number": Schema.text, "pipeline": Schema.text, "file": Schema.text, "origin": Schema.text,
            "variables": Schema.variables,
        ], optional: ["tenant": Schema.text, "sid": Schema.text])

    private static func dial(_ names: [String]) -> JSONValue {
        let members: [JSONValue.Member] =
            zip(names, [Schema.text, Schema.textOrNull, Schema.textOrNull]).map { .init($0, $1) } + [
                .init("status", Schema.text), .init("simulated", Schema.boolean), .init("message", Schema.text),
            ]
        return .object([
            .init("type", "object"), .init("properties", .object(members)),
            .init("required", .array(members.map { .string($0.key) })), .init("additionalProperties", false),
        ])
    }

    private static let session = Schema.object(
        [
            "id": Schema.text, "status": Schema.text, "message": Schema.text, "simulated": Schema.boolean,
            "customerPhone": Schema.text, "pipeline": Schema.text, "variables": Schema.variables,
            "createdAt": Schema.instant, "updatedAt": Schema.instant,
        ],
        optional: [
            "tenant": Schema.text, "agentName": Schema.text, "customerId": Schema.text, "callingNumber": Schema.text,
            "callId": Schema.text, "callSid": Schema.text, "conversationId": Schema.text, "answeredBy": Schema.text,
            "failure": Schema.text, "extractedIntent": Schema.text, "extractedData": Schema.anything,
            "transcript": Schema.list(
                Schema.object([
                    "atMs": Schema.integer, "speaker": Schema.constant("caller", "agent"), "text": Schema.text,
                ])),
        ])
}
