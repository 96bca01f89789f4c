"""Calls through the real nginx with the shipped configuration, and through TLS of our own."""

import asyncio
import hashlib
import hmac
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from conftest import BINARY, STATE
from phone import call, webhook

ROOT = Path(__file__).resolve().parents[2]
NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
ECHO = '{"name": "echo", "numbers": ["+15550100001"], "transport": "twilio", "stages": ["echo"]}'
TONE = [bytes([value]) * 160 for value in range(0x20, 0x52)]


class At:
    def __init__(self, url):
        self.url = url


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def certificate(tmp_path):
    """A certificate for localhost that nobody signed, its key, and a client that trusts it."""
    folder = tmp_path / "tls"
    folder.mkdir()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem", ssl.create_default_context(cafile=folder / "cert.pem")


@pytest.fixture
def nginx(tmp_path, certificate):
    """Starts nginx before a server; gives its origin."""
    running = []

    def start(server):
        port = free_port()
        text = (ROOT / "Examples/nginx/patchbay.conf").read_text()
        for before, after in [
            ("server 127.0.0.1:8080;", f"server 127.0.0.1:{server.port};"), ("listen 443 ssl;", f"listen {port} ssl;"),
            ("/etc/ssl/patchbay/fullchain.pem", str(certificate[0])), ("/etc/ssl/patchbay/privkey.pem", str(certificate[1])),
            ("voice.example.com;", "localhost;"),
        ]:
            assert before in text
            text = text.replace(before, after)
        (tmp_path / "patchbay.conf").write_text(text)
        temporary = "".join(
            f"{name}_temp_path {tmp_path}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (tmp_path / "nginx.conf").write_text(
            f"daemon off;\nmaster_process off;\npid {tmp_path}/nginx.pid;\nerror_log {tmp_path}/error.log;\n"
            f"events {{}}\nhttp {{\naccess_log off;\n{temporary}include {tmp_path}/patchbay.conf;\n}}\n")
        process = subprocess.Popen([NGINX, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")])
        running.append(process)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return At(f"https://localhost:{port}")
            except OSError:
                assert process.poll() is None, (tmp_path / "error.log").read_text()
                time.sleep(0.05)
        raise RuntimeError("nginx does not listen")

    yield start
    for process in running:
        process.terminate()
        process.wait(10)


def status(url, tls, headers={}):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10, context=tls) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def assert_echo(heard):
    assert b"".join(TONE)[: 40 * 160] in heard


def test_a_call_through_nginx(serve, nginx, certificate):
    server = serve(ECHO, environment={"PATCHBAY_ADMIN_TOKEN": "letmein"})
    front, tls = nginx(server), certificate[2]
    twiml = webhook(front, "+15550100001", "CA" + "3" * 32, tls=tls)
    assert re.search(r'<Stream url="([^"]+)"', twiml).group(1) == front.url.replace("https", "wss") + "/twilio/stream"
    assert f'action="{front.url}/twilio/next?ticket=' in twiml
    heard, _ = asyncio.run(call(front, "+15550100001", TONE, tls=tls))
    assert_echo(heard)
    # Whoever comes through the proxy is not local, whatever it says of itself.
    for headers in ({}, {"X-Forwarded-For": "127.0.0.1"}, {"X-Real-IP": "127.0.0.1"}, {"Host": "localhost"}):
        assert status(front.url + "/calls", tls, headers) == 401
    assert status(front.url + "/calls", tls, {"Authorization": "Bearer letmein"}) == 200
    assert status(front.url + "/health", tls) == 200
    # A webhook without a signature, and a head that is too long for nginx.
    for path, headers, code in [("/twilio/voice", {}, 403), ("/health", {"X-Long": "x" * 20_000}, 400)]:
        request = urllib.request.Request(front.url + path, b"CallSid=CA1&To=%2B1" if code == 403 else None, headers)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10, context=tls)
        assert refused.value.code == code


@pytest.mark.parametrize("path", ["/elevenlabs/post-call", "/voice/post_call", "/api/ai/webhook/elevenlabs"])
def test_a_long_transcript_passes(serve, tmp_path, nginx, certificate, path):
    """Longer than what anybody else may send, and so is a recording; what is not the vendor's stays out."""
    (tmp_path / "server.json").write_text(json.dumps({"paths": {"postCall": [path]}}))
    server = serve(ECHO, environment={"ELEVENLABS_WEBHOOK_SECRET": "wsec_test"})
    front, tls = nginx(server), certificate[2]

    def post(path, body, secret="wsec_test"):
        stamp = int(time.time())
        seal = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        request = urllib.request.Request(
            front.url + path, body,
            {"ElevenLabs-Signature": f"t={stamp},v0={seal}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30, context=tls) as response:
                return response.status
        except urllib.error.HTTPError as error:
            return error.code

    turn = {"role": "agent", "message": "x" * 1000, "time_in_call_secs": 1}
    data = {"agent_id": "a", "conversation_id": "conv_1", "status": "done", "transcript": [turn] * 200}
    transcript = json.dumps({"type": "post_call_transcription", "event_timestamp": 1, "data": data}).encode()
    recording = json.dumps(
        {"type": "post_call_audio", "event_timestamp": 1,
         "data": {"agent_id": "a", "conversation_id": "conv_1", "full_audio": "A" * 3_000_000}}).encode()
    assert len(transcript) > 200_000
    assert post(path, transcript) == 200
    assert post(path, recording) == 200
    assert post(path, transcript, secret="another") in (401, 403)
    assert post("/twilio/voice", transcript) == 413


def test_a_call_through_tls_of_our_own(serve, certificate):
    cert, key, tls = certificate
    server = serve(ECHO, arguments=["--tls-certificate", str(cert), "--tls-key", str(key)])
    front = At(f"https://localhost:{server.port}")
    heard, _ = asyncio.run(call(front, "+15550100001", TONE, tls=tls))
    assert_echo(heard)
    calls = json.loads(urllib.request.urlopen(front.url + "/calls", timeout=10, context=tls).read())["calls"]
    assert calls[0]["state"] == "ended" and calls[0]["from"] == "+15550100099"
    assert any("voice webhook: https://" in line for line in server.lines)
    # Somebody who speaks no TLS, and somebody who says nothing, do no harm.
    silent = socket.create_connection(("127.0.0.1", server.port))
    with socket.create_connection(("127.0.0.1", server.port), 10) as plain:
        plain.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        plain.settimeout(10)
        assert not plain.recv(1000).startswith(b"HTTP/1.1 200")
    assert status(front.url + "/health", tls) == 200
    old = ssl.create_default_context(cafile=cert)
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(OSError):
        status(front.url + "/health", old)
    silent.close()


@pytest.mark.parametrize("arguments, words, code", [
    (["--tls-certificate", "{cert}"], "--tls-key", 64),
    (["--tls-key", "{key}"], "--tls-certificate", 64),
    (["--tls-certificate", "{key}", "--tls-key", "{key}"], "no certificate", 1),
    (["--tls-certificate", "{cert}", "--tls-key", "{cert}"], "no private key", 1),
    (["--tls-certificate", "{cert}", "--tls-key", "{other}"], "do not belong together", 1),
    (["--tls-certificate", "/nowhere", "--tls-key", "{key}"], "/nowhere", 1),
])
def test_a_certificate_that_is_none(tmp_path, certificate, arguments, words, code):
    other = tmp_path / "other.pem"
    subprocess.run(["openssl", "genrsa", "-out", other, "2048"], check=True, capture_output=True)
    (tmp_path / "echo.json").write_text(ECHO)
    names = {"cert": certificate[0], "key": certificate[1], "other": other}
    result = subprocess.run(
        [BINARY, "serve", tmp_path / "echo.json", "--port", "0", *(a.format(**names) for a in arguments)],
        capture_output=True, text=True, timeout=30, env={**os.environ, "XDG_STATE_HOME": STATE})
    assert result.returncode == code and words in result.stderr, result.stderr
