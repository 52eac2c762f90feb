// The bell curve, which gelu and the gaussians are made of.
#pragma once

#include "elementary.hpp"

namespace rectified::RECTIFIED_TARGET {

// e^-(a^2 / 2) 2^headroom, with the digits that the square has below its last.
template <class B>
RECTIFIED_INLINE pair<B> bell(const B &a) {
    using F = format<typename B::scalar>;
    const B half = a * B(0.5f);
    const pair<B> square = at_most(-power_of_e<B>::ends, product_of(a, half));
    return exponential<B>::template of_minus<-F::headroom>(square.high, square.low).whole();
}

}  // namespace rectified::RECTIFIED_TARGET
