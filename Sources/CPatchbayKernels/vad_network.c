#include "vad_network.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "cpu.h"

#pragma STDC FP_CONTRACT OFF

// Eight floats at any address. Where the processor has narrower registers the compiler splits it, with the same results.
typedef float f8 __attribute__((vector_size(32), aligned(4)));

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2")))
#else
#define AVX2
#endif

// One panel is STEPS x VECTORS accumulators of eight outputs: eight independent sums hide the latency of an addition.
#define DEFINE_PANEL(STEPS, VECTORS)                                                                                   \
    INLINE void panel_##STEPS(const float *weights, const float *bias, size_t inputs, const float *x,                  \
                              size_t x_stride, float *y, size_t y_stride, bool relu) {                                 \
        f8 sums[STEPS][VECTORS];                                                                                       \
        UNROLL for (int t = 0; t < STEPS; t++) {                                                                       \
            UNROLL for (int v = 0; v < VECTORS; v++) sums[t][v] = *(const f8 *)(bias + 8 * v);                         \
        }                                                                                                              \
        for (size_t k = 0; k < inputs; k++) {                                                                          \
            UNROLL for (int v = 0; v < VECTORS; v++) {                                                                 \
                f8 w = *(const f8 *)(weights + 8 * (VECTORS * k + (size_t)v));                                         \
                UNROLL for (int t = 0; t < STEPS; t++) sums[t][v] += w * x[(size_t)t * x_stride + k];                  \
            }                                                                                                          \
        }                                                                                                              \
        UNROLL for (int t = 0; t < STEPS; t++) {                                                                       \
            UNROLL for (int v = 0; v < VECTORS; v++) {                                                                 \
                f8 sum = sums[t][v];                                                                                   \
                if (relu) sum = __builtin_elementwise_max(sum, (f8){0});                                               \
                *(f8 *)(y + (size_t)t * y_stride + 8 * v) = sum;                                                       \
            }                                                                                                          \
        }                                                                                                              \
    }

DEFINE_PANEL(1, 8)
DEFINE_PANEL(2, 4)
DEFINE_PANEL(4, 2)

size_t patchbay_affine_panel(size_t steps) { return 64 / steps; }

INLINE void affine(const float *weights, const float *bias, size_t outputs, size_t inputs, const float *x,
                   size_t x_stride, size_t steps, float *y, size_t y_stride, bool relu) {
    size_t width = 64 / steps;
    for (size_t first = 0; first < outputs; first += width) {
        const float *panel = weights + first * inputs;
        switch (steps) {
        case 1: panel_1(panel, bias + first, inputs, x, x_stride, y + first, y_stride, relu); break;
        case 2: panel_2(panel, bias + first, inputs, x, x_stride, y + first, y_stride, relu); break;
        default: panel_4(panel, bias + first, inputs, x, x_stride, y + first, y_stride, relu); break;
        }
    }
}

static void affine_portable(const float *weights, const float *bias, size_t outputs, size_t inputs, const float *x,
                            size_t x_stride, size_t steps, float *y, size_t y_stride, bool relu) {
    affine(weights, bias, outputs, inputs, x, x_stride, steps, y, y_stride, relu);
}

AVX2 static void affine_avx2(const float *weights, const float *bias, size_t outputs, size_t inputs, const float *x,
                             size_t x_stride, size_t steps, float *y, size_t y_stride, bool relu) {
    affine(weights, bias, outputs, inputs, x, x_stride, steps, y, y_stride, relu);
}

void patchbay_affine(const float *weights, const float *bias, size_t outputs, size_t inputs, const float *x,
                     size_t x_stride, size_t steps, float *y, size_t y_stride, bool relu, bool portable) {
    if (!portable && patchbay_has_avx2())
        affine_avx2(weights, bias, outputs, inputs, x, x_stride, steps, y, y_stride, relu);
    else
        affine_portable(weights, bias, outputs, inputs, x, x_stride, steps, y, y_stride, relu);
}

void patchbay_magnitudes(const float *real, const float *imaginary, size_t count, float *magnitude) {
    for (size_t i = 0; i < count; i++) magnitude[i] = sqrtf(real[i] * real[i] + imaginary[i] * imaginary[i]);
}

// exp(x) = 2^n exp(r) with |r| <= ln(2)/2. The polynomial is that of the Cephes library's expf (S. L. Moshier), good to
// about one unit in the last place. libm's own is not used because its bits differ from processor to processor.
INLINE float exponential(float x) {
    const float round = 12582912; // 1.5 * 2^23: adding it leaves no room for a fraction
    x = x > -87 ? x : -87; // also where x is not a number
    x = x < 87 ? x : 87;
    float n = (x * 1.44269504088896341f + round) - round;
    float r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    float p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1;
    int32_t bits = ((int32_t)n + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

INLINE float logistic(float x) { return 1 / (1 + exponential(-x)); }

INLINE float hyperbolic_tangent(float x) { return 2 * logistic(2 * x) - 1; }

INLINE void lstm(const float *restrict gates, size_t count, float *restrict cell, float *restrict hidden) {
    for (size_t i = 0; i < count; i++) {
        float in = logistic(gates[i]), keep = logistic(gates[count + i]);
        float candidate = hyperbolic_tangent(gates[2 * count + i]), out = logistic(gates[3 * count + i]);
        cell[i] = keep * cell[i] + in * candidate;
        hidden[i] = out * hyperbolic_tangent(cell[i]);
    }
}

static void lstm_portable(const float *gates, size_t count, float *cell, float *hidden) {
    lstm(gates, count, cell, hidden);
}

AVX2 static void lstm_avx2(const float *gates, size_t count, float *cell, float *hidden) {
    lstm(gates, count, cell, hidden);
}

void patchbay_lstm(const float *gates, size_t count, float *cell, float *hidden, bool portable) {
    if (!portable && patchbay_has_avx2())
        lstm_avx2(gates, count, cell, hidden);
    else
        lstm_portable(gates, count, cell, hidden);
}

float patchbay_logistic_output(const float *weights, float bias, const float *x, size_t count) {
    float sum = bias;
    for (size_t i = 0; i < count; i++) sum += weights[i] * (x[i] > 0 ? x[i] : 0);
    return logistic(sum);
}
