"""`/openapi.json`: a valid description, and a true one. Schemathesis asks every route what its description allows, and more."""

import json
import urllib.error
import urllib.request

import hypothesis
import pytest
import schemathesis
from conftest import Process
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.specs.openapi import checks as openapi_checks

ADMIN, TENANT = "the-admin-token", "the-tenant-token"
STRANGER = {"X-Forwarded-For": "203.0.113.7"}
#: What each answer is held to.
CHECKS = [
    schemathesis.checks.not_a_server_error, openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance, openapi_checks.response_schema_conformance]
EXAMPLES = 6
#: They answer for as long as they are listened to.
ENDLESS = {"/events"}

DOCUMENT = {"name": "echo", "numbers": ["+15550100001", "+15550100002"], "transport": "twilio", "stages": ["echo"]}
SETTINGS = {
    "paths": {"voice": ["/twilio/voice", "/old/voice"], "calls": ["/calls", "/twilio/calls"]},
    "access": {"tokens": [
        {"name": "salon", "token": {"env": "SALON_TOKEN"}, "tenant": "salon", "rights": ["read", "calls", "dial"]}]},
    # Far more is asked here than anybody should.
    "limits": {"requestsPerAddress": 1_000_000}}


def started(folder, *arguments):
    (folder / "echo.json").write_text(json.dumps(DOCUMENT))
    (folder / "server.json").write_text(json.dumps(SETTINGS))
    return Process(
        ["serve", str(folder), "--port", "0", "--drain-timeout", "0", *arguments],
        {"PATCHBAY_ADMIN_TOKEN": ADMIN, "SALON_TOKEN": TENANT})


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Without signatures, so that what stands behind them is asked too."""
    process = started(tmp_path_factory.mktemp("openapi"), "--insecure-skip-signatures")
    yield process
    process.stop()


@pytest.fixture(scope="module")
def description(server):
    return json.loads(server.get("/openapi.json"))


def operations(description):
    for path, item in description["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def test_the_description_is_valid(description):
    OpenAPIV31SpecValidator(description).validate()
    assert description["openapi"] == "3.1.0"


def test_it_names_the_paths_that_this_server_has(description):
    paths = set(description["paths"])
    assert {"/twilio/voice", "/old/voice", "/calls/{id}/hangup", "/twilio/calls/{id}/hangup"} <= paths
    names = [operation["operationId"] for _, _, operation in operations(description)]
    assert len(names) == len(set(names))
    for path, method, operation in operations(description):
        assert operation["summary"] and operation["responses"], (method, path)


def exercise(server, description, headers, examples=EXAMPLES):
    """Asks every route; gives the statuses of each. All that does not fit is told at once."""
    schema = schemathesis.openapi.from_dict(description)
    asked, faults = {}, []
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path in ENDLESS:
            continue
        statuses = asked.setdefault((operation.method.lower(), operation.path), set())

        @hypothesis.settings(
            max_examples=examples, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(hypothesis.HealthCheck), phases=[hypothesis.Phase.generate])
        @hypothesis.given(case=operation.as_strategy())
        def ask(case):
            response = case.call(base_url=server.url, headers=headers, timeout=20)
            case.validate_response(response, checks=CHECKS)
            statuses.add(response.status_code)

        try:
            ask()
        except (Exception, BaseExceptionGroup) as fault:
            faults.append(f"{operation.method} {operation.path}: {fault}")
    assert not faults, "\n".join(faults)
    return asked


def test_every_answer_to_the_admin_is_as_described(server, description):
    asked = exercise(server, description, {"Authorization": f"Bearer {ADMIN}"})
    assert not any({401, 403} & statuses for key, statuses in asked.items() if "elevenlabs" not in key[1]), asked
    for path in ["/", "/health", "/ready", "/metrics", "/pipelines", "/openapi.json"]:
        assert asked["get", path] == {200}, path
    assert server.process.poll() is None


def test_every_answer_to_a_tenant_is_as_described(server, description):
    asked = exercise(server, description, {"Authorization": f"Bearer {TENANT}"}, examples=3)
    assert asked["get", "/conversations"] == {200}
    for method, path in [("get", "/metrics"), ("get", "/pipelines"), ("post", "/pipelines/reload"), ("get", "/audit")]:
        assert asked[method, path] == {403}, path


def test_a_stranger_is_let_in_nowhere_that_is_not_said_to_be_open(tmp_path, description):
    server = started(tmp_path)
    try:
        asked = exercise(server, description, STRANGER, examples=2)
    finally:
        server.stop()
    for path, method, operation in operations(description):
        if path in ENDLESS:
            continue
        # What cannot even be read may be refused before it is asked for whom.
        refused = asked[method, path] <= {400, 401, 403, 413}
        assert refused != (operation["security"] == []), (method, path, asked[method, path])


def test_real_calls_are_as_described(server, description):
    import asyncio
    from phone import SILENCE, call
    asyncio.run(call(server, "+15550100001", [SILENCE] * 20))
    listed = json.loads(server.get("/calls"))["calls"]
    call_id = next(entry["id"] for entry in listed if entry["backend"] == "echo" and entry["streamSid"])
    schema = schemathesis.openapi.from_dict(description)
    for path in ["/calls/{id}", "/calls/{id}/transcript", "/calls"]:
        operation = schema[path]["GET"]
        case = operation.Case(path_parameters={"id": call_id} if "{id}" in path else {})
        response = case.call(base_url=server.url, timeout=20)
        case.validate_response(response, checks=CHECKS)
        assert response.status_code == 200 and call_id in response.text


def test_the_document_itself_can_be_kept_from_strangers_or_opened(server):
    request = urllib.request.Request(server.url + "/openapi.json", headers=STRANGER)
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(request, timeout=10)
    assert refusal.value.code == 401
