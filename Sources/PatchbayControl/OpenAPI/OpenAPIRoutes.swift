import Hummingbird
import PatchbayConfig

/// The description of the control plane.
struct OpenAPIRoutes: Sendable {
    let switchboard: Switchboard

    func add(to router: some RouterMethods<ControlContext>) {
        // Nothing in it changes while the server runs.
        let document = OpenAPIDocument(
            settings: switchboard.settings, publicURL: switchboard.options.publicAddress?.description)
        let text = document.value.text() + "\n"
        for path in switchboard.settings.paths(.openapi) {
            router.get(RouterPath(path)) { request, context in
                try switchboard.access.admit(request, context, .openapi)
                return Response(
                    status: .ok, headers: [.contentType: "application/json; charset=utf-8"],
                    body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
            }
        }
    }
}
