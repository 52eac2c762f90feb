// Round to odd: of the two numbers beside a result the one whose last digit is odd, unless it is exact. To round it again
// to a type that is shorter by two digits or more is as rounding once.
#pragma once

#include "pair.hpp"

namespace rectified::RECTIFIED_TARGET {

template <class B>
RECTIFIED_INLINE B rounded_to_odd(const pair<B> &y) {
    using I = typename B::integer;
    const I bits = I::bits_of(y.high), inexact = (y.low < B(0)) | (y.low > B(0));
    const I towards_0 = bits + (((bits ^ I::bits_of(y.low)) >> 31) & inexact);
    return B::bits_of(towards_0 | (inexact & I(1)));
}

// Where an instruction says how it rounds. A result that is not exact differs when it is rounded down and up, even where
// the difference would be lost beside the smallest numbers.
#if defined(__AVX512F__)
inline constexpr bool rounds_as_told = true;

template <class F, class B, class... In>
RECTIFIED_INLINE B rounded_to_odd_by(F f, const B &first, const In &...others) {
    return B::each([&](int i) {
        const auto rounded = [&](auto how) __attribute__((always_inline)) {
            return f(std::integral_constant<int, how | _MM_FROUND_NO_EXC>{}, (__m512)first.part[i],
                     (__m512)others.part[i]...);
        };
        using std::integral_constant;
        const __mmask16 inexact = _mm512_cmp_ps_mask(rounded(integral_constant<int, _MM_FROUND_TO_NEG_INF>{}),
                                                     rounded(integral_constant<int, _MM_FROUND_TO_POS_INF>{}), _CMP_LT_OQ);
        const __m512i towards_0 = (__m512i)rounded(integral_constant<int, _MM_FROUND_TO_ZERO>{});
        return (register_t<float>)_mm512_mask_or_epi32(towards_0, inexact, towards_0, _mm512_set1_epi32(1));
    });
}
template <class B>
RECTIFIED_INLINE B product_rounded_to_odd(const B &a, const B &b) {
    return rounded_to_odd_by([](auto how, __m512 x, __m512 y) { return _mm512_mul_round_ps(x, y, how); }, a, b);
}
template <class B>
RECTIFIED_INLINE B fma_rounded_to_odd(const B &a, const B &b, const B &c) {
    return rounded_to_odd_by([](auto how, __m512 x, __m512 y, __m512 z) { return _mm512_fmadd_round_ps(x, y, z, how); }, a,
                             b, c);
}
#else
inline constexpr bool rounds_as_told = false;

template <class B>
B product_rounded_to_odd(const B &a, const B &b);
template <class B>
B fma_rounded_to_odd(const B &a, const B &b, const B &c);
#endif

}  // namespace rectified::RECTIFIED_TARGET
