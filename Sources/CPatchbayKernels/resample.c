#include "resample.h"

#include <string.h>

// Products and sums must not melt into one rounding where the target has such an instruction.
#pragma STDC FP_CONTRACT OFF

// Each kernel is written once, with vectors of a fixed width, and compiled twice: for the target's basic instructions
// and for AVX2. A vector operation works on each element by itself, so both give the same bits. Only inlined functions
// take vectors, so it does not matter how a call would pass one.
#pragma clang diagnostic ignored "-Wpsabi"
#define INLINE static inline __attribute__((always_inline))
#if defined(__x86_64__)
#define HAS_AVX2_FORM 1
#define AVX2 static __attribute__((target("avx2")))
#endif

typedef float floats __attribute__((vector_size(32)));
typedef float loose_floats __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t words __attribute__((vector_size(32)));
typedef uint32_t bits __attribute__((vector_size(32)));
typedef int32_t four_words __attribute__((vector_size(16)));
typedef int32_t four_loose_words __attribute__((vector_size(16), aligned(2), may_alias));
typedef int16_t shorts __attribute__((vector_size(16)));
typedef int16_t loose_shorts __attribute__((vector_size(16), aligned(2), may_alias));
typedef int32_t loose_words __attribute__((vector_size(32), aligned(2), may_alias));

#define FLOATS(pointer) (*(loose_floats *)(pointer))
#define SHORTS(pointer) (*(loose_shorts *)(pointer))
#define WORDS(pointer) (*(loose_words *)(pointer))
#define FOUR_WORDS(pointer) (*(four_loose_words *)(pointer))
#define TO_FLOATS(vector) __builtin_convertvector(vector, floats)

// MARK: Split

/// Pairs of samples in words, the first in the lower half: little endian, like every machine that Swift runs on.
INLINE floats lower(words pairs) { return TO_FLOATS((words)((bits)pairs << 16) >> 16); }
INLINE floats upper(words pairs) { return TO_FLOATS(pairs >> 16); }

/// Splits whole places, from the first on, and returns how many: all, or all blocks of eight.
INLINE size_t split_places(const int16_t *in, size_t places, float *out, size_t stride, size_t lanes) {
    size_t i = 0;
    switch (lanes) {
    case 1:
        for (; i + 8 <= places; i += 8) FLOATS(out + i) = TO_FLOATS(SHORTS(in + i));
        break;
    case 2:
        for (; i + 8 <= places; i += 8) {
            words pairs = WORDS(in + 2 * i);
            FLOATS(out + i) = lower(pairs);
            FLOATS(out + stride + i) = upper(pairs);
        }
        break;
    case 3:
        for (; i + 8 <= places; i += 8) {
            shorts a = SHORTS(in + 3 * i), b = SHORTS(in + 3 * i + 8), c = SHORTS(in + 3 * i + 16);
            // Of `a` and `b` first, then the rest from `c`.
            shorts x = __builtin_shufflevector(a, b, 0, 3, 6, 9, 12, 15, -1, -1);
            shorts y = __builtin_shufflevector(a, b, 1, 4, 7, 10, 13, -1, -1, -1);
            shorts z = __builtin_shufflevector(a, b, 2, 5, 8, 11, 14, -1, -1, -1);
            x = __builtin_shufflevector(x, c, 0, 1, 2, 3, 4, 5, 10, 13);
            y = __builtin_shufflevector(y, c, 0, 1, 2, 3, 4, 8, 11, 14);
            z = __builtin_shufflevector(z, c, 0, 1, 2, 3, 4, 9, 12, 15);
            FLOATS(out + i) = TO_FLOATS(x);
            FLOATS(out + stride + i) = TO_FLOATS(y);
            FLOATS(out + 2 * stride + i) = TO_FLOATS(z);
        }
        break;
    case 6:
        for (; i + 8 <= places; i += 8) {
            // Pairs of lanes are words: three to a place.
            words a = WORDS(in + 6 * i), b = WORDS(in + 6 * i + 16), c = WORDS(in + 6 * i + 32);
            words x = __builtin_shufflevector(a, b, 0, 3, 6, 9, 12, 15, -1, -1);
            words y = __builtin_shufflevector(a, b, 1, 4, 7, 10, 13, -1, -1, -1);
            words z = __builtin_shufflevector(a, b, 2, 5, 8, 11, 14, -1, -1, -1);
            x = __builtin_shufflevector(x, c, 0, 1, 2, 3, 4, 5, 10, 13);
            y = __builtin_shufflevector(y, c, 0, 1, 2, 3, 4, 8, 11, 14);
            z = __builtin_shufflevector(z, c, 0, 1, 2, 3, 4, 9, 12, 15);
            FLOATS(out + i) = lower(x);
            FLOATS(out + stride + i) = upper(x);
            FLOATS(out + 2 * stride + i) = lower(y);
            FLOATS(out + 3 * stride + i) = upper(y);
            FLOATS(out + 4 * stride + i) = lower(z);
            FLOATS(out + 5 * stride + i) = upper(z);
        }
        break;
    default:
        for (size_t lane = 0; lane < lanes; lane++)
            for (i = 0; i < places; i++) out[lane * stride + i] = in[i * lanes + lane];
    }
    return i;
}

INLINE void split(const int16_t *in, size_t count, float *streams, size_t stride, size_t lanes, size_t at) {
    size_t lane = at % lanes, place = at / lanes, i = 0;
    while (i < count) {
        if (lane == 0) {
            size_t places = split_places(in + i, (count - i) / lanes, streams + place, stride, lanes);
            i += places * lanes;
            place += places;
            if (i == count) return;
        }
        streams[lane * stride + place] = in[i++];
        if (++lane == lanes) {
            lane = 0;
            place++;
        }
    }
}

// MARK: Filter

/// Eight sums as whole numbers of 16 bits.
INLINE shorts rounded(floats sums) {
    // At 1.5 * 2^23 the last bit of a float is worth 1, so the addition rounds, ties to even.
    const float unit = 12582912.0f;
    words whole = (words)(sums + unit) - 0x4B400000;
    whole = __builtin_elementwise_max(__builtin_elementwise_min(whole, (words){} + INT16_MAX), (words){} + INT16_MIN);
    return __builtin_convertvector(whole, shorts);
}

enum { full = patchbay_resample_margin, widest = full / 8 };

/// `vectors` times eight output samples; a constant, so that the sums stay in registers.
INLINE void tile(
    const float *in, const int32_t *offsets, const float *taps, size_t tap_count, int16_t *out, const int vectors) {
    floats sums[widest];
    for (int v = 0; v < vectors; v++) sums[v] = (floats){};
    for (size_t t = 0; t < tap_count; t++) {
        const float *from = in + offsets[t];
        const float tap = taps[t];
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) sums[v] += tap * FLOATS(from + 8 * v);
    }
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) SHORTS(out + 8 * v) = rounded(sums[v]);
}

INLINE void filter(
    const float *in, const int32_t *offsets, const float *taps, size_t tap_count, int16_t *out, size_t count) {
    // Ten sums at once hide the latency of an addition, and divide a packet of 20 ms.
    for (; count >= full; count -= full, in += full, out += full) tile(in, offsets, taps, tap_count, out, widest);
    int16_t rest[full];
    if (count > full / 2) {
        tile(in, offsets, taps, tap_count, rest, widest);
    } else {
        for (size_t i = 0; i < count; i += 8) tile(in + i, offsets, taps, tap_count, rest + i, 1);
    }
    memcpy(out, rest, count * sizeof *out);
}

// MARK: Join

/// The same the other way round.
INLINE size_t join_places(const int16_t *in, size_t stride, size_t lanes, size_t count, int16_t *out) {
    size_t i = 0;
    switch (lanes) {
    case 2:
        for (; i + 8 <= count; i += 8) {
            shorts a = SHORTS(in + i), b = SHORTS(in + stride + i);
            SHORTS(out + 2 * i) = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
            SHORTS(out + 2 * i + 8) = __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
        }
        break;
    case 3:
        for (; i + 8 <= count; i += 8) {
            shorts a = SHORTS(in + i), b = SHORTS(in + stride + i), c = SHORTS(in + 2 * stride + i);
            shorts x = __builtin_shufflevector(a, b, 0, 8, -1, 1, 9, -1, 2, 10);
            shorts y = __builtin_shufflevector(a, b, -1, 3, 11, -1, 4, 12, -1, 5);
            shorts z = __builtin_shufflevector(a, b, 13, -1, 6, 14, -1, 7, 15, -1);
            SHORTS(out + 3 * i) = __builtin_shufflevector(x, c, 0, 1, 8, 3, 4, 9, 6, 7);
            SHORTS(out + 3 * i + 8) = __builtin_shufflevector(y, c, 10, 1, 2, 11, 4, 5, 12, 7);
            SHORTS(out + 3 * i + 16) = __builtin_shufflevector(z, c, 0, 13, 2, 3, 14, 5, 6, 15);
        }
        break;
    case 6:
        for (; i + 8 <= count; i += 8) {
            for (size_t half = 0; half < 8; half += 4) {
                // Two lanes make words; of those there are three.
                four_words pairs[3];
                for (size_t k = 0; k < 3; k++) {
                    shorts a = SHORTS(in + 2 * k * stride + i), b = SHORTS(in + (2 * k + 1) * stride + i);
                    pairs[k] = half == 0 ? (four_words)__builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
                                         : (four_words)__builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
                }
                four_words x = __builtin_shufflevector(pairs[0], pairs[1], 0, 4, -1, 1);
                four_words y = __builtin_shufflevector(pairs[0], pairs[1], 5, -1, 2, 6);
                four_words z = __builtin_shufflevector(pairs[0], pairs[1], -1, 3, 7, -1);
                int16_t *to = out + 6 * (i + half);
                FOUR_WORDS(to) = __builtin_shufflevector(x, pairs[2], 0, 1, 4, 3);
                FOUR_WORDS(to + 8) = __builtin_shufflevector(y, pairs[2], 0, 5, 2, 3);
                FOUR_WORDS(to + 16) = __builtin_shufflevector(z, pairs[2], 6, 1, 2, 7);
            }
        }
        break;
    default:
        for (size_t k = 0; k < lanes; k++)
            for (i = 0; i < count; i++) out[i * lanes + k] = in[k * stride + i];
    }
    return i;
}

INLINE void join(const int16_t *in, size_t stride, size_t lanes, size_t count, int16_t *out) {
    for (size_t i = join_places(in, stride, lanes, count, out); i < count; i++)
        for (size_t k = 0; k < lanes; k++) out[i * lanes + k] = in[k * stride + i];
}

// MARK: Both forms of each

#if HAS_AVX2_FORM
AVX2 void split_avx2(const int16_t *in, size_t count, float *streams, size_t stride, size_t lanes, size_t at) {
    split(in, count, streams, stride, lanes, at);
}
AVX2 void filter_avx2(
    const float *in, const int32_t *offsets, const float *taps, size_t tap_count, int16_t *out, size_t count) {
    filter(in, offsets, taps, tap_count, out, count);
}
AVX2 void join_avx2(const int16_t *in, size_t stride, size_t lanes, size_t count, int16_t *out) {
    join(in, stride, lanes, count, out);
}
#define RUN(name, ...) (avx2 ? name##_avx2(__VA_ARGS__) : name(__VA_ARGS__))
#else
#define RUN(name, ...) ((void)avx2, name(__VA_ARGS__))
#endif

void patchbay_resample_split(
    const int16_t *samples, size_t count, float *streams, size_t stride, size_t lanes, size_t at, bool avx2) {
    RUN(split, samples, count, streams, stride, lanes, at);
}

void patchbay_resample_filter(
    const float *input, const int32_t *offsets, const float *taps, size_t tap_count, int16_t *output, size_t count,
    bool avx2) {
    RUN(filter, input, offsets, taps, tap_count, output, count);
}

void patchbay_resample_join(
    const int16_t *streams, size_t stride, size_t lanes, size_t count, int16_t *output, bool avx2) {
    RUN(join, streams, stride, lanes, count, output);
}
