"""What a stranger can send, byte by byte: it is refused, counted, and nothing else happens."""

import asyncio
import json
import re
import socket
import sqlite3
import time
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as xml

import pytest
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from conftest import AUTH_TOKEN
from phone import start_message, webhook

ECHO = '{"name": "echo", "numbers": ["*"], "transport": "twilio", "stages": ["echo"]}'
ADMIN = "an admin token of this test"
STRANGER = "X-Forwarded-For: 203.0.113.9\r\n"


@pytest.fixture
def server(serve, tmp_path):
    (tmp_path / "server.json").write_text(json.dumps({
        "limits": {"requestSeconds": 1}, "public": ["health"],
        "access": {"tokens": [
            {"name": "a", "token": {"env": "TOKEN_A"}, "tenant": "a", "rights": ["read", "calls", "dial", "admin"]}]}}))
    started = serve(ECHO, environment={"PATCHBAY_ADMIN_TOKEN": ADMIN, "TOKEN_A": "token of tenant a"},
                    arguments=["--store", str(tmp_path / "records")])
    yield started
    # Whatever was sent: it still works.
    assert started.process.poll() is None
    assert json.loads(started.get("/health"))["status"] == "ok"
    assert "<Stream" in webhook(started, "+15550100001", "CA" + "9" * 32)


def raw(server, data, wait=5.0):
    """What comes back on a connection of its own, until it ends or nothing comes any more."""
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        connection.settimeout(wait)
        answer = b""
        try:
            connection.sendall(data)
            while chunk := connection.recv(65536):
                answer += chunk
        except (TimeoutError, ConnectionError):
            pass
        return answer


def status(answer):
    match = re.match(rb"HTTP/1\.1 (\d{3})", answer)
    return int(match.group(1)) if match else None


def get(server, target, headers=STRANGER):
    target = target if isinstance(target, bytes) else target.encode()
    return raw(server, b"GET " + target + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
               + headers.encode() + b"\r\n")


def admin(server, path, method="GET", body=None, token=ADMIN):
    request = urllib.request.Request(
        server.url + path, body.encode() if body else None, {"Authorization": f"Bearer {token}"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def post(server, form, path="/twilio/voice", sign=True, headers={}):
    url = server.url + path
    signature = RequestValidator(AUTH_TOKEN).compute_signature(url, form)
    request = urllib.request.Request(
        url, urllib.parse.urlencode(form).encode(),
        {**({"X-Twilio-Signature": signature} if sign else {}), **headers})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode(), response.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


@pytest.mark.parametrize("target", [
    "/calls", "//calls", "/./calls", "/../calls", "/x/../calls", "/%2e%2e/calls", "/health/../calls",
    "/health/%2e%2e/calls", "/health%2f..%2fcalls", "/calls/", "/calls//", "/calls/%2e", "/calls%00", "/calls%00.json",
    "/calls;x=y", "/calls?public=health", "/calls#health", "/%63alls", "/CALLS", "/metrics", "/audit", "/tenants",
    "/tenants/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/numbers", "/pipelines", "/calls/..%2f..%2fhealth",
    "http://127.0.0.1/calls", "/twilio/voice/../../calls", "\\calls", "/calls\\..\\health", "/" + "a/" * 2000,
    b"/calls\x00", b"/\xff\xfe", b"/calls\x0bx", b"*", b"calls",
])
def test_no_path_leads_past_the_door(server, target):
    answer = get(server, target)
    assert status(answer) in (400, 401, 403, 404, 405, 414, 431, None), answer[:200]
    assert b'"calls"' not in answer and b"root:" not in answer


def test_heads_that_are_too_long(server):
    long = "X-Long: " + "x" * 17_000 + "\r\n"
    many = "".join(f"X-{index}: y\r\n" for index in range(120))
    for headers in (long, many, "X: " + "y" * 60_000 + "\r\n"):
        assert status(get(server, "/health", headers)) == 431
    assert status(get(server, "/health?" + "q" * 20_000)) == 431
    # More than the parser takes at all.
    assert status(get(server, "/health", "X: " + "y" * 200_000 + "\r\n")) in (400, 431, None)
    upgrade = "Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    answer = raw(server, ("GET /twilio/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n" + upgrade + many
                          + "\r\n").encode())
    assert status(answer) == 431
    assert 'patchbay_limited_total{limit="maximumHeaderBytes"}' in admin(server, "/metrics")[1]


def test_bodies_that_are_too_long(server):
    for path in ("/twilio/voice", "/pipelines/lint"):
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        size = 70_000 if path.startswith("/twilio") else 5 << 20
        assert status(raw(server, (head + f"Content-Length: {size}\r\n\r\n").encode() + b"x" * size)) == 413
        chunks = b"".join(b"%x\r\n" % 10_000 + b"x" * 10_000 + b"\r\n" for _ in range(size // 10_000 + 1))
        assert status(raw(server, (head + "Transfer-Encoding: chunked\r\n\r\n").encode() + chunks + b"0\r\n\r\n")) == 413
    for length in ("-1", "1e9", "99999999999999999999", "0x10", "5, 6"):
        answer = raw(server, f"POST /twilio/voice HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\nhello".encode())
        assert status(answer) in (400, None), (length, answer[:100])
    # Two lengths, and both ways of saying where a body ends: what a proxy in front might read otherwise.
    for lines in ("Content-Length: 5\r\nContent-Length: 6\r\n", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"):
        answer = raw(server, f"POST /twilio/voice HTTP/1.1\r\nHost: x\r\n{lines}\r\n0\r\n\r\nGET /health HTTP/1.1\r\n"
                     "Host: x\r\n\r\n".encode(), wait=2)
        assert answer.count(b"HTTP/1.1 200") == 0, answer[:300]


def slowly(server, first, drip, every=0.1, limit=10.0):
    """Seconds until the server has had enough of a peer that goes on dripping."""
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        connection.sendall(first)
        connection.settimeout(every)
        while time.monotonic() - begin < limit:
            try:
                if not connection.recv(65536):
                    break
            except TimeoutError:
                pass
            except ConnectionError:
                break
            try:
                connection.sendall(drip)
            except OSError:
                break
    return time.monotonic() - begin


def test_what_comes_too_slowly(server):
    form = b"POST /twilio/voice HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"
    assert slowly(server, form, b"x") < 5, "a body"
    # The head of a second request, on a connection that has earned its keep.
    assert slowly(server, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /hea", b"l") < 5, "a head"
    assert 'patchbay_limited_total{limit="requestSeconds"}' in admin(server, "/metrics")[1]
    # One that takes long but is fast is let through: 4 MB in more than a second.
    body = b" " * 3_900_000 + b"{}"
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        connection.sendall(f"POST /pipelines/lint HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        for offset in range(0, len(body), 250_000):
            connection.sendall(body[offset : offset + 250_000])
            time.sleep(0.1)
        connection.settimeout(10)
        assert status(connection.recv(1000)) == 200


@pytest.mark.parametrize("text", [
    '"><Say>owned</Say>', "<Hangup/>", "'/><Redirect>http://evil.example</Redirect>", "]]>", "&lt;&amp;&#0;", "<!--",
    "+1\r\nSet-Cookie: a=b", "+1\n\n<Response/>", "\u0000", "\u202e+1", "${env.HOME}", "{{7*7}}", "%0d%0aX: y",
    "'; DROP TABLE calls; --", "' OR '1'='1", "x" * 3000, "\U0001f600",
])
def test_what_a_form_says_stays_what_it_is(server, text):
    for field in ("From", "To", "CallSid", "CallStatus"):
        form = {"CallSid": "CA" + "1" * 32, "From": "+15550100099", "To": "+15550100001", "CallStatus": "ringing"}
        form[field] = text
        code, body, headers = post(server, form)
        assert code in (200, 400), (field, body)
        assert "Set-Cookie" not in headers and "X" not in headers
        if code != 200:
            continue
        root = xml.fromstring(body)
        tags = [element.tag for element in root.iter()]
        assert tags in (["Response", "Connect", "Stream", "Parameter", "Parameter", "Parameter", "Hangup"],
                        ["Response", "Say", "Hangup"]), body
        assert "owned" not in "".join(root.itertext())


@pytest.mark.parametrize("header, value", [
    ("X-Forwarded-Host", 'evil.example"><Say>owned</Say>'), ("Host", 'evil.example"><Say>owned</Say>'),
    ("X-Forwarded-Proto", 'https"><Say>'), ("X-Forwarded-For", "1.2.3.4\"><Say>"),
])
def test_what_headers_say_adds_no_verb(server, header, value):
    code, body, _ = post(server, {"CallSid": "CA1", "From": "+1", "To": "+15550100001"}, headers={header: value})
    # Another address than the one that was signed; what is said of it is no TwiML.
    if code == 403:
        assert body.startswith('{"error"')
    else:
        assert code == 200 and not re.search("<Say>", body) and xml.fromstring(body).tag == "Response"


def test_sql_in_every_field(server, tmp_path):
    text = "'; DROP TABLE tenant_entries; DROP TABLE audit_trail; --"
    quoted = urllib.parse.quote(text, safe="")
    code, _ = admin(server, "/tenants/a", "PUT", json.dumps({
        "name": text, "greeting": text, "tone": text, "agentId": text, "language": text, "variables": {"x": text},
        "numbers": [{"number": "+15550100777", "sid": text}]}))
    assert code == 201
    for path in (f"/calls/{quoted}", f"/tenants/{quoted}", f"/numbers/{quoted}", f"/audit?tenant={quoted}",
                 f"/audit?limit={quoted}", f"/calls?number={quoted}&tenant={quoted}", f"/numbers?limit={quoted}"):
        assert admin(server, path)[0] in (200, 400, 404), path
    for path in (f"/tenants/{quoted}", f"/numbers/{quoted}"):
        assert admin(server, path, "PUT", '{"name": "x", "tenant": "a"}')[0] == 422
        assert admin(server, path, "DELETE")[0] in (404, 409)
    assert post(server, {"CallSid": text, "From": text, "To": "+15550100777"})[0] == 200
    tenant = json.loads(admin(server, "/tenants/a")[1])
    assert tenant["name"] == text and tenant["numbers"][0]["sid"] == text
    with sqlite3.connect(tmp_path / "records/patchbay.sqlite") as database:
        assert database.execute("SELECT COUNT(*) FROM tenant_entries").fetchone() == (1,)
        assert database.execute("SELECT COUNT(*) FROM audit_trail").fetchone()[0] >= 1


def test_a_token_that_was_stolen_from_a_tenant(server):
    for name, number in (("a", "+15550100011"), ("b", "+15550100012")):
        body = json.dumps({"name": name, "numbers": [number], "greeting": f"secret of {name}"})
        assert admin(server, f"/tenants/{name}", "PUT", body)[0] == 201
        webhook(server, number, f"CA{name}")
    stolen = "token of tenant a"
    for path in ("/calls", "/calls?tenant=b", "/calls/CAa", "/calls/CAb", "/tenants", "/tenants/b", "/numbers",
                 "/numbers/+15550100012", "/audit", "/audit?tenant=b", "/metrics", "/pipelines"):
        code, body = admin(server, path, token=stolen)
        assert code in (200, 403, 404), path
        for word in ("secret of b", "CAb", "+15550100012"):
            # What was asked for may be repeated.
            assert word not in body.replace(path.rsplit("/", 1)[1], ""), (path, body)
    for path, method in (("/calls/CAb/hangup", "POST"), ("/calls/CAb/transfer", "POST"), ("/calls/CAb/agent", "POST"),
                         ("/tenants/b", "PUT"), ("/tenants/b", "DELETE"), ("/numbers/+15550100012", "PUT"),
                         ("/numbers/+15550100012", "DELETE"), ("/pipelines/reload", "POST")):
        assert admin(server, path, method, '{"to": "+4930123456"}', token=stolen)[0] in (403, 404), path
    assert json.loads(admin(server, "/calls?active=true")[1])["active"] == 2
    assert json.loads(admin(server, "/tenants/b")[1])["name"] == "b"


def test_signatures_and_stream_tokens(server):
    form = {"CallSid": "CA" + "1" * 32, "From": "+15550100099", "To": "+15550100001", "CallStatus": "ringing"}
    assert post(server, form, sign=False)[0] == 403
    for signature in ("", "x", "AAAA", "=" * 100, "0" * 28):
        assert post(server, form, sign=False, headers={"X-Twilio-Signature": signature})[0] == 403
    assert json.loads(server.get("/calls"))["active"] == 0

    twiml = webhook(server, "+15550100001", "CA" + "1" * 32)
    url = re.search(r'<Stream url="([^"]+)"', twiml).group(1)
    parameters = dict(re.findall(r'<Parameter name="([^"]+)" value="([^"]+)"', twiml))
    ticket = re.search(r"ticket=([^\"]+)", twiml).group(1)

    async def stream(call="CA" + "1" * 32, **changed):
        """How a stream ends that begins so; None while it is open."""
        async with connect(url, compression=None) as socket:
            await socket.send(start_message(call, {**parameters, **changed}))
            try:
                await asyncio.wait_for(socket.recv(), 0.5)
            except TimeoutError:
                return None
            except ConnectionClosed as closed:
                return closed.rcvd.code
            return None

    token = parameters["token"]
    for wrong in ({"token": ""}, {"token": token[:-1]}, {"token": token + "0"}, {"token": ticket},
                  {"token": "9" + token}, {"from": "+15550100098"}, {"to": "+15550100002"}, {"call": "CA" + "2" * 32},
                  {"token": "0.99999999999." + "0" * 32 + "." + "0" * 64}):
        assert asyncio.run(stream(**wrong)) == 1008, wrong
    assert asyncio.run(stream()) is None, "the right one"
    assert asyncio.run(stream()) == 1008, "once"
    trail = json.loads(admin(server, "/audit?limit=1000")[1])["entries"]
    actions = [entry["action"] for entry in trail]
    assert actions.count("webhook.refused") == 6 and actions.count("stream.refused") == 10
    assert not any(token in json.dumps(entry) for entry in trail)
    metrics = admin(server, "/metrics")[1]
    assert 'patchbay_refused_total{action="webhook.refused"} 6' in metrics
