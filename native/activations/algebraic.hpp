// Sigmoids and rectifiers without an exponential, which approach their ends as slowly as a power of x or reach them.
#pragma once

#include "../category.hpp"
#include "../usual.hpp"
#include "hard.hpp"

namespace rectified::RECTIFIED_TARGET {

struct softsign : ridge {
    static constexpr const char *name = "softsign";
    static constexpr bool is_short = true;

    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        const B a = bounded(abs(x));
        const pair<B> sum = sum_of_any(B(1), a);
        const B reciprocal = B(1) / sum.high;
        const B quotient = a * reciprocal;
        const B residual = fnma(quotient, sum.low, fnma(quotient, sum.high, a));
        return with_sign_of(fma(residual, reciprocal, quotient), x);
    }
    // float32: what the sum has lost is less than an ULP of the result, and all that is added to it is one rounding.
    template <int N>
    RECTIFIED_INLINE static batch<float, N> value(const batch<float, N> &x) {
        using B = batch<float, N>;
        const B a = bounded(abs(x)), sum = B(1) + a, reciprocal = quick_reciprocal(sum), quotient = a * reciprocal;
        return with_sign_of(fma(fnma(quotient, sum, a), reciprocal, quotient), x);
    }
    // q^2 with q = 1 / (1 + a). What the sum and the division have lost is e: 1 / (1 + a) = q (1 + e).
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x) {
        const pair<B> sum = sum_of_any(B(1), bounded(abs(x)));
        const B q = B(1) / sum.high;
        const B e = fnma(q, sum.low, fnma(q, sum.high, B(1)));
        return q * fma(q + q, e, q);
    }
    // float32: the reciprocal of the sum's square, which is rounded but once more. Up to 2^24 the sum less one is exact,
    // and so is what the sum has lost.
    template <int N>
    RECTIFIED_INLINE static batch<float, N> derivative(const batch<float, N> &x) {
        using B = batch<float, N>;
        const auto near = [](const B &a) __attribute__((always_inline)) {
            const B sum = B(1) + a, lost = a - (sum - B(1));
            return quick_reciprocal(fma(sum, sum, (sum + sum) * lost));
        };
        return up_to(B(0x1p24f), near, through_float64([](const auto &a) { return derivative(a); }), abs(x));
    }
    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y) {
        const B q = B(1) - abs(y);
        return q * q;
    }

  private:
    // From here on the value rounds to 1 and the derivative to 0; infinity would give NaN.
    template <class B>
    RECTIFIED_INLINE static B bounded(const B &a) {
        using T = typename B::scalar;
        return lesser(B(std::numeric_limits<T>::max() * T(0x1p-30)), a);
    }
};

// What is larger than this is cut off before it is squared: twice the square is a number, and one that fma can multiply
// where it has to be made of other operations.
template <class T>
inline constexpr T far = std::is_same_v<T, float> ? T(0x1p62) : T(0x1p497);

// Times this, numbers beyond far are those whose square has a reciprocal of 0. Its square is format::unit.
template <class T>
inline constexpr T root_of_unit = T(1) / (std::int64_t(1) << format<T>::headroom / 2);

// (x + s) / 2 with s = sqrt(x^2 + b).
struct squareplus : ridge {
    static constexpr const char *name = "squareplus";
    static constexpr const char *parameters[] = {"b"};
    static constexpr bool is_short = true;

    // Left of 0 the sum cancels: there the value is h = b / (2 (a + s)), a = |x|, and right of 0 it is x + h. For it x is
    // measured by the root of b, but where s is a to the last digit: there that might overflow.
    template <class B>
    RECTIFIED_INLINE static B value(const B &x, const B &b) {
        const B scale = scale_of(b), scaled_b = b * scale * scale, a = abs(x) * scale, quarter = scaled_b * B(0.25f);
        const B down = B(1) / scale, least = lesser(B(1), scale);
        const auto beyond = a >= edge(scaled_b);
        const B divisor = select(beyond, abs(x) * least, mean(a, sqrt(fma(a, a, scaled_b))));
        const B first = quarter / greater(B(std::numeric_limits<typename B::scalar>::min()), divisor);
        const B near = better(first, first / (scaled_b * B(0.5f)), a, quarter) * down;
        return greater(B(0), x) + or_limit(select(beyond, first * (down * least * down), near), x, b, b);
    }
    // float32: h = (s - a) / 2 loses digits where a is large, but while it has some left, one of Newton's steps brings back
    // the others: h solves h (h + a) = b / 4, and the slope of that is s. Farther out h / a is less than 2^-23.
    template <int N>
    RECTIFIED_INLINE static batch<float, N> value(const batch<float, N> &x, const batch<float, N> &b) {
        using B = batch<float, N>;
        const auto near = [](const B &a, const B &b) __attribute__((always_inline)) {
            const quick_root<B> s(fma(a, a, b));
            const B h = (s.root - a) * B(0.5f);
            return fma(fnma(h, h, fnma(h, a, b * B(0.25f))), s.reciprocal, h);
        };
        const auto far = [](const B &a, const B &b) {
            const B quarter = b * B(0.25f);
            const auto anywhere = [](const auto &a, const auto &b) { return value(-a, b); };
            return if_usual(quarter / (a + quarter / a), anywhere, a, b, is_positive_and_usual(b));
        };
        return greater(B(0), x) + up_to(near_end(b, 0x1p11f), near, far, abs(x), b);
    }
    // The same h, divided by s: that is the derivative left of 0. What either factor has no room for is added to the
    // product.
    template <int N>
    RECTIFIED_INLINE static batch<float, N> derivative(const batch<float, N> &x, const batch<float, N> &b) {
        using B = batch<float, N>;
        const auto near = [](const B &a, const B &b) __attribute__((always_inline)) {
            const B square = fma(a, a, b);
            const quick_root<B> s(square);
            const B h = (s.root - a) * B(0.5f), lacks = fnma(h, h, fnma(h, a, b * B(0.25f))), q = s.reciprocal;
            return fma(h, q, fma(h, s.residual(square), lacks * q) * q);
        };
        const auto far = [](const B &a, const B &b) { return derivative<B>(-a, b); };
        const B left = up_to(near_end(b, 0x1p9f), near, far, abs(x), b);
        return select(x > B(0), B(1) - left, left);
    }
    // Left of 0 that is b / (2 (s^2 + a s)), and right of 0 one minus it. For it x is measured by the root of b.
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x, const B &b) {
        using T = typename B::scalar;
        const B unit = B(format<T>::unit), scale = scale_of(b), scaled_b = b * scale * scale;
        const B a = lesser(B(far<T>), abs(x) * (scale * B(root_of_unit<T>)));
        const root_of_sum<B> s(a, scaled_b * unit);
        const pair<B> product = product_of(a, s.root);
        const pair<B> sum = sum_of(greater(B(std::numeric_limits<T>::min()), s.square.high), product.high);
        const B half = scaled_b * B(0.5f), reciprocal = B(1) / sum.high;
        const B quotient = half * reciprocal;
        const B sum_low = sum.low + (s.square.low + product.low);
        const B residual = fnma(quotient, sum_low, fnma(quotient, sum.high, half));
        const auto pole = (s.root == B(0)) & (b < B(0));
        const B whole = select(pole, B(-std::numeric_limits<T>::infinity()), fma(residual, reciprocal, quotient) * unit);
        const B left = or_limit(whole, x, b, B(0.5f));
        return select(x > B(0), B(1) - left, left);
    }
    // b / (2 s^3). For it x and the root of b are measured by the larger of the two, so that s is near 1.
    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &x, const B &b) {
        using L = std::numeric_limits<typename B::scalar>;
        const B a = lesser(B(L::max() / 4), abs(x)), size = greater(lesser(B(L::max() / 4), sqrt(abs(b))), a);
        const B scale = reciprocal_power_of_2(size), scaled_b = b * scale * scale;
        const root_of_sum<B> s(a * scale, scaled_b);
        const B r = B(1) / s.root;
        const pair<B> cube = product_of(product_of(r * B(0.5f), r), pair<B>{r, B(0)});
        const B whole = cube.high + fma(cube.high, B(3) * s.residual(r), cube.low);
        const B result = select(s.root == B(0), with_sign_of(B(L::infinity()), b), whole * (scaled_b * scale));
        return or_limit(result, x, b, B(0));
    }
    // 1 / (4 s)
    template <int Parameter, class B>
    RECTIFIED_INLINE static B derivative_wrt(const B &x, const B &b) {
        const B a = abs(x);
        const B scale = scale_of(b);
        const root_of_sum<B> s(lesser(B(0x1p32f), a * scale), b * scale * scale);
        const B r = B(1) / s.root;
        return select(a >= edge(b), B(0.25f) / a, or_limit(B(0.25f) * fma(r, s.residual(r), r) * scale, x, b, B(0)));
    }

  private:
    // What a result becomes where b is infinite.
    template <class B>
    RECTIFIED_INLINE static B or_limit(const B &result, const B &x, const B &b, const B &limit) {
        const auto infinite = b == B(std::numeric_limits<typename B::scalar>::infinity());
        if (any(infinite)) [[unlikely]]
            return select(infinite, select(x == x, limit, x), result);
        return result;
    }
    // A power of two near 1 / sqrt(b): times its square b is between 1/2 and 2.
    template <class B>
    RECTIFIED_INLINE static B scale_of(const B &b) {
        using I = typename B::integer;
        constexpr int mantissa = format<typename B::scalar>::mantissa;
        constexpr typename I::scalar one = std::bit_cast<typename I::scalar>(typename B::scalar(1)) >> mantissa;
        const I half_exponent = I::bits_of(abs(b)) >> (mantissa + 1);
        return B::bits_of((I(one + one / 2) - half_exponent) << mantissa);
    }

    // The one that brings a finite number near 1.
    template <class B>
    RECTIFIED_INLINE static B reciprocal_power_of_2(const B &a) {
        using I = typename B::integer;
        constexpr int mantissa = format<typename B::scalar>::mantissa;
        const I exponent = I::bits_of(a) >> mantissa, of_one = I::bits_of(B(1)) >> mantissa;
        return B::bits_of((of_one + of_one - exponent) << mantissa);
    }

    template <class B>
    RECTIFIED_INLINE static typename B::integer is_positive_and_usual(const B &b) {
        using I = typename B::integer;
        return is_usual(b) & (I::bits_of(b) > I(0));
    }
    // So many roots of b, to six percent: half its bits, but for the exponent's bias. Nothing is near where b is unusual or
    // negative.
    template <class B>
    RECTIFIED_INLINE static B near_end(const B &b, float roots) {
        using I = typename B::integer;
        const I bits = (I::bits_of(b) >> 1) + (I::bits_of(B(roots)) - (I::bits_of(B(1)) >> 1));
        return select(is_positive_and_usual(b), B::bits_of(bits), B(0));
    }

    // s, what its square is, and what that lacks to a^2 + b.
    template <class B>
    struct root_of_sum {
        pair<B> square;
        B root, rest;

        RECTIFIED_INLINE root_of_sum(const B &a, const B &b) {
            const pair<B> product = product_of(a, a);
            square = sum_of_any(product.high, b);
            square.low = square.low + product.low;
            root = sqrt(square.high);
            rest = fnma(root, root, square.high) + square.low;
        }
        // e, where 1 / s = r (1 + e).
        RECTIFIED_INLINE B residual(const B &r) const { return fnma(rest * B(0.5f), r * r, fnma(r, root, B(1))); }
    };

    // From here on s is a to the last digit; below it the square does not overflow.
    template <class B>
    RECTIFIED_INLINE static B edge(const B &b) {
        return sqrt(abs(b)) * B(0x1p30f);
    }

    template <class B>
    RECTIFIED_INLINE static B mean(const B &a, const B &s) {
        return fma(a, B(0.5f), s * B(0.5f));
    }

    // h solves h (h + a) = b / 4: a step of Newton's takes away what the square root and the sums have lost. r is
    // 1 / (a + s).
    template <class B>
    RECTIFIED_INLINE static B better(const B &h, const B &r, const B &a, const B &quarter) {
        const B residual = fnma(h, h, fnma(h, a, quarter));
        const B slope = r * fma(h * r, B(-2), B(1.914f));  // 1 / s, to 9 percent
        return fma(residual, slope, h);
    }
};

struct arctan : ridge {
    static constexpr const char *name = "arctan";
    static constexpr bool derivative_is_short = true;

    // A polynomial is enough between 0 and 1; from 1 on that is pi / 2 + atan(-1 / a).
    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        using T = typename B::scalar;
        const pair<B> quarter_turn = constant<B>(0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54);
        const B a = abs(x);
        const auto large = a > B(1);
        const B r = select(large, B(-1) / a, a);
        const pair<B> sum = sum_of(select(large, quarter_turn.high, B(0)), r);
        const B low = sum.low + select(large, quarter_turn.low, B(0));
        const B square = r * r;
        return with_sign_of(sum.high + fma(r * square, tail(square, arctangent_table<T>::tail), low), x);
    }
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x) {
        using T = typename B::scalar;
        const B unit = B(format<T>::unit), a = lesser(B(far<T>), abs(x) * B(root_of_unit<T>));
        return quick_reciprocal(fma(a, a, unit)) * unit;
    }
    // -2 x q^2 with q = 1 / (1 + x^2). What the sum and the division have lost is e: 1 / (1 + x^2) = q (1 + e).
    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &x) {
        const B a = lesser(B(far<typename B::scalar>), abs(x));
        const pair<B> square = product_of(a, a);
        const pair<B> sum = sum_of_any(B(1), square.high);
        const B q = B(1) / sum.high;
        const B e = fnma(q, sum.low + square.low, fnma(q, sum.high, B(1)));
        return with_sign_of((a + a) * q * fma(q + q, e, q), -x);
    }

  private:
    template <class B, std::size_t Count>
    RECTIFIED_INLINE static B tail(const B &square, const typename B::scalar (&coefficients)[Count]) {
        const B fourth = square * square;
        B chain[] = {B(coefficients[Count - 2]), B(coefficients[Count - 1])};  // of every other coefficient
        for (int i = Count - 3; i >= 4; --i) {
            B &part = chain[(Count - i) % 2];
            part = fma(part, fourth, B(coefficients[i]));
        }
        B sum = fma(chain[(Count + 1) % 2], square, chain[Count % 2]);  // and one chain where rounding shows
        for (int i = 3; i >= 0; --i) sum = fma(sum, square, B(coefficients[i]));
        return sum;
    }
};

// The rising ramp between -1 and 1.
struct sparse_sigmoid : ridge {
    static constexpr const char *name = "sparse_sigmoid";
    static constexpr bool piecewise_linear = true;

    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        return (hardtanh::value(x, B(-1), B(1)) + B(1)) * B(0.5f);
    }
    template <class B, kink_choice Kink>
    RECTIFIED_INLINE static B derivative(const B &x, const Kink &at_kink) {
        const B at_bound = select(x < B(0), at_kink(B(0), B(0.5f)), at_kink(B(0.5f), B(0)));
        return select(abs(x) == B(1), at_bound, slope_of<sparse_sigmoid>(x));
    }
    template <class B>
    RECTIFIED_INLINE static typename B::integer is_steep(const B &x) {
        return hardtanh::is_steep(x, B(-1), B(1));
    }
    template <class B>
    RECTIFIED_INLINE static B slope_where_steep() {
        return B(0.5f);
    }
    template <class B>
    RECTIFIED_INLINE static B slope_elsewhere() {
        return B(0);
    }
};

// Its integral.
struct sparse_plus : ridge {
    static constexpr const char *name = "sparse_plus";
    static constexpr bool is_short = true;

    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        const pair<B> sum = sum_of(B(1), hardtanh::value(x, B(-1), B(1)));
        const B half = sum.high * B(0.5f);
        return select(x >= B(1), x, fma(half, half, half * sum.low));
    }
    // float32: x^2 / 4 + (x / 2 + 1 / 4), of which the sum has lost no more than half an ULP of the result. It is above x
    // but at 1, where they touch.
    template <int N>
    RECTIFIED_INLINE static batch<float, N> value(const batch<float, N> &x) {
        using B = batch<float, N>;
        const B inside = hardtanh::value(x, B(-1), B(1)), quarter = B(0.25f);
        return greater(x, fma(inside * quarter, inside, fma(inside, B(0.5f), quarter)));
    }
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x) {
        return sparse_sigmoid::value(x);
    }
    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y) {
        return sqrt(lesser(B(1), y));
    }
};

}  // namespace rectified::RECTIFIED_TARGET
