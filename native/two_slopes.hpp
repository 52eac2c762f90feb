// Derivatives that take two values, so that one bit tells which.
#pragma once

#include "vector.hpp"

namespace rectified::RECTIFIED_TARGET {

// A function F of this kind has is_steep(x, p…), the lanes of the one value, with NaN among them; and slope_where_steep(p…)
// and slope_elsewhere(p…). At a kink it is steep where that slope is the smaller of the two.
template <class F, class B, class... P>
RECTIFIED_INLINE B slope_of(const B &x, const P &...p) {
    const B steep = F::template slope_where_steep<B>(p...), other = F::template slope_elsewhere<B>(p...);
    return select(x == x, select(F::is_steep(x, p...), steep, other), x);
}

// The slopes of functions that pass some numbers on, and stop the others.
struct pass_or_stop {
    template <class B, class... P>
    RECTIFIED_INLINE static B slope_where_steep(const P &...) {
        return B(1);
    }
    template <class B, class... P>
    RECTIFIED_INLINE static B slope_elsewhere(const P &...) {
        return B(0);
    }
};

}  // namespace rectified::RECTIFIED_TARGET
