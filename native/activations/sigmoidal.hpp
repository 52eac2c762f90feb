// Sigmoidal functions: bounded, smooth, saturating at both ends.
#pragma once

#include "../elementary.hpp"

namespace rectified::RECTIFIED_TARGET {

// 1 / (1 + e^-x) = high (1 + residual) 2^-headroom.
//
// Everything after the exponential is done on sums of two numbers, and one rounding is left for the end. One division
// gives the reciprocal to working precision; its residual, exact by fma, gives the rest. On the left e^-x grows past the
// largest number while the result is still one: headroom keeps it finite, and a subnormal result is rounded once.
template <class B>
struct logistic {
    B high, residual;

    RECTIFIED_INLINE static logistic of(const B &x) {
        using F = format<typename B::scalar>;
        const auto e = decay(greater(B(F::vanishes), lesser(B(F::saturates), x)));
        const B sum = B(F::unit) + fma(e.low, e.scale, e.large);
        const B part = sum - e.large;  // these steps are exact, whichever of unit and large is the larger (Knuth)
        return reciprocal_of(sum, e, (e.large - (sum - part)) + (B(F::unit) - part));
    }

    // For x <= 0, where e^-x is the larger one.
    RECTIFIED_INLINE static logistic left(const B &x) {
        using F = format<typename B::scalar>;
        const auto e = decay(greater(B(F::vanishes), x));
        const B sum = B(F::unit) + fma(e.low, e.scale, e.large);
        return reciprocal_of(sum, e, (e.large - sum) + B(F::unit));
    }

    RECTIFIED_INLINE B value() const { return fma(high, residual, high) * B(format<typename B::scalar>::unit); }

    // s (1 - s) times a factor, where s is at most 1/2: s - s^2 by one fma, and what the residual adds to it.
    RECTIFIED_INLINE B density(typename B::scalar factor) const {
        const B unit = B(format<typename B::scalar>::unit), s = high * unit;
        const B slope = fnma(s, B(2), B(1));
        return fma(high * residual, slope, fnma(s, high, high)) * (unit * B(factor));
    }

  private:
    RECTIFIED_INLINE static exponential<B> decay(const B &x) {
        return exponential<B>::template of_minus<format<typename B::scalar>::headroom>(x);
    }

    RECTIFIED_INLINE static logistic reciprocal_of(const B &sum, const exponential<B> &e, const B &sum_low) {
        const B rest = fma(e.low, e.scale, sum_low);
        const B high = B(1) / sum;
        return {high, fnma(high, rest, fnma(high, sum, B(1)))};
    }
};

struct sigmoid {
    static constexpr const char *name = "sigmoid";

    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        return logistic<B>::of(x).value();
    }

    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x) {
        return logistic<B>::left(-abs(x)).density(1);
    }

    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y) {
        return fma(-y, y, y);
    }
};

struct tanh {
    static constexpr const char *name = "tanh";

    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        if constexpr (std::is_same_v<typename B::scalar, float>)
            return with_sign_of(from_table(abs(x)), x);
        else
            return with_sign_of(abs(from_exponential(abs(x))), x);
    }

    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x) {  // 4 s (1 - s) with s = 1 / (1 + e^2a)
        return logistic<B>::left(-abs(x + x)).density(4);
    }

    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y) {
        return fma(-y, y, B(1));
    }

  private:
    // float32: a polynomial of degree 6 about one of 32 centers; no division, and only the last sum rounds visibly. The row
    // is read from the leading bits: its intervals are quarters of octaves.
    template <class B>
    RECTIFIED_INLINE static B from_table(const B &magnitude) {
        using I = typename B::integer;
        const B a = lesser(B(10.0f), magnitude);
        const I position = (I::bits_of(a) - I(0x3D400000)) >> 21;
        const I row = select(position > I(0), position, I(0)) & I(31);  // NaN may point anywhere
        const rows<tanh_table, B> table(row);
        const B y = a - table.column(0);
        B slope = table.column(7);
        for (int i = 6; i >= 2; --i) slope = fma(slope, y, table.column(i));
        return table.column(1) + fma(slope, y, y);
    }

    // float64: -tanh(a) = m / (2 + m) with m = e^-2a - 1, whose leading digits cancel exactly for small a.
    template <class B>
    RECTIFIED_INLINE static B from_exponential(const B &a) {
        const auto e = exponential<B>::template of_minus<0>(lesser(B(format<typename B::scalar>::saturates), a + a));
        const pair<B> rough = sum_of(B(-1), e.large);
        pair<B> m = sum_of(rough.high, e.low * e.scale);
        m.low = m.low + rough.low;
        pair<B> d = sum_of(B(2), m.high);
        d.low = d.low + m.low;
        const B quotient = m.high / d.high;
        const B residual = fnma(quotient, d.low, fnma(quotient, d.high, m.high)) + m.low;
        const B reciprocal = fma(d.high, B(-0.47), B(1.45));  // of d in [1, 2] to 5 percent: enough for a correction
        return fma(residual, reciprocal, quotient);
    }
};

}  // namespace rectified::RECTIFIED_TARGET
