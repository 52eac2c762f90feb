// The bell curve, which gelu and the gaussians are made of.
#pragma once

#include "elementary.hpp"

namespace rectified::RECTIFIED_TARGET {

// e^-(a^2 / 2) 2^(Times headroom), with the digits that the square has below its last, for a up to 15 (float32) or 39.
template <int Times = 1, class B>
RECTIFIED_INLINE exponential<B> bell(const B &a) {
    const pair<B> square = product_of(a, a * B(0.5f));
    return exponential<B>::template of_minus<-Times * format<typename B::scalar>::headroom>(square.high, square.low);
}

}  // namespace rectified::RECTIFIED_TARGET
