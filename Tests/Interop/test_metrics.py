"""`/metrics`, read by Prometheus' own parser: what it says is exactly what happened."""

import asyncio
import json
import math
import os
import re
import time
import urllib.error
import urllib.request

import pytest
from phone import SILENCE, call, webhook
from prometheus_client.parser import text_string_to_metric_families
from spoken import speak

NUMBER = "+15550100001"
ECHO = json.dumps({"name": "echo", "numbers": [NUMBER], "transport": "twilio", "stages": ["echo"]})
DESK = json.dumps({
    "name": "desk", "numbers": [NUMBER], "transport": "twilio",
    "stages": ["decoder", "vad", {
        "type": "script", "say": "Hello.",
        "replies": [
            "The next train to the coast leaves at ten past nine from platform four, and it calls at every village.",
            "A ticket costs twelve pounds."]}, "encoder"]})


def families(server):
    with urllib.request.urlopen(server.url + "/metrics", timeout=10) as response:
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return list(text_string_to_metric_families(response.read().decode()))


def value(server, name, **labels):
    """The one sample of that name whose labels are these."""
    found = [
        sample.value for family in families(server) for sample in family.samples
        if sample.name == name and sample.labels == labels]
    return found[0] if found else None


def wait_for(server, expected, name, **labels):
    """What ends with a call is counted a moment after the phone has heard of it."""
    deadline = time.monotonic() + 10
    while (found := value(server, name, **labels)) != expected:
        assert time.monotonic() < deadline, (name, labels, found)
        time.sleep(0.05)


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    from conftest import Process
    folder = tmp_path_factory.mktemp("metrics")
    (folder / "echo.json").write_text(ECHO)
    process = Process(["serve", str(folder), "--port", "0", "--drain-timeout", "1"])
    yield process
    process.stop()


def test_calls_packets_streams_webhooks_and_requests_are_counted_exactly(counted):
    server, during = counted, []

    def look():
        during.extend([
            value(server, "patchbay_calls_active"),
            value(server, "patchbay_packets_total", direction="received"),
            value(server, "patchbay_streams_total", result="accepted")])

    async def three():
        for index in range(3):
            packets = [b"\x40" * 160] * 30
            at = {20: look} if index == 1 else None
            await call(server, NUMBER, packets, sid=f"CA{index:032d}", tail=0, at=at)

    before = value(server, "patchbay_packets_total", direction="received")
    assert before == 0, "every counter that needs no name of somebody's is there from the start"
    asyncio.run(three())
    wait_for(server, 3, "patchbay_calls_total", direction="inbound", outcome="callerHungUp")
    assert during == [1, 50, 2], "a running call is counted too: what it has sent so far, and no more"
    assert value(server, "patchbay_packets_total", direction="received") == 90
    assert value(server, "patchbay_packets_total", direction="missing") == 0
    assert value(server, "patchbay_packets_total", direction="sent") >= 60
    assert value(server, "patchbay_calls_active") == 0
    assert value(server, "patchbay_calls_limit") == 500
    assert value(server, "patchbay_call_duration_seconds_count", direction="inbound") == 3
    assert value(server, "patchbay_call_duration_seconds_sum", direction="inbound") == pytest.approx(1.8, abs=0.5)
    assert value(server, "patchbay_time_to_first_audio_seconds_count", backend="echo") == 3
    assert value(server, "patchbay_agent_connect_seconds_count", backend="echo") == 3
    assert value(server, "patchbay_streams_total", result="accepted") == 3
    assert value(server, "patchbay_webhooks_total", webhook="voice", result="ok") == 3
    assert value(server, "patchbay_http_requests_total", route="voice", method="POST", status="200") == 3
    assert value(server, "patchbay_http_request_duration_seconds_count", route="voice") == 3
    assert value(server, "patchbay_interruption_latency_seconds_count") == 0


def test_what_is_refused_is_counted_by_its_reason(counted):
    server = counted
    assert "not in service" in webhook(server, "+15559999999", "CA9")
    assert value(server, "patchbay_calls_refused_total", reason="unknown-number") == 1
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(server.url + "/twilio/voice", b"CallSid=CA8&To=%2B1&From=%2B2", timeout=10)
    assert refusal.value.code == 403
    assert value(server, "patchbay_webhooks_total", webhook="voice", result="refused") == 1
    assert value(server, "patchbay_http_requests_total", route="voice", method="POST", status="403") == 1
    for path in ["/nothing", "/../etc/passwd", "/calls/CA0/nothing", "/nothing/" + "x" * 300]:
        with pytest.raises(urllib.error.HTTPError):
            server.get(path)
    assert value(server, "patchbay_http_requests_total", route="unknown", method="any", status="404") == 4
    with pytest.raises(urllib.error.HTTPError):
        server.get("/calls/nobody")
    assert value(server, "patchbay_http_requests_total", route="calls/{id}", method="GET", status="404") == 1


def test_the_process_is_the_one_that_runs(counted):
    server = counted
    pid = server.process.pid
    resident = int(open(f"/proc/{pid}/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE")
    assert value(server, "process_resident_memory_bytes") == pytest.approx(resident, rel=0.2)
    assert abs(value(server, "process_open_fds") - len(os.listdir(f"/proc/{pid}/fd"))) <= 4
    assert value(server, "process_max_fds") >= 1024
    assert value(server, "process_threads") >= 2
    user, system = (int(field) for field in open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[11:13])
    assert value(server, "process_cpu_seconds_total") == pytest.approx((user + system) / os.sysconf("SC_CLK_TCK"), abs=1)
    assert time.time() - 300 < value(server, "process_start_time_seconds") < time.time()
    assert value(server, "patchbay_loop_lag_seconds_count", loop="media") > 10


def test_every_family_says_what_it_is_and_histograms_add_up(counted):
    for family in families(counted):
        assert family.documentation, family.name
        assert family.type in ("counter", "gauge", "histogram"), (family.name, family.type)
        assert (family.type == "counter") == any(sample.name.endswith("_total") for sample in family.samples)
        if family.type != "histogram":
            continue
        series = {}
        for sample in family.samples:
            labels = tuple(sorted((key, label) for key, label in sample.labels.items() if key != "le"))
            series.setdefault(labels, []).append(sample)
        for samples in series.values():
            buckets = [(float(sample.labels["le"]), sample.value) for sample in samples if sample.name.endswith("_bucket")]
            [count] = [sample.value for sample in samples if sample.name.endswith("_count")]
            [total] = [sample.value for sample in samples if sample.name.endswith("_sum")]
            assert buckets == sorted(buckets) and [n for _, n in buckets] == sorted(n for _, n in buckets)
            assert buckets[-1] == (math.inf, count)
            # Nothing lies beyond its range: the sum is at least what the lower ends of the ranges make.
            lower = sum(
                (upper - below) * limit
                for (limit, below), (_, upper) in zip([(0, 0)] + buckets[:-1], buckets))
            assert total >= lower - 1e-9, family.name


def test_what_the_caller_waits_for_is_measured_every_turn(serve):
    server = serve(DESK)
    question, interjection = speak("When does the next train leave?"), speak("Wait, what is the price?")
    packets = [SILENCE] * 100 + question + [SILENCE] * 100 + interjection + [SILENCE] * 160
    asyncio.run(call(server, NUMBER, packets, tail=0))
    wait_for(server, 1, "patchbay_calls_total", direction="inbound", outcome="callerHungUp")
    report = json.loads(server.get("/calls"))["calls"][0]
    assert report["interruptions"] == 1
    assert value(server, "patchbay_interruptions_total") == 1
    assert value(server, "patchbay_interruption_latency_seconds_count") == 1
    assert value(server, "patchbay_interruption_latency_seconds_bucket", le="0.1") == 1
    assert value(server, "patchbay_response_latency_seconds_count", backend="script") == 2, "both answers"
    assert 0.3 < value(server, "patchbay_response_latency_seconds_sum", backend="script") / 2 < 1.5
    assert value(server, "patchbay_time_to_first_audio_seconds_count", backend="script") == 1


def test_failures_of_agents_are_counted_by_their_cause(serve):
    server = serve(json.dumps({
        "name": "dead", "numbers": [NUMBER], "transport": "twilio",
        "stages": [{"type": "elevenlabs", "agentId": "a", "apiKey": {"env": "AGENT_KEY"}, "baseUrl": "http://127.0.0.1:9"}]}),
        environment={"AGENT_KEY": "planted-key"})
    said = []
    asyncio.run(call(server, NUMBER, [SILENCE] * 100, said=said))
    assert said
    wait_for(server, 1, "patchbay_calls_total", direction="inbound", outcome="failure")
    [failures] = [family for family in families(server) if family.name == "patchbay_agent_failures"]
    assert {(sample.labels["backend"], sample.labels["code"]) for sample in failures.samples} == {
        ("elevenlabs", "agent-unreachable")}
    # Each failure is a line of the log, too: the first try and the one that it is given again.
    events = json.loads(server.get("/calls/" + json.loads(server.get("/calls"))["calls"][0]["id"]))["events"]
    assert failures.samples[0].value == sum(event["event"] == "agent failed" for event in events) >= 1
    assert "planted-key" not in server.get("/metrics")


def test_what_waits_to_be_sent_is_counted(serve, tmp_path):
    (tmp_path / "server.json").write_text(json.dumps({"webhooks": [{
        "name": "crm", "url": "http://127.0.0.1:9/", "events": ["call.started", "call.ended"],
        "secret": {"env": "HOOK_SECRET"}}]}))
    server = serve(ECHO, environment={"HOOK_SECRET": "planted-hook-secret"})
    assert value(server, "patchbay_webhooks_waiting") == 0
    asyncio.run(call(server, NUMBER, [SILENCE] * 20, tail=0))
    wait_for(server, 2, "patchbay_webhooks_waiting")


def test_the_documentation_has_every_metric_with_its_type_and_labels(counted):
    page = open("Sources/Patchbay/Patchbay.docc/Operations.md").read()
    rows = {}
    for name, kind, labels in re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \|([^|]*)\|", page, re.M):
        rows[name] = (kind, set(re.findall(r"`(\w+)`", labels)))
    for family in families(counted):
        name = family.name + ("_total" if family.type == "counter" else "")
        kind, labels = rows[name]
        assert kind == family.type, name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == labels, (name, sample.labels)
