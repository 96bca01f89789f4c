"""The collections connector, from webhook to transcript: who calls decides which agent answers."""

import asyncio
import http.server
import json
import re
import threading
import time
import urllib.parse

import pytest
from backends import KEY
from conftest import Process
from deployments import deployed, report, said
from phone import SILENCE, call, start_message, webhook, words
from spoken import stretches

CUSTOMERS = {
    "+15550100011": {
        "name": "Ada Example", "customer_id": "C-1", "due_date": "2026-12-01", "total_enr_amount": 1250.5, "emi_eligible": True},
    "+15550100012": {
        "name": "Bob Example", "customer_id": "C-2", "due_date": "2026-11-30", "total_enr_amount": 80, "emi_eligible": False},
}
PATH = "/twilio/incoming-call"


class Customers(http.server.ThreadingHTTPServer):
    """The team's own database, behind HTTP."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Lookup)
        self.asked, self.authorizations, self.delay = [], set(), 0
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Lookup(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        self.server.asked.append(query["phone"][0])
        self.server.authorizations.add(self.headers["Authorization"])
        time.sleep(self.server.delay)
        customer = CUSTOMERS.get(query["phone"][0])
        body = json.dumps(customer or {"error": "unknown"}).encode()
        try:
            self.send_response(200 if customer else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass  # who asked did not wait

    def log_message(self, *_):
        pass


@pytest.fixture
def customers():
    server = Customers()
    yield server
    server.shutdown()


@pytest.fixture(scope="module")
def vendor():
    simulator = Process([
        "simulate", "elevenlabs", "--port", "0", "--format", "ulaw_8000", "--api-key", KEY, "--private",
        "--greeting", "Hello {{name}}, this is {{system__agent_id}}.", "--reply", "Thank you."])
    yield simulator
    simulator.stop()


def environment(vendor, customers, **more):
    return {
        "ELEVENLABS_API_KEY": KEY, "ELEVENLABS_BASE_URL": f"http://127.0.0.1:{vendor}",
        "AGENT_INSTALMENTS": "agent_instalments", "AGENT_PAYMENTS": "agent_payments", "AGENT_GENERAL": "agent_general",
        "CUSTOMERS_URL": f"http://127.0.0.1:{customers.server_port}", "CUSTOMERS_AUTHORIZATION": "Bearer customers-secret",
        "PATCHBAY_ADMIN_TOKEN": "collections-token", **more}


def converse(server, caller, sid, packets=150):
    playout = []
    asyncio.run(call(server, "+15550100001", [SILENCE] * packets, sid=sid, playout=playout, path=PATH, caller=caller))
    webhook(server, "+15550100001", sid, "/twilio/status", caller=caller, CallStatus="completed")
    return playout, report(server, sid)


@pytest.mark.parametrize("caller, agent, name", [
    ("+15550100011", "agent_instalments", "Ada Example"),
    ("+15550100012", "agent_payments", "Bob Example"),
    ("+15550100013", "agent_general", "Valued Customer"),
])
def test_who_calls_decides_which_agent_answers(vendor, customers, caller, agent, name):
    sid = "CA" + caller[-2:] * 16
    with deployed("collections", environment(vendor.port, customers)) as server:
        playout, record = converse(server, caller, sid)
        assert stretches(playout), json.dumps(record["events"], indent=1)
        # The vendor was told the name: it says it.
        assert any(f"Hello {name}, this is {agent}." in text for text in said(record, "agent said")), record["events"]
        assert record["state"] == "ended" and record["from"] == caller
        server_log = "".join(server.lines)
        assert "1250.5" not in server_log and "Ada" not in server_log, "what the database says is nobody's log line"
    assert customers.asked == [caller]
    assert customers.authorizations == {"Bearer customers-secret"}


def test_a_database_that_does_not_answer_in_time_stops_nobody(vendor, customers):
    customers.delay = 3
    sid = "CA" + "7" * 32
    with deployed("collections", environment(vendor.port, customers)) as server:
        begin = time.monotonic()
        webhook(server, "+15550100001", sid, PATH, caller="+15550100011")
        assert 0.7 < time.monotonic() - begin < 2.5
        playout, record = converse(server, "+15550100011", sid)
        assert any("Valued Customer" in text for text in said(record, "agent said"))


def test_when_the_vendor_is_down_the_second_agent_speaks(customers):
    class Nobody:
        port = 9

    sid = "CA" + "8" * 32
    with deployed("collections", environment(Nobody.port, customers)) as server:
        playout, record = converse(server, "+15550100011", sid, packets=250)
        assert stretches(playout)
        assert record["backend"] == "script" and record["agentFailures"] >= 1
        assert any("being serviced" in text for text in said(record, "agent said"))
        assert "agent-unreachable" in server.get("/metrics")


def test_a_socket_that_drops_leaves_nothing_behind(vendor, customers):
    with deployed("collections", environment(vendor.port, customers)) as server:
        import phone

        async def dropped(sid):
            twiml = webhook(server, "+15550100001", sid, PATH, caller="+15550100011")
            url = re.search(r'<Stream url="([^"]+)"', twiml).group(1)
            parameters = dict(re.findall(r'<Parameter name="([^"]+)" value="([^"]+)"', twiml))
            socket = await phone.connect(url, compression=None)
            await socket.send(start_message(sid, parameters))
            await asyncio.sleep(0.3)
            socket.transport.abort()

        async def ten():
            await asyncio.gather(*(dropped(f"CA{number:032d}") for number in range(10)))

        asyncio.run(ten())
        deadline = time.monotonic() + 10
        while json.loads(server.get("/calls?active=true"))["active"] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert json.loads(server.get("/calls?active=true"))["active"] == 0


def test_beyond_the_limit_the_caller_hears_words(vendor, customers, tmp_path):
    import shutil
    folder = tmp_path / "collections"
    shutil.copytree("Pipelines/collections", folder)
    settings = json.loads((folder / "server.json").read_text())
    settings["limits"]["maximumCalls"] = 1
    (folder / "server.json").write_text(json.dumps(settings))
    with deployed("collections", environment(vendor.port, customers), folder=folder) as server:
        assert "<Stream" in webhook(server, "+15550100001", "CA" + "1" * 32, PATH, caller="+15550100011")
        assert words(webhook(server, "+15550100001", "CA" + "2" * 32, PATH, caller="+15550100012")) == [
            "All our lines are busy. Please call again in a few minutes."]
