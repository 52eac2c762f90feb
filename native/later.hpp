// Where inputs mostly lie first, and what is beyond together, after it.
#pragma once

#include <numpy/npy_common.h>

#include <bit>
#include <utility>

#include "element.hpp"
#include "middle.hpp"

namespace rectified::RECTIFIED_TARGET {

// The lanes that are meant, side by side; and back to where they were, beside what is there.
#if defined(__AVX512F__)
inline constexpr bool gathers_lanes = true;

RECTIFIED_INLINE void store_some(float *to, unsigned meant, register_t<float> lanes) {
    _mm512_storeu_ps(to, _mm512_maskz_compress_ps(meant, (__m512)lanes));
}
RECTIFIED_INLINE void spread(float *to, unsigned meant, const float *some) {
    _mm512_storeu_ps(to, _mm512_mask_expand_ps(_mm512_loadu_ps(to), meant, _mm512_loadu_ps(some)));
}
#elif defined(__AVX2__)
inline constexpr bool gathers_lanes = true;

// For each set of eight lanes, which they are, and how many of them come before a lane.
struct sets_of_lanes {
    alignas(64) std::uint8_t member[256][8], before[256][8];
    constexpr sets_of_lanes() : member(), before() {
        for (int set = 0; set < 256; ++set)
            for (int lane = 0, found = 0; lane < 8; ++lane) {
                before[set][lane] = found;
                if (set >> lane & 1) member[set][found++] = lane;
            }
    }
};
inline constexpr sets_of_lanes sets;

RECTIFIED_INLINE __m256 permuted(__m256 lanes, const std::uint8_t (&order)[8]) {
    return _mm256_permutevar8x32_ps(lanes, _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)order)));
}
RECTIFIED_INLINE void store_some(float *to, unsigned meant, register_t<float> lanes) {
    _mm256_storeu_ps(to, permuted((__m256)lanes, sets.member[meant]));
}
RECTIFIED_INLINE void spread(float *to, unsigned meant, const float *some) {
    const __m256i places = _mm256_setr_epi32(31, 30, 29, 28, 27, 26, 25, 24);  // that move a lane's bit to its sign
    const __m256 chosen = _mm256_castsi256_ps(_mm256_sllv_epi32(_mm256_set1_epi32(meant), places));
    const __m256 moved = permuted(_mm256_loadu_ps(some), sets.before[meant]);
    _mm256_storeu_ps(to, _mm256_blendv_ps(_mm256_loadu_ps(to), moved, chosen));
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
    struct {
        std::uint16_t place, lanes;
    } beyond[most / each + 1];

    template <class Read, int... I>
    RECTIFIED_INLINE void compute(int count, Read read, float *results, std::integer_sequence<int, I...>) {
        int found = 0, registers = 0;
        for (int i = 0; i < count; i += lanes) {
            const B in[] = {read(I, i)...};
            typename B::integer condition;
            store(results + i, Op::of(in[I]..., put_off<B>{&condition}));
            if (!any(condition)) continue;
            B::visit([&](int r) {
                const unsigned some = single::signs<std::int32_t>(condition.part[r]);
                (store_some(later[I] + found, some, in[I].part[r]), ...);
                found += std::popcount(some);
                beyond[registers] = {std::uint16_t(i + r * each), std::uint16_t(some)};
                registers += some != 0;
            });
        }
        if (found == 0) return;
        (store(later[I] + found, B(0)), ...);
        for (int i = 0; i < found; i += lanes) store(later[0] + i, Op::of(load<B>(later[I] + i)..., far_only{}));
        const float *next = later[0];
        for (int k = 0; k < registers; ++k) {
            spread(results + beyond[k].place, beyond[k].lanes, next);
            next += std::popcount(unsigned(beyond[k].lanes));
        }
    }
};

}  // namespace rectified::RECTIFIED_TARGET
