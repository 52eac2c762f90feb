// Splitting a loop over threads.
#pragma once

#include <cstddef>

namespace rectified {

inline constexpr std::ptrdiff_t least_share = 1 << 16;  // of elements, for one thread

// Call body(context, begin, end) for parts of [0, count) until all is done, on the threads that are set and free now: on as
// many as have `grain` each. Parts begin at multiples of a 64th of that.
void in_parallel(std::ptrdiff_t count, std::ptrdiff_t grain, void (*body)(void *, std::ptrdiff_t, std::ptrdiff_t),
                 void *context);

template <class F>
void in_parallel(std::ptrdiff_t count, std::ptrdiff_t grain, F body) {
    if (count <= grain) return body(0, count);
    in_parallel(
        count, grain,
        [](void *context, std::ptrdiff_t begin, std::ptrdiff_t end) { (*static_cast<F *>(context))(begin, end); }, &body);
}

int threads();
void set_threads(int count);  // at least 1
void stop_threads();          // the workers end; a later call starts new ones

}  // namespace rectified
