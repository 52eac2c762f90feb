// Half precision, under the name that the compiler has for it.
#pragma once

namespace rectified {

#if defined(__aarch64__)
using half = __fp16;
#else
using half = _Float16;
#endif

}  // namespace rectified
