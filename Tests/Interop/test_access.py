"""Who is let in, with tokens that PyJWT makes, and with the one that the server makes for its own machine."""

import base64
import hashlib
import hmac
import json
import os
import stat
import subprocess
import time
import urllib.error
import urllib.request

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from conftest import BINARY, STATE

ECHO = '{"name": "echo", "numbers": ["+15550100001"], "transport": "twilio", "stages": ["echo"]}'
SECRET = "a secret that is long enough for HMAC with SHA-256"
STRANGER = {"X-Forwarded-For": "203.0.113.9"}


def ask(server, path, token=None, method="GET", body=None, headers=STRANGER):
    """The status and the answer."""
    headers = dict(headers)
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(server.url + path, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def settings(tmp_path, value):
    (tmp_path / "server.json").write_text(json.dumps(value))


def test_the_secret_of_the_environment_takes_tokens(serve):
    server = serve(ECHO, environment={"JWT_SECRET": SECRET})
    now = int(time.time())

    def token(secret=SECRET, algorithm="HS256", **claims):
        return jwt.encode({"sub": "campaign", **claims}, secret, algorithm=algorithm)

    assert ask(server, "/calls", token(exp=now + 600))[0] == 200
    assert ask(server, "/calls", token(exp=now + 600, nbf=now - 5, iat=now))[0] == 200
    assert ask(server, "/calls", token(exp=now - 30))[0] == 200, "clocks differ by up to a minute"
    for wrong in [
        token(exp=now - 61), token(nbf=now + 120), token(secret="another secret of more than thirty-two bytes"),
        token(algorithm="HS512"), jwt.encode({"sub": "x"}, None, algorithm="none"), token(exp=now + 600)[:-2],
        token(exp=now + 600) + "A", "", "x.y.z", "null", token(exp=now + 600).rsplit(".", 1)[0] + ".",
    ]:
        status, body = ask(server, "/calls", wrong)
        assert status == 401, (wrong, body)
        assert SECRET not in body
    status, body = ask(server, "/pipelines/reload", token(exp=now + 600), "POST")
    assert status == 403 and "admin" in body


def test_public_keys(serve, tmp_path):
    key, other = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "issuer.pem").write_bytes(public)
    algorithm = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256)
    named = {**algorithm.to_jwk(other.public_key(), as_dict=True), "kid": "other", "use": "sig", "alg": "RS256"}
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/jwks.json").write_text(json.dumps({"keys": [named]}))
    settings(tmp_path, {"access": {"jwt": {
        "publicKeyFile": "issuer.pem", "keySetFile": "keys/jwks.json", "issuer": "https://id.example.com",
        "audience": "patchbay", "tenantClaim": "tenant", "rights": ["read"], "requireExpiry": True}}})
    server = serve(ECHO)
    claims = {"iss": "https://id.example.com", "aud": ["x", "patchbay"], "tenant": "a", "exp": time.time() + 60}
    assert ask(server, "/calls", jwt.encode(claims, key, algorithm="RS256"))[0] == 200
    assert ask(server, "/calls", jwt.encode(claims, other, algorithm="RS256", headers={"kid": "other"}))[0] == 200
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for wrong in [
        jwt.encode(claims, stranger, algorithm="RS256"), jwt.encode(claims, key, algorithm="RS512"),
        jwt.encode(claims, key, algorithm="PS256"), jwt.encode(claims, None, algorithm="none"),
        jwt.encode({**claims, "iss": "https://id.example.org"}, key, algorithm="RS256"),
        jwt.encode({**claims, "aud": "other"}, key, algorithm="RS256"),
        *(jwt.encode({k: v for k, v in claims.items() if k != left_out}, key, algorithm="RS256") for left_out in claims),
    ]:
        assert ask(server, "/calls", wrong)[0] == 401

    def encoded(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    # The public key, which everybody has, taken for the secret of HS256.
    signed = encoded(b'{"alg":"HS256","typ":"JWT"}') + b"." + encoded(json.dumps(claims).encode())
    for secret in (public, public.strip()):
        forged = signed + b"." + encoded(hmac.new(secret, signed, hashlib.sha256).digest())
        status, body = ask(server, "/calls", forged.decode())
        assert status == 401 and "HS256" in body


@pytest.mark.parametrize("value, words", [
    ({"jwt": {"publicKeyFile": "nowhere.pem"}}, "nowhere.pem"),
    ({"jwt": {"keySetFile": "0.json"}}, "JSON Web Key Set"),
    ({"jwt": {"algorithms": ["none"]}}, "there is no algorithm"),
    ({"jwt": {}}, "JWT_SECRET is not set"),
    ({"tokens": [{"name": "a", "token": "in-clear-text"}]}, "clear text"),
    ({"tokens": [{"name": "a", "token": {"env": "NO_SUCH_VARIABLE"}}]}, "NO_SUCH_VARIABLE is not set"),
    ({"tokens": [{"name": "admin", "token": {"env": "HOME"}}]}, "is what the audit trail calls somebody else"),
    ({"tokens": [{"name": "jwt:x", "token": {"env": "HOME"}}]}, "is what the audit trail calls somebody else"),
    ({"tokens": [{"name": "a", "token": {"env": "HOME"}, "rights": ["reed"]}]}, "did you mean \"read\""),
    ({"token": []}, "did you mean \"tokens\""),
])
def test_a_server_without_its_keys_does_not_start(tmp_path, value, words):
    (tmp_path / "0.json").write_text(ECHO)
    settings(tmp_path, {"access": value})
    result = subprocess.run(
        [BINARY, "serve", str(tmp_path), "--port", "0"], capture_output=True, text=True, timeout=30,
        env={**os.environ, "XDG_STATE_HOME": STATE})
    assert result.returncode in (1, 78) and words in result.stderr, result.stderr


def test_the_servers_own_token(serve, tmp_path):
    store = tmp_path / "records"
    server = serve(ECHO, arguments=["--store", str(store)])
    file = store / "token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(store.stat().st_mode) == 0o700
    token = file.read_text().strip()
    assert len(token) == 64 and not any(token in line for line in server.lines)
    # What moves a caller needs it on this machine too.
    assert ask(server, "/calls/x/transfer", method="POST", headers={})[0] == 401
    assert ask(server, "/calls/x/transfer", token, "POST", headers={})[0] == 404
    assert ask(server, "/calls", token)[0] == 200

    def reload(**environment):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PATCHBAY_") or k == "PATCHBAY_BINARY"}
        return subprocess.run(
            [BINARY, "reload", "--server", server.url], capture_output=True, text=True, timeout=30,
            env={**clean, "XDG_STATE_HOME": STATE, **environment})

    assert reload(PATCHBAY_STORE=str(store)).returncode == 0
    refused = reload(PATCHBAY_ADMIN_TOKEN="wrong")
    assert refused.returncode == 1 and "does not take the token" in refused.stderr
    trail = json.loads(ask(server, "/audit", token)[1])["entries"]
    assert [(e["actor"], e["outcome"]) for e in trail if e["action"] == "pipelines.reload"] == [("admin", "ok")]
    server.stop()

    again = serve(arguments=["--store", str(store)])
    assert file.read_text().strip() == token
    assert "pipelines.reload" in ask(again, "/audit", token)[1], "the trail outlives the process"
    again.stop()
    file.chmod(0o644)
    wary = serve(arguments=["--store", str(store)])
    assert any("can be read by others" in line for line in wary.lines)
    assert ask(wary, "/calls", token)[0] == 401 and ask(wary, "/calls")[0] == 403


def test_a_stale_token_of_this_machine_does_not_lock_its_commands_out(serve, tmp_path):
    folder = tmp_path / "state" / "patchbay"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "token").write_text("of-another-server\n")
    (folder / "token").chmod(0o600)
    server = serve(ECHO, environment={"PATCHBAY_ADMIN_TOKEN": "the-servers-own"})

    def run(*arguments):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PATCHBAY_")}
        return subprocess.run(
            [BINARY, *arguments, "--server", server.url], capture_output=True, text=True, timeout=30,
            env={**clean, "XDG_STATE_HOME": str(tmp_path / "state")})

    assert run("calls").stdout == "no calls\n"
    reloaded = run("reload")
    assert reloaded.returncode == 0 and "nothing changed" in reloaded.stdout, reloaded
    missing = run("show", "CAnobody")
    assert missing.returncode == 1 and 'there is no call "CAnobody"' in missing.stderr and "patchbay calls" in missing.stderr
    # What costs money is not done without one, and what is said is what is wrong.
    dialled = run("dial", "+15550100002")
    assert dialled.returncode == 1 and "does not take the token" in dialled.stderr, dialled
    # A token that somebody names is never left out.
    named = run("calls", "--token", "of-another-server")
    assert named.returncode == 1 and "does not take the token" in named.stderr, named
    assert run("calls", "--token", "the-servers-own").returncode == 0


def test_servers_that_start_at_once_have_one_token(tmp_path):
    (tmp_path / "0.json").write_text(ECHO)
    state = tmp_path / "state"
    servers = [
        subprocess.Popen(
            [BINARY, "serve", str(tmp_path / "0.json"), "--port", "0"], stderr=subprocess.PIPE, text=True,
            env={**os.environ, "XDG_STATE_HOME": str(state)}) for _ in range(4)]
    try:
        for server in servers:
            for line in server.stderr:
                assert "no token of its own" not in line
                if "listens on" in line:
                    break
        assert [file.name for file in (state / "patchbay").iterdir()] == ["token"]
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.wait(10)
