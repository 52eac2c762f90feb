// Round to odd: of the two numbers beside a result the one whose last digit is odd, unless it is exact. To round it again
// to a type that is shorter by two digits or more is as rounding once.
#pragma once

#include <type_traits>

#include "pair.hpp"
#include "short.hpp"

namespace rectified::RECTIFIED_TARGET {

template <class B>
RECTIFIED_INLINE B rounded_to_odd(const pair<B> &y) {
    using I = typename B::integer;
    const I bits = I::bits_of(y.high), inexact = abs(y.low) > B(0);
    const I towards_0 = bits + (((bits ^ I::bits_of(y.low)) >> 31) & inexact);
    return B::bits_of(towards_0 | (inexact & I(1)));
}

#if defined(__AVX512F__)
// An instruction says how it rounds. A result that is not exact differs when it is rounded down and up.
template <class F, class B>
RECTIFIED_INLINE B rounded_to_odd_by(F f, const B &a, const B &b) {
    return B::each([&](int i) {
        const auto rounded = [&]<int How>(std::integral_constant<int, How>) __attribute__((always_inline)) {
            return f(std::integral_constant<int, How | _MM_FROUND_NO_EXC>{}, (__m512)a.part[i], (__m512)b.part[i]);
        };
        using std::integral_constant;
        const __mmask16 inexact = _mm512_cmp_ps_mask(rounded(integral_constant<int, _MM_FROUND_TO_NEG_INF>{}),
                                                     rounded(integral_constant<int, _MM_FROUND_TO_POS_INF>{}), _CMP_LT_OQ);
        const __m512i towards_0 = (__m512i)rounded(integral_constant<int, _MM_FROUND_TO_ZERO>{});
        return (register_t<float>)_mm512_mask_or_epi32(towards_0, inexact, towards_0, _mm512_set1_epi32(1));
    });
}
template <class B>
RECTIFIED_INLINE B sum_rounded_to_odd(const B &a, const B &b) {
    return rounded_to_odd_by([](auto how, __m512 x, __m512 y) { return _mm512_add_round_ps(x, y, how); }, a, b);
}
template <class S, class B>
RECTIFIED_INLINE B product_rounded_to_odd(const B &a, const B &b) {
    return rounded_to_odd_by([](auto how, __m512 x, __m512 y) { return _mm512_mul_round_ps(x, y, how); }, a, b);
}
#else
template <class B>
RECTIFIED_INLINE B sum_rounded_to_odd(const B &a, const B &b) {
    return rounded_to_odd(sum_of_any(a, b));
}
// A small product of a bfloat16, `a`, is enlarged: what it lacks would be lost beside the smallest numbers.
template <class S, class B>
RECTIFIED_INLINE B product_rounded_to_odd(const B &a, const B &b) {
    const B product = a * b;
    if constexpr (std::is_same_v<S, half>) return rounded_to_odd(pair<B>{product, fma(a, b, -product)});
    const B unit = select(abs(product) < B(0x1p-60f), B(0x1p60f), B(1));
    return rounded_to_odd(pair<B>{product, fma(a * unit, b, -(product * unit))});
}
#endif

}  // namespace rectified::RECTIFIED_TARGET
