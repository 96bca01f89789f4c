extension Settings {
    /// Tells settings apart within one process, without what depends on the single call: two calls over one number have the
    /// same, two numbers with agents of their own do not. Secrets count, and cannot be read from it.
    public var fingerprint: UInt64 {
        var hasher = Hasher()
        hash(into: &hasher)
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }

    private func hash(into hasher: inout Hasher) {
        for (name, value) in values.sorted(by: { $0.key < $1.key }) {
            hasher.combine(name)
            value.hash(into: &hasher)
        }
    }
}

extension Settings.Value {
    fileprivate func hash(into hasher: inout Hasher) {
        switch self {
        case .text(let text): text.hash(into: &hasher)
        case .integer(let value): hasher.combine(value)
        case .number(let value): hasher.combine(value)
        case .boolean(let value): hasher.combine(value)
        case .secret(let secret): hasher.combine(secret.reveal())
        case .texts(let texts): for text in texts { text.hash(into: &hasher) }
        case .variables(let variables):
            for (name, variable) in variables.sorted(by: { $0.key < $1.key }) {
                hasher.combine(name)
                if case .value(let value) = variable { hasher.combine(value.description) }
            }
        case .headers(let headers):
            for header in headers {
                hasher.combine(header.name)
                switch header.value {
                case .text(let text): text.hash(into: &hasher)
                case .secret(let secret): hasher.combine(secret.reveal())
                }
            }
        case .object(let settings): hasher.combine(settings.fingerprint)
        case .list(let list): for settings in list { hasher.combine(settings.fingerprint) }
        case .json(let text): hasher.combine(text)
        }
    }
}

extension Settings.Text {
    fileprivate func hash(into hasher: inout Hasher) {
        switch self {
        case .literal(let text): hasher.combine(text)
        case .template(let template): hasher.combine(template.source)
        case .fromCall: break
        }
    }
}
