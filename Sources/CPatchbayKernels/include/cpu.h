#ifndef PATCHBAY_CPU_H
#define PATCHBAY_CPU_H

#include <stdbool.h>

/// Whether this processor has AVX2. Every kernel of this target has a portable form that gives the same bits.
bool patchbay_has_avx2(void);

#endif
