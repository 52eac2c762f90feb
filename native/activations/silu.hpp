// The sigmoid linear unit.
#pragma once

#include "../tabulated.hpp"
#include "sigmoidal.hpp"

namespace rectified::RECTIFIED_TARGET {

struct silu {
    static constexpr const char *name = "silu";

    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x) {
        using F = format<typename B::scalar>;
        const B a = lesser(B(-F::vanishes), abs(x));
        const pair<B> root = constant<B>(silu_slope_table::root, silu_slope_table::root_rest);
        const pair<B> distance = sum_of_any(root.high, -a);
        const pair<B> factor = sum_of(distance.high, distance.low + root.low);
        const auto e = exponential<B>::template of_minus<-F::headroom>(a);
        const pair<B> decay = sum_of(e.large, e.low * e.scale);
        const pair<B> tail = product_of(product_of(decay, factor), tabulated<silu_slope_table>(a, 0.375f));
        const B left = rounded(tail) * B(F::unit);
        return select(x > B(0), B(1) - left, left);
    }
};

}  // namespace rectified::RECTIFIED_TARGET
