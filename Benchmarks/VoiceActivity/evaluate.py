#!/usr/bin/env python3
"""How well each engine of the stage "vad" finds speech on a telephone line, as Markdown tables.

    swift build -c release --product patchbay
    .build/release/patchbay model silero
    Benchmarks/VoiceActivity/evaluate.py
    Benchmarks/VoiceActivity/evaluate.py --denoise       # the noise suppressor of libspeexdsp in front, too

Needs numpy, espeak-ng and sox. Makes its corpus at first use (64 MB, 128 minutes, see corpus.py).
"""

import argparse
import json
import pathlib
import subprocess
import sys

import numpy as np

import corpus
import denoise

HERE = pathlib.Path(__file__).parent
FRAME = 160  # 20 ms, the grid of the frame-level figures
# Name, options of `patchbay vad`, threshold of the scores.
ENGINES = [
    ("energy, 9 dB", ["--engine", "energy"], 9),
    ("webrtc, mode 0", ["--engine", "webrtc", "--mode", "0"], 0.5),
    ("webrtc, mode 2", ["--engine", "webrtc", "--mode", "2"], 0.5),
    ("webrtc, mode 3", ["--engine", "webrtc", "--mode", "3"], 0.5),
    ("silero, 0.5", ["--engine", "silero"], 0.5),
]
SHORTEST_PAUSE = 0.6  # seconds; shorter ones are within speech for the edges


class Figures:
    """What is counted over some files."""

    def __init__(self):
        self.speech = self.hits = self.quiet = self.alarms = 0
        self.scores = ([], [])
        self.onsets, self.noticed, self.offsets = [], [], []
        self.stretches = self.missed = self.pauses = self.bridged = self.starts = 0
        self.silence = 0.0
        self.cost = []

    def add(self, entry, report, threshold):
        labels = np.array([x == "1" for x in entry["labels"]])
        scores = np.array(report["scores"])
        frames = min(len(labels) // 2, len(scores) * report["windowSamples"] // FRAME)
        centres = np.arange(frames) * FRAME + FRAME // 2
        scores = scores[centres // report["windowSamples"]]
        truth = labels[centres // corpus.FRAME]
        active = scores >= threshold
        self.speech += truth.sum()
        self.hits += (active & truth).sum()
        self.quiet += (~truth).sum()
        self.alarms += (active & ~truth).sum()
        self.scores[0].append(scores[~truth])
        self.scores[1].append(scores[truth])
        self.cost.append(report["microsecondsPer20Ms"])
        self.add_edges(labels, report)

    def add_edges(self, labels, report):
        """Compares the stretches of speech of the labels with those that were found."""
        truth = stretches(corpus.filled(labels, int(SHORTEST_PAUSE * 100)))
        found = [{key: (None if value is None else value / corpus.RATE) for key, value in segment.items()}
                 for segment in report["segments"]]
        self.silence += len(labels) / 100 - sum(end - start for start, end in truth)
        self.stretches += len(truth)
        self.pauses += max(0, len(truth) - 1)
        for number, (start, end) in enumerate(truth):
            over = [s for s in found if s["startSample"] < end and s["endSample"] > start]
            if not over:
                self.missed += 1
                continue
            before = truth[number - 1][1] if number else 0
            if number and over[0]["startSample"] < before:
                self.bridged += 1
            else:
                self.onsets.append(over[0]["startSample"] - start)
                self.noticed.append(over[0]["startNoticedSample"] - start)
            after = truth[number + 1][0] if number + 1 < len(truth) else len(labels) / 100
            if over[-1]["endSample"] < after:
                self.offsets.append(over[-1]["endSample"] - end)
        self.starts += sum(all(s["endSample"] <= start or s["startSample"] >= end for start, end in truth) for s in found)

    def auc(self):
        """The probability that a frame of speech scores above one without; ties count half."""
        quiet, speech = (np.concatenate(x) if x else np.zeros(0) for x in self.scores)
        if not len(quiet) or not len(speech):
            return float("nan")
        quiet = np.sort(quiet)
        below, upto = np.searchsorted(quiet, speech, "left"), np.searchsorted(quiet, speech, "right")
        return float((below + upto).mean() / 2 / len(quiet))


def stretches(labels):
    edges = np.flatnonzero(np.diff(np.concatenate([[0], labels.astype(int), [0]])))
    return [(a / 100, b / 100) for a, b in zip(edges[::2], edges[1::2])]


def judge(patchbay, folder, index, options):
    """One report for each file, in one run of the command."""
    files = [str(folder / entry["file"]) for entry in index]
    command = [patchbay, "vad", *files, *options, "--scores", "--format", "json"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(result.stderr.strip())
    return [json.loads(line) for line in result.stdout.splitlines()]


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def percent(part, whole):
    return f"{100 * part / whole:.1f}" if whole else "–"


def milliseconds(values):
    """The median of what was measured, and of its size what nine in ten stay below."""
    return f"{1000 * np.median(values):.0f} / {1000 * np.percentile(np.abs(values), 90):.0f}" if values else "–"


def row(name, figures):
    return [
        name, percent(figures.hits, figures.speech), percent(figures.alarms, figures.quiet), f"{figures.auc():.3f}",
        milliseconds(figures.onsets), milliseconds(figures.noticed), milliseconds(figures.offsets),
        f"{figures.starts / figures.silence * 60:.1f}", percent(figures.missed, figures.stretches),
        percent(figures.bridged, figures.pauses), f"{np.median(figures.cost):.1f}",
    ]


HEAD = ["engine", "TPR %", "FPR %", "AUC", "onset ms", "noticed ms", "offset ms", "false starts/min", "missed %",
        "pauses bridged %", "µs per 20 ms"]


def collect(index, reports, threshold, wanted):
    figures = Figures()
    for entry, report in zip(index, reports):
        if wanted(entry):
            figures.add(entry, report, threshold)
    return figures


def print_tables(title, index, judged):
    def spoken(entry):
        return entry["snr"] != "nobody"

    print(f"## {title}\n")
    print("Everything:\n")
    print(table(HEAD, [row(name, collect(index, reports, threshold, spoken)) for name, threshold, reports in judged]))
    print("Clean lines only:\n")
    print(table(HEAD, [row(name, collect(index, reports, threshold, lambda e: e["noise"] == "clean"))
                       for name, threshold, reports in judged]))

    def cells(wanted):
        result = []
        for _, threshold, reports in judged:
            figures = collect(index, reports, threshold, wanted)
            result.append(f"{percent(figures.hits, figures.speech)} / {percent(figures.alarms, figures.quiet)}")
        return result

    head = [""] + [name for name, _, _ in judged]
    print("TPR / FPR in %, by signal-to-noise ratio:\n")
    print(table(head, [[f"{snr} dB"] + cells(lambda e: e["snr"] == snr) for snr in corpus.SNRS]))
    print("TPR / FPR in %, by noise, at 10 dB:\n")
    print(table(head, [[kind] + cells(lambda e: e["snr"] == 10 and e["noise"] == kind) for kind in corpus.NOISES]))
    print("Starts of speech per minute where nobody speaks, noise at -36 dBFS:\n")
    rows = []
    for kind in corpus.NOISES:
        counts = [collect(index, reports, threshold, lambda e: e["snr"] == "nobody" and e["noise"] == kind)
                  for _, threshold, reports in judged]
        rows.append([kind] + [f"{figures.starts / figures.silence * 60:.0f}" for figures in counts])
    print(table(head, rows))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--patchbay", default=".build/release/patchbay")
    parser.add_argument("--model", help="silero_vad.onnx; where `patchbay model silero` puts it by default")
    parser.add_argument("--only", default="", help="engines whose name begins so")
    parser.add_argument("--options", default="", help="further options of `patchbay vad`, in one string")
    parser.add_argument("--denoise", action="store_true", help="also with the noise suppressor of libspeexdsp in front")
    arguments = parser.parse_args()
    folder = HERE / "corpus"
    index = corpus.build(folder)
    folders = [("Telephone line, 8 kHz µ-law", folder)]
    if arguments.denoise:
        denoise.build(folder, folder / "denoised")
        folders.append(("The same behind speex_preprocess", folder / "denoised"))
    print(f"Corpus {corpus.fingerprint(folder, index)[:16]}, made with {corpus.versions()}.\n")
    for title, source in folders:
        judged = []
        for name, options, threshold in ENGINES:
            if not name.startswith(arguments.only):
                continue
            if "silero" in options and arguments.model:
                options = options + ["--model", arguments.model]
            options = options + arguments.options.split()
            if "--threshold" in options:
                threshold = float(options[options.index("--threshold") + 1])
            judged.append((name, threshold, judge(arguments.patchbay, source, index, options)))
        print_tables(title, index, judged)


if __name__ == "__main__":
    main()
