import Foundation
import Testing

@testable import PatchbayBench

@Suite struct ReportTests {
    private static let machine = Machine(
        processor: "P", cores: 2, architecture: "x86_64", system: "Linux", build: "release",
        date: "2025-01-01T00:00:00Z")

    private func row(_ name: String, p50: Double?, rejection: Double? = 80) -> BenchRow {
        var row = BenchRow(.resampler, name, "8000→16000")
        row.cost = p50.map { Cost(p50: $0, p99: 2 * $0, cpu: $0, allocations: nil) }
        row.rejection = rejection
        row.delayMeasured = 3
        row.ripple = 0.1
        return row
    }

    private func report(_ rows: BenchRow...) -> BenchReport { BenchReport(machine: Self.machine, rows: rows) }

    @Test func slowerThanToleratedIsMarkedAndFasterIsNot() {
        let earlier = report(row("a", p50: 1), row("b", p50: 1), row("c", p50: 1), row("gone", p50: 1))
        let now = report(row("a", p50: 1.3), row("b", p50: 1.2), row("c", p50: 0.5), row("new", p50: 9))
        let comparison = Comparison(now, with: earlier, tolerance: 0.25)
        #expect(comparison.worse.map(\.row.name) == ["a"])
        #expect(comparison.lines.map(\.ratio) == [1.3, 1.2, 0.5, nil])
        #expect(comparison.missing.map(\.name) == ["gone"])
        #expect(comparison.warnings.isEmpty)
    }

    @Test func lossesOfQualityAreMarkedWhateverTheTime() {
        let earlier = report(row("a", p50: 1), row("b", p50: 1))
        var late = row("b", p50: 1)
        late.delayMeasured = 3.5
        let comparison = Comparison(report(row("a", p50: 1, rejection: 70), late), with: earlier, tolerance: 0.25)
        #expect(comparison.worse.map(\.losses) == [["rejection"], ["delay"]])
        // What lies below the rounding of 16 bits is chance.
        let lucky = report(row("a", p50: 1, rejection: 115))
        #expect(Comparison(report(row("a", p50: 1, rejection: 98)), with: lucky, tolerance: 0.25).worse.isEmpty)
    }

    @Test func figuresThatDisappearAreSaid() {
        var before = row("a", p50: 1)
        (before.signalToNoise, before.bytes) = (60, 4000)
        before.cost?.allocations = 0
        var now = before
        now.cost?.allocations = nil
        #expect(Comparison(report(now), with: report(before), tolerance: 0.25).worse.isEmpty, "nobody counted")
        (now.signalToNoise, now.rejection, now.ripple, now.delayMeasured, now.bytes) = (nil, nil, nil, nil, nil)
        #expect(
            Comparison(report(now), with: report(before), tolerance: 0.25).worse.map(\.losses)
                == [["SNR gone", "rejection gone", "ripple gone", "delay gone", "memory gone"]])
        now = BenchRow(.resampler, "a", "8000→16000", note: "not installed")
        #expect(Comparison(report(now), with: report(before), tolerance: 0.25).worse.map(\.losses) == [["gone"]])
        #expect(Comparison(report(before), with: report(now), tolerance: 0.25).worse.isEmpty)
    }

    @Test func storedFiguresOfAnySizeAreCompared() {
        var before = row("a", p50: 1), now = row("a", p50: 1)
        for (then, bytes, losses) in [(Int.max, Int.max, 0), (Int.max - 1, .min, 0), (.min, .max, 1)] {
            (before.bytes, now.bytes) = (then, bytes)
            #expect(Comparison(report(now), with: report(before), tolerance: 0.25).worse.count == losses)
        }
    }

    @Test func anotherMachineIsSaid() {
        var other = report(row("a", p50: 1))
        other.machine.processor = "Q"
        other.machine.cores = 8
        let comparison = Comparison(report(row("a", p50: 1)), with: other, tolerance: 0.25)
        #expect(
            comparison.warnings == [
                "measured on another machine: processor Q (x86_64), here P (x86_64); 8 cores, here 2"
            ])
        other = report(row("a", p50: 1))
        other.machine.date = "2020-01-01T00:00:00Z"
        other.machine.system = "FreeBSD"
        #expect(Comparison(report(row("a", p50: 1)), with: other, tolerance: 0.25).warnings.isEmpty)
    }

    @Test func aReportSurvivesBeingStored() throws {
        let before = report(row("a", p50: 1), BenchRow(.codec, "Opus", "48000 Hz", note: "not installed"))
        let after = try JSONDecoder().decode(BenchReport.self, from: JSONEncoder().encode(before))
        #expect(after.rows == before.rows)
        #expect(after.machine == before.machine)
    }

    @Test func keysEndInTheirUnit() throws {
        var full = row("a", p50: 1)
        (full.delayReported, full.signalToNoise, full.gain3400, full.bytes, full.note) = (1, 2, 3, 4, "n")
        full.cost?.allocations = 0
        let object = try JSONSerialization.jsonObject(with: JSONEncoder().encode(full)) as? [String: Any]
        #expect(
            object?.keys.sorted() == [
                "bytes", "cost", "delayMeasuredMs", "delayReportedMs", "family", "gain3400Db", "name", "note", "path",
                "rejectionDb", "rippleDb", "signalToNoiseDb",
            ])
        #expect((object?["cost"] as? [String: Any])?.keys.sorted() == ["allocations", "cpuUs", "p50Us", "p99Us"])
    }

    @Test(arguments: [
        (#"{"version": 1, "rows": []}"#, "an older"), (#"{"version": 99}"#, "a newer"), ("{}", "no table"),
    ])
    func otherFilesAreRefused(text: String, words: String) {
        let error = #expect(throws: StoredReportError.self) { try BenchReport(Data(text.utf8), from: "before.json") }
        #expect(error?.message.hasPrefix("before.json ") == true && error?.message.contains(words) == true)
    }

    @Test func tablesSayWhatIsThereAndLeaveOutEmptyColumns() {
        var absent = BenchRow(.resampler, "absent", "8000→16000", note: "needs libx")
        absent.note = "needs libx"
        let table = report(row("a", p50: 0.25), absent).tables(.text)
        #expect(table.contains("resamplers 8000→16000"))
        #expect(table.contains("0.250"))
        #expect(table.contains("needs libx"))
        #expect(!table.contains("SNR"))
        #expect(report(row("a|b", p50: 1)).tables(.markdown).contains("| a\\|b |"))
    }

    @Test func theSummaryPicksTheCheapestCleanOne() {
        var slow = row("late", p50: 0.1)
        slow.delayMeasured = 100
        let text = report(row("dirty", p50: 0.2, rejection: 20), row("good", p50: 1), row("dear", p50: 2), slow).summary
        #expect(text.contains("is good, 1.00 µs CPU, 3.00 ms"))
    }

    @Test(arguments: [
        (0.0, 2, "0.00"), (-0.001, 2, "0.00"), (-8.785, 1, "-8.8"), (1234.5, 0, "1235"), (0.05, 3, "0.050"),
        (.infinity, 1, "–"), (.nan, 1, "–"), (1e300, 1, "–"), (1e-300, 300, "–"), (1e-12, 12, "0.000000000001"),
    ])
    func numbersAreWrittenOut(value: Double, digits: Int, text: String) {
        #expect(fixed(value, digits) == text)
    }

    @Test func aChartNamesEveryoneOnceAndIsWellFormed() throws {
        let svg = Chart(report(row("a<b", p50: 1), row("c", p50: 50), BenchRow(.resampler, "absent", "8000→16000"))).svg
        #expect(svg.contains(">a&lt;b</text>"))
        #expect(svg.contains(">c</text>"))
        #expect(!svg.contains("absent"))
        for tag in ["g", "svg", "text"] {
            #expect(
                svg.components(separatedBy: "<\(tag)").count == svg.components(separatedBy: "</\(tag)>").count, "\(tag)"
            )
        }
        #expect(Chart(report()).svg.contains("</svg>"))
    }

    @Test(arguments: [1e-308, .leastNonzeroMagnitude, 1e-300, 1e-7, 1e308, .infinity, .nan, -1])
    func aChartLeavesOutWhatNoMachineMeasures(cost: Double) {
        var far = row("b", p50: 1)
        far.delayMeasured = cost == -1 ? .infinity : cost * 1e10
        for svg in [Chart(report(row("a", p50: cost))).svg, Chart(report(far)).svg] {
            #expect(svg.contains("</svg>") && !svg.contains(">a</text>"))
        }
    }
}

@Suite struct PlanTests {
    @Test(arguments: [
        ("8000:16000", true), ("44100:48000", true), ("8000", false), ("8000:8000", false), ("1:2", false),
        ("8000:16001", false), ("8000:16000:8000", false), ("a:b", false), (":", false), ("8000:-16000", false),
    ])
    func ratesAreReadStrictly(text: String, isGood: Bool) {
        #expect((BenchPlan.Rates(text) != nil) == isGood)
    }

    @Test func onlyTakesFamiliesAndNames() {
        let names = { (only: [String]) in
            Set(BenchPlan(only: only, rates: [.init(from: 8000, to: 16000)]).cases.map(\.name))
        }
        #expect(names(["codecs"]) == Set(CodecContender.all.map(\.name)))
        #expect(names(["vad"]) == Set(DetectorContender.all().map(\.name)))
        #expect(names(["SOXR", "µ-law"]) == ["soxr LQ", "soxr MQ", "soxr HQ", "soxr VHQ", "µ-law"])
        #expect(names(["nobody"]).isEmpty)
        #expect(BenchPlan(only: ["soxr", "nobody"]).unknownWords == ["nobody"])
    }

    @Test func aCostIsScaledToTwentyMilliseconds() {
        let cost = Cost(p50: 3, p99: 5, cpu: 4, allocations: 1)
        #expect(cost.scaled(fromMilliseconds: 10) == Cost(p50: 6, p99: 10, cpu: 8, allocations: 2))
        #expect(cost.scaled(fromMilliseconds: 20) == cost)
        #expect(
            Cost(p50: 3, p99: 6, cpu: 9, allocations: nil).scaled(fromMilliseconds: 60)
                == Cost(p50: 1, p99: 2, cpu: 3, allocations: nil))
    }

    @Test func aCostCountsEveryPacket() {
        var calls = 0
        var numbers: Set<Int> = []
        let cost = CostMeter(packets: 10, rounds: 2).measure(milliseconds: 10) { number in
            calls += 1
            numbers.insert(number)
        }
        #expect(numbers == Set(0..<calls))
        #expect(cost.p50 > 0 && cost.p50 <= cost.p99)
        #expect(Cost(p50: 1, p99: 1, cpu: 20, allocations: nil).timesRealTime == 1000)
    }

    /// The heap is the whole process's, and other tests run beside this one: blocks far larger than most of theirs, and the
    /// smallest of several readings.
    @Test func memoryOfAnInstanceIsItsOwn() throws {
        final class Holder {
            let block: [UInt8]
            init(_ block: [UInt8]) { self.block = block }
        }
        let size = 8_000_000
        let shared = [UInt8](repeating: 1, count: size)
        func smallest(_ make: () -> Holder) -> Int? {
            (0..<5).compactMap { _ in HeapMeter.bytes(perInstance: make) }.min()
        }
        guard let sharing = smallest({ Holder(shared) }) else { return }
        #expect(sharing < size / 10)
        // What others give back in the meantime makes a reading too small, so the nearest is the right one.
        let readings = (0..<5).compactMap { _ in HeapMeter.bytes { Holder([UInt8](repeating: 1, count: size)) } }
        #expect(readings.contains { (size * 9 / 10...size * 11 / 10).contains($0) }, "\(readings)")
    }
}
