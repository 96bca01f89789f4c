import CoreMetrics
import HTTPTypes
import Hummingbird
import PatchbayConfig
import PatchbayCore
import Testing

@testable import PatchbayControl

/// What is entered comes out, in a form that Prometheus reads, and never without bounds.
@Suite struct MetricsTests {
    /// Without what every process has.
    private func text(_ metrics: PrometheusMetrics) -> [String] {
        metrics.text().split(separator: "\n").map(String.init)
            .filter { !$0.contains(ServerMetrics.refusedSeries) }
    }

    @Test func eachKindIsPrintedInItsForm() {
        let metrics = PrometheusMetrics()
        metrics.describe([
            MetricDescription("wait_seconds", .histogram([0.1, 1]), ["who"], "What\nsomebody waits."),
            MetricDescription("level", .gauge, [], "How \"high\" it is."),
        ])
        metrics.makeCounter(label: "calls_total", dimensions: [("b", "2"), ("a", "1")]).increment(by: 3)
        metrics.makeCounter(label: "calls_total", dimensions: [("a", "1"), ("b", "2")]).increment(by: 4)
        metrics.makeFloatingPointCounter(label: "talk_seconds_total", dimensions: []).increment(by: 0.25)
        let gauge = metrics.makeRecorder(label: "level", dimensions: [], aggregate: false)
        gauge.record(Int64(7))
        gauge.record(2.5)
        let wait = metrics.makeRecorder(label: "wait_seconds", dimensions: [("who", "you")], aggregate: true)
        for value in [0.05, 0.1, 0.5, 7, .nan, .infinity] { wait.record(value) }
        metrics.makeTimer(label: "odd", dimensions: []).recordNanoseconds(1_500_000_000)
        let meter = metrics.makeMeter(label: "depth", dimensions: [])
        meter.increment(by: 3)
        meter.decrement(by: 5)
        #expect(
            text(metrics) == [
                "# TYPE calls_total counter", #"calls_total{a="1",b="2"} 7"#,
                "# TYPE depth gauge", "depth -2",
                #"# HELP level How "high" it is."#, "# TYPE level gauge", "level 2.5",
                "# TYPE odd summary", "odd_sum 1.5", "odd_count 1",
                "# TYPE talk_seconds_total counter", "talk_seconds_total 0.25",
                #"# HELP wait_seconds What\nsomebody waits."#, "# TYPE wait_seconds histogram",
                #"wait_seconds_bucket{who="you",le="0.1"} 2"#, #"wait_seconds_bucket{who="you",le="1"} 3"#,
                #"wait_seconds_bucket{who="you",le="+Inf"} 4"#, #"wait_seconds_sum{who="you"} 7.65"#,
                #"wait_seconds_count{who="you"} 4"#,
            ])
    }

    @Test func namesAndLabelsAreWhatTheFormatTakes() {
        let metrics = PrometheusMetrics()
        let hostile = "a\\b\"c\nd\re{}=," + String(repeating: "x", count: 500)
        metrics.makeCounter(
            label: "1 strange.name", dimensions: [("le", "1"), ("__x", "2"), ("ü y", hostile)]
        ).increment(by: 1)
        let lines = text(metrics)
        #expect(lines[0] == "# TYPE _1_strange_name counter" && lines.count == 2)
        let cut = String(repeating: "x", count: PrometheusMetrics.maximumLabelLength - 13)
        #expect(lines[1] == #"_1_strange_name{_x="2",_y="a\\b\"c\nd\ne{}=,"# + cut + #"",le_="1"} 1"#)
    }

    @Test func countersOnlyGrow() {
        let metrics = PrometheusMetrics()
        let counter = metrics.makeCounter(label: "grows_total", dimensions: [])
        counter.increment(by: 5)
        counter.increment(by: -3)
        counter.reset()
        #expect(text(metrics).last == "grows_total 5")
    }

    @Test func seriesAreBoundedAndWhatIsBeyondIsCounted() {
        let metrics = PrometheusMetrics()
        for index in 0..<PrometheusMetrics.maximumSeriesPerMetric + 25 {
            metrics.makeCounter(label: "many_total", dimensions: [("id", "\(index)")]).increment(by: 1)
        }
        #expect(text(metrics).count == PrometheusMetrics.maximumSeriesPerMetric + 1)
        #expect(metrics.text().contains("\n\(ServerMetrics.refusedSeries) 25\n"))
        metrics.makeCounter(label: "many_total", dimensions: [("id", "7")]).increment(by: 1)
        #expect(metrics.text().contains("many_total{id=\"7\"} 2\n"), "those that are there go on")
    }

    @Test func oneNameHasOneKind() {
        let metrics = PrometheusMetrics()
        metrics.makeCounter(label: "thing_total", dimensions: []).increment(by: 2)
        metrics.makeRecorder(label: "thing_total", dimensions: [], aggregate: false).record(9.0)
        metrics.makeRecorder(label: CallMetrics.calls, dimensions: [], aggregate: true).record(9.0)
        #expect(text(metrics) == ["# TYPE thing_total counter", "thing_total 2"])
        #expect(metrics.text().contains("\n\(ServerMetrics.refusedSeries) 2\n"))
    }

    @Test func nothingIsLostAmongManyTasks() async {
        let metrics = PrometheusMetrics()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for index in 0..<500 {
                        metrics.makeCounter(label: "all_total", dimensions: []).increment(by: 1)
                        metrics.makeTimer(label: "all_seconds", dimensions: []).recordNanoseconds(Int64(index))
                    }
                }
            }
        }
        #expect(text(metrics).contains("all_total 4000") && text(metrics).contains("all_seconds_count 4000"))
    }

    @Test func everyDescriptionIsSound() {
        let descriptions = PrometheusMetrics().descriptions
        #expect(Set(descriptions.map(\.name)).count == descriptions.count)
        for metric in descriptions {
            #expect(PrometheusText.name(metric.name) == metric.name)
            #expect(metric.help.hasSuffix(".") || metric.help.hasSuffix("…"), "\(metric.name)")
            #expect(metric.labels == metric.labels.sorted(), "\(metric.name)")
            #expect(metric.name.hasSuffix("_total") == (metric.kind == .counter), "\(metric.name)")
            guard case .histogram(let limits) = metric.kind else { continue }
            #expect(limits == Array(Set(limits)).sorted(), "\(metric.name)")
            #expect(metric.name.hasSuffix("_seconds"))
        }
    }

    @Test func aProcessIsReadWhateverItsName() throws {
        let stat =
            "4711 (a) b (c) S 1 4711 4711 0 -1 4194560 2480 0 0 0 250 50 0 0 20 0 9 0 1000 104857600 512 184467440 1 1 0"
        let usage = try #require(
            ProcessUsage(stat: stat, bootTime: 1_700_000_000, ticksPerSecond: 100, pageBytes: 4096))
        #expect(usage.cpu == 3 && usage.threads == 9 && usage.startedAt == 1_700_000_010)
        #expect(usage.virtualBytes == 104_857_600 && usage.residentBytes == 512 * 4096)
        #expect(ProcessUsage.bootTime("cpu 1 2\nintr 3\nbtime 1700000000\nprocesses 4\n") == 1_700_000_000)
        for broken in ["", "4711 (x", "4711 (x) S 1 2", "4711 (x) S" + String(repeating: " a", count: 40)] {
            #expect(ProcessUsage(stat: broken, bootTime: 0, ticksPerSecond: 100, pageBytes: 4096) == nil)
        }
        let own = try #require(ProcessUsage.now())
        #expect(
            own.residentBytes > 1_048_576 && own.openFiles >= 3 && own.fileLimit > 3 && own.startedAt > 1_600_000_000)
    }

    @Test func aRouteIsNamedByItsKeyWhateverItsPath() {
        var settings = ServerSettings()
        settings.paths[.voice] = ["/api/twilio/voice", "/old"]
        settings.paths[.calls] = ["/twilio/calls"]
        for (path, method, route) in [
            ("/api/twilio/voice", HTTPRequest.Method.post, "voice"), ("/old", .post, "voice"), ("/", .get, "info"),
            ("/twilio/calls", .get, "calls"), ("/twilio/calls/:id/hangup", .post, "calls/{id}/hangup"),
            ("/pipelines/reload", .post, "pipelines/reload"), ("/own/:thing", .get, "/own/{thing}"),
        ] {
            #expect(RouteMeters(RouterPath(path), method, settings).route == route)
        }
    }
}
