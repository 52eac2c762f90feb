// The short floating-point types: half precision under the name that the compiler has for it, and bfloat16 as bits.
#pragma once

#include <cstdint>

namespace rectified {

#if defined(__aarch64__)
using half = __fp16;
#else
using half = _Float16;
#endif

struct bfloat16 {  // the upper half of a float32
    std::uint16_t bits;
};

}  // namespace rectified
