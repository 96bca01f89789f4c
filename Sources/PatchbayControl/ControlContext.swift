public import Hummingbird
public import NIOCore

/// What a request handler knows besides the request.
///
/// Services with a router of their own may use it as it is; any other context will do that knows its peer's address, see
/// ``Switchboard/addRoutes(to:)``.
public struct ControlContext: RequestContext, RemoteAddressRequestContext {
    public var coreContext: CoreRequestContextStorage
    public let remoteAddress: SocketAddress?
    /// The connection; `nil` where a host's server has it.
    let channel: (any Channel)?

    public init(source: Source) {
        coreContext = .init(source: source)
        remoteAddress = source.channel.remoteAddress
        channel = source.channel
    }

    /// What a host's context knows of the same request.
    init(hosting context: some RemoteAddressRequestContext) {
        coreContext = context.coreContext
        remoteAddress = context.remoteAddress
        channel = nil
    }
}

extension Request {
    func origin(_ context: ControlContext, _ options: ServerOptions) -> RequestOrigin {
        RequestOrigin(
            peer: context.remoteAddress?.ipAddress, authority: head.authority, headers: headers, options: options)
    }

    /// The request target exactly as it was sent; signatures are made over it.
    var target: String { head.path ?? "/" }
}
