// Rectifiers: linear on either side of a kink at zero. Exact, but for the one rounding of a product.
#pragma once

#include "../kink.hpp"

namespace rectified::RECTIFIED_TARGET {

struct relu {
    static constexpr const char *name = "relu";
    static constexpr bool piecewise_linear = true;
    static constexpr bool keeps_integers = true;

    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        return select(x <= B(0), B(0), x);  // in this order NaN stays, and -0 becomes 0
    }

    template <class B, class Kink>
    RECTIFIED_INLINE static B derivative(const B &x, const Kink &at_kink) {
        const B zero = B(0), one = B(1);
        return select(x > zero, one, select(x < zero, zero, select(x == zero, at_kink(zero, one), x)));
    }

    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y) {
        return derivative(y, smallest{});
    }
};

struct leaky_relu {
    static constexpr const char *name = "leaky_relu";
    static constexpr const char *parameters[] = {"slope"};
    static constexpr bool piecewise_linear = true;

    template <class B>
    RECTIFIED_INLINE static B value(const B &x, const B &slope) {
        const B left = select(slope == B(0), select(x < B(0), B(0), x), slope * x);  // 0 (-inf) is not NaN here
        return select(x > B(0), x, left);
    }

    template <class B, class Kink>
    RECTIFIED_INLINE static B derivative(const B &x, const B &slope, const Kink &at_kink) {
        return select(x > B(0), B(1), select(x < B(0), slope, select(x == B(0), at_kink(slope, B(1)), x)));
    }

    // The sign of the output is the sign of the input only for a slope that is not negative; NaN for others.
    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y, const B &slope) {
        return select(slope >= B(0), derivative(y, slope, smallest{}),
                      B(std::numeric_limits<typename B::scalar>::quiet_NaN()));
    }

    template <int Parameter, class B>
    RECTIFIED_INLINE static B derivative_wrt(const B &x, const B &) {
        return select(x > B(0), B(0), x);
    }
};

}  // namespace rectified::RECTIFIED_TARGET
