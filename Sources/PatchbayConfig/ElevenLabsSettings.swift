extension ServerSettings {
    /// How requests of ElevenLabs prove themselves: `elevenlabs` in `server.json`.
    public struct ElevenLabs: Sendable, Equatable {
        /// A header that whoever asks must send.
        public struct SecretHeader: Sendable, Equatable {
            public var name: String
            public var value: Secret

            public init(name: String, value: Secret) {
                self.name = name
                self.value = value
            }
        }

        /// What webhooks are signed with; several while one is being replaced.
        public var webhookSecrets: [Secret] = []
        /// Whether `X-ElevenLabs-Signature` is accepted.
        public var acceptsLegacySignatures = false
        /// What proves the requests that the vendor does not sign: conversation initiation and tools.
        public var secretHeader: SecretHeader?
        /// Whether the answer before a conversation names audio formats.
        public var sendsFormats = false
        /// Longest body of a webhook, in bytes: recordings come in them.
        public var maximumBodyBytes = 64 << 20

        public init() {}

        static let fields = [
            Field(
                "webhookSecret", .secret, example: #"{ "env": "ELEVENLABS_WEBHOOK_SECRET" }"#,
                "What ElevenLabs signs its webhooks with, beside ELEVENLABS_WEBHOOK_SECRET."),
            Field(
                "formerWebhookSecret", .secret,
                "The secret before it, accepted as long as it stands here."),
            Field(
                "legacySignatures", .boolean, default: false,
                "Whether X-ElevenLabs-Signature is accepted: the HMAC of the body, or of a GET's query, without a time."
            ),
            Field(
                "secretHeader",
                .object([
                    Field("name", .string, isRequired: true, example: #""X-Tool-Secret""#, "The header's name."),
                    Field("value", .secret, isRequired: true, "The header's value."),
                ]),
                "What proves the requests that ElevenLabs does not sign: conversation initiation and tools. Set the same "
                    + "header there."),
            Field(
                "legacyFormats", .boolean, default: false,
                "Whether the answer to a conversation's initiation names audio formats, ulaw_8000."),
            Field(
                "maximumBodyBytes", .integer(65_536...268_435_456), default: 67_108_864, isAdvanced: true,
                "Longest body of a webhook, in bytes: recordings come in them."),
        ]

        init(_ settings: Settings) {
            webhookSecrets = ["webhookSecret", "formerWebhookSecret"].compactMap { settings.secret($0) }
            acceptsLegacySignatures = settings.bool("legacySignatures") ?? false
            if let header = settings.object("secretHeader"), let name = header.string("name"),
                let value = header.secret("value")
            {
                secretHeader = SecretHeader(name: name, value: value)
            }
            sendsFormats = settings.bool("legacyFormats") ?? false
            maximumBodyBytes = settings.integer("maximumBodyBytes") ?? maximumBodyBytes
        }
    }
}
