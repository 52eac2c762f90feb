// The Gaussian error linear unit.
#pragma once

#include "../bell.hpp"
#include "../category.hpp"
#include "../tabulated.hpp"

namespace rectified::RECTIFIED_TARGET {

// x Phi(x): left of 0 that is -a e^-(a^2 / 2) R(a), a = -x; and right of it x + gelu(-x).
struct gelu {
    static constexpr const char *name = "gelu";

    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        const B a = lesser(B(20), abs(x));
        const pair<B> tail = product_of(product_of(bell(a), {a, B(0)}), tabulated<gelu_table>(a, 0.125f));
        const B left = -rounded(tail) * B(format<typename B::scalar>::unit);
        return select(x > B(0), x, B(0)) + left;
    }
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x) {
        const B a = lesser(B(20), abs(x));
        const pair<B> root = constant<B>(gelu_slope_table::root, gelu_slope_table::root_rest);
        const pair<B> distance = sum_of_any(root.high, -a);
        const pair<B> factor = sum_of(distance.high, distance.low + root.low);
        const pair<B> tail = product_of(product_of(bell(a), factor), tabulated<gelu_slope_table>(a, 0.125f));
        const B left = rounded(tail) * B(format<typename B::scalar>::unit);
        return select(x > B(0), B(1) - left, left);
    }
};

}  // namespace rectified::RECTIFIED_TARGET
