"""The schemas, judged by an implementation of JSON Schema that is not ours."""

import json
import pathlib
import re
import subprocess

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from conftest import BINARY

FIXTURES = pathlib.Path("Tests/PatchbayConfigTests/Fixtures")
KINDS = ["pipeline", "fragment", "server", "tenants"]

# What a schema sees. A document with one of these findings must be refused.
SEEN = {
    "unknown-field", "missing-field", "wrong-type", "out-of-range", "not-allowed", "bad-name", "bad-number",
    "plain-secret", "unsafe-retry", "missing-agent", "duplicate-agent", "empty-list", "unknown-type", "bad-hours", "bad-date",
}
# What it cannot see, and why. A document with nothing but these must be accepted.
UNSEEN = {
    "duplicate-key": "a reader has dropped one of the two before the schema is asked",
    "duplicate-name": "concerns several documents",
    "duplicate-number": "concerns several documents, or two entries that are spelled alike",
    "duplicate-path": "concerns several lists",
    "duplicate-tool": "concerns several tools",
    "bad-address": "needs the values of variables",
    "unknown-parameter": "needs two places that agree",
    "format-mismatch": "needs the formats of all stages",
    "latency-budget": "needs the delay of all stages",
    "misplaced-stage": "needs to know which side of the agent a stage is on",
    "missing-case": "needs the values of variables",
    "missing-credential": "needs the environment",
    "missing-environment": "needs the environment",
    "missing-parameter": "needs the fragment",
    "include-cycle": "needs the fragment",
    "unknown-pipeline": "needs the other documents",
    "unknown-time-zone": "needs the IANA database",
    "unreachable-agent": "needs to know which agents never fail",
    "unknown-variable": "needs the variables; only what is spoken as it stands is checked for ${…}",
    "unreadable-file": "needs the files",
    "deprecated-name": "is a warning",
}
# Documents that a schema refuses although their findings are of a kind that it does not see.
REFUSED = {
    "reference-in-message-salon": "${…} in a text that is spoken as it stands is a pattern",
    "reference-in-secret-salon": "so it is in the name of a secret",
    "switch-key-agent-salon": "that a switch on keys has no agent is a part of the structure",
}
# Documents that a schema accepts although their findings are of a kind that it sees.
ACCEPTED = {
    "include-secret-listening": "a text that looks like a credential is a text",
    "context-wrong-shop": "what a statement says, and names of values, are texts",
    "include-parameter-other-type-salon": "needs the fragment",
    "include-parameter-wrong-type-salon": "needs the fragment",
    "include-unknown-parameter-salon": "needs the fragment",
    "include-secret-salon": "a text that looks like a credential is a text",
    "include-secret-listening": "a text that looks like a credential is a text",
    "tools-secrets-salon": "a text that looks like a credential is a text",
    "secret-forms-salon": "a text that looks like a credential is a text",
    "switch-case-lacks-agent-salon": "whether every case has an agent depends on what stands beside the switch",
}


def schema(kind):
    """The schema that the golden documents are written against, which the unit tests keep."""
    return json.loads((FIXTURES / "Schema" / f"{kind}.schema.json").read_text())


def printed(kind):
    result = subprocess.run([BINARY, "schema", "--for", kind], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def goldens():
    """Each document of each golden file, with the codes of what is wrong with it."""
    for path in sorted(FIXTURES.glob("*.golden")):
        document, _, findings = path.read_text().partition("\n----")
        words = findings.split("\n", 1)[0]
        words = words.split()
        if "markdown" in words:
            continue
        name = "Pipelines/salon.json"
        for kind, other in [("server", "server.json"), ("fragment", "a.fragment.json")]:
            if kind in words:
                name = f"Pipelines/{other}"
        parts = [(name, [])]
        for line in document.split("\n"):
            if line.startswith("==== "):
                parts.append((f"Pipelines/{line[5:]}", []))
            else:
                parts[-1][1].append(line)
        for name, lines in parts:
            codes = set(re.findall(rf"^{re.escape(name)}(?::\d+:\d+)?: error\[([a-z-]+)\]", findings, re.M))
            # Components that have had other names have a schema of their own.
            kind = "server" if name.endswith("server.json") else "extended" if "extended" in words else "pipeline"
            if "/" in name.removeprefix("Pipelines/") or "fragment" in name:
                kind = "fragment"
            stem = f"{path.stem}-{pathlib.Path(name).name.split('.')[0]}"
            yield pytest.param(stem, kind, "\n".join(lines), codes, id=stem)


@pytest.mark.parametrize("kind", KINDS)
def test_schemas_are_schemas(kind):
    Draft202012Validator.check_schema(printed(kind))
    Draft202012Validator.check_schema(schema(kind))


def test_other_schemas_are_schemas():
    Draft202012Validator.check_schema(printed("test"))
    Draft202012Validator.check_schema(schema("extended"))


@pytest.mark.parametrize("stem, kind, text, codes", list(goldens()))
def test_golden_documents(stem, kind, text, codes):
    try:
        document = json.loads(text)
    except ValueError:
        assert codes <= {"syntax", "limit-exceeded", "plain-secret", "unreadable-file"} or not codes
        return
    if codes & {"syntax", "limit-exceeded"}:
        # What Python's reader takes although it is no JSON, or is more than we read.
        return
    errors = list(Draft202012Validator(schema(kind)).iter_errors(document))
    known = {code for code in codes if code in SEEN | set(UNSEEN)}
    if codes - known:
        pytest.fail(f"{codes - known}: say above whether a schema can see it")
    if stem in REFUSED or codes & SEEN and stem not in ACCEPTED:
        assert errors, "the linter refuses it, the schema does not"
    else:
        assert not errors, [f"{error.json_path}: {error.message}" for error in errors]


@pytest.mark.parametrize(
    "path", sorted(path for path in pathlib.Path("Pipelines").glob("*.json") if not path.name.endswith(".test.json")),
    ids=str)
def test_shipped_documents_are_accepted(path):
    kind = "server" if path.name == "server.json" else "fragment" if path.name.endswith(".fragment.json") else "pipeline"
    Draft202012Validator(printed(kind)).validate(json.loads(path.read_text()))


def test_starting_points_are_accepted():
    names = subprocess.run([BINARY, "create", "--list"], capture_output=True, text=True, timeout=60)
    validator = Draft202012Validator(printed("pipeline"))
    points = [line.split()[0] for line in names.stdout.splitlines()]
    assert len(points) >= 5
    for point in [point for point in points if point != "test"] + ["twilio/vad,turns,recorder,dtmf,denoiser,gain,mute,mixer/elevenlabs,script,echo"]:
        text = subprocess.run([BINARY, "create", point], capture_output=True, text=True, timeout=60)
        assert text.returncode == 0, text.stderr
        validator.validate(json.loads(text.stdout))


def test_tests_are_accepted():
    validator = Draft202012Validator(printed("test"))
    texts = [path.read_text() for path in pathlib.Path("Pipelines").glob("*.test.json")]
    texts.append(subprocess.run([BINARY, "create", "test"], capture_output=True, text=True, timeout=60).stdout)
    assert len(texts) >= 3
    for text in texts:
        validator.validate(json.loads(text))
    assert not validator.is_valid({"tests": [{"name": "x", "expect": [{"agent": "sings"}]}]})


BASE = {"name": "x", "transport": "twilio", "stages": ["decoder", {"type": "script", "say": "Hello"}, "encoder"]}


@pytest.mark.parametrize("change, words", [
    ({"stages": ["decodr", "echo"]}, "'decodr' is not one of"),
    ({"stages": ["echo", {"type": "resampler", "rateHz": 7}]}, "7 is less than the minimum of 8000"),
    ({"stages": ["echo", {"type": "resampler"}]}, "'rateHz' is a required property"),
    ({"stages": ["resampler", "echo"]}, "'resampler' is not one of"),
    ({"stages": ["echo", {"type": "vad", "engin": "energy"}]}, "'engin' was unexpected"),
    ({"stages": ["echo", {"type": "vad", "engine": "sillero"}]}, "'sillero' is not one of"),
    ({"stages": [{"type": "elevenlabs", "apiKey": "sk"}]}, "'sk' is not of type 'object'"),
    ({"stages": [{"type": "agent", "backends": []}]}, "[] should be non-empty"),
    ({"stages": [{"type": "agent", "backends": ["vad"]}]}, "'vad' is not one of"),
    ({"stages": ["vad"]}, "does not contain items matching"),
    ({"stages": ["echo", "echo"]}, "Too many items match"),
    ({"stages": ["echo", {"type": "tee", "stages": ["echo"]}]}, "'echo' is not one of"),
    ({"numbers": ["0800"]}, "'0800' does not match"),
    ({"messages": {"failure": "${x}"}}, "does not match"),
    ({"when": [{"say": "x", "pipeline": "y"}]}, "is valid under each of"),
    ({"when": [{"during": {"monday": ["9-5"]}, "say": "x"}]}, "'timeZone' is a required property"),
    ({"colour": "blue"}, "'colour' was unexpected"),
    ({"limits": {"leadMs": 451}}, "451 is greater than the maximum of 450"),
])
def test_complaints_name_the_mistake(change, words):
    error = best_match(Draft202012Validator(printed("pipeline")).iter_errors({**BASE, **change}))
    assert error is not None and words in error.message, error and error.message


@pytest.mark.parametrize("change", [
    {"stages": ["decoder", {"type": "switch", "on": "${language}", "cases": {"de": ["echo"], "en": ["elevenlabs"]}}]},
    {"stages": [{"type": "include", "file": "shared/x.fragment.json", "with": {"engine": "silero", "n": 3}}]},
    {"stages": [{"type": "tee", "stages": [{"type": "recorder", "path": "x.wav"}]}, "echo"]},
    {"stages": [{"type": "switch", "on": "key", "cases": {"1": ["vad"]}, "otherwise": []}, "echo"]},
    {"when": [{"callers": ["+1555*", "anonymous"], "pipeline": "other"}, {"say": "Closed."}]},
    {"numbers": {"*": {"n": 1, "b": True, "t": "x"}}, "variables": {"a": 1.5}},
    {"messages": {"failure": "It costs $5 or $${5}."}},
])
def test_what_is_sound_is_accepted(change):
    Draft202012Validator(printed("pipeline")).validate({**BASE, **change})


@pytest.mark.parametrize("change", [
    {"stages": [{"type": "switch", "on": "key", "cases": {"12": ["vad"]}}, "echo"]},
    {"stages": [{"type": "switch", "on": "key", "cases": {"1": ["echo"]}}]},
    {"stages": ["echo", {"type": "switch", "on": "${x}"}]},
    {"stages": ["echo", {"type": "include"}]},
])
def test_what_is_wrong_in_the_structure_is_refused(change):
    assert not Draft202012Validator(printed("pipeline")).is_valid({**BASE, **change})


def test_fragments_take_parameters_where_pipelines_take_values():
    fragment = {
        "parameters": {"engine": "energy", "rateHz": 16000, "path": None},
        "stages": [{"type": "resampler", "rateHz": "${rateHz}"}, {"type": "vad", "engine": "${engine}"}],
    }
    Draft202012Validator(printed("fragment")).validate(fragment)
    assert not Draft202012Validator(printed("fragment")).is_valid({**fragment, "name": "x"})
    assert not Draft202012Validator(printed("pipeline")).is_valid({**BASE, "stages": fragment["stages"] + ["echo"]})
