"""The article about failures says what happens: every row of its tables is produced here, over real sockets, and compared.

With PATCHBAY_WRITE_GOLDENS=1 in the environment the tables are written instead of compared.
"""

import asyncio
import json
import os
import pathlib
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from conftest import BINARY, Process
from failures import CASES, ENVIRONMENT, KEY, LINT, LOG, WRONG, Fake, Nobody, Simulated, closed_port, masked
from phone import SILENCE, call
from spoken import is_speech

ARTICLE = pathlib.Path("Sources/Patchbay/Patchbay.docc/Failures.md")
HEAD = ["case", "how it comes about", "read in", "what the operator reads", "what the caller hears"]
#: Settings of the machine that would stand in for those that a case leaves out.
UNSET = ["ELEVENLABS_AGENT_ID", "OPENAI_API_KEY", "GEMINI_API_KEY", "ELEVENLABS_BASE_URL", "OPENAI_BASE_URL", "GEMINI_BASE_URL"]
#: Seconds of silence that a caller notices; where an answer comes at once, it comes in a fraction of that.
LONG = 3
NO_SERVER = "nothing: the server does not start"
#: Failures that no other call would fare better with: the agent is avoided at once.
LASTING = {"agent-unauthorized", "agent-unknown", "agent-missing", "agent-not-configured", "agent-quota"}


def code(text):
    """A span of code; the text may have backticks of its own."""
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}".replace("|", "\\|")


# What happens, case by case


def lint(case, folder):
    """What `lint` says, and that `serve` says the same and does not start."""
    folder.mkdir()
    (folder / "desk.json").write_text(case.document("desk", "*", 9))
    environment = {**{name: value for name, value in os.environ.items() if name not in UNSET}, **ENVIRONMENT}
    run = lambda *arguments: subprocess.run(
        [os.path.abspath(BINARY), *arguments], cwd=folder, capture_output=True, text=True, timeout=60, env=environment)
    shown = run("lint", "desk.json")
    # A diagnostic: what is wrong, where, the line and its mark; then often what to do.
    readings, lines = [], shown.stdout.splitlines()
    for index, line in enumerate(lines):
        found = re.match(r"desk\.json:\d+:\d+: (\w+\[[a-z-]+\]: .*)", line)
        if found:
            remedy = lines[index + 4].strip()
            readings.append(code(found.group(1)) + (f"; {code(remedy)}" if remedy else ""))
    if shown.returncode == 0:
        return " ".join(readings) or "nothing", "as in the next row"
    served = run("serve", "desk.json", "--port", "0")
    assert (shown.returncode, served.returncode) == (78, 78), served.stderr
    assert "\n".join(lines[:-1]).strip() in served.stdout + served.stderr
    return " ".join(readings), NO_SERVER


def reading(lines, sid):
    """The errors of a call, each once, with what the log calls them."""
    errors = {}
    for line in lines:
        if f"callSid={sid}" not in line:
            continue
        found = re.search(
            r" (ERROR|WARNING) +(agent failed|call refused)  .* error=(\S+|\"(?:[^\"\\]|\\.)*\")(?: reason=\S+)?$",
            line.strip())
        if found:
            level, event, text = found.groups()
            assert level == ("ERROR" if event == "agent failed" else "WARNING")
            errors[json.loads(text) if text.startswith('"') else text, event] = None
    return list(errors)


def heard(playout, said, seconds):
    parts = []
    if any(is_speech(packet) for _, packet in playout):
        parts.append("the agent's first words")
    elif seconds > LONG:
        parts.append("silence, as long as it is waited for")
    parts += [f"“{text}”" for text in said]
    return ", then ".join(parts) or "silence"


@pytest.fixture(scope="module")
def produced(tmp_path_factory):
    """Every row of the tables, as it came out."""
    root = tmp_path_factory.mktemp("failures")
    folder = root / "pipelines"
    folder.mkdir()
    calls = [(index, case) for index, case in enumerate(CASES) if case.place == LOG and not case.impossible]
    rows = {}
    with ExitStack() as stack, ThreadPoolExecutor(4) as pool:
        wanted = list({case.vendor for _, case in calls if isinstance(case.vendor, Simulated)})
        ports = {}
        for vendor, process in zip(wanted, pool.map(lambda vendor: Process(vendor.arguments), wanted)):
            stack.callback(process.stop)
            ports[vendor] = process.port
        for index, case in calls:
            if isinstance(case.vendor, Fake):
                server = case.vendor.start()
                stack.callback(server.shutdown)
                port = server.socket.getsockname()[1]
            elif isinstance(case.vendor, Nobody):
                taken = closed_port()
                stack.callback(taken.close)
                port = taken.getsockname()[1]
            else:
                port = ports[case.vendor]
            (folder / f"case{index}.json").write_text(case.document(f"case{index}", number(index), port))
        linted = {
            index: pool.submit(lint, case, root / f"lint{index}")
            for index, case in enumerate(CASES) if case.place == LINT and not case.impossible}
        for index, result in linted.items():
            rows[index] = [CASES[index].place, *result.result()]
        server = Process(
            ["serve", str(folder), "--port", "0", "--drain-timeout", "1"], {**dict.fromkeys(UNSET, ""), **ENVIRONMENT})
        stack.callback(server.stop)
        rows.update(asyncio.run(all_calls(server, calls)))
    for index, case in enumerate(CASES):
        if case.impossible:
            rows[index] = ["–", case.impossible, "–"]
    return [[case.backend, case.name, case.cause or "–", *rows[index]] for index, case in enumerate(CASES)]


def number(index):
    return f"+155501{index:05d}"


async def all_calls(server, calls):
    async def one(index):
        sid, playout, said = f"CA{index:032d}", [], []
        begin = time.monotonic()
        await call(server, number(index), [SILENCE] * 1000, sid=sid, playout=playout, said=said)
        return index, sid, heard(playout, said, time.monotonic() - begin)

    results = await asyncio.gather(*[one(index) for index, _ in calls])
    reports = {report["callSid"]: report for report in json.loads(server.get("/calls"))["calls"]}
    metrics = server.get("/metrics")
    rows = {}
    for index, sid, sounds in results:
        errors = reading(server.lines, sid)
        assert errors, (CASES[index], [line for line in server.lines if sid in line])
        texts = list(dict.fromkeys(text for text, _ in errors))
        # What the log has is also how the call ended.
        assert reports[sid]["endReason"] == f"failure: {texts[-1]}", CASES[index]
        events = json.loads(server.get("/calls/" + reports[sid]["id"]))["events"]
        dialled = errors[-1][1] == "agent failed"
        assert {event["detail"] for event in events if event["event"] == "agent failed"} == set(texts if dialled else [])
        avoided = any(f"pipeline=case{index} " in line and "agent avoided" in line for line in server.lines)
        assert avoided == (dialled and stable(texts[-1]) in LASTING), (CASES[index], texts)
        counted = re.search(rf'^patchbay_agent_failures_total{{[^}}]*code="{stable(texts[-1])}"', metrics, re.M)
        assert counted or not dialled, texts
        assert not any(secret in text for text in texts for secret in (KEY, WRONG))
        rows[index] = [f"log, {errors[-1][1]}", masked("; ".join(map(code, texts))), sounds]
    return rows


def stable(text):
    """The code, which stands behind the words and before a cause."""
    return re.findall(r"\[([a-z-]+)\]", text.split(" (caused by: ")[0])[-1]


# The article


def table(rows):
    lines = ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
    return "\n".join(lines + ["| " + " | ".join(row[1:]) + " |" for row in rows])


def sections(text):
    """The article's tables by the headings above them: from `elevenlabs` to its rows."""
    found = {}
    for name, body in re.findall(r"^## `([a-z-]+)`\n(.*?)(?=^## |\Z)", text, re.S | re.M):
        lines = [line for line in body.splitlines() if line.startswith("|")]
        rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
        assert rows[0] == HEAD, f"{name}: the table has the columns {rows[0]}"
        found[name] = [[name, *row] for row in rows[2:]]
    return found


def test_the_article_has_every_case_and_no_other(produced):
    text = ARTICLE.read_text()
    backends = list(dict.fromkeys(row[0] for row in produced))
    if os.environ.get("PATCHBAY_WRITE_GOLDENS") == "1":
        for backend in backends:
            rows = table([row for row in produced if row[0] == backend])
            text, count = re.subn(
                rf"(^## `{backend}`\n.*?)(^\|.*?\n)(?!\|)", lambda match: match.group(1) + rows + "\n", text, 1, re.S | re.M)
            assert count == 1, f"no table below ## `{backend}`"
        ARTICLE.write_text(text)
    found = sections(text)
    assert list(found) == backends
    for backend in backends:
        expected = [row for row in produced if row[0] == backend]
        for written, happened in zip(found[backend], expected):
            assert written == happened, "write the tables anew with PATCHBAY_WRITE_GOLDENS=1 and read the change"
        assert len(found[backend]) == len(expected)


def test_the_codes_are_explained_and_whether_an_agent_is_avoided(produced):
    explained = {
        found: avoided.startswith("yes") for found, avoided in
        re.findall(r"^\| `([a-z]+(?:-[a-z]+)+)` \| [^|]* \| ([^|]*) \|$", ARTICLE.read_text(), re.M)}
    happened = {stable(row[4]) for row in produced if row[3].startswith(LOG)}
    # Whether these are avoided is seen in `all_calls`.
    assert explained == {found: found in LASTING for found in happened}
