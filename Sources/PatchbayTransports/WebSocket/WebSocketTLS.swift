public import NIOSSL

/// TLS for outgoing WebSockets.
public enum WebSocketTLS {
    /// A context that checks certificate and host name. Costs milliseconds and reads files: make one and share it.
    ///
    /// - Parameter caFile: A PEM file with the authorities to trust; nil for those of the system.
    /// - Throws: A `NIOSSLError` when the file cannot be read.
    public static func makeContext(caFile: String? = nil) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        if let caFile { configuration.trustRoots = .file(caFile) }
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        return try NIOSSLContext(configuration: configuration)
    }
}
