import PatchbayCore
import PatchbayWire

/// What one conversation with Gemini Live is to be like.
struct GeminiOptions: Sendable {
    /// Without tools, handle and history, which a call brings.
    var setup: GeminiSetup
    /// What the model is asked to say first.
    var firstMessage: String?
    var isVertex = false
    /// How long an answer that is due may take.
    var patience = TimeSpan.seconds(20)
    /// Sound from before the caller was heard to speak; only without automatic turn detection.
    var preRoll = TimeSpan.milliseconds(500)

    /// Whether words are added to the running conversation by `clientContent`. From 3.x on it is for the history only,
    /// and words go as `realtimeInput.text`, which the model may answer (ai.google.dev/gemini-api/docs/live-guide).
    var takesContent: Bool { Self.generation(of: setup.model) < 3 }
    /// Whether a history is announced in the setup, and waits for the first input. Vertex AI does not know that field.
    var announcesHistory: Bool { !takesContent && !isVertex }

    /// The first number in a model's name: 2 for `gemini-live-2.5-flash-native-audio`. Names without one count as 2.
    static func generation(of model: String) -> Int {
        let name = model.split(separator: "/").last ?? ""
        guard let digits = name.split(whereSeparator: { !$0.isASCII || !$0.isNumber }).first else { return 2 }
        return Int(digits) ?? 2
    }
}
