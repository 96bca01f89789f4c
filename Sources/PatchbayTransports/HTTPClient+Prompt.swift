public import AsyncHTTPClient

extension HTTPClient {
    /// A client for the process that takes no for an answer: a refused connection is told at once, so that a caller does not
    /// wait for what is not there, instead of being tried again until the time is up.
    public static let prompt: HTTPClient = {
        var configuration = HTTPClient.Configuration()
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()
}
