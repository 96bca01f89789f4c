#pragma once

#include <stddef.h>

/// Bytes that the allocator has given out and not taken back, in all its arenas; 0 where it does not say (only glibc does).
size_t patchbay_heap_in_use(void);
