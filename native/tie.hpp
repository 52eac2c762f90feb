// Results that are no ties, but that only more digits than float64 has tell from one.
//
// x sigmoid(x) is x / 2 + x^2 / 4. For a subnormal bfloat16, computed in float64, the square is lost, and an odd multiple
// of half the smallest number would then round to even, where it should round up. Such results are moved to float64's next
// number.
#pragma once

#include "vector.hpp"

namespace rectified::RECTIFIED_TARGET {

// y, or where the condition holds the next number in float64: Step 1 away from 0, -1 towards it.
template <int Step, class B>
RECTIFIED_INLINE B next_to(const B &y, const typename B::integer &condition) {
    using I = typename B::integer;
    if constexpr (!std::is_same_v<typename B::scalar, float>)
        return B::bits_of(I::bits_of(y) + (condition & I(Step)));
    else
        return y;
}

// Near the smallest numbers of bfloat16, and far from those of float64.
template <class B>
RECTIFIED_INLINE typename B::integer is_tiny(const B &x) {
    const B a = abs(x);
    return (a < B(0x1p-100f)) & (a > B(typename B::scalar(0x1p-200)));
}

// For y that is a little more than x / 2.
template <class B>
RECTIFIED_INLINE B above_half(const B &x, const B &y) {
    const auto tiny = is_tiny(x);
    return next_to<-1>(next_to<1>(y, tiny & (x > B(0))), tiny & (x < B(0)));
}

}  // namespace rectified::RECTIFIED_TARGET
