// Hard functions: between two bounds a line, or a parabola, in place of a curve; constant or a line outside.
#pragma once

#include "../category.hpp"
#include "../elementary.hpp"
#include "../kink.hpp"
#include "../round_to_odd.hpp"
#include "../tie.hpp"
#include "../two_slopes.hpp"

namespace rectified::RECTIFIED_TARGET {

struct hardtanh : ridge, pass_or_stop {
    static constexpr const char *name = "hardtanh";
    static constexpr const char *parameters[] = {"min_val", "max_val"};
    static constexpr bool piecewise_linear = true;

    template <class B>
    RECTIFIED_INLINE static B value(const B &x, const B &low, const B &high) {
        return lesser(high, greater(low, x));
    }
    template <class B, kink_choice Kink>
    RECTIFIED_INLINE static B derivative(const B &x, const B &low, const B &high, const Kink &at_kink) {
        const B at_bound = select(x == low, at_kink(B(0), B(1)), at_kink(B(1), B(0)));
        const auto bends = (x == unless_infinite(low)) | (x == unless_infinite(high));
        return select(bends, at_bound, slope_of<hardtanh>(x, low, high));
    }
    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y, const B &low, const B &high) {
        return slope_of<hardtanh>(y, low, high);
    }
    template <int Parameter, class B>
    RECTIFIED_INLINE static B derivative_wrt(const B &x, const B &low, const B &high) {
        const auto counts = Parameter == 0 ? (x < low) & (low < high) : greater(low, x) > high;
        return select(counts, B(1), select(x == x, B(0), x));
    }
    template <class B>
    RECTIFIED_INLINE static typename B::integer is_steep(const B &x, const B &low, const B &high) {
        using I = typename B::integer;
        return select((x <= unless_infinite(low)) | (x >= unless_infinite(high)), I(0), I(-1));
    }

  private:
    // An infinite bound stops nothing, not even infinity: NaN, with which each comparison fails.
    template <class B>
    RECTIFIED_INLINE static B unless_infinite(const B &bound) {
        using L = std::numeric_limits<typename B::scalar>;
        return select(abs(bound) == B(L::infinity()), B(L::quiet_NaN()), bound);
    }
};

// a / 6, to twice the digits: the quotient of a tie is a tie again.
template <class B>
RECTIFIED_INLINE pair<B> sixth_of(const pair<B> &a) {
    const pair<B> sixth = constant<B>(0x1.5555555555555p-3, 0x1.5555555555555p-57);
    const B high = a.high * sixth.high;
    const B rest = fnma(high, B(6), a.high) + a.low;
    return {high, fma(rest, sixth.high, rest * sixth.low)};
}

struct hardsigmoid : ridge {
    static constexpr const char *name = "hardsigmoid";
    static constexpr bool piecewise_linear = true;

    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        return rounded(of_bounded(bounded(x)));
    }
    template <class B, kink_choice Kink>
    RECTIFIED_INLINE static B derivative(const B &x, const Kink &at_kink) {
        const B slope = slope_where_steep<B>();
        const B at_bound = select(x < B(0), at_kink(B(0), slope), at_kink(slope, B(0)));
        return select(abs(x) == B(3), at_bound, slope_of<hardsigmoid>(x));
    }
    // No number between the bounds is so near to one that its value rounds to 0 or 1.
    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y) {
        const B slope = select((y > B(0)) & (y < B(1)), slope_where_steep<B>(), B(0));
        return select(y == y, slope, y);
    }
    template <class B>
    RECTIFIED_INLINE static typename B::integer is_steep(const B &x) {
        using I = typename B::integer;
        return select(abs(x) >= B(3), I(0), I(-1));
    }
    template <class B>
    RECTIFIED_INLINE static B slope_where_steep() {
        return constant<B>(0x1.5555555555555p-3).high;
    }
    template <class B>
    RECTIFIED_INLINE static B slope_elsewhere() {
        return B(0);
    }

    template <class B>
    RECTIFIED_INLINE static B bounded(const B &x) {
        return lesser(B(3), greater(B(-3), x));
    }
    template <class B>
    RECTIFIED_INLINE static pair<B> of_bounded(const B &x) {
        return sixth_of(sum_of(B(3), x));
    }
};

// x hardsigmoid(x)
struct hardswish : ridge {
    static constexpr const char *name = "hardswish";
    static constexpr bool is_short = true;

    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        const B middle = hardsigmoid::bounded(x);
        const pair<B> gate = hardsigmoid::of_bounded(middle);
        return select(x >= B(3), x, above_half(x, fma(middle, gate.high, middle * gate.low)));
    }
    template <class B>
    RECTIFIED_INLINE static pair<B> value_as_pair(const B &x) {
        const B middle = hardsigmoid::bounded(x);
        const pair<B> product = product_of(middle, hardsigmoid::of_bounded(middle));
        return {select(x >= B(3), x, product.high), select(x >= B(3), B(0), product.low)};
    }
    template <class B, kink_choice Kink>
    RECTIFIED_INLINE static B derivative(const B &x, const Kink &at_kink) {
        const B right = select(x == B(3), at_kink(B(1.5f), B(1)), B(1));
        const B left = select(x == B(-3), at_kink(B(0), B(-0.5f)), B(0));
        return select(x >= B(3), right, select(x <= B(-3), left, rounded(sixth_of(six_slopes(x)))));
    }
    template <class B>
    RECTIFIED_INLINE static pair<B> backward_as_pair(const B &dy, const B &x) {
        const pair<B> middle = sixth_of(product_of(dy, six_slopes(x)));
        const B beyond = dy * derivative(x, smallest{});
        return {select(abs(x) < B(3), middle.high, beyond), select(abs(x) < B(3), middle.low, B(0))};
    }
    // From dy (2 x + 3) / 8, which is no larger than the result. What is on either side of a tie in float32's last digits
    // stays there: three quarters of a tie have few digits, too.
    template <class S, class B>
    RECTIFIED_INLINE static B backward_rounded_to_odd(const B &dy, const B &x) {
        const B most = product_rounded_to_odd<S>(dy, sum_rounded_to_odd(x * B(0.25f), B(0.375f)));
        const B whole = most * B(4.0f / 3);
        const B beyond = dy * select(x > B(0), B(1), B(0));
        return select(abs(x) >= B(3), beyond, rounded_to_odd(pair<B>{whole, fnma(whole, B(0.75f), most)}));
    }

  private:
    template <class B>
    RECTIFIED_INLINE static pair<B> six_slopes(const B &x) {
        const B middle = hardsigmoid::bounded(x);
        return sum_of(B(3), middle + middle);  // beyond 3, too, no digit of this sum is lost
    }
};

}  // namespace rectified::RECTIFIED_TARGET
