#!/usr/bin/env python3
"""Measures Python's audioop.ratecv as `patchbay bench` measures libraries, and prints a table of the same JSON shape.

    Benchmarks/Audio/peers.py --rates 8000:16000,16000:8000 > audioop.json
    patchbay bench --only resamplers --merge audioop.json

Standard library only. Python 3.13 dropped audioop; the package audioop-lts brings it back.
"""

import argparse
import array
import cmath
import datetime
import json
import math
import os
import platform
import random
import sys
import time
import warnings

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import audioop
except ImportError:
    audioop = None

NAME = "audioop.ratecv"
WINDOW = 5  # windows a second: in 200 ms every multiple of 5 Hz has whole periods


class Ratecv:
    """The state of one stream."""

    def __init__(self, source, target):
        self.source, self.target, self.state = source, target, None

    def process(self, packet):
        data, self.state = audioop.ratecv(packet, 2, 1, self.source, self.target, self.state)
        return data


def samples(tones, seconds, rate):
    """Tones of (frequency, amplitude, phase), rounded to 16 bits."""
    steps = [(2 * math.pi * f / rate, a, p) for f, a, p in tones]
    values = (sum(a * math.cos(p + s * i) for s, a, p in steps) for i in range(round(seconds * rate)))
    return array.array("h", (max(-32768, min(32767, round(v))) for v in values))


def packets(signal, rate):
    length = rate // 50
    return [signal[i:i + length].tobytes() for i in range(0, len(signal) - length + 1, length)]


def convert(signal, source, target):
    """All output, and the seconds by which its count was behind at most after the first 15 packets."""
    stream, output, held = Ratecv(source, target), array.array("h"), 0.0
    for number, packet in enumerate(packets(signal, source), 1):
        output.frombytes(stream.process(packet))
        if number > 15:
            held = max(held, number / 50 - len(output) / target)
    return output, held


def phasor(window, frequency, rate):
    turn, factor, total = cmath.exp(-2j * math.pi * frequency / rate), 1 + 0j, 0j
    for value in window:
        total += value * factor
        factor *= turn
    return total * (1 if frequency * 2 == rate else 2) / len(window)


def decibels(ratio):
    return 20 * math.log10(ratio) if ratio > 1e-10 else -200.0


def delay(source, target):
    """In seconds, by correlation with a sum of tones from 300 to 3,400 Hz."""
    chance = random.Random(5)
    tones = [(300 + 100 * i + 5 * chance.randrange(9), 800.0, 2 * math.pi * chance.random()) for i in range(31)]
    output, held = convert(samples(tones, 0.8, source), source, target)
    count = target // WINDOW
    start = len(output) - count
    products = []
    for frequency, amplitude, phase in tones:
        expected = cmath.rect(amplitude, phase + 2 * math.pi * frequency * start / target)
        found = phasor(output[start:], frequency, target)
        products.append((2 * math.pi * frequency, found * expected.conjugate()))

    def correlation(shift):
        return sum((p * cmath.exp(1j * w * shift)).real for w, p in products)

    step = 1 / (12 * 3400)
    best = max((-0.02 + i * step for i in range(int(0.2 / step))), key=correlation)
    while step > 1e-9:
        step /= 2
        best = max((best - step, best, best + step), key=correlation)
    return held + best


def noise(source, target):
    """Signal to noise of a tone of 1,020 Hz at -6 dBFS, in dB."""
    output, _ = convert(samples([(1020, 32767 * 10 ** (-6 / 20), 0)], 0.6, source), source, target)
    window = output[-(target // WINDOW):]
    signal = abs(phasor(window, 1020, target)) ** 2 / 2
    total = sum(v * v for v in window) / len(window)
    return 10 * math.log10(signal / max(total - signal, total * 1e-14))


def products(frequency, source, target):
    """Where images and aliases of a tone come out."""
    up, found = target // math.gcd(source, target), set()
    for multiple in range(up // 2 + 1):
        for image in (multiple * source - frequency, multiple * source + frequency):
            if abs(image) > up * source / 2 or (multiple == 0 and frequency < target / 2):
                continue
            rest = math.fmod(abs(image), target)
            found.add(min(rest, target - rest))
    if frequency < target / 2:
        found.discard(frequency)
    found.discard(0)
    return found


def spread(begin, end, count=24):
    first, last = math.ceil(begin / 5), math.floor(end / 5)
    return [5.0 * (first + math.floor((last - first) * i / (count - 1) + 0.5)) for i in range(count)]


def sweep(source, target):
    """Rejection, ripple and the gain at 3,400 Hz, in dB."""
    lower = min(source, target)
    tones = set(spread(100, 0.425 * lower)) | ({3400.0} if 0.425 * lower >= 3400 else set())
    if source > target:
        tones |= set(spread(0.575 * lower, 0.49 * source))
    gains, worst, at_3400, amplitude = [], -200.0, None, 32767 * 10 ** (-6 / 20)
    for frequency in sorted(tones):
        output, _ = convert(samples([(frequency, amplitude, 0)], 0.4, source), source, target)
        window = output[-(target // WINDOW):]
        if frequency <= 0.425 * lower + 5:
            gains.append(decibels(abs(phasor(window, frequency, target)) / amplitude))
            at_3400 = gains[-1] if frequency == 3400 else at_3400
        for product in products(frequency, source, target):
            worst = max(worst, decibels(abs(phasor(window, product, target)) / amplitude))
    return -worst, max(gains) - min(gains), at_3400


def cost(source, target, seconds, rounds):
    """Lowest of the rounds, in µs for 20 ms. The call from Python is part of what its users pay."""
    signal = packets(samples([(440, 8000, 0), (1330, 4000, 1)], 2, source), source)
    stream, best = Ratecv(source, target), None
    for _ in range(rounds):
        times, start = [], time.process_time_ns()
        for number in range(max(1, int(seconds * 50))):
            packet = signal[number % len(signal)]
            before = time.perf_counter_ns()
            stream.process(packet)
            times.append(time.perf_counter_ns() - before)
        spent = (time.process_time_ns() - start) / len(times) / 1000
        times.sort()
        found = (times[len(times) // 2] / 1000, times[len(times) * 99 // 100] / 1000, spent)
        best = found if best is None else tuple(map(min, best, found))
    return dict(zip(("p50Us", "p99Us", "cpuUs"), (round(value, 4) for value in best)))


def row(source, target, options):
    result = {"family": "resampler", "name": NAME, "path": f"{source}→{target}"}
    if audioop is None:
        result["note"] = "needs audioop, which this Python does not have: pip install audioop-lts"
        return result
    rejection, ripple, gain = sweep(source, target)
    result["cost"] = cost(source, target, options.seconds, options.rounds)
    result["delayMeasuredMs"] = delay(source, target) * 1000
    result["signalToNoiseDb"] = noise(source, target)
    result["rejectionDb"], result["rippleDb"] = rejection, ripple
    if gain is not None:
        result["gain3400Db"] = gain
    result["note"] = "called from Python"
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in result.items()}


def machine():
    processor = "unknown"
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            processor = next(line for line in file if line.startswith("model name")).split(":", 1)[1].strip()
    except (OSError, StopIteration):
        pass
    return {
        "processor": processor, "cores": os.cpu_count() or 1, "architecture": platform.machine(),
        "system": platform.system(), "build": f"Python {platform.python_version()}",
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def pairs(text):
    result = []
    for part in text.split(","):
        try:
            source, target = (int(rate) for rate in part.split(":"))
        except ValueError:
            raise argparse.ArgumentTypeError(f"{part!r} is no pair like 8000:16000") from None
        if source == target or any(not 4000 <= rate <= 192_000 or rate % 50 for rate in (source, target)):
            raise argparse.ArgumentTypeError(f"{part!r}: two different rates of 4000 to 192000 Hz in steps of 50")
        result.append((source, target))
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=pairs, default="8000:16000,16000:8000,8000:24000,24000:8000")
    parser.add_argument("--seconds", type=float, default=10, help="seconds of sound in each round")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if options.seconds <= 0 or options.rounds < 1:
        parser.error("--seconds and --rounds are positive")
    rows = [row(source, target, options) for source, target in options.rates]
    json.dump({"version": 2, "machine": machine(), "rows": rows}, sys.stdout, ensure_ascii=False, indent=2)
    print()


if __name__ == "__main__":
    main()
