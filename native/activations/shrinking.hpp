// Shrinking functions: what is small becomes zero.
#pragma once

#include "../category.hpp"
#include "../kink.hpp"
#include "../two_slopes.hpp"

namespace rectified::RECTIFIED_TARGET {

// What the two have in common: the derivative.
struct shrinking : pass_or_stop {
    static constexpr const char *parameters[] = {"lambd"};
    static constexpr bool piecewise_linear = true;

    template <class B, kink_choice Kink>
    RECTIFIED_INLINE static B derivative(const B &x, const B &lambd, const Kink &at_kink) {
        const B at_bound = select(x < B(0), at_kink(B(1), B(0)), at_kink(B(0), B(1)));
        return select(abs(x) == lambd, at_bound, slope_of<shrinking>(x, lambd));
    }
    // The output is zero where the input was small, unless lambd is negative and no input was; NaN for such.
    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y, const B &lambd) {
        return select(lambd >= B(0), slope_of<shrinking>(y, B(0)), B(std::numeric_limits<typename B::scalar>::quiet_NaN()));
    }
    template <class B>
    RECTIFIED_INLINE static typename B::integer is_steep(const B &x, const B &lambd) {
        using I = typename B::integer;
        return select(abs(x) <= lambd, I(0), I(-1));
    }
};

struct hardshrink : ridge, shrinking {
    static constexpr const char *name = "hardshrink";

    template <class B>
    RECTIFIED_INLINE static B value(const B &x, const B &lambd) {
        return select(abs(x) <= lambd, B(0), x);
    }
    template <int Parameter, class B>
    RECTIFIED_INLINE static B derivative_wrt(const B &x, const B &) {
        return select(x == x, B(0), x);
    }
};

struct softshrink : ridge, shrinking {
    static constexpr const char *name = "softshrink";
    static constexpr bool rounds = true;  // what it passes on

    template <class B>
    RECTIFIED_INLINE static B value(const B &x, const B &lambd) {
        return select(abs(x) <= lambd, B(0), select(x > lambd, x - lambd, x + lambd));
    }
    template <int Parameter, class B>
    RECTIFIED_INLINE static B derivative_wrt(const B &x, const B &lambd) {
        const B shrunk = select(x > lambd, B(-1), select(x <= lambd, B(1), x + lambd));  // NaN of either
        return select(abs(x) <= lambd, B(0), shrunk);
    }
};

}  // namespace rectified::RECTIFIED_TARGET
