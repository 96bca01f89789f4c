extension TwiML.Verb {
    var element: XMLElement {
        switch self {
        case .say(let text, let voice, let language, let loop):
            XMLElement(
                "Say", ["voice": voice, "language": language, "loop": loop.map(String.init)], text: text)
        case .play(let url, let loop):
            XMLElement("Play", ["loop": loop.map(String.init)], text: url)
        case .pause(let seconds):
            XMLElement("Pause", ["length": seconds.map(String.init)])
        case .hangup:
            XMLElement("Hangup")
        case .reject(let reason):
            XMLElement("Reject", ["reason": reason?.rawValue])
        case .redirect(let url, let method):
            XMLElement("Redirect", ["method": method?.rawValue], text: url)
        case .dial(let dial):
            dial.element
        case .connect(let stream, let action, let method):
            XMLElement("Connect", ["action": action, "method": method?.rawValue], children: [stream.element])
        case .start(let stream):
            XMLElement("Start", children: [stream.element])
        }
    }
}

extension TwiML.Dial {
    fileprivate var element: XMLElement {
        var element = XMLElement(
            "Dial",
            [
                "action": action, "answerOnBridge": answerOnBridge.map { $0 ? "true" : "false" }, "callerId": callerId,
                "method": method?.rawValue, "timeLimit": timeLimit.map(String.init),
                "timeout": timeout.map(String.init),
            ])
        switch target {
        case .number(let number): element.body = number
        case .sip(let address): element.children = [XMLElement("Sip", text: address)]
        case .client(let identity): element.children = [XMLElement("Client", text: identity)]
        case .conference(let name): element.children = [XMLElement("Conference", text: name)]
        }
        return element
    }
}

extension TwiML.Stream {
    fileprivate var element: XMLElement {
        XMLElement(
            "Stream",
            [
                "name": name, "statusCallback": statusCallback, "statusCallbackMethod": statusCallbackMethod?.rawValue,
                "track": track?.rawValue, "url": url,
            ],
            children: parameters.map { XMLElement("Parameter", ["name": $0.name, "value": $0.value]) })
    }
}
