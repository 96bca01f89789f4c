import ArgumentParser
import AsyncHTTPClient
public import Patchbay
import Synchronization

/// The `patchbay` command, for executables that bring components of their own.
///
/// ```swift
/// @main
/// enum Tool {
///     static func main() async { await PatchbayTool.main { try $0.adding(stages: [RoomKeys()]) } }
/// }
/// ```
public enum PatchbayTool {
    /// Set once, before the command runs. No task-local value: with optimisation, binding one around an `async` command ends
    /// the process with a bad pointer in `swift_task_localValuePush` (Swift 6.3.1, Linux).
    fileprivate static let components = Mutex<@Sendable (ComponentRegistry) throws -> ComponentRegistry>({ $0 })

    /// Runs the command line of this process and ends the process with the command's exit code.
    ///
    /// Every command knows the components: `lint`, `list`, `describe`, `route`, `run`, `serve` and the others.
    ///
    /// - Parameter components: The standard components and one's own, made of the standard ones.
    public static func main(
        adding components: @escaping @Sendable (ComponentRegistry) throws -> ComponentRegistry = { $0 }
    ) async {
        Self.components.withLock { $0 = components }
        await PatchbayCommand.main()
    }
}

extension ComponentRegistry {
    /// What the commands mean by the standard components: ours, and those of whoever started the tool.
    ///
    /// Within this module the name stands for this function, so that no command can forget the components of others.
    static func standard(httpClient: HTTPClient = .shared) throws -> ComponentRegistry {
        try PatchbayTool.components.withLock { $0 }(try .standard(httpClient: httpClient, recordings: .shared))
    }
}
