/// One entry of a document's `when`: a condition, and what happens to calls that meet it instead of the document's stages.
public struct CallRule: Sendable {
    /// What happens instead.
    public enum Outcome: Sendable, Equatable {
        /// The pipeline of that name answers.
        case pipeline(String)
        /// The words are spoken, then the call ends.
        case say(String)
    }

    /// What happens instead.
    public var outcome: Outcome
}
