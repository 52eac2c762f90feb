// Where inputs mostly lie first, and what is beyond together, after it.
#pragma once

#include <numpy/npy_common.h>

#include <bit>
#include <utility>

#include "element.hpp"
#include "middle.hpp"

namespace rectified::RECTIFIED_TARGET {

#if defined(__AVX512F__)
inline constexpr bool gathers_lanes = true;

// The lanes that are meant, side by side; and back to where they were, beside what is there.
RECTIFIED_INLINE void store_some(float *to, __mmask16 meant, register_t<float> lanes) {
    _mm512_storeu_ps(to, _mm512_maskz_compress_ps(meant, (__m512)lanes));
}
RECTIFIED_INLINE void spread(float *to, __mmask16 meant, const float *some) {
    _mm512_storeu_ps(to, _mm512_mask_expand_ps(_mm512_loadu_ps(to), meant, _mm512_loadu_ps(some)));
}
#else
inline constexpr bool gathers_lanes = false;
RECTIFIED_INLINE void store_some(float *, unsigned, register_t<float>) {}
RECTIFIED_INLINE void spread(float *, unsigned, const float *) {}
#endif

// A block of batches in which the numbers beyond the middle are put off until the others are done. They go their longer way
// with full registers, and no other number with them.
template <class Op, class B>
struct block_with_later {
    static constexpr int most = 1024, lanes = B::lanes, each = B::lanes_per_register;

    // `read(k, i)` gives the batch of the k-th input that starts at i. It is read before results + i is written.
    template <class Read>
    RECTIFIED_INLINE void compute(int count, Read read, float *results) {
        compute(count, read, results, std::make_integer_sequence<int, Op::inputs>{});
    }

  private:
    alignas(64) float later[Op::inputs][most + lanes];
    std::uint16_t beyond[most / each];

    template <class Read, int... I>
    RECTIFIED_INLINE void compute(int count, Read read, float *results, std::integer_sequence<int, I...>) {
        int found = 0;
        for (int i = 0; i < count; i += lanes) {
            const B in[] = {read(I, i)...};
            typename B::integer condition;
            store(results + i, Op::of(in[I]..., put_off<B>{&condition}));
            if (!any(condition)) {
                B::visit([&](int r) { beyond[i / each + r] = 0; });
                continue;
            }
            B::visit([&](int r) {
                const std::uint16_t some = single::signs<std::int32_t>(condition.part[r]);
                (store_some(later[I] + found, some, in[I].part[r]), ...);
                found += std::popcount(some);
                beyond[i / each + r] = some;
            });
        }
        if (found == 0) return;
        (store(later[I] + found, B(0)), ...);
        for (int i = 0; i < found; i += lanes) store(later[0] + i, Op::of(load<B>(later[I] + i)..., far_only{}));
        const float *next = later[0];
        for (int i = 0; i < count; i += each) {
            const std::uint16_t some = beyond[i / each];
            spread(results + i, some, next);
            next += std::popcount(some);
        }
    }
};

}  // namespace rectified::RECTIFIED_TARGET
