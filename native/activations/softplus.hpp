// Logarithms of sums of exponentials: softplus and its relatives.
#pragma once

#include "../category.hpp"
#include "../elementary.hpp"
#include "../middle.hpp"
#include "exponential.hpp"
#include "sigmoidal.hpp"

namespace rectified::RECTIFIED_TARGET {

// Numbers times 2^headroom for the tails: with a headroom this large they round once, whatever they are multiplied by.
template <class B>
struct tail {
    using T = typename B::scalar;
    static constexpr T unit = format<T>::unit * format<T>::unit;
    static constexpr T ends = format<T>::ends;  // e^-ends is a normal number, and too small for any factor

    // e^-a for a >= 0.
    RECTIFIED_INLINE static pair<B> of_exponential(const pair<B> &a) {
        return exponential<B>::template of_minus<-2 * format<T>::headroom>(a.high, a.low).whole();
    }

    // log(1 + e^-a)
    RECTIFIED_INLINE static pair<B> of_logarithm(const pair<B> &a, T bound = ends) {
        return log_of_one_plus(of_exponential(at_most(bound, a)), unit);
    }
};

// The same, rounded: without a factor a is bounded so early that no step is subnormal.
template <class B>
RECTIFIED_INLINE B logarithm_of_tail(const B &a) {
    return brought_down(rounded(tail<B>::of_logarithm({a, B(0)}, -format<typename B::scalar>::vanishes)), tail<B>::unit);
}

// log(1 + e^(beta x)) / beta = max(x, 0) + log(1 + e^-|beta x|) / beta for beta > 0.
struct softplus : ridge {
    static constexpr const char *name = "softplus";
    static constexpr const char *parameters[] = {"beta"};

    // For beta = 1.
    template <class B, road Road = beside_others>
    RECTIFIED_INLINE static B value(const B &x, const Road &road = {}) {
        B rest;
        if constexpr (std::is_same_v<typename B::scalar, float>) {
            const B a = abs(x);
            rest = in_the_middle<softplus_left_near_table>([](const auto &a) { return logarithm_of_tail(a); }, a, road);
        } else {
            rest = logarithm_of_tail(abs(x));
        }
        return greater(B(0), x) + rest;
    }
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x) {
        return sigmoid::value(x);
    }

    template <class B>
    RECTIFIED_INLINE static B value(const B &x, const B &beta) {
        const B divisor = finite(beta);
        const pair<B> z = product_of(x, divisor);
        const pair<B> rest = product_of(reciprocal_of(divisor), tail<B>::of_logarithm(magnitude_of(z)));
        const B quick = select(z.high > B(0), x, B(0)) + rounded(rest) * B(tail<B>::unit);
        const auto unusual = has_unusual_reciprocal(beta);
        if (any(unusual)) [[unlikely]] {
            const B copies[] = {x, beta};  // what a call takes the address of is in memory all the time
            return with_sign_of(select(unusual, value_for_unusual(copies[0], copies[1]), quick), beta);
        }
        return with_sign_of(quick, beta);  // also of 0
    }
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x, const B &beta) {
        const pair<B> z = multiple(x, beta);
        const B low = select(abs(z.high) < B(-format<typename B::scalar>::vanishes), z.low, B(0));
        return logistic<B>::of(z.high, low).value();
    }
    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &x, const B &beta) {
        using F = format<typename B::scalar>;
        using I = typename B::integer;
        const pair<B> a = at_most(15 - F::vanishes, magnitude_of(multiple(x, beta)));  // room for beta
        const auto left = logistic<B>::left(exponential<B>::template of_minus<F::headroom>(-a.high, -a.low));
        const B quick = left.density(beta);
        const I small = is_below(0x1p-64f, beta), large = is_below(64, beta) == I(0);
        if (any(small | large)) [[unlikely]] {
            const B copies[] = {x, beta};  // what a call takes the address of is in memory all the time
            const B far = second_derivative_far(copies[0], copies[1]);
            return select(large & (a.high > B(60)), far, select(small, left.density(B(1)) * beta, quick));
        }
        return quick;
    }
    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y, const B &beta) {
        const pair<B> z = at_most(format<typename B::scalar>::saturates, product_of(y, beta));
        return -rounded(exponential<B>::of_minus_less_one(z.high, z.low));
    }
    // -(a e / (1 + e) + log(1 + e)) / beta^2 with e = e^-a, a = |beta x|.
    template <int Parameter, class B>
    RECTIFIED_INLINE static B derivative_wrt(const B &x, const B &beta) {
        const pair<B> sum = loss(magnitude_of(multiple(x, beta))), reciprocal = reciprocal_of(finite(beta));
        const B quick = rounded(product_of(reciprocal, product_of(reciprocal, sum))) * B(-tail<B>::unit);
        const auto small = has_large_reciprocal(beta);
        if (any(small)) [[unlikely]] {
            const B copies[] = {x, beta};
            return select(small, derivative_wrt_small(copies[0], copies[1]), quick);
        }
        return quick;
    }

  private:
    template <class B>
    RECTIFIED_INLINE static pair<B> multiple(const B &x, const B &beta) {
        return product_of(finite_beside_zero(x, beta), finite(beta));
    }
    // a e / (1 + e) + log(1 + e)
    template <class B>
    RECTIFIED_INLINE static pair<B> loss(const pair<B> &size) {
        const pair<B> a = at_most(tail<B>::ends, size), e = tail<B>::of_exponential(a);
        pair<B> divisor = sum_of(B(1), e.high * B(tail<B>::unit));
        divisor.low = fma(e.low, B(tail<B>::unit), divisor.low);
        const pair<B> product = product_of(a, quotient_of(e, divisor)), logarithm = log_of_one_plus(e, tail<B>::unit);
        const pair<B> sum = sum_of_any(product.high, logarithm.high);
        return {sum.high, sum.low + (product.low + logarithm.low)};
    }
    // For such a beta a result may leave the range of numbers, and at the end of a tail it is not too small for any. From
    // e^-60 on e is nothing beside 1.
    template <class B>
    RECTIFIED_INLINE static typename B::integer has_large_reciprocal(const B &beta) {
        return is_below(0x1p-18f, beta);
    }
    template <class B>
    RECTIFIED_INLINE static typename B::integer has_unusual_reciprocal(const B &beta) {
        return has_large_reciprocal(beta) | (is_below(std::numeric_limits<typename B::scalar>::infinity(), beta) == 0);
    }
    template <class B, class F = format<typename B::scalar>>
    [[gnu::noinline]] static B second_derivative_far(const B &x, const B &beta) {
        return decay_of_large(finite(beta) * B(F::unit * F::unit), magnitude_of(multiple(x, beta)));
    }
    template <class B>
    [[gnu::noinline]] static B value_for_unusual(const B &x, const B &beta) {
        const pair<B> z = multiple(x, beta), a = magnitude_of(z), reciprocal = reciprocal_of(beta * B(1 / tail<B>::unit));
        const B near = finished(product_of(reciprocal, tail<B>::of_logarithm(a)));
        return select(z.high > B(0), x, B(0)) + select(a.high > B(60), decay_of_large(reciprocal, a), near);
    }
    template <class B>
    [[gnu::noinline]] static B derivative_wrt_small(const B &x, const B &beta) {
        using F = format<typename B::scalar>;
        constexpr typename B::scalar ends = std::is_same_v<typename B::scalar, float> ? 141 : 840;
        const pair<B> a = magnitude_of(multiple(x, beta)), reciprocal = reciprocal_of(beta * B(1 / F::unit));
        const pair<B> near = product_of(reciprocal, product_of(reciprocal, loss(a)));
        const pair<B> half = at_most(ends, pair<B>{a.high * B(0.5f), a.low * B(0.5f)});
        const pair<B> root = exponential<B>::template of_minus<-2 * F::headroom>(half.high, half.low).whole();
        const pair<B> whole = product_of(reciprocal, root) * B(F::unit);
        const B far = finished_product(product_of(at_most(2 * ends, a) + 1, whole), whole);
        return -select(a.high > B(60), select(half.high < B(ends), far, B(0)), finished(near));
    }
};

// log(1 / (1 + e^-x)) = -softplus(-x)
struct logsigmoid : ridge {
    static constexpr const char *name = "logsigmoid";

    template <class B, road Road = beside_others>
    RECTIFIED_INLINE static B value(const B &x, const Road &road = {}) {
        return -softplus::value(-x, road);
    }
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x) {
        return sigmoid::value(-x);
    }
    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &x) {
        return -sigmoid::derivative(x);
    }
    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y) {
        return -rounded(exponential<B>::of_minus_less_one(lesser(B(format<typename B::scalar>::saturates), -y)));
    }
};

// log(cosh(x)): with t = tanh(a / 2), a = |x|, it is 2 atanh(t^2), and far from 0 it is a - log(2) + log(1 + e^-2a). Both
// are the same series of a quotient.
struct logcosh : ridge {
    static constexpr const char *name = "logcosh";

    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        using T = typename B::scalar;
        const B a = abs(x);
        // t = -m / (2 + m). From the bound on e^-2a is nothing beside a, and before it no square is subnormal.
        const pair<B> m = exponential<B>::of_minus_less_one(lesser(B(std::is_same_v<T, float> ? 14 : 40), a));
        const B e = (B(1) + m.high) + m.low;
        const auto is_near = a < B(1.3125f);
        const pair<B> dividend{select(is_near, m.high, e * e), select(is_near, m.low, B(0))};
        pair<B> divisor = sum_of(B(2), dividend.high);
        divisor.low = divisor.low + dividend.low;
        const pair<B> quotient = quotient_of(dividend, divisor), square = product_of(quotient, quotient);
        const pair<B> series =
            twice_atanh<B>({select(is_near, square.high, quotient.high), select(is_near, square.low, quotient.low)}, 1);
        const pair<B> log_of_2 = constant<B>(0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56);
        const B far = (a - log_of_2.high) + (series.high + (series.low - log_of_2.low));
        constexpr T square_alone = std::is_same_v<T, float> ? T(0x1p-13) : T(0x1p-27);  // below, x^4 / 12 is nothing
        return select(a < B(square_alone), a * (a * B(0.5f)), select(is_near, rounded(series), far));
    }
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x) {
        return tanh::value(x);
    }
    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &x) {
        return tanh::derivative(x);
    }
};

}  // namespace rectified::RECTIFIED_TARGET
