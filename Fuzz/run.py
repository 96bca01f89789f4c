"""Fuzzes the readers of documents: python3 Fuzz/run.py SECONDS [TARGET ...]

Builds the package beside this file with libFuzzer, collects seeds from the shipped pipelines, the golden diagnostics
and the Markdown files, and a dictionary of the words in them, and runs every target for its share of the time, one
process at the lowest priority. What was found is kept in .build/fuzz/corpus and goes on from there. The exit code is 1
when an input made a reader crash, hang, or break one of its promises; the input is then in .build/fuzz/found.
"""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / ".build" / "fuzz"
TARGETS = ["documents", "structure", "json", "markdown", "settings", "tests", "wirelog"]
# Longest input in bytes; memory in MiB; seconds for one input.
LIMITS = ["-max_len=8192", "-rss_limit_mb=2048", "-timeout=10"]


# Every key of a test once, and a call of which everything is written down.
ROUGH_TESTS = ["""{"pipeline": "../x.json", "environment": {"A": "b"}, "tests": [{"name": "a", "number": "+15550100002",
  "at": "2026-12-24T10:30:00+01:00", "context": {"a": 1}, "ringMs": 5, "limitMs": 9000, "soundDBFS": -30, "caller": [
    {"as": "question", "say": "Hello", "atMs": 5}, {"tone": {"frequencyHz": 440, "durationMs": 20, "levelDBFS": -6}},
    {"press": "1#", "after": "agent stops 2", "plusMs": 3}, {"silenceMs": 20},
    {"hangUp": true, "after": "question ends"}],
  "agents": [{"backend": "elevenlabs", "connectMs": 3, "steps": [{"accept": {"inputFormat": "pcm_16000"}},
    {"say": "a", "words": "b", "chunkMs": 100, "paceMs": 20, "complete": false}, {"hears": "x"}, {"interrupt": true},
    {"send": {"type": "ping"}}, {"send": "x.jsonl:12"}, {"close": 1006, "reason": "r"}]}, {"refuse": "busy"}],
  "expect": [{"agent": "speaks", "after": "stream begins", "fromMs": 1, "withinMs": 2}, {"toneHz": 440, "times": 0},
    {"sent": {"a": [1, null]}}, {"ledger": {"playedFromMs": 1, "playedToMs": 2}}, {"recording": {"fromMs": 1}},
    {"ends": "idle", "reason": "r"}, {"interrupted": false}, {"said": "x"},
    {"callerHeard": "y", "before": "agent stops"}]}]}"""]
START = ('{"event":"start","sequenceNumber":"1","streamSid":"MZ1","start":{"accountSid":"AC1","streamSid":"MZ1",'
         '"callSid":"CA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}}}')
MEDIA = ('{"event":"media","sequenceNumber":"2","streamSid":"MZ1","media":{"track":"inbound","chunk":"1","timestamp":"20",'
         '"payload":"fn7//w=="}}')
DTMF = '{"event":"dtmf","streamSid":"MZ1","sequenceNumber":"3","dtmf":{"track":"inbound_track","digit":"1"}}'
STOP = '{"event":"stop","sequenceNumber":"4","streamSid":"MZ1","stop":{"accountSid":"AC1","callSid":"CA1"}}'
WIRE_LOGS = ["\n".join([
    '{"wireLog": 1, "call": "CA1", "file": "x.json", "number": "+15550100002", "caller": "+1", "startedAt": '
    '"2026-12-24T10:30:00Z"}',
    '{"ms": 1, "event": "dialling", "backend": "elevenlabs"}', '{"ms": 2, "event": "unreachable", "reason": "r"}',
    '{"ms": 3, "event": "dialling", "backend": "elevenlabs"}', '{"ms": 5, "event": "connected"}',
    '{"ms": 9.5, "direction": "carrier>", "message": %s}' % START,
    '{"ms": 30, "direction": "carrier>", "message": %s}' % MEDIA,
    '{"ms": 40, "direction": "carrier>", "message": %s}' % DTMF,
    '{"ms": 50, "direction": "agent>", "message": {"type": "agent_response", "agent_response_event": {"agent_response": "Hi"}}}',
    '{"ms": 51, "direction": "agent>", "text": "no object"}', '{"ms": 52, "direction": ">agent", "message": {"type": "pong"}}',
    '{"ms": 53, "direction": ">carrier", "message": {"event": "clear", "streamSid": "MZ1"}}',
    '{"ms": 54, "event": "toolCalled", "id": "t", "tool": "book", "arguments": {"day": 1}}',
    '{"ms": 55, "event": "toolAnswered", "id": "t", "outcome": "error", "answer": "full"}',
    '{"ms": 60, "event": "closed", "peer": "agent", "code": 1000, "reason": "r"}',
    '{"ms": 61, "event": "dropped", "messages": 3}',
    '{"ms": 62, "direction": "carrier>", "message": %s}' % STOP, '{"ms": 63, "event": "closed", "peer": "carrier"}',
    '{"ms": 64, "event": "ended", "reason": "callerHungUp"}', '{"ms": 65, "event": "cut", "limit": "bytesPerCall"}']) + "\n"]


def build():
    command = ["swift", "build", "--package-path", str(ROOT / "Fuzz"), "--scratch-path", str(WORK / "build"),
               "-c", "release", "-j", os.environ.get("JOBS", "2"), "--sanitize", "fuzzer",
               "-Xswiftc", "-enable-testing"]
    subprocess.run(command, check=True)
    return WORK / "build" / "release" / "PatchbayFuzz"


def seeds():
    """The texts that each target begins with."""
    goldens = sorted((ROOT / "Tests/PatchbayConfigTests/Fixtures").glob("*.golden"))
    texts = [path.read_text(errors="surrogateescape") for path in goldens]
    texts = [re.split(r"^----.*$", text, maxsplit=1, flags=re.M)[0] for text in texts]
    texts += [path.read_text() for path in sorted((ROOT / "Pipelines").glob("**/*.json"))]
    pages = [*ROOT.glob("*.md"), *(ROOT / "Sources/Patchbay/Patchbay.docc").glob("*.md")]
    markdown = [path.read_text() for path in sorted(pages)]
    tests = [path.read_text() for path in sorted((ROOT / "Pipelines").glob("*.test.json"))]
    return {"documents": texts, "json": texts, "settings": texts, "markdown": markdown + texts,
            "structure": ["0123456789"], "tests": tests + ROUGH_TESTS, "wirelog": WIRE_LOGS}


def dictionary(texts):
    words = {word for text in texts for word in re.findall(r'"([\x20-\x21\x23-\x5b\x5d-\x7e]{1,40})"', text)}
    path = WORK / "words.dict"
    path.write_text("".join(f'"\\"{word}\\""\n' for word in sorted(words)) + '"${"\n"```json"\n"\\x0a==== "\n')
    return path


def run(binary, target, texts, words, seconds):
    corpus, found = WORK / "corpus" / target, WORK / "found"
    seed = WORK / "seeds" / target
    for folder in (corpus, found, seed):
        folder.mkdir(parents=True, exist_ok=True)
    for index, text in enumerate(texts):
        (seed / str(index)).write_bytes(text.encode(errors="surrogateescape"))
    environment = {**os.environ, "PATCHBAY_FUZZ": target, "SWIFT_BACKTRACE": "enable=no"}
    command = ["nice", "-n", "19", str(binary), *LIMITS, f"-dict={words}", f"-max_total_time={seconds}",
               "-print_final_stats=1", f"-artifact_prefix={found}/{target}-", str(corpus), str(seed)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
    lines = result.stderr.splitlines()
    coverage = [line for line in lines if " cov: " in line]
    stats = dict(re.findall(r"stat::(\w+):\s+(\d+)", result.stderr))
    cover = re.search(r"cov: (\d+)", coverage[-1]).group(1) if coverage else "?"
    print(f"{target}: {stats.get('number_of_executed_units', '?')} executions in {seconds} s, {cover} edges covered, "
          f"at most {stats.get('peak_rss_mb', '?')} MiB, {'sound' if result.returncode == 0 else 'FAILED'}", flush=True)
    if result.returncode != 0:
        telling = [line for line in lines if re.search(r"Fatal error|ERROR:|SUMMARY|Test unit written", line)]
        print("\n".join(telling or lines[-5:]))
    return result.returncode == 0


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    targets = sys.argv[2:] or TARGETS
    binary = build()
    start = seeds()
    words = dictionary([text for texts in start.values() for text in texts])
    results = [run(binary, target, start[target], words, max(1, seconds // len(targets))) for target in targets]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
