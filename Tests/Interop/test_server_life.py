"""The command from outside: starting, refusing to start, draining, secrets."""

import asyncio
import subprocess
import threading
import time

import pytest

from conftest import AUTH_TOKEN, BINARY
from phone import call, webhook

ECHO = '{"name": "echo", "numbers": ["*"], "transport": "twilio", "stages": ["echo"]}'


def patchbay(*arguments, **options):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=30, **options)


def test_sigterm_ends_with_zero(serve):
    server = serve(ECHO)
    assert server.get("/ready").strip() == '{"status":"ready"}'
    assert server.stop() == 0


def test_a_running_call_is_finished_before_the_server_ends(serve):
    server = serve(ECHO, arguments=["--drain-timeout", "20"])
    packets = [bytes([0x40 + index % 32]) * 160 for index in range(150)]
    code = []

    def stop_soon():
        time.sleep(1)  # the call must be under way
        code.append(server.stop())

    stopper = threading.Thread(target=stop_soon)
    stopper.start()
    heard, _ = asyncio.run(call(server, "+15550100001", packets))
    stopper.join(30)
    assert heard[: 150 * 160] == b"".join(packets), "the draining server cut nothing off"
    assert code == [0]


def test_a_second_signal_ends_the_calls_that_are_left(serve):
    server = serve(ECHO, arguments=["--drain-timeout", "60"])

    def stop_twice():
        time.sleep(1)  # the call must be under way
        server.process.terminate()
        while not any("a second signal ends them" in line for line in server.lines):
            time.sleep(0.05)
        server.process.terminate()

    stopper = threading.Thread(target=stop_twice)
    stopper.start()
    asyncio.run(call(server, "+15550100001", [b"\x40" * 160] * 1500, until=lambda heard: False))
    stopper.join(30)
    assert server.process.wait(10) == 0


def test_a_port_that_is_taken_is_told_in_words(serve):
    server = serve(ECHO)
    result = patchbay("serve", "--port", str(server.port))
    assert result.returncode == 1
    assert f"cannot listen on 127.0.0.1:{server.port}" in result.stderr and "--port" in result.stderr
    assert "drained" not in result.stderr


def test_bad_flags_and_files_have_their_exit_codes(tmp_path):
    assert patchbay("serve", "--prot", "1").returncode == 64
    assert patchbay("serve", "--port", "70000").returncode == 64
    for url in ("voice.example.com", "http://voice.example.com", "wss://voice.example.com", "https://x:99999", "https://u@x"):
        result = patchbay("serve", "--public-url", url)
        assert result.returncode == 64 and f'--public-url is "{url}"; ' in result.stderr, result.stderr
    result = patchbay("serve", "--trusted-proxy", "10.0.0.0/64")
    assert result.returncode == 64 and "10.0.0.0/64" in result.stderr
    assert patchbay("serve", str(tmp_path / "nowhere")).returncode == 78
    assert patchbay("serve", "--env-file", str(tmp_path / "nowhere")).returncode == 64
    (tmp_path / "bad.json").write_text('{"name": "bad", }')
    result = patchbay("serve", str(tmp_path))
    assert result.returncode == 78 and "bad.json:1:15: error[syntax]" in result.stderr
    assert patchbay("route", "+19999999999").returncode == 1
    assert patchbay("describe", "nothing").returncode == 64


@pytest.mark.parametrize("name, url", [
    ("PUBLIC_URL", "voice.example.com"), ("PUBLIC_URL", "http://voice.example.com"), ("APP_BASE_URL", "https://"),
    ("API_URL", "https://voice.example.com/?x=1"),
])
def test_a_public_address_that_is_none_is_told_at_the_start(tmp_path, name, url):
    (tmp_path / "echo.json").write_text(ECHO)
    settings = tmp_path / "settings.env"
    settings.write_text(f"{name}={url}\n")
    result = patchbay("serve", str(tmp_path), "--port", "0", "--env-file", str(settings))
    assert result.returncode == 78 and name in result.stderr and f'"{url}"' in result.stderr, result.stderr


def test_the_banner_tells_the_public_address(serve):
    server = serve(ECHO, environment={"PUBLIC_URL": "https://voice.example.com/"})
    server.stop()
    assert "voice webhook: https://voice.example.com/twilio/voice\n" in server.lines
    # A flag goes before the environment, whatever stands there.
    server = serve(
        ECHO, environment={"PUBLIC_URL": "nonsense"}, arguments=["--public-url", "http://127.0.0.1:8080"])
    server.stop()
    assert "voice webhook: http://127.0.0.1:8080/twilio/voice\n" in server.lines


def test_settings_come_from_an_env_file_and_secrets_are_never_printed(serve, tmp_path):
    environment = tmp_path / "settings.env"
    environment.write_text("TWILIO_AUTH_TOKEN=not-this-one\nPUBLIC_URL=https://from-the-file.example.com\nAGENT_KEY=planted-key\n")
    document = (
        '{"name": "a", "numbers": ["*"], "transport": "twilio", "stages": [{"type": "elevenlabs", "agentId": "x", '
        '"baseUrl": "http://127.0.0.1:9", "apiKey": {"env": "AGENT_KEY"}}]}')
    server = serve(document, arguments=["--env-file", str(environment), "--log-level", "trace"])
    # The environment goes before the file: the token is the tests' own, the address is the file's.
    import urllib.parse
    import urllib.request
    from twilio.request_validator import RequestValidator
    form = {"CallSid": "CA1", "From": "+1", "To": "+2", "CallStatus": "ringing"}
    signature = RequestValidator(AUTH_TOKEN).compute_signature("https://from-the-file.example.com/twilio/voice", form)
    request = urllib.request.Request(
        server.url + "/twilio/voice", urllib.parse.urlencode(form).encode(), {"X-Twilio-Signature": signature})
    answer = urllib.request.urlopen(request, timeout=10).read().decode()
    assert "wss://from-the-file.example.com/twilio/stream" in answer
    listed = server.get("/calls") + server.get("/calls/CA1") + server.get("/metrics")
    server.stop()
    printed = "".join(server.lines) + listed
    for secret in [AUTH_TOKEN, "planted-key", "not-this-one"]:
        assert secret not in printed


def test_metrics_are_prometheus_text(serve):
    server = serve(ECHO)
    asyncio.run(call(server, "+15550100001", [b"\x40" * 160] * 10))
    import re
    lines = server.get("/metrics").strip().splitlines()
    assert any(line.startswith("patchbay_calls_active ") for line in lines)
    for line in lines:
        assert re.fullmatch(r"# HELP [a-z_]+ .+|# TYPE [a-z_]+ (counter|gauge|histogram)|[a-z_]+(\{.*\})? [-+0-9.e]+", line), line


def test_an_unsigned_phone_is_refused_with_the_reason(serve):
    server = serve(ECHO, environment={"TWILIO_AUTH_TOKEN": "another"})
    try:
        webhook(server, "+15550100001", "CA1")
        raise AssertionError("it was accepted")
    except OSError as refusal:
        assert refusal.code == 403
        assert b"does not fit" in refusal.read()


def test_an_orderly_end_is_completed_over_twilios_rest_api_before_the_stream_is_closed(serve):
    import base64
    import http.server
    import urllib.request

    requests, closed_after = [], []

    class FakeREST(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            requests.append((self.path, self.headers["Authorization"], body))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *arguments):
            pass

    rest = http.server.HTTPServer(("127.0.0.1", 0), FakeREST)
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    server = serve(ECHO, environment={
        "TWILIO_ACCOUNT_SID": "AC0123", "TWILIO_BASE_URL": f"http://127.0.0.1:{rest.server_port}"})
    sid = "CA" + "7" * 32

    def hang_up(heard):
        if len(heard) > 8000 and not closed_after:
            closed_after.append(True)
            request = urllib.request.Request(f"{server.url}/calls/{sid}/hangup", b"")
            threading.Thread(target=lambda: urllib.request.urlopen(request, timeout=10).read()).start()
        return False  # the server ends the stream

    asyncio.run(call(server, "+15550100001", [b"\x40" * 160] * 2000, sid=sid, until=hang_up))
    rest.shutdown()
    credentials = base64.b64encode(f"AC0123:{AUTH_TOKEN}".encode()).decode()
    assert requests == [(f"/2010-04-01/Accounts/AC0123/Calls/{sid}.json", f"Basic {credentials}", "Status=completed")]
