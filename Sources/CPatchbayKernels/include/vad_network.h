#ifndef PATCHBAY_VAD_NETWORK_H
#define PATCHBAY_VAD_NETWORK_H

#include <stdbool.h>
#include <stddef.h>

// What a small recurrent network for voice detection is made of. Every sum has one fixed order and nothing is fused, so
// that AVX2 and portable code, and one processor and the next, give the same bits.

/// Outputs that `patchbay_affine` works on at a time; weights are packed in panels of as many.
/// `steps` is 1, 2 or 4.
size_t patchbay_affine_panel(size_t steps);

/// y[t][m] = bias[m] + sum over k of weights[m][k] * x[t][k], for `steps` vectors x at once; with `relu`, at least 0.
///
/// - weights: panels of `patchbay_affine_panel(steps)` outputs; in a panel, for each k, the weights of its outputs.
/// - bias: one for each output.
/// - outputs: a multiple of the panel.
/// - inputs: the length of a vector; vector t begins at `x + t * x_stride`, so that overlapping ones need no copy.
/// - y: vector t is written from `y + t * y_stride` on.
/// - portable: leaves AVX2 alone.
void patchbay_affine(const float *weights, const float *bias, size_t outputs, size_t inputs, const float *x,
                     size_t x_stride, size_t steps, float *y, size_t y_stride, bool relu, bool portable);

/// magnitude[i] = sqrt(real[i]^2 + imaginary[i]^2)
void patchbay_magnitudes(const float *real, const float *imaginary, size_t count, float *magnitude);

/// One step of an LSTM cell behind its matrices: `gates` are 4 * `count` sums in the order input, forget, cell, output.
/// Updates `cell` and `hidden`, which may not overlap.
void patchbay_lstm(const float *gates, size_t count, float *cell, float *hidden, bool portable);

/// The logistic function of bias + sum over i of weights[i] * max(0, x[i]).
float patchbay_logistic_output(const float *weights, float bias, const float *x, size_t count);

#endif
