import Hummingbird
import NIOCore

/// What a request handler knows besides the request.
struct ControlContext: RequestContext, RemoteAddressRequestContext {
    var coreContext: CoreRequestContextStorage
    let remoteAddress: SocketAddress?

    init(source: Source) {
        coreContext = .init(source: source)
        remoteAddress = source.channel.remoteAddress
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
