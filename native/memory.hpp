// What is known of the machine's memory.
#pragma once

#include <numpy/npy_common.h>

namespace rectified::memory {

// An operation on so many bytes writes its result past the caches: the largest of them does not hold it.
extern const npy_intp streaming_bytes;

}  // namespace rectified::memory
