import Foundation
import Glibc
import Logging
import PatchbayConfig
import PatchbayCore
import Testing

@testable import PatchbayControl

/// What a line of the log looks like, and that nobody waits for whoever reads it.
@Suite struct LogTests {
    private static let record = LogRecord(
        nanoseconds: 1_763_750_000_123_456_789, level: .notice, message: "stream connected",
        common: ["call": "call-1", "callSid": "CA1", "zone": "common"], own: ["zone": "own", "a": "b c"])

    @Test func textStandsInColumns() {
        let line = LogLineWriter(format: .text).line(Self.record)
        #expect(
            line
                == "2025-11-21T18:33:20.123Z NOTICE   stream connected              call=call-1 callSid=CA1 a=\"b c\" zone=own\n"
        )
        var bare = Self.record
        (bare.common, bare.own, bare.level) = ([:], [:], .warning)
        #expect(LogLineWriter(format: .text).line(bare) == "2025-11-21T18:33:20.123Z WARNING  stream connected\n")
        bare.message = String(repeating: "m", count: 40)
        bare.own = ["k": "v"]
        #expect(LogLineWriter(format: .text).line(bare).hasSuffix("mmm  k=v\n"))
    }

    @Test func aTerminalHasColourAndTheTimeOfDay() {
        let line = LogLineWriter(format: .text, isForTerminal: true).line(Self.record)
        #expect(line.contains("\u{1B}[36mNOTICE\u{1B}[0m") && !line.contains("2025"))
    }

    @Test func jsonIsOneObjectALine() throws {
        var record = Self.record
        record.own = [
            "time": "mine", "list": ["a", "b\n"], "deep": ["k": "v"], "number": .stringConvertible(7),
        ]
        let line = LogLineWriter(format: .json).line(record)
        #expect(
            line
                == #"{"time":"2025-11-21T18:33:20.123Z","level":"notice","message":"stream connected","call":"call-1","#
                + #""callSid":"CA1","deep":{"k":"v"},"list":["a","b\n"],"number":"7","time_":"mine","zone":"common"}"#
                + "\n")
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        #expect(object?["time_"] as? String == "mine")
    }

    @Test(arguments: [LogFormat.text, .json])
    func nothingForgesALineOrMovesACursor(format: LogFormat) throws {
        let hostile =
            "x\n2026 ERROR FAKE\r\u{1B}[2J\u{2028}\u{202E}\u{0}\u{85}\"\\ü€𝄞" + String(repeating: "y", count: 9000)
        var record = Self.record
        record.message = hostile
        record.own = ["k\n": .string(hostile), "array": ["\(hostile)"]]
        let line = LogLineWriter(format: format).line(record)
        #expect(line.split(whereSeparator: \.isNewline).count == 1 && line.hasSuffix("\n"))
        for scalar in line.unicodeScalars.dropLast() {
            #expect(scalar.value >= 0x20 && !(0x7F...0x9F).contains(scalar.value) && scalar.value != 0x2028)
        }
        #expect(line.utf8.count < 5 * (LogLineWriter.valueLimit + 200))
        guard format == .json else { return }
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        #expect((object?["message"] as? String)?.hasPrefix("x\n2026 ERROR FAKE\r\u{1B}[2J") == true)
    }

    /// What is read from the other end of a pipe.
    private static func read(_ descriptor: Int32, until isEnough: (String) -> Bool) -> String {
        var text = ""
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while !isEnough(text) {
            var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard Glibc.poll(&poll, 1, 10_000) == 1 else { return text }
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            guard count > 0 else { return text }
            text += String(decoding: chunk.prefix(count), as: UTF8.self)
        }
        return text
    }

    @Test func nobodyWaitsForAReaderWhoIsSlow() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        let output = LogOutput(.json, descriptor: ends[1], limit: 200_000)
        let logger = output.logger(.info)
        // Far more than the pipe and the queue hold: whoever waited for the reader would wait for ever.
        let count = 3000
        for index in 0..<count {
            logger.info("line", metadata: ["index": "\(index)", "text": "\(String(repeating: "t", count: 200))"])
        }
        #expect(output.waitingBytes <= 200_000)
        func numbers(_ key: String, _ text: String) -> [Int] {
            text.split(separator: "\n").compactMap { line in
                let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
                return (object?[key] as? String).flatMap(Int.init)
            }
        }
        let text = Self.read(ends[0]) { text in
            text.hasSuffix("\n") && numbers("index", text).count + numbers("lines", text).reduce(0, +) == count
        }
        let written = numbers("index", text)
        let dropped = numbers("lines", text).reduce(0, +)
        #expect(dropped > 0 && written.count + dropped == count, "\(written.count) written, \(dropped) dropped")
        #expect(written == written.sorted(), "in order")
        logger.info("afterwards")
        output.finish()
        #expect(Self.read(ends[0]) { $0.contains("afterwards") }.contains("afterwards"), "it goes on as before")
    }

    @Test func theLastLinesAreWrittenBeforeTheEnd() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        let output = LogOutput(.text, descriptor: ends[1])
        let logger = output.logger(.debug)
        logger.trace("too little")
        for index in 0..<100 { logger.debug("line \(index)") }
        output.finish()
        let text = Self.read(ends[0]) { $0.contains("line 99\n") }
        #expect(text.split(separator: "\n").count == 100)
        logger.error("too late")
        #expect(output.waitingBytes == 0)
    }

    @Test func secretsAreTakenOutWhereverTheyStand() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        let output = LogOutput(.json, descriptor: ends[1], secrets: [Secret("planted-secret")])
        output.logger(.info).error("planted-secret", metadata: ["url": "http://x/?key=planted-secret"])
        output.finish()
        let text = Self.read(ends[0]) { $0.hasSuffix("\n") }
        #expect(!text.contains("planted-secret") && text.contains("[secret]"))
    }
}
