// Arrays of any length for kernels that go over whole batches.
#pragma once

#include <numpy/npy_common.h>

#include "vector.hpp"

namespace rectified::RECTIFIED_TARGET {

// The nearest cache does not hold so many results with those that they are made of.
template <class S>
inline bool is_far(npy_intp count) {
    return count * npy_intp(sizeof(S)) >= 20 << 10;
}

// How many elements stand before the first place that a register may be streamed to, and is stored in one line at. A batch
// of what is computed in a longer type may be less than a register; it is not streamed.
template <int Lanes = register_bytes, class S>
inline npy_intp before_register(const S *out) {
    constexpr int batch_bytes = Lanes * sizeof(S), unit = batch_bytes < register_bytes ? batch_bytes : register_bytes;
    const npy_intp past = reinterpret_cast<npy_uintp>(out) % unit;
    return past == 0 ? 0 : (unit - past) / npy_intp(sizeof(S));
}

// How a kernel computes a number of whole batches: of the inputs the first `Moving` ones lie side by side, and the others
// are one number each.
template <class S, int Lanes, int Inputs, int Moving>
struct whole_batches {
    using computes = void (*)(const S *const *in, S *out, npy_intp count, bool past_caches);
    computes one, near, far;

    // What is no whole batch at either end is computed as one, and its neighbours once more, with the same result: it never
    // depends on where in an array an element stood. The inputs are kept before anything is written, for it may be written
    // in their place.
    [[gnu::noinline]] void run(const S *const *in, S *out, npy_intp count, bool past_caches) const {
        if (count < Lanes) return padded(in, out, count);
        const bool goes_far = past_caches || is_far<S>(count);
        const npy_intp start = goes_far ? before_register<Lanes>(out) : 0;
        const npy_intp whole = (count - start) / Lanes * Lanes, last = count - Lanes;
        kept at_start, at_end;
        if (start > 0) at_start.take(in, 0);
        if (start + whole < count) at_end.take(in, last);

        const S *from[Inputs];
        for (int k = 0; k < Inputs; ++k) from[k] = in[k] + (k < Moving ? start : 0);
        (goes_far ? far : near)(from, out + start, whole, past_caches);
        if (past_caches) streamed();

        if (start > 0) one(at_start.beside(in, from), out, Lanes, false);
        if (start + whole < count) one(at_end.beside(in, from), out + last, Lanes, false);
    }

  private:
    struct kept {
        alignas(64) S lanes[Moving][Lanes];

        void take(const S *const *in, npy_intp from) {
            for (int k = 0; k < Moving; ++k) __builtin_memcpy(lanes[k], in[k] + from, sizeof(lanes[k]));
        }
        const S *const *beside(const S *const *in, const S **from) const {
            for (int k = 0; k < Inputs; ++k) from[k] = k < Moving ? lanes[k] : in[k];
            return from;
        }
    };

    // Less than a batch: beside zeros.
    [[gnu::noinline]] void padded(const S *const *in, S *out, npy_intp count) const {
        kept some = {};
        for (int k = 0; k < Moving; ++k) __builtin_memcpy(some.lanes[k], in[k], count * sizeof(S));
        const S *from[Inputs];
        alignas(64) S results[Lanes];
        one(some.beside(in, from), results, Lanes, false);
        __builtin_memcpy(out, results, count * sizeof(S));
    }
};

}  // namespace rectified::RECTIFIED_TARGET
