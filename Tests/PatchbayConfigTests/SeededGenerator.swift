/// A small reproducible generator (SplitMix64), so that a failing random test can be run again from its printed seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Changes a few bytes of a text: replaces, inserts, removes, doubles stretches, or puts in words that matter.
    mutating func mutate(_ bytes: [UInt8]) -> [UInt8] {
        var result = bytes
        for _ in 0...Int.random(in: 0..<4, using: &self) {
            let place = Int.random(in: 0...result.count, using: &self)
            switch Int.random(in: 0..<6, using: &self) {
            case 0 where place < result.count: result[place] = UInt8.random(in: 0...255, using: &self)
            case 1: result.insert(UInt8.random(in: 0...255, using: &self), at: place)
            case 2 where place < result.count: result.remove(at: place)
            case 3:
                let end = min(result.count, place + Int.random(in: 0..<40, using: &self))
                result.insert(contentsOf: result[place..<end], at: place)
            case 4:
                let end = min(result.count, place + Int.random(in: 0..<40, using: &self))
                result.removeSubrange(place..<end)
            default: result.insert(contentsOf: Self.words.randomElement(using: &self)?.utf8 ?? "".utf8, at: place)
            }
        }
        return result
    }

    private static let words = [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud83d", "${", "${a}", "${env.X}", "$${", "null", "1e999",
        "-", "0.5",
        "\"type\":\"agent\"", "\"backends\":[]", "{\"env\":\"X\"}", "\"apiKey\":\"x\",", "\u{FEFF}", "\u{1F600}", "\n",
        "\t", "//", "'",
        "\"stages\":[\"decoder\"],", "99999999999999999999", "\"*\"", "\"+49*\"", "true", "[[[[[[[[[[[[",
    ]
}
