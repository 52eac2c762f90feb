// Functions that multiply x by a gate made of x.
#pragma once

#include "../middle.hpp"
#include "../tie.hpp"
#include "exponential.hpp"
#include "sigmoidal.hpp"

namespace rectified::RECTIFIED_TARGET {

// x n / (n + 2) with n = e (e + 2), e = e^x: the hyperbolic tangent of a logarithm is rational.
struct mish : ridge {
    static constexpr const char *name = "mish";

    template <class B, road Road = beside_others>
    RECTIFIED_INLINE static B value(const B &x, const Road &road = {}) {
        if constexpr (std::is_same_v<typename B::scalar, float>)
            return with_sign_of(in_the_middle<mish_value_near_table>([](const auto &x) { return far_value(x); }, x, road),
                                x);
        else
            return far_value(x);
    }

    template <class B, road Road = beside_others>
    RECTIFIED_INLINE static B derivative(const B &x, const Road &road = {}) {
        if constexpr (std::is_same_v<typename B::scalar, float>)
            return in_the_middle<mish_slope_near_table>([](const auto &x) { return slope_anywhere(x); }, x, road);
        else
            return slope_anywhere(x);
    }

    // Left of 0 that is 4 e (2 (1 + e) d + x (2 + 2 e - 3 e^2 - 2 e^3)) / d^3. Right of 0 powers of e^-x stand in place of
    // e^x.
    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &x) {
        const auto left = x < B(0);
        const B ends = B(-power_of_e<B>::ends), a = lesser(select(left, ends, ends * B(0.5f)), abs(x));
        const power_of_e<B> power(-a);
        const pair<B> e = power.plain();
        const auto quadratic = [&](const B &first, const B &second, const B &third) {
            return (e * third + pair<B>{second, B(0)}) * e + pair<B>{first, B(0)};
        };
        const B one = B(1), two = B(2), three = B(3);
        const pair<B> d = quadratic(select(left, two, one), two, select(left, one, two));
        const pair<B> bend = quadratic(select(left, two, three), -select(left, three, two), -two) * e + 2;
        const pair<B> factor = (1 + e) * d * two + bend * -a;
        const pair<B> start = power.up * pair<B>{select(left, one, e.high), select(left, B(0), e.low)};
        return rounded_quotient(start * factor, d * d * d) * B(4 * power.unit);
    }

  private:
    template <class B>
    RECTIFIED_INLINE static B far_value(const B &x) {
        constexpr auto one = power_of_e<B>::one;
        const B b = bounded(x);
        const power_of_e<B> e(b);
        const pair<B> n = e.up * (e.up + 2 * one);
        const B gated = select(x > b, x, with_sign_of(rounded_quotient(n * abs(b), n + 2 * one * one), x));
        return unless_tail(gated, x, [](const B &a) { return exact(-a); });
    }
    // e ((e + 2) d + 4 x (1 + e)) / d^2 with d = n + 2.
    template <class B>
    RECTIFIED_INLINE static B slope_anywhere(const B &x) {
        const B b = bounded(x);
        const power_of_e<B> power(b);
        const pair<B> e = power.plain(), sum = e + 2, d = e * sum + 2;
        const pair<B> factor = sum * d + (e + 1) * (b * B(4));
        const B slope = rounded_quotient(power.up * factor, d * d) * B(power.unit);
        return unless_tail(slope, x, [](const B &a) { return sum_of_any(B(1), -a); });
    }
    // Where e^x is nothing beside 1 it is multiplied by a factor of a = -x: as many steps as elsewhere would be subnormal,
    // for which x86 takes microcode.
    template <class B, class F>
    RECTIFIED_INLINE static B unless_tail(const B &y, const B &x, F factor) {
        const auto is_tail = x < B(tail_ends);
        if (any(is_tail)) [[unlikely]] {
            const B a = lesser(B(-power_of_e<B>::ends), abs(x));
            return select(is_tail, decay(factor(a), exact(a), -power_of_e<B>::ends), y);
        }
        return y;
    }
    // Right of the upper bound the gate and the derivative round to 1.
    template <class B>
    RECTIFIED_INLINE static B bounded(const B &x) {
        const B upper = B(std::is_same_v<typename B::scalar, float> ? 12 : 24);
        return greater(B(tail_ends), lesser(upper, x));
    }
    static constexpr int tail_ends = -60;
};

// x / (1 + e^-z) with z = 2 sqrt(2 / pi) (x + 0.044715 x^3). Left of 0 that is -a s with a = |x|, s = 1 / (1 + e^z(a)), and
// right of it x more.
struct gelu_tanh : ridge {
    static constexpr const char *name = "gelu_tanh";

    template <class B, road Road = beside_others>
    RECTIFIED_INLINE static B value(const B &x, const Road &road = {}) {
        if constexpr (std::is_same_v<typename B::scalar, float>) {
            return gated_in_the_middle<gelu_tanh_left_near_table>([](const auto &x) { return far_left(x); }, x, road);
        } else {
            const cubic<B> z(x);
            const auto s = logistic<B, 2>::left(z.template growth<2>());
            const pair<B> product = product_of(z.a, s.high);
            const B left = (product.high + fma(product.high, s.residual, product.low)) * B(-s.unit);
            return above_half(x, select(x < B(0), left, x + left));
        }
    }

    // Left of 0 s (1 - a z' (1 - s)), and right of it one minus that.
    template <class B, road Road = beside_others>
    RECTIFIED_INLINE static B derivative(const B &x, const Road &road = {}) {
        B left;
        if constexpr (std::is_same_v<typename B::scalar, float>) {
            left = in_the_middle<gelu_tanh_slope_near_table>([](const auto &a) { return slope_far_left(a); }, abs(x), road);
        } else {
            const cubic<B> z(x);
            left = logistic<B, 2>::left(z.template growth<2>()).gated_slope(z.slope() * z.a);
        }
        return select(x > B(0), B(1) - left, left);
    }

    // e ((2 z' + a z'') (1 + e) - a z'^2 (1 - e)) / (1 + e)^3
    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &x) {
        const cubic<B> z(x);
        const power_of_e<B> power(-z.value());
        const pair<B> e = power.plain(), d = 1 + e, slope = z.slope();
        const pair<B> first = slope * B(4) + constant<B>(-2 * z.first, -2 * z.rest);
        const pair<B> factor = first * d + slope * slope * (1 + -e) * -z.a;
        return rounded_quotient(power.up * factor, d * d * d) * B(power.unit);
    }

  private:
    template <class B>
    RECTIFIED_INLINE static B far_left(const B &a) {
        const cubic<B> z(a);
        return brought_down(logistic<B>::divided(z.a, z.growth()), logistic<B>::unit);
    }
    template <class B>
    RECTIFIED_INLINE static B slope_far_left(const B &a) {  // e^-z (root - a) G(a), where G is smooth
        const cubic<B> z(a);
        return brought_down(slope_with_root<gelu_tanh_slope_table>(z.a, z.decay()),
                            format<float>::unit * format<float>::unit);
    }

    // z and z' at a = |x|. Beyond the bound e^-z rounds to 0 even when it is multiplied by some powers of a.
    template <class B>
    struct cubic {
        using T = typename B::scalar;
        B a;
        pair<B> square;

        RECTIFIED_INLINE explicit cubic(const B &x) {
            a = lesser(B(is_float ? T(11.05) : T(21.7)), abs(x));
            square = product_of(a, a);
        }
        RECTIFIED_INLINE pair<B> value() const {
            return parabola(constant<B>(0.07135481627260025, -4.1218577217431825e-18)) * a;
        }
        // e^z 2^-(Times headroom) and e^-z 2^(2 headroom)
        template <int Times = 1>
        RECTIFIED_INLINE exponential<B> growth() const {
            const pair<B> z = value();
            return exponential<B>::template of_minus<Times * format<T>::headroom>(-z.high, -z.low);
        }
        RECTIFIED_INLINE exponential<B> decay() const {
            const pair<B> z = value();
            return exponential<B>::template of_minus<-2 * format<T>::headroom>(z.high, z.low);
        }
        RECTIFIED_INLINE pair<B> slope() const {
            return parabola(constant<B>(0.21406444881780073, 1.5122146425849084e-18));
        }

        // 2 sqrt(2 / pi) = first + rest. With a few digits less in first than it could have, what it leaves of the sum is
        // exact.
        static constexpr bool is_float = std::is_same_v<T, float>;
        static constexpr double first = is_float ? 0x1.98846p0 : 0x1.9884533d43680p+0;
        static constexpr double rest = is_float ? -7.605964177257403e-07 : -1.053578951956758e-14;

      private:
        RECTIFIED_INLINE pair<B> parabola(const pair<B> &factor) const {
            const B high = fma(factor.high, square.high, B(T(first)));
            const B low = fma(factor.high, square.high, B(T(first)) - high);
            return {high, low + fma(factor.high, square.low, fma(factor.low, square.high, B(T(rest))))};
        }
    };
};

// x (1 + x / s) / 2 with s = sqrt(1 + x^2). Left of 0 that is -a gap / 2 with a = |x|, gap = 1 - a / s, and right of it x
// more.
struct dish : ridge {
    static constexpr const char *name = "dish";
    static constexpr bool is_short = true;

    template <class B, road Road = beside_others>
    RECTIFIED_INLINE static B value(const B &x, const Road &road = {}) {
        if constexpr (std::is_same_v<typename B::scalar, float>) {
            const B a = abs(x);
            return greater(B(-0.0f), x) -
                   in_the_middle<dish_left_near_table>([](const auto &a) { return left_anywhere(a); }, a, road);
        } else {
            const B left = -left_anywhere(x);
            return above_half(x, select(x < B(0), left, x + left));
        }
    }

    // Left of 0 gap (3 gap - gap^2 - 1) / 2, whose root is a power of the golden ratio, and right of it one minus that.
    template <class B, road Road = beside_others>
    RECTIFIED_INLINE static B derivative(const B &x, const Road &road = {}) {
        B left;
        if constexpr (std::is_same_v<typename B::scalar, float>)
            left = in_the_middle<dish_slope_near_table>([](const auto &a) { return left_slope_anywhere(a); }, abs(x), road);
        else
            left = left_slope_anywhere(x);
        return select(x > B(0), B(1) - left, left);
    }

    // (3 / s^2 - 1) / (2 s^3)
    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &x) {
        const gate<B> g(x);
        const pair<B> y = g.chosen(g.gap, g.gap * (g.s + pair<B>{g.a, B(0)})), square = y * y;
        return rounded((square * B(3) + -1) * y * square) * B(0.5f);
    }

  private:
    template <class B>
    RECTIFIED_INLINE static B left_anywhere(const B &x) {
        const gate<B> g(x);
        return rounded_product(g.gap, select(g.far, B(0.5f), abs(x))) * B(0.5f);
    }
    template <class B>
    RECTIFIED_INLINE static B left_slope_anywhere(const B &x) {
        const gate<B> g(x);
        const pair<B> root = constant<B>(0.38196601125010515, -1.1899991944327682e-18);
        const pair<B> other = constant<B>(2.618033988749895, -5.432115203682506e-17);
        const pair<B> factor = g.chosen(g.gap * B(-0.5f), (g.gap + -root) * (other + -g.gap));
        return with_sign_of(rounded(g.gap * factor) * B(0.5f), factor.high);
    }

    // The gap is 1 / (s (s + a)), which does not cancel. Far out it would soon be too small; there 1 / a stands in its
    // place.
    template <class B>
    struct gate {
        typename B::integer far;
        B a;
        pair<B> s, gap;

        RECTIFIED_INLINE explicit gate(const B &x) {
            const B end = B(0x1p30f);
            far = abs(x) > end;
            a = lesser(end, abs(x));
            const pair<B> square = product_of(a, a) + 1;
            s.high = sqrt(square.high);
            const B d = select(far, abs(x), fma(a, s.high, square.high));
            const B reciprocal = B(1) / d;
            s.low = (fnma(s.high, s.high, square.high) + square.low) * B(0.5f) * ((s.high + a) * reciprocal);
            const B d_low = select(far, B(0), fma(a, s.high, square.high - d) + fma(a, s.low, square.low));
            gap = {reciprocal, reciprocal * fnma(reciprocal, d_low, residual(d, reciprocal))};
        }
        // 1 - d / d, for d = infinity as well; an fma that is made of products must not overflow within.
        RECTIFIED_INLINE static B residual(const B &d, const B &reciprocal) {
            const B most = B(std::numeric_limits<typename B::scalar>::max() * 0x1p-60f);
            return fnma(reciprocal * B(0x1p60f), lesser(most, d * B(0x1p-60f)), B(1));
        }
        RECTIFIED_INLINE pair<B> chosen(const pair<B> &if_far, const pair<B> &if_near) const {
            return {select(far, if_far.high, if_near.high), select(far, if_far.low, if_near.low)};
        }
    };
};

struct lisht : ridge {
    static constexpr const char *name = "lisht";
    static constexpr bool is_short = true;

    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        if constexpr (std::is_same_v<typename B::scalar, float>) {
            const B a = abs(x);
            return select(a > B(10), a, rounded_product(tanh::from_table(a), a));  // from there on tanh rounds to 1
        } else {
            return x * tanh::value(x);
        }
    }

    // tanh(a) + a / cosh(a)^2 = (4 a (1 + m) - m (2 + m)) / (2 + m)^2 with a = |x|, m = e^-2a - 1.
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x) {
        if constexpr (std::is_same_v<typename B::scalar, float>) {
            const tabulated<lisht_slope_table, B> near(lesser(B(10.5f), abs(x)));  // from here on it rounds to 1
            return with_sign_of(near.result(), x);
        } else {
            const B a = lesser(B(25), abs(x));
            const pair<B> m = exponential<B>::of_minus_less_one(a + a), d = 2 + m;
            return with_sign_of(abs(rounded_quotient((1 + m) * (a * B(4)) + -m * d, d * d)), x);
        }
    }

    // 8 e (1 + e - a (1 - e)) / (1 + e)^3 with e = e^-2a.
    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &x) {
        const B a = lesser(B(power_of_e<B>::ends * typename B::scalar(-0.5)), abs(x));
        const power_of_e<B> power(-(a + a));
        const pair<B> e = power.plain(), d = 1 + e;
        return rounded_quotient(power.up * (d + (1 + -e) * -a), d * d * d) * B(8 * power.unit);
    }
};

}  // namespace rectified::RECTIFIED_TARGET
