#pragma once

// The two structures that soxr 0.1.3 takes by address (soxr.h, "API type definitions"). The library itself is looked for at
// run time, so its header need not be installed.

struct patchbay_soxr_io_spec {
    int input_type;
    int output_type;
    double scale;
    void *error;
    unsigned long flags;
};

struct patchbay_soxr_quality_spec {
    double precision;
    double phase_response;
    double passband_end;
    double stopband_begin;
    void *error;
    unsigned long flags;
};
