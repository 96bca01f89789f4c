#ifndef PATCHBAY_G711_H
#define PATCHBAY_G711_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// One code or sample at a time. The runs below are these, so that all forms give the same bits.

/// The sample a µ-law code stands for (ITU-T G.711, table 2, scaled to 16 bits).
static inline int16_t patchbay_mulaw_sample(uint8_t code) {
    uint32_t inverted = (uint8_t)~code;
    int32_t magnitude = (int32_t)(((2 * (inverted & 15) + 33) << ((inverted >> 4) & 7)) - 33) * 4;
    return (int16_t)((inverted & 0x80) ? -magnitude : magnitude);
}

/// The sample an A-law code stands for (ITU-T G.711, table 1, scaled to 16 bits).
static inline int16_t patchbay_alaw_sample(uint8_t code) {
    uint32_t even = code ^ 0x55u;
    uint32_t segment = (even >> 4) & 7;
    // The first two segments have the same step; only in the first is there no leading one.
    uint32_t leading = segment == 0 ? 0 : 32;
    uint32_t shift = segment == 0 ? 0 : segment - 1;
    int32_t magnitude = (int32_t)((2 * (even & 15) + 1 + leading) << shift) * 8;
    return (int16_t)((even & 0x80) ? magnitude : -magnitude);
}

// A segment and the four bits behind it are the exponent and the first four fraction bits of a floating-point number, so
// converting the (small, hence exact) magnitude finds both without a search, in instructions that every vector unit has.

/// 16 times the exponent's bits (127 for the value 1) plus the upper four fraction bits of a non-negative magnitude.
static inline int16_t patchbay_g711_exponent_and_fraction(int16_t magnitude) {
    float number = (float)magnitude;
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return (int16_t)(bits >> 19);
}

/// The µ-law code of a sample, as in ITU-T G.191.
static inline uint8_t patchbay_mulaw_code(int16_t sample) {
    int16_t sign = (int16_t)(sample >> 15);
    int16_t magnitude = (int16_t)((int16_t)(sample ^ sign) >> 2);
    magnitude = (int16_t)((magnitude < 8191 - 33 ? magnitude : 8191 - 33) + 33);
    int16_t code = (int16_t)(patchbay_g711_exponent_and_fraction(magnitude) - ((127 + 5) << 4) + (sign & 0x80));
    return (uint8_t)~code;
}

/// The A-law code of a sample, as in ITU-T G.191.
static inline uint8_t patchbay_alaw_code(int16_t sample) {
    int16_t sign = (int16_t)(sample >> 15);
    int16_t magnitude = (int16_t)((int16_t)(sample ^ sign) >> 4);
    // Below 16, where the code is the magnitude itself, the distance to the code of 16 is added.
    int16_t normal = magnitude > 16 ? magnitude : 16;
    int16_t below = magnitude < 16 ? (int16_t)(magnitude - 16) : 0;
    int16_t code = (int16_t)(patchbay_g711_exponent_and_fraction(normal) - ((127 + 3) << 4) + below);
    return (uint8_t)((code | (~sign & 0x80)) ^ 0x55);
}

// Runs, with AVX2 where the processor has it.

void patchbay_mulaw_decode(const uint8_t *codes, int16_t *samples, size_t count);
void patchbay_alaw_decode(const uint8_t *codes, int16_t *samples, size_t count);
void patchbay_mulaw_encode(const int16_t *samples, uint8_t *codes, size_t count);
void patchbay_alaw_encode(const int16_t *samples, uint8_t *codes, size_t count);

// The form for every other processor, for tests.

void patchbay_mulaw_decode_portable(const uint8_t *codes, int16_t *samples, size_t count);
void patchbay_alaw_decode_portable(const uint8_t *codes, int16_t *samples, size_t count);
void patchbay_mulaw_encode_portable(const int16_t *samples, uint8_t *codes, size_t count);
void patchbay_alaw_encode_portable(const int16_t *samples, uint8_t *codes, size_t count);

#endif
