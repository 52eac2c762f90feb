// The neighbourhood of a derivative's root.
#pragma once

#include "elementary.hpp"

namespace rectified::RECTIFIED_TARGET {

// Where a derivative crosses zero, the few digits that float32's exponential has more than a number do not reach. There,
// and nowhere else, the series at the root takes over: the distance from the root is exact.
template <class B, std::size_t Count>
RECTIFIED_INLINE B beside_root(const B &x, const pair<B> &root, const pair<B> &slope, const float (&bend)[Count],
                               const B &elsewhere) {
    if constexpr (std::is_same_v<typename B::scalar, float>) {
        const pair<B> distance = sum_of(x - root.high, -root.low);
        const pair<B> factor = {slope.high, fma(polynomial(bend, distance.high), distance.high, slope.low)};
        return select(abs(distance.high) < B(1.0f / 32), rounded(distance * factor), elsewhere);
    } else {
        return elsewhere;
    }
}

}  // namespace rectified::RECTIFIED_TARGET
