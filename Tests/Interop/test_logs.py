"""The log of a server: what operators search for, what machines read, and that nobody waits for whoever reads it."""

import asyncio
import http.client
import json
import re
import subprocess
import threading
import time
import urllib.request

import pytest
from conftest import AUTH_TOKEN, BINARY, Process
from phone import SILENCE, call, webhook
from test_metrics import NUMBER, ECHO, value

VENDOR = "agent-conversation-agent"
#: What operators search for, in the order in which it happens.
LINES = ["incoming call", "connected to agent", "stream connected", "agent conversation started", "call ended"]
SECRETS = [AUTH_TOKEN, "planted-agent-key", "planted-admin-token"]


@pytest.fixture(scope="module")
def vendor():
    process = Process(["simulate", "elevenlabs", "--port", "0"])
    yield process
    process.stop()


def elevenlabs(vendor):
    return json.dumps({
        "name": "clinic", "numbers": [NUMBER], "transport": "twilio",
        "stages": [{"type": "elevenlabs", "agentId": "agent-1", "apiKey": {"env": "AGENT_KEY"}, "baseUrl": vendor.url}]})


def one_call(server, sid):
    asyncio.run(call(server, NUMBER, [SILENCE] * 60, sid=sid))
    deadline = time.monotonic() + 10
    while json.loads(server.get("/calls"))["active"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert server.stop() == 0


def test_every_line_of_a_call_has_its_names_in_json(serve, vendor):
    sid = "CA" + "a" * 32
    server = serve(
        elevenlabs(vendor), arguments=["--log-format", "json", "--log-level", "debug"],
        environment={"AGENT_KEY": SECRETS[1], "PATCHBAY_ADMIN_TOKEN": SECRETS[2]})
    ident = []
    webhook_thread = threading.Thread(target=one_call, args=(server, sid))
    webhook_thread.start()
    webhook_thread.join(60)
    records = [json.loads(line) for line in server.lines]
    for record in records:
        assert list(record)[:3] == ["time", "level", "message"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["time"])
    times = [record["time"] for record in records]
    assert times == sorted(times)
    own = [record for record in records if record.get("callSid") == sid]
    found = [record["message"] for record in own if record["message"] in LINES]
    assert sorted(found) == sorted(LINES), found
    assert found[0] == "incoming call" and found[-1] == "call ended"
    assert own[0] == {**own[0], "from": "+15550100099", "to": NUMBER}
    ident = {record["call"] for record in own[1:]}
    assert len(ident) == 1 and ident.pop().startswith("call-")
    [conversation] = [record for record in own if record["message"] == "agent conversation started"]
    assert conversation["conversation"].startswith("conv")
    [listening] = [record for record in records if record["message"] == "listening"]
    assert listening["pipelines"] == ["clinic"] and listening["records"] == "memory" and listening["unchecked"] == []
    assert not any(secret in line for secret in SECRETS for line in server.lines)


def test_text_stands_in_columns_and_operators_find_what_they_search_for(serve, vendor):
    sid = "CA" + "b" * 32
    server = serve(elevenlabs(vendor), environment={"AGENT_KEY": SECRETS[1]})
    one_call(server, sid)
    lines = [line.rstrip("\n") for line in server.lines if f"callSid={sid}" in line]
    for line in lines:
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INFO   |NOTICE |WARNING|ERROR  )  \w", line), line
        assert "\x1b" not in line
    for words in LINES:
        assert sum(words in line for line in lines) == 1, words
    assert re.search(r"incoming call +callSid=CAb+ from=\+15550100099 to=\+15550100001$", lines[0])
    assert len({line.index("callSid=") for line in lines[:1]}) == 1


def test_the_banner_says_where_everything_is_and_what_is_off(serve):
    server = serve(ECHO, arguments=["--insecure-skip-signatures"])
    said = "".join(server.lines)
    deadline = time.monotonic() + 5
    while "!!" not in said and time.monotonic() < deadline:
        time.sleep(0.05)
        said = "".join(server.lines)
    assert "carrier        /twilio/voice /twilio/status /twilio/next /twilio/error " in said
    assert "sockets        /twilio/stream /ws\n" in said
    assert re.search(r"operators +.*/metrics.* \(this machine, or a token\)\n", said)
    assert "records: in memory until the server stops" in said
    assert re.search(r"^!! webhook signatures are NOT checked", said, re.M)
    assert re.search(r"WARNING  webhook signatures are NOT checked", said)


def test_strangers_write_no_lines_of_their_own(serve):
    server = serve(ECHO, arguments=["--log-level", "trace"])
    hostile = "+1\n2026-01-01T00:00:00.000Z ERROR    forged\x1b[2J\u2028"
    webhook(server, "+1999", "CA5", caller=hostile)
    webhook(server, NUMBER + "\r\nforged", "CA6")
    server.stop()
    said = "".join(server.lines)
    assert not any(line.startswith(("2026-01-01", "forged")) for line in said.splitlines())
    assert "\x1b" not in said and "\u2028" not in said
    assert r"\n2026-01-01" in said, "it is there, as the text that it is"


def test_the_environment_chooses_the_format(serve):
    server = serve(ECHO, environment={"PATCHBAY_LOG_FORMAT": "json"})
    assert json.loads(server.lines[0])["level"]
    result = subprocess.run(
        [BINARY, "serve", "--port", "0"], capture_output=True, text=True, timeout=30,
        env={"PATCHBAY_LOG_FORMAT": "xml", "TWILIO_AUTH_TOKEN": "x"})
    assert result.returncode == 1 and 'PATCHBAY_LOG_FORMAT is "xml"; allowed are text or json' in result.stderr


class Unread(Process):
    """A server whose standard error nobody reads until it is told to."""

    def __init__(self, *arguments):
        self.go = threading.Event()
        super().__init__(*arguments)

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if self.port is None and '"message":"listening"' in line:
                self.port = int(json.loads(line)["port"])
                self._ready.set()
                self.go.wait(120)


def test_a_reader_who_has_stopped_reading_delays_no_call(tmp_path):
    (tmp_path / "echo.json").write_text(ECHO)
    server = Unread(["serve", str(tmp_path), "--port", "0", "--drain-timeout", "1", "--log-format", "json"])
    try:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        asked = 1600
        for _ in range(asked):
            connection.request("POST", "/twilio/voice", b"CallSid=CA1", {
                "X-Twilio-Signature": "wrong", "X-Forwarded-Host": "h" * 3500})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 403
        assert value(server, "patchbay_queue_bytes", queue="log") > 3 << 20
        sent, playout = [], []
        packets = [bytes([0x40 + index % 32]) * 160 for index in range(100)]
        heard, _ = asyncio.run(call(server, NUMBER, packets, sent=sent, playout=playout))
        assert heard[: 80 * 160] == b"".join(packets[:80])
        delays = sorted(at - sent[index] for index, (at, _) in enumerate(playout[:80]))
        assert delays[40] < 0.25, delays
        server.go.set()
        deadline = time.monotonic() + 20
        notices = []
        while not notices and time.monotonic() < deadline:
            time.sleep(0.1)
            notices = [json.loads(line) for line in list(server.lines) if "lines of the log were dropped" in line]
        dropped = sum(int(notice["lines"]) for notice in notices)
        assert dropped > 0
        assert value(server, "patchbay_log_lines_dropped_total") == dropped
    finally:
        server.go.set()
        server.stop()
    refused = sum('"message":"webhook refused"' in line for line in server.lines)
    assert refused + dropped >= asked > refused, (refused, dropped)
