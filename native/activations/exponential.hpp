// Exponential units: linear right of 0, bent towards a bound left of it.
#pragma once

#include "../category.hpp"
#include "../elementary.hpp"
#include "../kink.hpp"

namespace rectified::RECTIFIED_TARGET {

// Factors are numbers or pairs.

template <class B>
RECTIFIED_INLINE pair<B> exact(const B &a) {
    return {a, B(0)};
}

// factor e^-a for a >= 0, down to the last subnormal.
template <class A, class B, class F = format<typename B::scalar>>
RECTIFIED_INLINE B decay(const A &factor, const pair<B> &a, typename B::scalar bound = F::ends) {
    constexpr int up = -2 * F::headroom;  // e^-a 2^-up is normal as far as its product with any factor is anything
    const pair<B> bounded = at_most(bound, a);
    const auto e = exponential<B>::template of_minus<up>(bounded.high, bounded.low);
    return brought_down(rounded(product_of(factor, e.unordered())), F::unit * F::unit);
}

// The same for a small factor: no product has a low half so small that it is subnormal.
template <class A, class B>
RECTIFIED_INLINE B decay_of_less_than_4(const A &factor, const B &a) {
    return decay(factor, exact(a), -format<typename B::scalar>::vanishes);
}

// The same for a factor times 2^up that e^-a 2^-up might carry past the largest number: by the square of e^-(a/2).
template <class A, class B, class F = format<typename B::scalar>>
RECTIFIED_INLINE B decay_of_large(const A &factor, const pair<B> &a) {
    constexpr typename B::scalar ends = std::is_same_v<typename B::scalar, float> ? 104 : 740;  // there the result is 0
    const pair<B> half = at_most(ends, pair<B>{a.high * B(0.5f), a.low * B(0.5f)});
    const pair<B> root = exponential<B>::template of_minus<-F::headroom>(half.high, half.low).whole();
    return finished_product(product_of(factor, root), root);
}

// The same for any number.
template <class B, class F = format<typename B::scalar>>
RECTIFIED_INLINE B decay_of_any(const B &factor, const pair<B> &a) {
    const B quick = decay(factor, a);
    const auto usual = is_below(0x1p40f, factor);
    if (any(usual == typename B::integer(0))) [[unlikely]]
        return select(usual, quick, decay_of_large(factor * B(F::unit * F::unit), a));
    return quick;
}

// factor (e^-a - 1) for a >= 0.
template <class A, class B>
RECTIFIED_INLINE B less_one(const A &factor, const pair<B> &a) {
    const pair<B> bounded = at_most(format<typename B::scalar>::saturates, a);
    const pair<B> m = exponential<B>::of_minus_less_one(bounded.high, bounded.low);
    if constexpr (std::is_same_v<A, B>)
        return rounded_product(m, factor);
    else
        return rounded(product_of(factor, m));
}

struct elu : ridge {
    static constexpr const char *name = "elu";
    static constexpr const char *parameters[] = {"alpha"};

    // For alpha = 1.
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x) {
        return select(x >= B(0), B(1), decay_of_less_than_4(B(1), abs(x)));
    }
    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        const B a = lesser(B(format<typename B::scalar>::saturates), abs(x));
        return select(x < B(0), rounded(exponential<B>::of_minus_less_one(a)), x);
    }
    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y) {
        return select(y >= B(0), B(1), y + B(1));
    }
    // Half precision from -1 on has no digit that the sum lacks. bfloat16 has only where |y| < 2^-16, where a product with
    // the slope is nearer to the factor than any tie is.
    template <class S>
    static constexpr bool derivative_from_output_is_exact = true;

    template <class B>
    RECTIFIED_INLINE static B value(const B &x, const B &alpha) {
        const B left = less_one(alpha, exact(abs(x)));
        const auto finite = is_below(std::numeric_limits<typename B::scalar>::infinity(), alpha);
        return select(x < B(0), with_sign_of(select(finite, left, -alpha), -alpha), x);  // also of 0
    }
    template <class B, kink_choice Kink>
    RECTIFIED_INLINE static B derivative(const B &x, const B &alpha, const Kink &at_kink) {
        const B right = select(x == B(0), at_kink(alpha, B(1)), B(1));
        return select(x >= B(0), right, decay_of_any(alpha, exact(abs(x))));
    }
    // Right of 0 the output is x; left of it alpha e^x = y + alpha.
    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y, const B &alpha) {
        const B nan = B(std::numeric_limits<typename B::scalar>::quiet_NaN());
        const B right = select(y == B(0), smallest{}(alpha, B(1)), B(1));
        return select(alpha >= B(0), select(y >= B(0), right, y + alpha), nan);
    }
    template <class B>
    RECTIFIED_INLINE static pair<B> backward_from_output_as_pair(const B &dy, const B &y, const B &alpha) {
        const B low = select(y < B(0), sum_of_any(y, alpha).low, B(0));
        return product_of(dy, pair<B>{derivative_from_output(y, alpha), low});
    }
    template <int Parameter, class B>
    RECTIFIED_INLINE static B derivative_wrt(const B &x, const B &) {
        return select(x < B(0), less_one(B(1), exact(abs(x))), select(x == x, B(0), x));
    }
};

// elu with its exponential widened by alpha, which makes it smooth for every alpha > 0; NaN left of 0 for others.
struct celu : ridge {
    static constexpr const char *name = "celu";
    static constexpr const char *parameters[] = {"alpha"};

    // For alpha = 1.
    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        return elu::value(x);
    }
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x) {
        return elu::derivative(x);
    }
    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y) {
        return elu::derivative_from_output(y);
    }
    template <class S>
    static constexpr bool derivative_from_output_is_exact = elu::derivative_from_output_is_exact<S>;

    template <class B>
    RECTIFIED_INLINE static B value(const B &x, const B &alpha) {
        // Up to here x + x^2 / (2 alpha) rounds to x; x / alpha might have lost its digits to subnormals.
        const B nearly_linear =
            select(alpha > B(0), alpha * B(std::numeric_limits<typename B::scalar>::epsilon() / -8), B(0));
        return select(x >= nearly_linear, x, less_one(alpha, ratio(x, alpha)));
    }
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &x, const B &alpha) {
        return select(x >= B(0), B(1), decay(B(1), ratio(x, alpha)));
    }
    // Right of 0 the output is x; left of it e^(x / alpha) = y / alpha + 1.
    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y, const B &alpha) {
        const B most = finite(alpha);
        return select(y >= B(0), B(1), (y + most) / positive(most));
    }
    // Times a power of two with which a small alpha does not make the product vanish.
    template <class B>
    RECTIFIED_INLINE static pair<B> backward_from_output_as_pair(const B &dy, const B &y, const B &alpha) {
        const B scale = to_ones(alpha), all = positive(finite(alpha)) * scale;
        const pair<B> product = product_of(dy, sum_of_any(y * scale, all));
        const B reciprocal = B(1) / all, high = product.high * reciprocal;
        const B rest = fnma(high, all, product.high) + product.low, low = rest * reciprocal;
        const B all_of_low = fma(fnma(low, all, rest), reciprocal, low);  // the quotient of a tie is a tie again
        return {select(y >= B(0), dy, high), select(y >= B(0), B(0), all_of_low)};
    }
    // (1 + a) e^-a - 1 for a = -x / alpha.
    template <int Parameter, class B>
    RECTIFIED_INLINE static B derivative_wrt(const B &x, const B &alpha) {
        using T = typename B::scalar;
        const pair<B> a = at_most(format<T>::saturates + 10, ratio(x, alpha));
        const B tail = polynomial(gamma_of_two_table<T>::tail, a.high);
        const pair<B> half_square = product_of(pair<B>{a.high * B(0.5f), a.low * B(0.5f)}, a);
        const B near = -(half_square.high - fma(half_square.high, (a.high + a.high) * tail, -half_square.low));
        const pair<B> m = exponential<B>::of_minus_less_one(a.high, a.low), product = product_of(a, m);
        const pair<B> sum = sum_of(a.high, m.high), far = sum_of_any(sum.high, product.high);
        const B far_low = far.low + ((sum.low + product.low) + (a.low + m.low));
        const B left = select(a.high < B(0.25f), near, far.high + far_low);
        return select(x < B(0), left, select(x == x, B(0), x));
    }

  private:
    template <class B>
    RECTIFIED_INLINE static B positive(const B &alpha) {
        return select(alpha > B(0), alpha, B(std::numeric_limits<typename B::scalar>::quiet_NaN()));
    }
    // The power of two that brings a normal alpha between 1 and 4, in float32.
    template <class B>
    RECTIFIED_INLINE static B to_ones(const B &alpha) {
        using I = typename B::integer;
        return B::bits_of(I(0xFE << 23) - (I::bits_of(lesser(B(0x1p126f), alpha)) & I(0xFF << 23)));
    }
    // -x / alpha, with the digits that the exponential needs: none for an infinite alpha. Both are taken times a power of
    // two with which the reciprocal is a normal number.
    template <class B>
    RECTIFIED_INLINE static pair<B> ratio(const B &x, const B &alpha) {
        using T = typename B::scalar;
        constexpr T up = std::is_same_v<T, float> ? T(0x1p64) : T(0x1p500), one_up = 1 / up;
        const B scale = select(is_below(one_up, alpha), B(up), select(is_below(up, alpha), B(1), B(one_up)));
        const B infinite = B(std::numeric_limits<T>::infinity());
        const B given = select((alpha == infinite) & (abs(x) < infinite), B(0), x);
        return product_of(given * -scale, reciprocal_of(positive(finite(alpha)) * scale));
    }
};

// scale elu(x, alpha), with the two constants for which zero mean and unit variance are a fixed point.
struct selu : ridge {
    static constexpr const char *name = "selu";

    template <class B>
    RECTIFIED_INLINE static B value(const B &x) {
        const pair<B> scale = constant<B>(0x1.0cfabcp0, 8.4416637719981835e-8);  // two positive parts: infinity stays
        return select(x < B(0), less_one(left<B>(), exact(abs(x))), fma(x, scale.high, x * scale.low));
    }
    template <class B, kink_choice Kink>
    RECTIFIED_INLINE static B derivative(const B &x, const Kink &at_kink) {
        const B right = select(x == B(0), at_kink(left<B>().high, slope<B>()), slope<B>());
        return select(x >= B(0), right, decay_of_less_than_4(left<B>(), abs(x)));
    }
    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y) {
        const B leftwards = greater(B(0), (y + left<B>().high) + left<B>().low);
        return select(y >= B(0), slope<B>(), leftwards);
    }
    template <class B>
    RECTIFIED_INLINE static pair<B> backward_from_output_as_pair(const B &dy, const B &y) {
        const pair<B> right = constant<B>(scale), sum = sum_of_any(y, left<B>().high);
        const pair<B> slope = {select(y >= B(0), right.high, sum.high),
                               select(y >= B(0), right.low, sum.low + left<B>().low)};
        const auto beyond = slope.high <= B(0);
        return product_of(dy, pair<B>{select(beyond, B(0), slope.high), select(beyond, B(0), slope.low)});
    }

  private:
    static constexpr double scale = 1.0507009873554805;

    template <class B>
    RECTIFIED_INLINE static B slope() {
        return B(static_cast<typename B::scalar>(scale));
    }
    template <class B>
    RECTIFIED_INLINE static pair<B> left() {  // scale alpha
        return constant<B>(1.7580993408473766, 5.75014648756476e-17);
    }
};

}  // namespace rectified::RECTIFIED_TARGET
