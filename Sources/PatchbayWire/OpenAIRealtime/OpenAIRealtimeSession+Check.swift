extension OpenAIRealtimeSession {
    /// Voices that can be asked for by name (platform.openai.com/docs/guides/realtime-conversations, voice options).
    public static let voices = [
        "alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar",
    ]

    /// Checks a `session.update` as the server does: unknown parameters, missing ones, values out of range.
    ///
    /// - Throws: The fault that the server would report for the first thing that is wrong.
    static func check(_ session: JSONObject) throws(OpenAIRealtimeFault) {
        try session.allow(
            [
                "type", "model", "output_modalities", "instructions", "audio", "tools", "tool_choice",
                "max_output_tokens", "truncation", "include", "prompt", "tracing", "reasoning", "parallel_tool_calls",
                // What a server writes and a client may send back.
                "object", "id", "expires_at",
            ], in: "session")
        guard session["type"] != nil else { throw .missing("session.type") }
        try session.choice("type", ["realtime", "transcription"], in: "session")
        if let modalities = session["output_modalities"] {
            let names = modalities.elements?.compactMap(\.string)
            guard names == ["audio"] || names == ["text"] else {
                throw .invalid(
                    modalities.text, "session.output_modalities", supported: "['audio'] and ['text']")
            }
        }
        if let audio = session.object("audio") {
            try audio.allow(["input", "output"], in: "session.audio")
            if let input = audio.object("input") { try check(input: input) }
            if let output = audio.object("output") { try check(output: output) }
        }
        if let limit = session["max_output_tokens"], limit.string != "inf" {
            guard limit.isNumber, let count = limit.integer, (1...4096).contains(count) else {
                throw .invalid(limit.text, "session.max_output_tokens", supported: "1 to 4096, and 'inf'")
            }
        }
        for (index, tool) in (session["tools"]?.elements ?? []).prefix(maximumTools).enumerated() {
            let place = "session.tools[\(index)]"
            guard let tool = tool.object else { throw .invalid(tool.text, place, supported: "objects") }
            try tool.choice("type", ["function", "mcp"], in: place)
            if tool.string("type") == "function", tool.string("name") == nil { throw .missing("\(place).name") }
        }
    }

    private static func check(input: JSONObject) throws(OpenAIRealtimeFault) {
        let place = "session.audio.input"
        try input.allow(["format", "noise_reduction", "transcription", "turn_detection"], in: place)
        try input.format(in: place)
        if let reduction = input.object("noise_reduction") {
            try reduction.choice("type", ["near_field", "far_field"], in: "\(place).noise_reduction")
        }
        if let transcription = input.object("transcription") {
            try transcription.allow(
                ["model", "language", "prompt", "keywords", "languages", "delay"], in: "\(place).transcription")
        }
        guard let detection = input.object("turn_detection") else { return }
        let name = "\(place).turn_detection"
        try detection.choice("type", ["server_vad", "semantic_vad"], in: name)
        if detection.string("type") == "semantic_vad" {
            try detection.allow(["type", "eagerness", "create_response", "interrupt_response"], in: name)
            try detection.choice("eagerness", ["low", "medium", "high", "auto"], in: name)
        } else {
            try detection.allow(
                [
                    "type", "threshold", "prefix_padding_ms", "silence_duration_ms", "create_response",
                    "interrupt_response", "idle_timeout_ms",
                ], in: name)
            try detection.number("threshold", 0...1, in: name)
            try detection.number("prefix_padding_ms", 0...60_000, in: name)
            try detection.number("silence_duration_ms", 0...60_000, in: name)
        }
    }

    private static func check(output: JSONObject) throws(OpenAIRealtimeFault) {
        let place = "session.audio.output"
        try output.allow(["format", "voice", "speed"], in: place)
        try output.format(in: place)
        try output.number("speed", 0.25...1.5, in: place)
        if let voice = output["voice"], voice.object == nil {
            try output.choice("voice", voices, in: place)
        }
    }
}

extension JSONObject {
    fileprivate func allow(_ names: Set<String>, in place: String) throws(OpenAIRealtimeFault) {
        guard let unknown = members.first(where: { !names.contains($0.name) }) else { return }
        let param = "\(place).\(unknown.name.prefix(100))"
        throw OpenAIRealtimeFault(
            code: "unknown_parameter", message: "Unknown parameter: '\(param)'.", param: param)
    }

    fileprivate func choice(_ name: String, _ words: [String], in place: String) throws(OpenAIRealtimeFault) {
        guard let value = self[name], !value.isNull else { return }
        guard let word = value.string, words.contains(word) else {
            let supported = words.map { "'\($0)'" }.joined(separator: ", ")
            throw .invalid(value.text, "\(place).\(name)", supported: supported)
        }
    }

    fileprivate func number(
        _ name: String, _ range: ClosedRange<Double>, in place: String
    ) throws(OpenAIRealtimeFault) {
        guard let value = self[name], !value.isNull else { return }
        guard value.isNumber, let number = value.number, range.contains(number) else {
            throw .invalid(
                value.text, "\(place).\(name)", supported: "\(range.lowerBound) to \(range.upperBound)")
        }
    }

    fileprivate func format(in place: String) throws(OpenAIRealtimeFault) {
        guard let format = self["format"], !format.isNull else { return }
        let supported = "'audio/pcm' at 24000, 'audio/pcmu', 'audio/pcma'"
        // The beta protocol's bare name is not understood any more.
        guard format.object != nil, let known = OpenAIRealtimeAudioFormat(format),
            known == .pcm24k || known == .pcmu || known == .pcma
        else { throw .invalid(format.text, "\(place).format", supported: supported) }
    }
}

extension OpenAIRealtimeFault {
    fileprivate static func invalid(_ value: String, _ param: String, supported: String) -> OpenAIRealtimeFault {
        OpenAIRealtimeFault(
            code: "invalid_value", message: "Invalid value: \(value.prefix(100)). Supported values are: \(supported).",
            param: param)
    }
}
