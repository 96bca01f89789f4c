#ifndef PATCHBAY_RESAMPLE_H
#define PATCHBAY_RESAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Spreads interleaved 16-bit samples over `lanes` streams of floats: sample `i` goes to stream `(at + i) % lanes`,
/// place `(at + i) / lanes`. Streams begin `stride` floats apart.
///
/// `avx2` chooses the form for such a processor, which gives the same bits; so do the others.
void patchbay_resample_split(
    const int16_t *samples, size_t count, float *streams, size_t stride, size_t lanes, size_t at, bool avx2);

/// A sparse FIR filter: `output[i]` is the sum of `taps[t] * input[i + offsets[t]]`, rounded to the nearest whole
/// number, ties to even, and limited to 16 bits.
///
/// The products are rounded to 32-bit floats and added in the order of the taps, from 0 on, so every output sample has
/// the same bits on every machine and wherever it lies in a block. Reads `input` up to `patchbay_resample_margin`
/// floats beyond what the last output sample needs. The sum of the taps' magnitudes must stay below 100, for rounding's
/// sake.
void patchbay_resample_filter(
    const float *input, const int32_t *offsets, const float *taps, size_t tap_count, int16_t *output, size_t count,
    bool avx2);

/// Sample `i` of stream `k` goes to `output[i * lanes + k]`. Streams begin `stride` samples apart.
void patchbay_resample_join(
    const int16_t *streams, size_t stride, size_t lanes, size_t count, int16_t *output, bool avx2);

/// How many floats behind a stream's end `patchbay_resample_filter` may read, without using them.
#define patchbay_resample_margin 80

#endif
