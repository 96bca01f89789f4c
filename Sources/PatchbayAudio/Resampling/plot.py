#!/usr/bin/env python3
"""Draws the filters of design.py: their responses, and an impulse on its way from 8 to 16 kHz and back.

    ./plot.py DIRECTORY    writes resampler-response.svg and resampler-impulse.svg

Reads PolyphaseTables.swift. Python's standard library only.
"""

import math
import pathlib
import re
import sys

from design import PASS_EDGE, STOP_EDGE, TABLES, UNIT, band, response

WIDTH, HEIGHT = 760, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 46, 46
LINEAR, MINIMUM = "#1f6fb2", "#c8501e"


def tables():
    found = re.findall(r"static let (\w+): \[Int32\] = \[(.*?)\]", TABLES.read_text(), re.S)
    return {name: [int(word) for word in re.findall(r"-?\d+", values)] for name, values in found}


class Plot:
    """Axes with a grid, and lines on them."""

    def __init__(self, title, x_range, y_range, x_label, y_label, top=TOP, height=HEIGHT):
        self.x_range, self.y_range, self.top, self.bottom = x_range, y_range, top, top + height - TOP - BOTTOM
        self.parts = [self.text((LEFT + WIDTH - RIGHT) / 2, top - 22, title, "middle", 15)]
        self.parts += [self.text((LEFT + WIDTH - RIGHT) / 2, self.bottom + 36, x_label, "middle")]
        middle = (self.top + self.bottom) / 2
        self.parts += [
            f'<text x="18" y="{middle:.0f}" text-anchor="middle" transform="rotate(-90 18 {middle:.0f})">'
            f"{y_label}</text>"
        ]

    def x(self, value):
        low, high = self.x_range
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(self, value):
        low, high = self.y_range
        return self.bottom - (max(low, min(high, value)) - low) / (high - low) * (self.bottom - self.top)

    @staticmethod
    def text(x, y, words, anchor="start", size=12, colour="#333"):
        return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{words}</text>'

    def axes(self, x_ticks, y_ticks):
        for value, label in x_ticks:
            self.line([(value, self.y_range[0]), (value, self.y_range[1])], "#ddd", 1)
            self.parts.append(self.text(self.x(value), self.bottom + 17, label, "middle"))
        for value, label in y_ticks:
            self.line([(self.x_range[0], value), (self.x_range[1], value)], "#ddd", 1)
            self.parts.append(self.text(LEFT - 7, self.y(value) + 4, label, "end"))

    def area(self, x_range, y_range, colour):
        x, y = self.x(x_range[0]), self.y(y_range[1])
        width, height = self.x(x_range[1]) - x, self.y(y_range[0]) - y
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>')

    def line(self, points, colour, width=1.5):
        path = " ".join(f"{self.x(a):.1f},{self.y(b):.1f}" for a, b in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>')

    def stems(self, points, colour):
        for a, b in points:
            self.line([(a, 0), (a, b)], colour, 1)
            self.parts.append(f'<circle cx="{self.x(a):.1f}" cy="{self.y(b):.1f}" r="2.4" fill="{colour}"/>')

    def key(self, entries, x):
        for i, (label, colour) in enumerate(entries):
            y = self.top + 16 + 17 * i
            self.parts.append(
                f'<line x1="{x}" y1="{y - 4}" x2="{x + 22}" y2="{y - 4}" stroke="{colour}" stroke-width="2.5"/>')
            self.parts.append(self.text(x + 28, y, label))


def svg(plots, height):
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="12" fill="#333">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
    ]
    for plot in plots:
        lines += plot.parts
    return "\n".join(lines + ["</svg>", ""])


def decibels(value):
    return 20 * math.log10(max(1e-9, abs(value)))


def draw_response(found):
    """The filters of factor 2 and 6, whole; and the pass-bands of all from near."""
    whole = Plot(
        "8 kHz to 16 kHz and back: what passes", (0, 8), (-120, 6), "kHz (twice or thrice that for other pairs)", "dB")
    whole.area((0, PASS_EDGE * 8), (-120, 6), "#eef6ee")
    whole.area((STOP_EDGE * 8, 8), (-80, 6), "#fbeeee")
    whole.axes([(k, str(k)) for k in range(9)], [(d, str(d)) for d in range(-120, 1, 20)])
    near = Plot(
        "The pass-band from near: all six filters", (0, 4), (-0.15, 0.15), "kHz", "dB", top=HEIGHT + TOP, height=260)
    near.area((0, PASS_EDGE * 8), (-0.1, 0.1), "#eef6ee")
    near.axes([(k / 2, f"{k / 2:g}") for k in range(9)], [(d / 20, f"{d / 20:g}") for d in range(-3, 4)])
    for name, taps in found.items():
        factor = int(name[-1])
        colour = LINEAR if name.startswith("linear") else MINIMUM
        if factor == 2:
            points = [(8 * f, decibels(response(taps, factor, f))) for f in band(0, 1, 1200)]
            whole.line(points, colour)
        points = [(8 * f, decibels(response(taps, factor, f))) for f in band(0, 0.44, 400)]
        near.line([p for p in points if p[1] > -0.15], colour, 1.2)
    key = [("linear-phase", LINEAR), ("low-delay", MINIMUM)]
    whole.key(key, 560)
    near.key(key, 600)
    return svg([whole, near], HEIGHT + 260)


def draw_impulse(found):
    """8 to 16 to 8 kHz: the first filter sees one sample, the second what came out of the first."""
    plots = []
    names = [("linear2", "linear-phase", LINEAR), ("minimum2", "low-delay", MINIMUM)]
    for i, (name, label, colour) in enumerate(names):
        taps = [t / UNIT for t in found[name]]
        # At 16 kHz the filter itself; back at 8 kHz every other sample of it filtered once more, with half the gain.
        twice = [0.0] * (2 * len(taps) - 1)
        for a, left in enumerate(taps):
            for b, right in enumerate(taps):
                twice[a + b] += left * right / 2
        plot = Plot(
            f"{label}: one sample of 8 kHz, at 16 kHz and back", (-0.5, 8), (-0.35, 1.05),
            "ms after the sample", "part of the sample", top=TOP + i * (HEIGHT - 60), height=HEIGHT - 60)
        plot.axes([(k, str(k)) for k in range(9)], [(v / 4, f"{v / 4:g}") for v in (-1, 0, 1, 2, 3, 4)])
        plot.line([(n / 16, v) for n, v in enumerate(taps)], "#aaa", 1)
        plot.stems([(n / 16, twice[n]) for n in range(0, len(twice), 2)], colour)
        plot.key([("at 16 kHz", "#aaa"), ("back at 8 kHz", colour)], 600)
        plots.append(plot)
    return svg(plots, 2 * (HEIGHT - 60))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    directory = pathlib.Path(sys.argv[1])
    (directory / "resampler-response.svg").write_text(draw_response(tables()))
    (directory / "resampler-impulse.svg").write_text(draw_impulse(tables()))
