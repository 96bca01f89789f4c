extension ServerSettings {
    /// How Twilio's requests prove themselves beside the account's auth token: `twilio` in `server.json`.
    public struct Twilio: Sendable, Equatable {
        /// A key that webhooks name in `X-Twilio-Webhooks-Signature-Settings`, in place of the auth token.
        public struct SharedKey: Sendable, Equatable {
            public var id: String
            public var secret: Secret

            public init(id: String, secret: Secret) {
                self.id = id
                self.secret = secret
            }
        }

        /// Several while one is being replaced.
        public var sharedKeys: [SharedKey] = []

        public init() {}

        static let fields = [
            Field(
                "sharedKeys",
                .objects([
                    Field(
                        "id", .string, isRequired: true, example: #""webhooks_sharedkey_1""#,
                        "The key's name, as the header X-Twilio-Webhooks-Signature-Settings has it."),
                    Field(
                        "secret", .secret, isRequired: true, example: #"{ "env": "TWILIO_SHARED_KEY" }"#,
                        "What requests are signed with that name the key."),
                ]), "Keys that webhooks may be signed with in place of TWILIO_AUTH_TOKEN.")
        ]

        init(_ settings: Settings) {
            for entry in settings.list("sharedKeys") {
                guard let id = entry.string("id"), let secret = entry.secret("secret") else { continue }
                sharedKeys.append(SharedKey(id: id, secret: secret))
            }
        }
    }
}
