import Glibc

/// A shared library that is looked for when something needs it, and whose absence is an answer, not a crash.
///
/// What few pipelines use (the WebRTC voice detector, G.722) is found this way, so that nobody else has to install it. Once
/// found, a library stays loaded for the life of the process.
public struct DynamicLibrary: Sendable {
    /// The file that is loaded, for instance `libspandsp.so.2`.
    public let name: String
    /// The address that `dlopen` gave. Never closed, so it is valid for the life of the process.
    private let handle: UInt

    /// - Parameters:
    ///   - name: The library's soname, which fixes its binary interface.
    ///   - package: The Debian package that holds it, for the message.
    /// - Throws: ``DynamicLibraryError`` when there is none, with what to install.
    public init(_ name: String, package: String) throws(DynamicLibraryError) {
        guard let handle = dlopen(name, RTLD_NOW | RTLD_LOCAL) else {
            let reason = dlerror().map { String(cString: $0) } ?? ""
            throw DynamicLibraryError(Self.message(name, package, reason: reason))
        }
        self.name = name
        self.handle = UInt(bitPattern: handle)
    }

    /// What `dlopen` says tells a library that is not there from one that is there and cannot be loaded: of another processor,
    /// damaged, or missing something itself.
    static func message(_ name: String, _ package: String, reason: String) -> String {
        // The loader begins with the file that it could not open: only if that is the library itself, it is absent.
        guard !reason.isEmpty, !(reason.hasPrefix("\(name):") && reason.hasSuffix("No such file or directory")) else {
            return "needs \(name), which is not installed: apt-get install \(package)"
        }
        return "needs \(name), which cannot be loaded (\(reason)): apt-get install --reinstall \(package)"
    }

    /// The function of that name, as the C type it is declared with: `library.function("f", as: (@convention(c) () -> Int32).self)`.
    ///
    /// The type is the caller's word; a wrong one is undefined behaviour, so take it from the library's own documentation.
    /// - Throws: ``DynamicLibraryError`` when the library does not export it.
    public func function<Function>(_ symbol: String, as type: Function.Type) throws(DynamicLibraryError) -> Function {
        precondition(MemoryLayout<Function>.size == MemoryLayout<UnsafeMutableRawPointer>.size, "not a C function type")
        guard let address = dlsym(UnsafeMutableRawPointer(bitPattern: handle), symbol) else {
            throw DynamicLibraryError("\(name) does not have \(symbol); another version of the library is installed")
        }
        return unsafeBitCast(address, to: Function.self)
    }
}

/// Why a library, or something in it, cannot be used.
public struct DynamicLibraryError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is missing and what to do, as the rest of a sentence: `needs libspandsp.so.2, which …`.
    public let message: String

    init(_ message: String) { self.message = message }

    public var description: String { message }
}
