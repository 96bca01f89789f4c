/// The version of this server.
public enum ServerVersion {
    /// As semver.org has it.
    public static let text = "0.1.0"
}
