// float32 where inputs mostly lie.
#pragma once

#include <bit>

#include "power.hpp"
#include "tabulated.hpp"

namespace rectified::RECTIFIED_TARGET {

// f(x) where the condition holds, and y elsewhere. Where it holds in no more lanes than a register has, a processor that
// can moves these numbers together first.
template <class F, class B>
[[gnu::noinline]] B replaced(F f, const B &x, const B &y, const typename B::integer &condition) {
#if defined(__AVX512F__)
    std::uint64_t lanes = signs(condition);
    if (std::popcount(lanes) <= B::lanes_per_register) {
        __mmask16 from[B::registers], to[B::registers];  // the lanes that are meant, and those where they are together
        __m512 some = _mm512_setzero_ps();
        for (int i = 0, found = 0; i < B::registers; ++i) {
            from[i] = _mm512_movepi32_mask((__m512i)condition.part[i]);
            const int count = std::popcount(unsigned{from[i]});
            to[i] = ((1u << count) - 1) << found;
            some = _mm512_mask_expand_ps(some, to[i], _mm512_maskz_compress_ps(from[i], (__m512)x.part[i]));
            found += count;
        }
        const __m512 result = (__m512)f(batch<float, 1>::each([&](int) { return (register_t<float>)some; })).part[0];
        return B::each([&](int i) {
            const __m512 those = _mm512_maskz_compress_ps(to[i], result);
            return (register_t<float>)_mm512_mask_expand_ps((__m512)y.part[i], from[i], those);
        });
    }
#endif
    return select(condition, f(x), y);
}

// A smooth function near 0, for |x| below some number, where nearly all inputs of a network lie, and `far` elsewhere.
//
// There a polynomial does in the place of an exponential, or of a root and a quotient: sixteen of them, about centers whose
// values are exact, so that one rounding is left, and of the slope little more. Which way a number goes depends on nothing
// but itself.
template <class Table, class Far, class B>
RECTIFIED_INLINE B in_the_middle(Far far, const B &x, const B &bounded, const typename B::integer &beyond) {
    const B near = tabulated<Table, B>(bounded).result();
    if (any(beyond)) [[unlikely]] {
        const B copies[] = {x, near};  // what a call takes the address of is in memory all the time
        return replaced(far, copies[0], copies[1], beyond);
    }
    return near;
}

template <class Table, class Far, class B>
RECTIFIED_INLINE B in_the_middle(Far far, const B &x) {
    return in_the_middle<Table>(far, x, x, abs(x) >= B(Table::end));
}

// x f(x) with f(-x) = 1 - f(x), where right of the end it rounds to x.
template <class Table, class Far, class B>
RECTIFIED_INLINE B gated_in_the_middle(Far far, const B &x) {
    const B end = B(Table::end), a = lesser(end, abs(x));
    return greater(B(-0.0f), x) - in_the_middle<Table>(far, x, a, x <= -end);
}

}  // namespace rectified::RECTIFIED_TARGET
