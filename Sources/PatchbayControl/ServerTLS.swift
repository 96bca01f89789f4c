public import NIOSSL

/// The certificate that a server shows, and its key, as files in PEM form.
public struct ServerTLS: Sendable, Hashable {
    /// The server's certificate first, then those that lead to an authority.
    public var certificateFile: String
    public var keyFile: String

    public init(certificateFile: String, keyFile: String) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
    }

    /// Reads both files. TLS 1.2 or newer is spoken then.
    ///
    /// - Throws: When one of them cannot be read, or they do not belong together.
    public func configuration() throws(StartFailure) -> TLSConfiguration {
        let chain: [NIOSSLCertificate]
        do {
            chain = try NIOSSLCertificate.fromPEMFile(certificateFile)
        } catch {
            throw StartFailure(description: "\(certificateFile) holds no certificate in PEM form")
        }
        let key: NIOSSLPrivateKey
        do {
            key = try NIOSSLPrivateKey(file: keyFile, format: .pem)
        } catch {
            throw StartFailure(
                description: "\(keyFile) holds no private key in PEM form, or one that a passphrase protects")
        }
        guard !chain.isEmpty else { throw StartFailure(description: "\(certificateFile) holds no certificate") }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        do {
            _ = try NIOSSLContext(configuration: configuration)
        } catch {
            throw StartFailure(description: "\(certificateFile) and \(keyFile) do not belong together")
        }
        return configuration
    }
}
