// Rectifiers: linear on either side of a kink at zero. Exact, but for the one rounding of a product.
#pragma once

#include "../category.hpp"
#include "../short.hpp"
#include "hard.hpp"

namespace rectified::RECTIFIED_TARGET {

struct relu : ridge, pass_or_stop {
    static constexpr const char *name = "relu";
    static constexpr bool piecewise_linear = true;
    static constexpr bool keeps_integers = true;

    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        return select(x <= B(0), B(0), x);  // in this order NaN stays, and -0 becomes 0
    }
    template <class B, kink_choice Kink>
    RECTIFIED_INLINE static B derivative(const B &x, const Kink &at_kink) {
        return select(x == B(0), at_kink(B(0), B(1)), slope_of<relu>(x));
    }
    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y) {
        return slope_of<relu>(y);
    }
    template <class B>
    RECTIFIED_INLINE static typename B::integer is_steep(const B &x) {
        using I = typename B::integer;
        return select(x <= B(0), I(0), I(-1));
    }
};

struct leaky_relu : ridge {
    static constexpr const char *name = "leaky_relu";
    static constexpr const char *parameters[] = {"slope"};
    static constexpr bool piecewise_linear = true;

    template <class B>
    RECTIFIED_INLINE static B value(const B &x, const B &slope) {
        const B most = B(std::numeric_limits<typename B::scalar>::max());
        const B left = slope * select(slope == B(0), greater(-most, x), x);  // 0 (-inf) is not NaN here
        return select(x > B(0), x, left);
    }
    template <class B, kink_choice Kink>
    RECTIFIED_INLINE static B derivative(const B &x, const B &slope, const Kink &at_kink) {
        return select(x == B(0), at_kink(slope, B(1)), slope_of<leaky_relu>(x, slope));
    }
    // The sign of the output is the sign of the input only for a slope that is not negative; NaN for others.
    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y, const B &slope) {
        return select(slope >= B(0), slope_of<leaky_relu>(y, slope),
                      B(std::numeric_limits<typename B::scalar>::quiet_NaN()));
    }
    template <int Parameter, class B>
    RECTIFIED_INLINE static B derivative_wrt(const B &x, const B &) {
        return select(x > B(0), B(0), x);
    }
    // With a negative slope the derivative at 0 is a third value, 0; here it is the slope.
    template <class B>
    RECTIFIED_INLINE static typename B::integer is_steep(const B &x, const B &slope) {
        using I = typename B::integer;
        return select(x <= B(0), (x == B(0)) & (slope > B(1)), I(-1));
    }
    template <class B>
    RECTIFIED_INLINE static B slope_where_steep(const B &) {
        return B(1);
    }
    template <class B>
    RECTIFIED_INLINE static B slope_elsewhere(const B &slope) {
        return slope;
    }
};

struct clipped_relu : ridge, pass_or_stop {
    static constexpr const char *name = "clipped_relu";
    static constexpr const char *parameters[] = {"ceiling"};
    static constexpr bool piecewise_linear = true;

    template <class B>
    RECTIFIED_INLINE static B value(const B &x, const B &ceiling) {
        return lesser(ceiling, relu::value(x));
    }
    template <class B, kink_choice Kink>
    RECTIFIED_INLINE static B derivative(const B &x, const B &ceiling, const Kink &at_kink) {
        return hardtanh::derivative(x, B(0), ceiling, at_kink);
    }
    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y, const B &ceiling) {
        return hardtanh::derivative_from_output(y, B(0), ceiling);
    }
    template <int Parameter, class B>
    RECTIFIED_INLINE static B derivative_wrt(const B &x, const B &ceiling) {
        return hardtanh::derivative_wrt<1>(x, B(0), ceiling);
    }
    template <class B>
    RECTIFIED_INLINE static typename B::integer is_steep(const B &x, const B &ceiling) {
        return hardtanh::is_steep(x, B(0), ceiling);
    }
};

struct relu6 : ridge, pass_or_stop {
    static constexpr const char *name = "relu6";
    static constexpr bool piecewise_linear = true;

    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        return clipped_relu::value(x, B(6));
    }
    template <class B, kink_choice Kink>
    RECTIFIED_INLINE static B derivative(const B &x, const Kink &at_kink) {
        return clipped_relu::derivative(x, B(6), at_kink);
    }
    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y) {
        return clipped_relu::derivative_from_output(y, B(6));
    }
    template <class B>
    RECTIFIED_INLINE static typename B::integer is_steep(const B &x) {
        return clipped_relu::is_steep(x, B(6));
    }
};

struct threshold : ridge, pass_or_stop {
    static constexpr const char *name = "threshold";
    static constexpr const char *parameters[] = {"threshold", "value"};
    static constexpr bool piecewise_linear = true;

    template <class B>
    RECTIFIED_INLINE static B value(const B &x, const B &bound, const B &other) {
        return select(x <= bound, other, x);
    }
    template <class B, kink_choice Kink>
    RECTIFIED_INLINE static B derivative(const B &x, const B &bound, const B &other, const Kink &at_kink) {
        return select(x == bound, at_kink(B(0), B(1)), slope_of<threshold>(x, bound, other));
    }
    // The output is above the bound where the input was, unless the other value is; NaN for such.
    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y, const B &bound, const B &other) {
        return select(other <= bound, slope_of<threshold>(y, bound, other),
                      B(std::numeric_limits<typename B::scalar>::quiet_NaN()));
    }
    template <int Parameter, class B>
    RECTIFIED_INLINE static B derivative_wrt(const B &x, const B &bound, const B &) {
        return select(x > bound, B(0), select(x == x, B(Parameter == 0 ? 0 : 1), x));
    }
    template <class B>
    RECTIFIED_INLINE static typename B::integer is_steep(const B &x, const B &bound, const B &) {
        using I = typename B::integer;
        return select(x <= bound, I(0), I(-1));
    }
};

// threshold with 0 for the other value.
struct thresholded_relu : ridge, pass_or_stop {
    static constexpr const char *name = "thresholded_relu";
    static constexpr const char *parameters[] = {"alpha"};
    static constexpr bool piecewise_linear = true;

    template <class B>
    RECTIFIED_INLINE static B value(const B &x, const B &alpha) {
        return threshold::value(x, alpha, B(0));
    }
    template <class B, kink_choice Kink>
    RECTIFIED_INLINE static B derivative(const B &x, const B &alpha, const Kink &at_kink) {
        return threshold::derivative(x, alpha, B(0), at_kink);
    }
    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y, const B &alpha) {
        return threshold::derivative_from_output(y, alpha, B(0));
    }
    template <int Parameter, class B>
    RECTIFIED_INLINE static B derivative_wrt(const B &x, const B &alpha) {
        return threshold::derivative_wrt<0>(x, alpha, B(0));
    }
    template <class B>
    RECTIFIED_INLINE static typename B::integer is_steep(const B &x, const B &alpha) {
        return threshold::is_steep(x, alpha, B(0));
    }
};

struct squared_relu : ridge {
    static constexpr const char *name = "squared_relu";
    static constexpr bool is_short = true;

    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        const B positive = relu::value(x);
        return positive * positive;
    }
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x) {
        return relu::value(x + x);
    }
    template <class B>
    RECTIFIED_INLINE static pair<B> value_as_pair(const B &x) {
        return {value(x), B(0)};
    }
    template <class S>
    static constexpr bool derivative_is_exact = std::is_same_v<S, half>;  // twice a bfloat16 may be infinity
    template <class B>
    RECTIFIED_INLINE static pair<B> backward_as_pair(const B &dy, const B &x) {
        return product_of(dy, derivative(x));
    }
};

// Heaviside's function, with 0 at 0. It jumps there, and its derivative is 0 on either side.
struct step : ridge {
    static constexpr const char *name = "step";
    static constexpr bool piecewise_linear = true;

    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        return slope_of<relu>(x);
    }
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x) {
        return slope_of<step>(x);
    }
    template <class B>
    RECTIFIED_INLINE static typename B::integer is_steep(const B &x) {
        using I = typename B::integer;
        return select(x == x, I(0), I(-1));
    }
    template <class B>
    RECTIFIED_INLINE static B slope_where_steep() {
        return B(0);
    }
    template <class B>
    RECTIFIED_INLINE static B slope_elsewhere() {
        return B(0);
    }
};

struct identity : ridge, pass_or_stop {
    static constexpr const char *name = "identity";
    static constexpr bool piecewise_linear = true;

    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        return x;
    }
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x) {
        return slope_of<identity>(x);
    }
    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y) {
        return slope_of<identity>(y);
    }
    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &x) {
        return slope_of<step>(x);
    }
    template <class B>
    RECTIFIED_INLINE static typename B::integer is_steep(const B &) {
        return typename B::integer(-1);
    }
};

}  // namespace rectified::RECTIFIED_TARGET
