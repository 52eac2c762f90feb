// Sigmoidal functions: bounded, smooth, saturating at both ends.
#pragma once

#include "../category.hpp"
#include "../elementary.hpp"
#include "../short.hpp"
#include "../tabulated.hpp"
#include "../tie.hpp"

namespace rectified::RECTIFIED_TARGET {

// 1 / (1 + e^-x) = high (1 + residual) 2^-headroom.
//
// Everything after the exponential is done on sums of two numbers, and one rounding is left for the end. One division
// gives the reciprocal to working precision; its residual, exact by fma, gives the rest. On the left e^-x grows past the
// largest number while the result is still one: headroom keeps it finite, and a subnormal result is rounded once.
template <class B, int Times = 1>
struct logistic {
    using T = typename B::scalar;
    using F = format<T>;
    static constexpr int headroom = Times * F::headroom;
    static constexpr T unit = Times == 1 ? F::unit : F::unit * F::unit;  // 2^-headroom
    static_assert(Times == 1 || Times == 2);

    B high, residual;

    // x_low is added to x, where |x| is below the bounds.
    RECTIFIED_INLINE static logistic of(const B &x, const B &x_low) {
        return of(exponential<B>::template of_minus<headroom>(greater(B(F::vanishes), lesser(B(F::saturates), x)), x_low));
    }

    // From e^-x 2^-headroom.
    RECTIFIED_INLINE static logistic of(const exponential<B> &e) {
        const B sum = B(unit) + e.rounded();
        const B part = sum - e.large;  // these steps are exact, whichever of unit and large is the larger (Knuth)
        return reciprocal_of(sum, e, (e.large - (sum - part)) + (B(unit) - part));
    }

    // For x <= 0, where e^-x is the larger one.
    RECTIFIED_INLINE static logistic left(const B &x) { return left(decay(greater(B(F::vanishes), x))); }

    RECTIFIED_INLINE static logistic left(const exponential<B> &e) {
        const B sum = B(unit) + e.rounded();
        return reciprocal_of(sum, e, (e.large - sum) + B(unit));
    }

    RECTIFIED_INLINE B scaled() const { return fma(high, residual, high); }  // times 2^headroom
    RECTIFIED_INLINE B value() const { return scaled() * B(unit); }

    // s (1 - s) times a factor, where s is at most 1/2: s - s^2 by one fma, and what the residual adds to it.
    RECTIFIED_INLINE B density(const B &factor) const { return scaled_density() * (B(unit) * factor); }
    RECTIFIED_INLINE B density(T factor) const { return brought_down(scaled_density(), unit * factor); }

    // s (1 - q (1 - s)), where s is at most 1/2: the slope of x s(z) left of 0, with q = x z'.
    template <class Q>
    RECTIFIED_INLINE B gated_slope(const Q &q) const {
        const B s = greater(B(1), high) * B(unit), shut = B(1) - s;  // of less, which may be subnormal, 1 - s shows nothing
        const pair<B> product = product_of(q, pair<B>{shut, fnma(s, residual, (B(1) - shut) - s)});
        const pair<B> factor = -product + T(1);
        return brought_down(fma(high, factor.high, high * fma(factor.high, residual, factor.low)), unit);
    }

    // float32: a / (1 + e) 2^headroom, from e 2^-headroom for e >= 1, where |a| 2^headroom is a number. What the sum lacks
    // is so little beside it that for its reciprocal one digit is enough: that is the sum's bits, turned round.
    RECTIFIED_INLINE static B divided(const B &a, const exponential<B> &e) {
        using I = typename B::integer;
        const B sum = B(unit) + e.rounded(), rest = fma(e.large, e.rest, (e.large - sum) + B(unit));
        const B quotient = a / sum, reciprocal = B::bits_of(I(0x7EF127EA) - I::bits_of(sum));
        return fnma(quotient, rest * reciprocal, quotient);
    }

  private:
    RECTIFIED_INLINE B scaled_density() const {
        const B s = greater(B(1), high) * B(unit), slope = fnma(s, B(2), B(1));  // a small s is nothing beside 1
        return fma(high * residual, slope, fnma(s, high, high));
    }
    RECTIFIED_INLINE static exponential<B> decay(const B &x) { return exponential<B>::template of_minus<headroom>(x); }

    RECTIFIED_INLINE static logistic reciprocal_of(const B &sum, const exponential<B> &e, const B &sum_low) {
        const B rest = fma(e.large, e.rest, sum_low);
        const B high = B(1) / sum;
        return {high, fnma(high, rest, fnma(high, sum, B(1)))};
    }
};

// The second derivative of the logistic function, times a factor: for x > 0 it is -e (1 - e) / (1 + e)^3 with e = e^-x, and
// it is odd. e - 1 keeps its digits beside the root.
template <class B>
RECTIFIED_INLINE B logistic_bend(const B &x, typename B::scalar factor) {
    using F = format<typename B::scalar>;
    const B a = lesser(B(-F::vanishes), abs(x));
    const auto [e, m] = exponential<B>::template of_minus_with_less_one<-F::headroom>(a);
    pair<B> sum = sum_of(B(2), m.high);
    sum.low = sum.low + m.low;
    const pair<B> product = product_of(e.unordered(), m);
    const pair<B> quotient = quotient_of(product, product_of(sum, product_of(sum, sum)));
    const B bend = with_sign_of(abs(rounded(quotient)), -x) * B(F::unit * factor);
    return next_to<-1>(bend, is_tiny(x));
}

struct sigmoid : ridge {
    static constexpr const char *name = "sigmoid";

    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        const B left = logistic<B>::left(-abs(x)).value();
        return select(x > B(0), B(1) - left, left);
    }

    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x) {
        return logistic<B, 2>::left(-abs(x)).density(1);
    }

    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &x) {
        return logistic_bend(x, 1);
    }

    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y) {
        return fma(-y, y, y);
    }
    template <class B>
    RECTIFIED_INLINE static pair<B> backward_from_output_as_pair(const B &dy, const B &y) {
        const B square = greater(y * y, abs(y) * B(0x1p-40f));  // of a square below float32's range its sign decides
        return product_of(dy, sum_of_any(y, -square));
    }
};

struct tanh : ridge {
    static constexpr const char *name = "tanh";

    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        if constexpr (std::is_same_v<typename B::scalar, float>)
            return with_sign_of(rounded(from_table(abs(x))), x);
        else
            return with_sign_of(abs(from_exponential(abs(x))), x);
    }

    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x) {  // 4 s (1 - s) with s = 1 / (1 + e^2a)
        return logistic<B, 2>::left(-abs(x + x)).density(4);
    }

    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &x) {
        return logistic_bend(x + x, 8);
    }

    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y) {
        return fma(-y, y, B(1));
    }
    // bfloat16 lacks digits of the slope only where |y| < 2^-5. There a product with it is nearer to the factor than any
    // tie is.
    template <class S>
    static constexpr bool derivative_from_output_is_exact = std::is_same_v<S, bfloat16>;
    template <class B>
    RECTIFIED_INLINE static pair<B> backward_from_output_as_pair(const B &dy, const B &y) {
        return product_of(dy, sum_of_any(B(1), -(y * y)));
    }

    // float32: as a sum of two numbers, without a division.
    template <class B>
    RECTIFIED_INLINE static pair<B> from_table(const B &magnitude) {
        const tabulated<tanh_table, B> near(lesser(B(10.0f), magnitude));
        return {near.value, fma(near.slope, near.distance, near.distance)};
    }

  private:
    // float64: -tanh(a) = m / (2 + m) with m = e^-2a - 1, whose leading digits cancel exactly for small a.
    template <class B>
    RECTIFIED_INLINE static B from_exponential(const B &a) {
        const B bounded = lesser(B(format<typename B::scalar>::saturates), a + a);
        const pair<B> m = exponential<B>::of_minus_less_one(bounded);
        pair<B> d = sum_of(B(2), m.high);
        d.low = d.low + m.low;
        const B quotient = m.high / d.high;
        const B residual = fnma(quotient, d.low, fnma(quotient, d.high, m.high)) + m.low;
        const B reciprocal = fma(d.high, B(-0.47), B(1.45));  // of d in [1, 2] to 12 percent: enough for a correction
        return fma(residual, reciprocal, quotient);
    }
};

// x - tanh(x), which is x^3 / 3 near 0.
struct tanhshrink : ridge {
    static constexpr const char *name = "tanhshrink";

    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        using T = typename B::scalar;
        const B a = abs(x);
        B shrunk;
        if constexpr (std::is_same_v<T, float>)
            shrunk = select(a < B(cubic_tanhshrink_near_table::end), from_table(a), a - B(1));
        else
            shrunk = select(a < B(0.5), near(lesser(B(0.5), a)), far(a));
        return with_sign_of(shrunk, x + B(0));  // -0 - tanh(-0) is 0
    }

    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x) {  // tanh^2
        const B a = abs(x);
        const pair<B> m = exponential<B>::of_minus_less_one(lesser(B(format<typename B::scalar>::saturates), a + a));
        pair<B> divisor = sum_of(B(2), m.high);
        divisor.low = divisor.low + m.low;
        const pair<B> t = quotient_of(m, divisor);
        return rounded(product_of(t, t));
    }

    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &x) {
        return -tanh::second_derivative(x);
    }

  private:
    // The cube is multiplied far above the subnormals, so that the product rounds once when it is among them.
    template <class B>
    RECTIFIED_INLINE static pair<B> large_cube(const B &a, typename B::scalar up) {
        const B large = a * B(up);
        return product_of(large, product_of(large, large));
    }

    // float32: the cube times a table, whose values are exact. Their slopes are short beside them, and so is what the cube
    // rounds away.
    template <class B>
    RECTIFIED_INLINE static B from_table(const B &a) {
        constexpr float up = 0x1p38f;  // times the table's end, cubed, it is no infinity
        using table = cubic_tanhshrink_near_table;
        const B bounded = lesser(B(table::end), a);
        const tabulated<table, B> factor(bounded);
        const pair<B> cube = large_cube(bounded, up);
        const B rise = factor.slope * factor.distance, rest = fma(cube.high, rise, cube.low * (factor.value + rise));
        return brought_down(fma(cube.high, factor.value, rest), 1 / (up * up * up));
    }

    // float64: the series.
    template <class B>
    RECTIFIED_INLINE static B near(const B &a) {
        constexpr double up = 0x1p300;
        const B square = a * a;
        const pair<B> third = constant<B>(1.0 / 3, 0x1p-54 / 3);
        const pair<B> factor{third.high, fma(square, polynomial(shrunk_tanh_table::tail, square), third.low)};
        return brought_down(rounded(product_of(large_cube(a, up), factor)), 1 / (up * up * up));
    }

    // a - 1 + 2 s with s = 1 / (1 + e^2a): where a < 1 and digits cancel the sum of the two is exact.
    template <class B>
    RECTIFIED_INLINE static B far(const B &a) {
        const auto s = logistic<B>::left(B(-2) * a);
        const B rest = s.high * B(2 * format<typename B::scalar>::unit);
        return next_to<1>(fma(rest, s.residual, (a - B(1)) + rest), (a > B(64)) & (a < B(8192)));
    }
};

}  // namespace rectified::RECTIFIED_TARGET
