// Blocks of an array's elements, side by side: where they lie so already they are used in place.
#pragma once

#include <numpy/npy_common.h>

namespace rectified::RECTIFIED_TARGET {

inline constexpr npy_intp block = 512;  // a few of these stay in the first cache
// What a processor fetches by itself ahead of a loop, while that waits for another one: so much need not be waited for.
inline constexpr npy_intp part_bytes = 1024;

template <class S>
inline S read(const char *from) {
    S value;
    __builtin_memcpy(&value, from, sizeof(S));
    return value;
}

// A step that is known when it is compiled becomes loads of whole registers and permutations.
template <int Step, class S>
inline void gather_every(const S *from, npy_intp count, S *buffer) {
    for (npy_intp i = 0; i < count; ++i) buffer[i] = from[Step * i];
}

template <class S>
inline void gather(const char *from, npy_intp step, npy_intp count, S *buffer) {
    const S *const first = reinterpret_cast<const S *>(from);
    switch (step) {
        case sizeof(S):
            return void(__builtin_memcpy(buffer, from, count * sizeof(S)));
        case 2 * sizeof(S):
            return gather_every<2>(first, count, buffer);
        case 3 * sizeof(S):
            return gather_every<3>(first, count, buffer);
        case 4 * sizeof(S):
            return gather_every<4>(first, count, buffer);
        default:
            for (npy_intp i = 0; i < count; ++i) buffer[i] = read<S>(from + i * step);
    }
}

// The elements where they lie, if that is side by side; else their copy in the buffer.
template <class S>
inline const S *gathered(const char *from, npy_intp step, npy_intp count, S *buffer) {
    if (step == sizeof(S)) return reinterpret_cast<const S *>(from);
    gather(from, step, count, buffer);
    return buffer;
}

template <class S>
inline void scatter(const S *values, npy_intp count, char *to, npy_intp step) {
    if (reinterpret_cast<const char *>(values) == to) return;
    if (step == sizeof(S)) return void(__builtin_memcpy(to, values, count * sizeof(S)));
    for (npy_intp i = 0; i < count; ++i) __builtin_memcpy(to + i * step, values + i, sizeof(S));
}

// Where a block of results is written before it is scattered.
template <class S>
inline S *place_for(char *to, npy_intp step, S *buffer) {
    return step == sizeof(S) ? reinterpret_cast<S *>(to) : buffer;
}

}  // namespace rectified::RECTIFIED_TARGET
