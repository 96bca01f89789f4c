"""Webhooks of ElevenLabs in, webhooks of ours out, and what is found out about callers, over real sockets."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import re
import socket
import sqlite3
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import httpx
import pytest
from conftest import AUTH_TOKEN
from elevenlabs.client import ElevenLabs
from phone import call, start_message
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import connect

SECRET = "wsec_interop_0123456789abcdef"
TOOL_SECRET = "tool-interop-8f31c0aa"
CALLER = "+15550100099"


class Service:
    """A service that remembers what it was sent and answers as `answer` says: a status with JSON."""

    def __init__(self, answer):
        self.requests = []
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                service.requests.append((self.command, self.path, self.headers, body))
                status, value = answer(self.command, self.path, body, len(service.requests))
                text = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = handle_one

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.server.shutdown()
        self.server.server_close()

    def events(self):
        return [json.loads(body)["type"] for _, _, _, body in self.requests]


def wait(what, condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def request(server, path, body=None, headers=None, method=None):
    """The status and the JSON of an answer."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    sent = urllib.request.Request(server.url + path, data, headers or {}, method=method)
    try:
        with urllib.request.urlopen(sent, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def voice(server, sid, caller=CALLER, number="+15550100001"):
    form = {"CallSid": sid, "From": caller, "To": number, "CallStatus": "ringing"}
    url = server.url + "/twilio/voice"
    sent = urllib.request.Request(
        url, urllib.parse.urlencode(form).encode(),
        {"X-Twilio-Signature": RequestValidator(AUTH_TOKEN).compute_signature(url, form)})
    with urllib.request.urlopen(sent, timeout=10) as response:
        return response.read().decode()


def backend(server, sid):
    return json.loads(server.get(f"/calls/{sid}"))["backend"]


# What the documentation shows of how a receiver checks a message, to the letter.
def is_ours(secret: bytes, header: str, body: bytes) -> bool:
    parts = dict(part.split("=", 1) for part in header.split(","))
    expected = hmac.new(secret, parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, parts["v1"]) and abs(time.time() - int(parts["t"])) < 300


def echo(more=""):
    return '{"name": "echo", "numbers": ["*"], "transport": "twilio", %s "stages": ["echo"]}' % more


# In


def signed(body, secret=SECRET, at=None):
    at = int(time.time() if at is None else at)
    code = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v0={code}"


def test_what_the_vendors_library_accepts_is_accepted(serve):
    server = serve(echo(), environment={"ELEVENLABS_WEBHOOK_SECRET": SECRET})
    webhooks = ElevenLabs(api_key="none").webhooks
    body = json.dumps({
        "type": "post_call_transcription", "event_timestamp": int(time.time()),
        "data": {"agent_id": "a", "conversation_id": "c", "status": "done", "note": "Zoë – ok"}}).encode()
    now = time.time()
    cases = [
        (body, signed(body)), (body, ",".join(reversed(signed(body).split(",")))), (body, signed(body, at=now - 1700)),
        (body, signed(body, at=now - 1900)), (body, signed(body, "wsec_other")), (body + b" ", signed(body)),
        (body, signed(body).split(",")[0]), (body, ""), (body, signed(body).upper()),
    ]
    verdicts = []
    for content, header in cases:
        try:
            webhooks.construct_event(content.decode(), header, SECRET)
            accepted = True
        except Exception:
            accepted = False
        status, answer = request(server, "/elevenlabs/post-call", content, {"ElevenLabs-Signature": header})
        assert (status == 200) == accepted, (header, status, answer)
        assert status in (200, 403)
        verdicts.append(accepted)
    assert verdicts == [True, True, True] + [False] * 6
    assert 'patchbay_webhooks_received_total' in server.get("/metrics")


def test_a_recording_comes_in_pieces(serve, tmp_path):
    data = tmp_path / "data"
    server = serve(echo(), environment={"ELEVENLABS_WEBHOOK_SECRET": SECRET}, arguments=["--store", str(data)])
    audio = bytes(range(256)) * 12_000
    body = json.dumps({"type": "post_call_audio", "event_timestamp": 1, "data": {
        "agent_id": "a", "conversation_id": "conv_../x", "full_audio": base64.b64encode(audio).decode()}}).encode()

    def pieces():
        for offset in range(0, len(body), 50_000):
            yield body[offset:offset + 50_000]

    answer = httpx.post(
        server.url + "/elevenlabs/post-call", content=pieces(), headers={"ElevenLabs-Signature": signed(body)}, timeout=30)
    assert answer.status_code == 200, answer.text
    files = list((data / "recordings").iterdir())
    assert len(files) == 1 and files[0].read_bytes() == audio and files[0].stat().st_mode & 0o777 == 0o600


def head(server, signature, length, source="127.0.0.1"):
    """A connection that has sent the head of a webhook."""
    sent = socket.create_connection(("127.0.0.1", server.port), 10, (source, 0))
    sent.sendall((
        f"POST /elevenlabs/post-call HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n"
        f"ElevenLabs-Signature: {signature}\r\n\r\n").encode())
    return sent


def test_who_cannot_be_the_vendor_is_not_listened_to(serve):
    server = serve(echo(), environment={"ELEVENLABS_WEBHOOK_SECRET": SECRET})
    for signature, words in [
        ("x", b"not of the form"), ("t=1,v0=" + "0" * 64, b"older than"), ("v0=" + "0" * 64, b"not of the form"),
        (f"t={int(time.time()) + 3600},v0=" + "0" * 64, b"ahead of"), (f"t={int(time.time())},v0=00", b"not of the form"),
    ]:
        # Nothing of the body is sent.
        with head(server, signature, 50_000_000) as sent:
            answer = sent.recv(65536)
            while words not in answer:
                more = sent.recv(65536)
                assert more, answer
                answer += more
            assert answer.startswith(b"HTTP/1.1 403"), answer
    assert 'outcome="refused",source="elevenlabs",type="other"} 5' in server.get("/metrics")
    trail = request(server, "/audit")[1]["entries"]
    assert [entry["action"] for entry in trail] == ["webhook.refused"] * 5


def test_a_stranger_keeps_no_recording_out(serve, tmp_path):
    server = serve(
        echo(), environment={"ELEVENLABS_WEBHOOK_SECRET": SECRET}, arguments=["--store", str(tmp_path / "data")])
    forged = f"t={int(time.time())},v0=" + "0" * 64
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            stranger = stack.enter_context(head(server, forged, 50_000_000, "127.0.0.2"))
            stranger.sendall(b"x" * 1_200_000)
        bodies = [json.dumps({"type": "post_call_audio", "event_timestamp": 1, "data": {
            "agent_id": "a", "conversation_id": f"conv_{index}",
            "full_audio": base64.b64encode(bytes(1_500_000)).decode()}}).encode() for index in range(3)]
        begin = time.monotonic()
        statuses = []

        def post(body):
            statuses.append(httpx.post(
                server.url + "/elevenlabs/post-call", content=body, headers={"ElevenLabs-Signature": signed(body)},
                timeout=30).status_code)

        # They come at once, and from one address.
        threads = [threading.Thread(target=post, args=[body]) for body in bodies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses == [200] * 3 and time.monotonic() - begin < 20
    assert len(list((tmp_path / "data" / "recordings").iterdir())) == 3


def test_a_tool_is_never_said_to_be_done_when_nobody_knows(serve, tmp_path):
    bookings, release = [], threading.Event()

    def answer(method, path, body, count):
        bookings.append(body)
        release.wait(20)
        return 200, {"booked": True}

    event = json.dumps({
        "event": "tool_call", "agentId": "agent_1", "sessionId": "s-1",
        "data": {"tool_name": "book_appointment", "tool_call_id": "t-1", "parameters": {"day": "Monday"}}}).encode()
    answers = []

    def ask(server):
        with contextlib.suppress(Exception):
            answers.append(request(server, "/elevenlabs/post-call", event, {"ElevenLabs-Signature": signed(event)}))

    with Service(answer) as service:
        document = json.dumps({
            "name": "salon", "numbers": {"+15550100001": {"tenantId": "t1"}}, "transport": "twilio",
            "stages": [{"type": "elevenlabs", "agentId": "agent_1"}],
            "tools": [{
                "name": "book_appointment", "description": "x", "url": service.url + "/book",
                "parameters": {"type": "object", "properties": {"day": {"type": "string"}}}}]})
        arguments, environment = ["--store", str(tmp_path / "data")], {"ELEVENLABS_WEBHOOK_SECRET": SECRET}
        server = serve(document, environment=environment, arguments=arguments)
        first = threading.Thread(target=ask, args=[server])
        first.start()
        wait("the booking", lambda: bookings)
        server.process.kill()
        server.process.wait()
        release.set()
        first.join()
        assert answers == []
        server = serve(document, environment=environment, arguments=arguments)
        for _ in range(2):
            ask(server)
            status, said = answers.pop()
            assert (status, said["success"], said["code"]) == (409, False, "OUTCOME_UNKNOWN"), said
        assert len(bookings) == 1
        # Another booking, asked for three times at once, is made once, and everybody hears of it.
        event = event.replace(b"t-1", b"t-2")
        threads = [threading.Thread(target=ask, args=[server]) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [(200, {"success": True, "data": {"booked": True}})] * 3, answers
        assert len(bookings) == 2


def test_questions_and_tools_prove_themselves_by_a_header(serve, tmp_path):
    with Service(lambda method, path, body, count: (200, {"path": path, "body": body.decode()})) as service:
        (tmp_path / "server.json").write_text(json.dumps({
            "paths": {"tools": ["/api/agent-tools"], "initiation": ["/api/init"]},
            "elevenlabs": {"secretHeader": {"name": "X-Tool-Secret", "value": {"env": "TOOL_SECRET"}}}}))
        server = serve(json.dumps({
            "name": "salon", "numbers": {"+15550100001": {"tenantId": "t1"}}, "transport": "twilio",
            "stages": [{"type": "elevenlabs", "agentId": "agent_1", "firstMessage": "Hi"}],
            "tools": [{
                "name": "get_services", "aliases": ["list_services"], "description": "x", "method": "GET",
                "url": service.url + "/services?tenant=${tenantId}"}]}), environment={"TOOL_SECRET": TOOL_SECRET})
        header = {"X-Tool-Secret": TOOL_SECRET}
        status, answer = request(server, "/api/agent-tools/list_services?tenantId=t1", {}, header)
        assert (status, answer["path"]) == (200, "/services?tenant=t1")
        assert request(server, "/api/agent-tools/list_services?tenantId=t1", {})[0] == 403
        status, answer = request(
            server, "/api/init",
            {"caller_id": CALLER, "agent_id": "agent_1", "called_number": "+15550100001", "call_sid": "CA1"}, header)
        assert status == 200 and answer["dynamic_variables"]["tenantId"] == "t1"
        assert answer["conversation_config_override"]["agent"] == {"first_message": "Hi"}
        assert TOOL_SECRET not in "".join(server.lines)


def test_what_the_vendor_carries_belongs_to_a_tenant_and_is_in_the_trail(serve, tmp_path):
    (tmp_path / "tenants.json").write_text(json.dumps({"tenants": [
        {"id": name, "name": name, "pipeline": "salon", "numbers": [number], "agentId": f"agent_{name}"}
        for name, number in (("north", "+15550100012"), ("south", "+15550100013"))]}))
    (tmp_path / "server.json").write_text(json.dumps({
        "elevenlabs": {"secretHeader": {"name": "X-Tool-Secret", "value": {"env": "TOOL_SECRET"}}},
        "access": {"tokens": [
            {"name": "desk", "token": {"env": "DESK"}, "tenant": "north", "rights": ["read"]},
            {"name": "owner", "token": {"env": "OWNER"}, "rights": ["read", "admin"]}]}}))
    with Service(lambda method, path, body, count: (200, {"open": "nine"})) as service:
        server = serve(
            json.dumps({
                "name": "salon", "transport": "twilio", "stages": ["echo"],
                "tools": [{"name": "get_hours", "description": "x", "method": "GET", "url": service.url}]}),
            environment={
                "ELEVENLABS_WEBHOOK_SECRET": SECRET, "TOOL_SECRET": TOOL_SECRET, "DESK": "token-of-the-desk",
                "OWNER": "token-of-the-owner"},
            arguments=["--store", str(tmp_path / "data")])

        def tell(event, conversation, agent, **data):
            body = json.dumps({"type": event, "event_timestamp": 1, "data": {
                "agent_id": agent, "conversation_id": conversation, **data}}).encode()
            status, answer = request(server, "/elevenlabs/post-call", body, {"ElevenLabs-Signature": signed(body)})
            assert status == 200, answer

        def ask(path, token="token-of-the-desk"):
            return request(server, path, headers={"Authorization": f"Bearer {token}"})[1]

        phone = {"metadata": {"start_time_unix_secs": int(time.time()), "call_duration_secs": 30, "phone_call": {
            "direction": "inbound", "agent_number": "+15550100012", "external_number": CALLER, "call_sid": "CAvendor"}}}
        tell("post_call_audio", "conv_1", "agent_north", full_audio="SUQzBAAA")
        assert [entry["callSid"] for entry in ask("/calls")["calls"]] == ["conv_1"], "the agent says whose it is"
        tell("post_call_transcription", "conv_1", "agent_south", status="done", **phone)
        tell("post_call_transcription", "conv_2", "agent_south", status="done", metadata={"phone_call": {
            **phone["metadata"]["phone_call"], "agent_number": "+15550100098", "call_sid": "CAsouth"}})
        listed = ask("/calls")["calls"]
        assert [(entry["callSid"], entry["tenant"], entry["pipeline"]) for entry in listed] == [("CAvendor", "north", "salon")]
        assert [(day["tenant"], day["calls"], round(day["seconds"])) for day in ask("/usage")["usage"]] == [("north", 1, 30)]

        voice(server, "CAours", number="+15550100012")
        tool = {"X-Tool-Secret": TOOL_SECRET, "X-Call-Sid": "CAours"}
        assert request(server, "/elevenlabs/tools/get_hours", {}, tool)[0] == 200
        wait("the tool", lambda: [
            (call["name"], json.loads(call["output"])) for call in ask("/calls/CAours/transcript")["toolCalls"]] == [
                ("get_hours", {"open": "nine"})])
        tell("call_initiation_failure", "conv_3", "agent_north", failure_reason="busy")
        trail = [(entry["action"], entry["subject"], entry["outcome"], entry["tenant"])
                 for entry in ask("/audit", "token-of-the-owner")["entries"] if entry["actor"] == "vendor"]
        assert trail == [
            ("webhook.taken", "call_initiation_failure: conv_3", "busy", "north"),
            ("tool.call", "get_hours: CAours", "ok", "north")]


# Out


def endpoint(service, **more):
    return {"name": "crm", "url": service.url + "/hook", "events": ["call.started", "call.ended"],
            "secret": {"env": "HOOK_SECRET"}, **more}


def test_receivers_are_told_of_calls_until_they_have_taken_it(serve, tmp_path):
    with Service(lambda method, path, body, count: (500 if count == 1 else 200, {})) as service:
        (tmp_path / "server.json").write_text(json.dumps({"webhooks": [endpoint(service)]}))
        server = serve(echo(), environment={"HOOK_SECRET": "hook-s3cr3t"})
        asyncio.run(call(server, "+15550100001", [b"\x20" * 160] * 10))
        wait("three posts", lambda: len(service.requests) >= 3)
        assert sorted(set(service.events())) == ["call.ended", "call.started"]
        messages = {}
        for method, path, headers, body in service.requests:
            assert (method, path, headers["Content-Type"]) == ("POST", "/hook", "application/json")
            assert is_ours(b"hook-s3cr3t", headers["Patchbay-Signature"], body)
            assert not is_ours(b"another", headers["Patchbay-Signature"], body)
            message = json.loads(body)
            assert headers["Idempotency-Key"] == message["id"]
            assert messages.setdefault(message["id"], message) == message, "a repetition is the same"
        assert len(messages) == 2
        ended = next(message for message in messages.values() if message["type"] == "call.ended")
        assert ended["data"]["call"]["from"] == CALLER and ended["data"]["call"]["endedAt"]
        assert json.loads(server.get("/webhooks/dead")) == {"messages": []}
        assert "hook-s3cr3t" not in "".join(server.lines)


def test_dead_letters_are_listed_and_sent_again_also_by_the_next_server(serve, tmp_path):
    gone = [True]
    with Service(lambda method, path, body, count: (410 if gone[0] else 204, {})) as service:
        (tmp_path / "server.json").write_text(json.dumps({"webhooks": [endpoint(service, events=["call.started"])]}))
        environment = {"HOOK_SECRET": "hook-s3cr3t"}
        arguments = ["--store", str(tmp_path / "data")]
        server = serve(echo(), environment=environment, arguments=arguments)
        voice(server, "CA" + "1" * 32)
        wait("the dead letter", lambda: json.loads(server.get("/webhooks/dead"))["messages"])
        server.stop()
        server = serve(echo(), environment=environment, arguments=arguments)
        letter = json.loads(server.get("/webhooks/dead"))["messages"][0]
        assert letter["lastError"] == "the receiver answered 410 Gone" and letter["endpoint"] == "crm"
        gone[0] = False
        assert json.loads(server.post(f"/webhooks/dead/{letter['id']}/retry"))["status"] == "queued"
        wait("the message", lambda: len(service.requests) == 2)
        wait("the empty list", lambda: not json.loads(server.get("/webhooks/dead"))["messages"])
        assert request(server, f"/webhooks/dead/{letter['id']}/retry", b"")[0] == 404


def test_a_receiver_that_was_down_is_told_by_the_next_server(serve, tmp_path):
    with Service(lambda method, path, body, count: (200, {})) as service:
        port = service.server.server_port
    (tmp_path / "server.json").write_text(json.dumps({"webhooks": [endpoint(service, events=["call.started"])]}))
    environment = {"HOOK_SECRET": "hook-s3cr3t"}
    arguments = ["--store", str(tmp_path / "data")]
    server = serve(echo(), environment=environment, arguments=arguments)
    voice(server, "CA" + "1" * 32)
    wait("the try", lambda: 'outcome="failed"' in server.get("/metrics"))
    server.process.kill()
    server.process.wait()
    received = []

    class Late(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    late = http.server.ThreadingHTTPServer(("127.0.0.1", port), Late)
    threading.Thread(target=late.serve_forever, daemon=True).start()
    with contextlib.closing(late.socket):
        serve(echo(), environment=environment, arguments=arguments)
        wait("the message", lambda: received)
        late.shutdown()
    assert [message["type"] for message in received] == ["call.started"]


def test_a_call_that_dies_with_its_server_is_told_to_have_ended(serve, tmp_path):
    with Service(lambda method, path, body, count: (200, {})) as service:
        (tmp_path / "server.json").write_text(json.dumps({"webhooks": [endpoint(service)]}))
        environment = {"HOOK_SECRET": "hook-s3cr3t"}
        arguments = ["--store", str(tmp_path / "data")]
        server = serve(echo(), environment=environment, arguments=arguments)
        sid = "CA" + "5" * 32
        twiml = voice(server, sid)
        parameters = dict(re.findall(r'<Parameter name="([^"]+)" value="([^"]+)"', twiml))

        async def stream():
            async with connect(f"ws://127.0.0.1:{server.port}/twilio/stream") as socket:
                await socket.send(start_message(sid, parameters))
                await asyncio.to_thread(
                    wait, "the stream", lambda: request(server, f"/calls/{sid}")[1].get("state") == "streaming")
                await asyncio.to_thread(wait, "the beginning", lambda: service.events() == ["call.started"])
                server.process.kill()
                server.process.wait()

        asyncio.run(stream())
        for _ in range(2):
            server = serve(echo(), environment=environment, arguments=arguments)
            wait("the end", lambda: len(service.requests) == 2)
            server.stop()
        assert service.events() == ["call.started", "call.ended"]
        call = json.loads(service.requests[1][3])["data"]["call"]
        assert (call["callSid"], call["state"]) == (sid, "failed") and "stopped in mid-call" in call["endReason"]
        assert call["endedAt"] and call["from"] == CALLER


def test_a_receiver_that_swallows_connections_delays_no_other(serve, tmp_path):
    with Service(lambda method, path, body, count: (200, {})) as service, socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        dead.listen(128)
        (tmp_path / "server.json").write_text(json.dumps({"webhooks": [
            endpoint(service, name="dead", url=f"http://127.0.0.1:{dead.getsockname()[1]}/", events=["call.started"]),
            endpoint(service, events=["call.started"])]}))
        server = serve(echo(), environment={"HOOK_SECRET": "hook-s3cr3t"})
        begin = time.monotonic()
        for index in range(20):
            voice(server, f"CA{index:032}")
        wait("all of them", lambda: len(service.requests) == 20, seconds=8)
        assert time.monotonic() - begin < 8, "no time-out of the other was waited for"
        wait("the time-out", lambda: 'endpoint="dead",outcome="failed"' in server.get("/metrics"), seconds=20)
        wait("the line", lambda: any("left alone" in line for line in server.lines))


@pytest.mark.parametrize("change, words", [
    ({"url": "http://crm.example/"}, "not encrypted"), ({"url": "ftp://x/"}, "scheme"),
    ({"url": "https://u:p@crm.example/"}, "user or a password"), ({"events": ["call.stopped"]}, "no event"),
    ({"secret": {"env": "NOT_SET"}}, "NOT_SET is not set"), ({"name": "a b"}, "the name"), ({"uri": "x"}, "no field"),
])
def test_wrong_webhooks_are_told_with_their_place(serve, tmp_path, change, words):
    entry = {"name": "crm", "url": "https://crm.example/", "events": ["call.ended"], "secret": {"env": "HOOK_SECRET"}}
    (tmp_path / "server.json").write_text(json.dumps({"webhooks": [{**entry, **change}]}))
    with pytest.raises(RuntimeError, match=re.escape(words)) as failure:
        serve(echo(), environment={"HOOK_SECRET": "x"})
    assert "server.json:1:" in str(failure.value)


# Who calls


def by_context(source):
    return json.dumps({
        "name": "debts", "numbers": ["+15550100001"], "transport": "twilio", "context": source,
        "stages": ["decoder", {
            "type": "switch", "on": "${context.kind}",
            "cases": {"debtor": [{"type": "websocket", "url": "ws://127.0.0.1:1/"}]}, "otherwise": ["echo"]}, "encoder"],
    })


def database(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE customers (phone TEXT, name TEXT, kind TEXT)")
        connection.execute("INSERT INTO customers VALUES (?, 'Ann', 'debtor')", [CALLER])
        connection.commit()


SOURCE = {"sqlite": "customers.db", "query": "SELECT name, kind FROM customers WHERE phone = :from",
          "default": {"name": "Valued Customer", "kind": "none"}}


def test_the_caller_chooses_the_agent(serve, tmp_path):
    database(tmp_path / "customers.db")
    server = serve(by_context(SOURCE))
    voice(server, "CA" + "1" * 32)
    voice(server, "CA" + "2" * 32, "+15550100077")
    assert backend(server, "CA" + "1" * 32) == "websocket"
    assert backend(server, "CA" + "2" * 32) == "echo"
    metrics = server.get("/metrics")
    assert 'patchbay_context_lookups_total{outcome="found"} 1' in metrics
    assert 'patchbay_context_lookups_total{outcome="unknown"} 1' in metrics
    assert "Ann" not in "".join(server.lines)


def test_a_service_that_is_slow_keeps_no_caller_waiting(serve):
    def answer(method, path, body, count):
        if "77" in path:
            time.sleep(3)
        return (200, {"kind": "debtor"}) if "99" in path else (404, {})

    with Service(answer) as service:
        server = serve(by_context({
            "url": service.url + "/customers?phone=${call.from}", "timeoutMs": 300, "default": {"kind": "none"}}))
        for sid, caller, expected in [
            ("1", CALLER, "websocket"), ("2", "+15550100088", "echo"), ("3", "+15550100077", "echo"),
        ]:
            begin = time.monotonic()
            assert "<Stream" in voice(server, "CA" + sid * 32, caller)
            assert time.monotonic() - begin < 2
            assert backend(server, "CA" + sid * 32) == expected
        wait("the log", lambda: any("could not be looked up in time" in line for line in server.lines))


def test_another_process_knows_what_was_found(serve, tmp_path):
    database(tmp_path / "customers.db")
    arguments = ["--store", str(tmp_path / "data")]
    first = serve(by_context(SOURCE), arguments=arguments)
    second = serve(by_context(SOURCE), arguments=arguments)
    sid = "CA" + "3" * 32
    twiml = voice(first, sid)
    (tmp_path / "customers.db").unlink()
    parameters = dict(re.findall(r'<Parameter name="([^"]+)" value="([^"]+)"', twiml))

    async def stream():
        async with connect(f"ws://127.0.0.1:{second.port}/twilio/stream") as socket:
            await socket.send(start_message(sid, parameters))
            await asyncio.to_thread(
                wait, "the call", lambda: request(second, f"/calls/{sid}")[0] == 200)
            return await asyncio.to_thread(backend, second, sid)

    assert asyncio.run(stream()) == "websocket"
    assert 'patchbay_context_lookups_total{outcome="kept"} 1' in second.get("/metrics")
