#!/usr/bin/env python3
"""Designs the filters of Patchbay's polyphase resampler and writes them to PolyphaseTables.swift.

    ./design.py            prints what each filter measures
    ./design.py --write    also writes PolyphaseTables.swift
    ./design.py --check    fails if PolyphaseTables.swift is not what this script would write, but for the last bits

Python's standard library only, no randomness: the same tables everywhere.

A filter of factor P runs at P times the lower of two sample rates and serves every pair of rates whose common multiple
that is: factor 2 serves 8/16 and 24/48 kHz, factor 3 serves 8/24, 16/24 and 16/48 kHz, factor 6 serves 8/48 kHz.
"""

import cmath
import math
import pathlib
import re
import sys

# The specification. Frequencies in units of the lower sample rate, levels in dB.
PASS_EDGE = 0.425
STOP_EDGE = 0.575
RIPPLE = 0.02  # either way, from DC to PASS_EDGE; the half-band filters are far flatter
REJECTION = 81.2  # from STOP_EDGE on; 80 is promised of the whole converter, which also rounds to 16 bits
FACTORS = (2, 3, 6)
UNIT = 2**24  # coefficients are written as multiples of 1 / UNIT, which a 32-bit float holds exactly up to 1

TABLES = pathlib.Path(__file__).with_name("PolyphaseTables.swift")


# MARK: Equiripple approximation


class Equiripple:
    """The best approximation of `desired` by a cosine polynomial with `terms` terms, by Remez exchange.

    `points` are frequencies in [0, pi], ascending, band after band. (Parks, McClellan: Chebyshev approximation for
    nonrecursive digital filters with linear phase, 1972.)
    """

    def __init__(self, points, desired, weight, terms):
        self.x = [math.cos(w) for w in points]
        self.desired, self.weight = desired, weight
        count = terms + 1
        chosen = [round(i * (len(points) - 1) / (count - 1)) for i in range(count)]
        for _ in range(100):
            self.interpolate(chosen)
            error = [self.weight[i] * (self.desired[i] - self.at(x)) for i, x in enumerate(self.x)]
            following = self.exchange(error, count)
            worst = max(abs(error[i]) for i in following)
            if following == chosen or worst - abs(self.level) < 1e-5 * worst:
                return
            chosen = following
        raise SystemExit("the exchange does not converge")

    def interpolate(self, chosen):
        """The polynomial that errs by the same level at every chosen point, with alternating sign."""
        nodes = [self.x[i] for i in chosen]
        factors = []
        for i, node in enumerate(nodes):
            # Products of many differences leave the range of floats; those of logarithms do not.
            total = sum(math.log(2 * abs(node - other)) for j, other in enumerate(nodes) if j != i)
            factors.append((-1) ** i * math.exp(-total))
        above = sum(f * self.desired[i] for f, i in zip(factors, chosen))
        below = sum(abs(f) / self.weight[i] for f, i in zip(factors, chosen))
        self.level = above / below
        values = [self.desired[i] - (-1) ** k * self.level / self.weight[i] for k, i in enumerate(chosen)]
        # All but the last point determine the polynomial.
        last = nodes[-1]
        self.nodes = nodes[:-1]
        self.factors = [f * (node - last) for f, node in zip(factors, nodes)][:-1]
        self.values = values[:-1]

    def at(self, x):
        above = below = 0.0
        for node, factor, value in zip(self.nodes, self.factors, self.values):
            distance = x - node
            if abs(distance) < 1e-14:
                return value
            part = factor / distance
            above += part * value
            below += part
        return above / below

    @staticmethod
    def exchange(error, count):
        """The `count` largest extrema of alternating sign."""
        runs = []
        for i, e in enumerate(error):
            if runs and (error[runs[-1]] < 0) == (e < 0):
                if abs(e) > abs(error[runs[-1]]):
                    runs[-1] = i
            else:
                runs.append(i)
        while len(runs) > count:
            if len(runs) == count + 1:
                del runs[0 if abs(error[runs[0]]) < abs(error[runs[-1]]) else -1]
            else:
                # Signs alternate, so neighbours go in twos, unless the smaller of them stands at an end.
                i = min(range(len(runs) - 1), key=lambda i: max(abs(error[runs[i]]), abs(error[runs[i + 1]])))
                del runs[i : i + 2]
        if len(runs) < count:
            raise SystemExit("too few extrema: the grid is too coarse")
        return runs


def band(low, high, count):
    return [low + (high - low) * i / (count - 1) for i in range(count)]


def grid(edge, end, count):
    """From the edge of a band on, where the extrema of an equiripple response are close, at first in quarter steps."""
    step = (end - edge) / (count - 1)
    return [edge + step * i / 4 for i in range(64)] + [edge + step * i for i in range(16, count)]


def linear_phase(taps, factor, pass_deviation, stop_deviation):
    """A symmetric low-pass of an odd number of taps. Returns its taps and its deviation in the stop-band."""
    terms = (taps + 1) // 2
    edges = (2 * math.pi * PASS_EDGE / factor, 2 * math.pi * STOP_EDGE / factor)
    density = 16 * terms / (math.pi - edges[1] + edges[0])
    low = grid(edges[0], 0, max(24, round(density * edges[0])))[::-1]
    high = grid(edges[1], math.pi, max(24, round(density * (math.pi - edges[1]))))
    ratio = pass_deviation / stop_deviation
    best = Equiripple(
        low + high, [1.0] * len(low) + [0.0] * len(high), [1.0] * len(low) + [ratio] * len(high), terms)
    return taps_of(best, taps), abs(best.level) / ratio


def taps_of(polynomial, taps):
    """The inverse Fourier transform of a cosine polynomial, sampled at as many points as there are taps."""
    middle = (taps - 1) // 2
    samples = [polynomial.at(math.cos(2 * math.pi * k / taps)) for k in range(middle + 1)]
    half = []
    for n in range(middle + 1):
        total = samples[0] + 2 * sum(samples[k] * math.cos(2 * math.pi * k * n / taps) for k in range(1, middle + 1))
        half.append(total / taps)
    return half[:0:-1] + half


# MARK: The filters


def half_band():
    """The shortest half-band filter: factor 2, every other tap zero but for the middle one, which is 1/2.

    Its odd taps are a filter with a pass-band only, twice as slow (Vaidyanathan, Nguyen: A trick for the design of FIR
    half-band filters, 1987).
    """
    pairs = 8
    while True:
        points = grid(2 * math.pi * PASS_EDGE, 0, 32 * pairs)[::-1]
        slope = [math.cos(w / 2) for w in points]
        best = Equiripple(points, [1 / s for s in slope], slope, pairs)
        if abs(best.level) / 2 <= 10 ** (-REJECTION / 20):
            break
        pairs += 1
    side = 2 * pairs
    half = []
    for n in range(pairs):
        total = 0.0
        for k in range(side):
            w = 2 * math.pi * k / (2 * side)
            total += (1 if k == 0 else 2) * best.at(math.cos(w)) * math.cos(w / 2) * math.cos(w * (n + 0.5))
        half.append(total / (2 * side) / 2)
    taps = [0.0] * (4 * pairs - 1)
    middle = 2 * pairs - 1
    taps[middle] = 0.5
    for n, value in enumerate(half):
        taps[middle - 1 - 2 * n] = taps[middle + 1 + 2 * n] = value
    return taps


def grown(taps, step, step_gain, design, deviation):
    """The first of `design(taps)`, `design(taps + step)` … that deviates no more than that in the stop-band.

    Goes in larger steps, of `step_gain` dB each, while it is far from there.
    """
    while True:
        result, reached = design(taps)
        missing = 20 * math.log10(reached / deviation)
        if missing <= 0:
            return result, reached
        taps += step * max(1, int(0.7 * missing / step_gain))


# What one tap more gains, in dB and for factor 1 (Bellanger, Digital Processing of Signals, 1984).
GAIN_PER_TAP = 14.6 * (STOP_EDGE - PASS_EDGE)


def shortest(factor):
    """The shortest linear-phase filter that meets the specification."""
    passing, stop = 10 ** (RIPPLE / 20) - 1, 10 ** (-REJECTION / 20)
    return grown(
        20 * factor + 1, 2, 2 * GAIN_PER_TAP / factor, lambda taps: linear_phase(taps, factor, passing, stop), stop)[0]


def minimum_phase(factor):
    """The shortest minimum-phase filter that meets the specification.

    A linear-phase filter of nearly twice the length is lifted until its response is positive everywhere; half of its
    zeros make the filter (Herrmann, Schuessler: Design of nonrecursive digital filters with minimum phase, 1970).
    """
    lift = 1.1
    stop = 10 ** (-REJECTION / 10) / (1 + lift)
    passing = 2 * (10 ** (RIPPLE / 20) - 1)
    square, deviation = grown(
        16 * factor + 1, 1, 2 * GAIN_PER_TAP / factor,
        lambda taps: linear_phase(2 * taps - 1, factor, passing, stop), stop)
    taps = (len(square) + 1) // 2
    square[taps - 1] += lift * deviation
    return spectral_factor(square, taps)


def spectral_factor(square, taps):
    """The minimum-phase filter of which `square` is the autocorrelation, through the cepstrum."""
    size = 2**13
    middle = len(square) // 2
    padded = [0.0] * size
    for n, value in enumerate(square):
        padded[(n - middle) % size] = value
    cepstrum = transform([cmath.log(abs(v.real)) / 2 for v in transform(padded)])
    folded = [0j] * size
    folded[0] = cepstrum[0].real / size
    folded[size // 2] = cepstrum[size // 2].real / size
    for n in range(1, size // 2):
        folded[n] = 2 * cepstrum[n].real / size
    response = [cmath.exp(v) for v in transform(folded)]
    impulse = transform([v.conjugate() for v in response])
    result = [v.real / size for v in impulse[:taps]]
    total = sum(result)
    gain = math.sqrt(sum(square)) / total
    return [v * gain for v in result]


def transform(values):
    """The discrete Fourier transform; a power of two of values."""
    size = len(values)
    bits = size.bit_length() - 1
    data = [complex(values[int(format(i, f"0{bits}b")[::-1], 2)]) for i in range(size)]
    span = 1
    while span < size:
        turns = [cmath.exp(-1j * math.pi * k / span) for k in range(span)]
        for start in range(0, size, 2 * span):
            for k in range(span):
                low, high = data[start + k], turns[k] * data[start + k + span]
                data[start + k], data[start + k + span] = low + high, low - high
        span *= 2
    return data


def quantised(taps, factor):
    """Multiples of 1 / UNIT of `factor` times each tap: raising the rate by `factor` needs that gain."""
    return [round(t * factor * UNIT) for t in taps]


def filters():
    """Name, factor and whole-number taps of every filter."""
    yield "linear2", 2, quantised(half_band(), 2)
    for factor in FACTORS[1:]:
        yield f"linear{factor}", factor, quantised(shortest(factor), factor)
    for factor in FACTORS:
        yield f"minimum{factor}", factor, quantised(minimum_phase(factor), factor)


# MARK: What they measure


def response(taps, factor, frequency):
    """The complex gain at a frequency in units of the lower sample rate."""
    w = -2j * math.pi * frequency / factor
    return sum(t * cmath.exp(w * n) for n, t in enumerate(taps)) / (UNIT * factor)


def group_delay(taps, factor, frequency):
    """In periods of the lower sample rate."""
    w = -2j * math.pi * frequency / factor
    gain = sum(t * cmath.exp(w * n) for n, t in enumerate(taps))
    return (sum(n * t * cmath.exp(w * n) for n, t in enumerate(taps)) / gain).real / factor


def measure(taps, factor):
    """Ripple in dB either way, rejection in dB, group delay at DC and the largest in the pass-band, in periods."""
    passing = [abs(response(taps, factor, f)) for f in band(0, PASS_EDGE, 400)]
    stopping = [abs(response(taps, factor, f)) for f in band(STOP_EDGE, factor / 2, 600 * factor)]
    ripple = max(abs(20 * math.log10(g)) for g in passing)
    delays = [group_delay(taps, factor, f) for f in band(0, PASS_EDGE, 100)]
    return ripple, -20 * math.log10(max(stopping)), delays[0], max(delays)


def report(designed):
    """Prints what each filter measures, and returns it."""
    print("filter     taps  ripple dB  rejection dB  delay at 8 kHz, ms: DC  worst")
    measures = [measure(taps, factor) for _, factor, taps in designed]
    for (name, _, taps), (ripple, rejection, delay, worst) in zip(designed, measures):
        used = sum(1 for t in taps if t)
        print(f"{name:10} {used:4} {ripple:10.4f} {rejection:13.1f} {delay / 8:23.3f} {worst / 8:6.2f}")
    return measures


# MARK: The table file


def swift(designed, measures):
    lines = [
        "// Written by design.py, which says how; do not edit.",
        "",
        "/// Taps of the low-pass filters, in units of 2⁻²⁴ and times their factor: the sum over one phase is 1.",
        "enum PolyphaseTables {",
    ]
    for i, ((name, _, taps), (ripple, rejection, _, _)) in enumerate(zip(designed, measures)):
        lines += [] if i == 0 else [""]
        lines += [f"    /// {len(taps)} taps, ripple {ripple:.3f} dB, rejection {rejection:.1f} dB."]
        lines += [f"    static let {name}: [Int32] = ["]
        row = "       "
        for tap in taps:
            if len(row) + len(str(tap)) + 2 > 118:
                lines.append(row)
                row = "       "
            row += f" {tap},"
        lines += [row, "    ]"]
    return "\n".join(lines + ["}", ""])


def main(arguments):
    if arguments not in ([], ["--write"], ["--check"]):
        raise SystemExit(__doc__)
    designed = list(filters())
    text = swift(designed, report(designed))
    if arguments == ["--write"]:
        TABLES.write_text(text)
    if arguments == ["--check"] and not is_same(TABLES.read_text(), text):
        raise SystemExit(f"{TABLES.name} is not what this script writes: run it with --write")


def is_same(there, here):
    """Whether both are the same but for the last digit of numbers: machines differ in the last bit of a cosine."""
    number = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
    if number.sub("", there) != number.sub("", here):
        return False
    return all(
        abs(float(a) - float(b)) <= (2 if "." not in a else 0.01)
        for a, b in zip(number.findall(there), number.findall(here)))


if __name__ == "__main__":
    main(sys.argv[1:])
