/// The stages that every document may use and that are no component's: they hold other stages or agents.
public enum Structure {
    /// Holds the agents, tried in order.
    public static let agent = ComponentSpec(
        PipelineDocument.agentStageType, .stage,
        summary: "The agent: the first backend that answers, the next when it fails.",
        fields: [
            Field("backends", .agents, isRequired: true, "The agents in the order in which they are tried.")
        ] + StageListReader.agentFields)

    /// A side chain that cannot delay the main one.
    public static let tee = ComponentSpec(
        "tee", .stage,
        summary: "Sends a copy of everything into a side chain, which cannot delay or change the main one.",
        fields: [
            Field(
                "stages", .stages, isRequired: true, example: #"["denoiser", "recorder"]"#,
                "The side chain; what leaves it at its end is dropped.")
        ])

    /// One of several chains.
    public static let `switch` = ComponentSpec(
        "switch", .stage,
        summary: "Runs one of several chains: chosen by a variable, or by the last key that was pressed.",
        fields: [
            Field(
                "on", .string, isRequired: true, example: #""${language}""#,
                "A text with ${…} that is compared when the call begins, or \"key\" for the keys of the caller."),
            Field(
                "cases", .branches, isRequired: true, example: #"{ "de": [ … ], "en": [ … ] }"#,
                "The chain for each value, or for each key."),
            Field("otherwise", .stages, "The chain for any other value, or until a key is pressed."),
        ])

    /// A shared fragment.
    public static let include = ComponentSpec(
        "include", .stage, summary: "Puts the stages of a shared file here.",
        fields: [
            Field(
                "file", .string, isRequired: true, example: #""shared/listening.json""#,
                "The fragment's file; relative paths start from the folder of the file that says so."),
            Field(
                "with", .variables, example: #"{ "engine": "silero" }"#,
                "Values for the fragment's parameters."),
        ])

    /// All of them.
    public static let all = [agent, tee, `switch`, include]
}
