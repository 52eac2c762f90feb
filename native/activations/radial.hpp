// Radial functions: of the distance r >= 0 to a centre, times epsilon. NaN for what is no distance.
#pragma once

#include "../category.hpp"
#include "../elementary.hpp"
#include "../middle.hpp"
#include "../root.hpp"
#include "../usual.hpp"

namespace rectified::RECTIFIED_TARGET {

template <class B>
RECTIFIED_INLINE B distance(const B &r) {
    return select(r >= B(0), r, B(std::numeric_limits<typename B::scalar>::quiet_NaN()));
}

// A distance times a power of two, so that what it is multiplied with loses no digits where a product is subnormal; and its
// inverse, for the last step. Beside an epsilon that is large enough to keep the product from that it is left as it is.
template <class B>
struct raised {
    B distance, down = B(1);

    RECTIFIED_INLINE raised(const B &d, const B &epsilon) : distance(d) {
        if constexpr (!has_spare_digits<B>) {  // and range
            const auto small =
                (d < B(is_float ? T(0x1p-32) : T(0x1p-900))) & is_below(is_float ? T(1.5f) : T(0x1p300), epsilon);
            distance = select(small, d * B(up), d);
            down = select(small, B(1 / up), down);
        }
    }
    // The power of two that it was taken times, as a logarithm counts it.
    RECTIFIED_INLINE B doublings() const { return select(down < B(1), B(is_float ? 64 : 200), B(0)); }

  private:
    using T = typename B::scalar;
    static constexpr bool is_float = std::is_same_v<T, float>;
    static constexpr T up = is_float ? T(0x1p64) : T(0x1p200);
};

// What all have in common but the straight line: float64 is computed with epsilon r to twice its digits, and float32 in
// float64, unless it has a way of its own.
struct curved {
    static constexpr const char *parameters[] = {"epsilon"};
    static constexpr bool ample_for_shorter = true;

  protected:
    template <class B>
    RECTIFIED_INLINE static pair<B> scaled(const B &r, const B &epsilon) {
        const pair<B> z = product_of(epsilon, distance(finite_beside_zero(r, epsilon)));
        return {z.high, select(abs(z.high) < B(0x1p500), z.low, B(0))};
    }
    template <class B>
    RECTIFIED_INLINE static pair<B> operand(const B &x) {
        constexpr double most = has_spare_digits<B> ? 0x1p200 : std::numeric_limits<double>::max();
        return {lesser(B(most), x), B(0)};  // times 0 it is 0
    }
    template <class B, class... P>
    RECTIFIED_INLINE static pair<B> times(const pair<B> &first, const P &...others) {
        pair<B> result = first;
        ((result = product_of(result, others)), ...);
        return result;
    }

    // Of float32 the size of epsilon r, times a power of two and cut off at a bound from which on the result is known.
    template <class B>
    RECTIFIED_INLINE static pair<B> scaled_in_float32(const B &r, const B &epsilon, float scale, float bound) {
        return at_most(bound, product_of(abs(epsilon) * B(scale), distance(r)));
    }
};

struct linear_radial : radial {
    static constexpr const char *name = "linear_radial";
    static constexpr const char *parameters[] = {"epsilon"};
    static constexpr bool piecewise_linear = true;

    template <class B>
    RECTIFIED_INLINE static B value(const B &r, const B &epsilon) {
        using L = std::numeric_limits<typename B::scalar>;
        const B most = select(is_below(L::denorm_min(), epsilon), B(L::max()), B(L::infinity()));  // 0 infinity is 0
        return -epsilon * distance(lesser(most, r));
    }
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &r, const B &epsilon) {
        return select(r >= B(0), -epsilon, distance(r));
    }
    template <class B>
    RECTIFIED_INLINE static B derivative_from_output(const B &y, const B &epsilon) {
        return select(y == y, -epsilon, y);
    }
    template <int Parameter, class B>
    RECTIFIED_INLINE static B derivative_wrt(const B &r, const B &) {
        return -distance(r);
    }
};

// z^3
struct cubic : radial, curved {
    static constexpr const char *name = "cubic";
    static constexpr bool is_short = true;

    // float32, for epsilon = 1. Beyond the bounds the result is infinite.
    template <int N>
    RECTIFIED_INLINE static batch<float, N> value(const batch<float, N> &r) {
        const auto z = distance(lesser(batch<float, N>(0x1p43f), r));
        const auto square = product_of(z, z);
        return fma(z, square.high, z * square.low);
    }
    template <int N>
    RECTIFIED_INLINE static batch<float, N> derivative(const batch<float, N> &r) {
        using B = batch<float, N>;
        const B z = distance(lesser(B(0x1.ep63f), r));
        const pair<B> thrice = product_of(B(3), z);
        return fma(thrice.high, z, thrice.low * z);
    }

    template <class B>
    RECTIFIED_INLINE static B value(const B &r, const B &epsilon) {
        const pair<B> z = scaled(r, epsilon);
        return finished(times(z, z, z));
    }
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &r, const B &epsilon) {
        return slope(r, epsilon, epsilon);
    }
    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &r, const B &epsilon) {
        const raised<B> d(r, epsilon);
        return finished(times(scaled(d.distance, epsilon), product_of(B(6) * epsilon, epsilon))) * d.down;
    }
    template <int Parameter, class B>
    RECTIFIED_INLINE static B derivative_wrt(const B &r, const B &epsilon) {
        return slope(r, epsilon, distance(finite_beside_zero(r, epsilon)));
    }

  private:
    template <class B>
    RECTIFIED_INLINE static B slope(const B &r, const B &epsilon, const B &factor) {
        const pair<B> z = scaled(r, epsilon);
        return finished(times(product_of(B(3), factor), z, z));
    }
};

// -z^5
struct quintic : radial, curved {
    static constexpr const char *name = "quintic";
    static constexpr bool is_short = true;

    // float32, for epsilon = 1. What rounding takes from the square counts twice in the square's square, and is given back,
    // both times, to one of the two. The roundings of that factor and of the result are left: 1 ULP allows one beside the
    // last.
    template <int N>
    RECTIFIED_INLINE static batch<float, N> value(const batch<float, N> &r) {
        using B = batch<float, N>;
        const auto near = [](const B &z, const B &) __attribute__((always_inline)) {
            const pair<B> square = product_of(z, z);
            return fnma(z, square.high, z * B(-2) * square.low) * square.high;
        };
        return up_to(B(0x1p25f), near, through_float64([](const auto &...in) { return value(in...); }), r, B(1));
    }
    template <int N>
    RECTIFIED_INLINE static batch<float, N> derivative(const batch<float, N> &r) {
        using B = batch<float, N>;
        const auto near = [](const B &z, const B &) __attribute__((always_inline)) {
            const pair<B> square = product_of(z, z);
            return fma(square.high, B(-5), square.low * B(-10)) * square.high;
        };
        return up_to(B(0x1p31f), near, through_float64([](const auto &...in) { return derivative(in...); }), r, B(1));
    }

    template <class B>
    RECTIFIED_INLINE static B value(const B &r, const B &epsilon) {
        const pair<B> z = scaled(r, epsilon), square = product_of(z, z);
        return -finished(times(square, square, z));
    }
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &r, const B &epsilon) {
        return slope(r, epsilon, epsilon);
    }
    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &r, const B &epsilon) {
        const pair<B> z = scaled(r, epsilon);
        return -finished(times(product_of(B(20), epsilon), pair<B>{epsilon, B(0)}, z, z, z));
    }
    template <int Parameter, class B>
    RECTIFIED_INLINE static B derivative_wrt(const B &r, const B &epsilon) {
        return slope(r, epsilon, distance(finite_beside_zero(r, epsilon)));
    }

  private:
    template <class B>
    RECTIFIED_INLINE static B slope(const B &r, const B &epsilon, const B &factor) {
        const pair<B> z = scaled(r, epsilon), square = product_of(z, z);
        return -finished(times(product_of(B(5), factor), square, square));
    }
};

// z^2 log(z), which is 0 at 0.
struct thin_plate_spline : radial, curved {
    static constexpr const char *name = "thin_plate_spline";

    // float32, for epsilon = 1. From the bound on the value is infinite.
    template <int N>
    RECTIFIED_INLINE static batch<float, N> value(const batch<float, N> &r) {
        using B = batch<float, N>;
        const raised<B> z(distance(lesser(B(0x1p62f), r)), B(1));
        const pair<B> log = logarithm_of(z.distance, -z.doublings()), square = product_of(z.distance, z.distance);
        const B product = fma(square.high, log.high, fma(square.high, log.low, square.low * log.high));
        return select(r == B(0), B(0), product * z.down * z.down);
    }
    // r (2 log(r) + 1)
    template <int N>
    RECTIFIED_INLINE static batch<float, N> derivative(const batch<float, N> &r) {
        using B = batch<float, N>;
        const raised<B> z(distance(lesser(B(std::numeric_limits<float>::max()), r)), B(1));
        const pair<B> log = logarithm_of(z.distance, -z.doublings()), twice = sum_of_any(log.high + log.high, B(1));
        const B elsewhere = fma(z.distance, twice.high, z.distance * fma(B(2), log.low, twice.low)) * z.down;
        // The root is e^-(1/2), and about it the n-th power has the factor 2 (-1)^n / (n (n - 1) root^(n - 1)).
        constexpr double root = 0.6065306597126334, root_rest = -6.593178415491414e-19;
        static constexpr float bend[] = {1.64872127f,  -0.906093943f, 0.746948178f,
                                         -0.73890561f, 0.812166264f,  -0.956454139f};
        return select(r == B(0), B(0), beside_root(r, constant<B>(root, root_rest), constant<B>(2), bend, elsewhere));
    }

    template <class B>
    RECTIFIED_INLINE static B value(const B &r, const B &epsilon) {
        const pair<B> z = scaled(r, epsilon);
        return beyond_zero(z, times(logarithm(z, raised<B>(B(1), B(1))), z, z));
    }
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &r, const B &epsilon) {
        return slope(r, epsilon, epsilon);
    }
    template <int Parameter, class B>
    RECTIFIED_INLINE static B derivative_wrt(const B &r, const B &epsilon) {
        return slope(r, epsilon, distance(r));
    }

  private:
    template <class B>
    RECTIFIED_INLINE static B slope(const B &r, const B &epsilon, const B &factor) {
        const raised<B> d(r, epsilon);
        const pair<B> z = scaled(d.distance, epsilon), log = logarithm(z, d);
        const pair<B> twice = sum_of_any(log.high + log.high, B(1));
        const pair<B> sum = sum_of(twice.high, twice.low + (log.low + log.low));
        const pair<B> product =
            times(sum, pair<B>{epsilon, B(0)}, pair<B>{factor, B(0)}, pair<B>{distance(d.distance), B(0)});
        return beyond_zero(z, product) * d.down;
    }
    template <class B>
    RECTIFIED_INLINE static B beyond_zero(const pair<B> &z, const pair<B> &result) {
        return select(z.high > B(0), finished(result),
                      select(z.high == B(0), B(0), B(std::numeric_limits<typename B::scalar>::quiet_NaN())));
    }
    // Of z, but for what it was raised by: k log(2) + 2 atanh(s) with s = (m - 1) / (m + 1), where that is m 2^k and m lies
    // between the square roots of 1/2 and 2.
    template <class B>
    RECTIFIED_INLINE static pair<B> logarithm(const pair<B> &z, const raised<B> &by) {
        using I = typename B::integer;
        B scale = B(1), scaled = B(0), most = B(0x1p600);
        if constexpr (!has_spare_digits<B>) {
            most = B(std::numeric_limits<double>::max());
            const auto small = z.high<B(0x1p-900), large = z.high> B(0x1p900);
            scale = select(small, B(0x1p200), select(large, B(0x1p-200), scale));
            scaled = select(small, B(-200), select(large, B(200), scaled)) - by.doublings();
        }
        const B high = lesser(most, z.high) * scale;
        const I bits = I::bits_of(high) - I::bits_of(B(0.7071067811865476));
        const I exponent = bits >> 52;
        const B power = B::bits_of(I::bits_of(B(1)) - (exponent << 52));
        const B count = (B::bits_of(exponent + I::bits_of(B(0x1.8p52))) - B(0x1.8p52)) + scaled;
        const B m = high * power, m_low = z.low * scale * power;
        pair<B> sum = sum_of(B(1), m);
        sum = {sum.high, sum.low + m_low};
        const pair<B> s = quotient_of(pair<B>{m - B(1), m_low}, sum);
        const pair<B> log = twice_atanh(s, 1.0);
        const pair<B> whole = sum_of_any(count * B(0x1.62e42fefa0000p-1), log.high);
        return sum_of(whole.high, whole.low + fma(count, B(0x1.cf79abc9e3b3ap-40), log.low));
    }
};

// e^-z^2
struct gaussian : radial, curved {
    static constexpr const char *name = "gaussian";

    template <class B>
    RECTIFIED_INLINE static B value(const B &r, const B &epsilon) {
        const pair<B> z = scaled(r, epsilon);
        return rounded(power_of(at_most(-format<double>::vanishes, product_of(z, z)))) * B(unit);
    }
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &r, const B &epsilon) {
        return slope(r, epsilon, epsilon);
    }
    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &r, const B &epsilon) {  // 2 epsilon^2 (2 z^2 - 1) e^-z^2
        const pair<B> z = bounded(scaled(r, epsilon)), square = product_of(z, z);
        const pair<B> twice = sum_of_any(square.high + square.high, B(-1));
        const pair<B> factor = sum_of(twice.high, twice.low + (square.low + square.low));
        return beside_zero(z, times(factor, bell(z), product_of(epsilon + epsilon, epsilon)));
    }
    template <int Parameter, class B>
    RECTIFIED_INLINE static B derivative_wrt(const B &r, const B &epsilon) {
        return slope(r, epsilon, distance(r));
    }

    template <int N>
    RECTIFIED_INLINE static batch<float, N> value_in_float32(const batch<float, N> &r, const batch<float, N> &epsilon) {
        const auto e = power_of_square<-40>(scaled_in_float32(r, epsilon, 1, 10.25f));
        return brought_down(e.rounded(), 0x1p-40f);
    }
    template <int N>
    RECTIFIED_INLINE static batch<float, N> derivative_in_float32(const batch<float, N> &r,
                                                                  const batch<float, N> &epsilon) {
        using B = batch<float, N>;
        const pair<B> up = scaled_in_float32(r, epsilon, 0x1p24f, 11 * 0x1p24f);
        const auto e = power_of_square<-80>(pair<B>{up.high * B(0x1p-24f), up.low * B(0x1p-24f)});
        const B twice = abs(epsilon + epsilon);
        return -brought_down(finished(times(up, e.whole(), pair<B>{twice, B(0)})), 0x1p-104f);
    }

  private:
    static constexpr double unit = 0x1p-160, vanishes = 28.5;  // e^-vanishes^2 is 0, even times a large number

    template <int Headroom, class B>
    RECTIFIED_INLINE static exponential<B> power_of_square(const pair<B> &z) {
        const pair<B> square = product_of(z, z);
        return exponential<B>::template of_minus<Headroom>(square.high, square.low);
    }

    template <class B>
    RECTIFIED_INLINE static B slope(const B &r, const B &epsilon, const B &factor) {
        const raised<B> d(r, epsilon);
        const pair<B> z = bounded(scaled(d.distance, epsilon));
        return -beside_zero(z, times(z, bell(z), operand(factor + factor))) * d.down;
    }
    template <class B>
    RECTIFIED_INLINE static B beside_zero(const pair<B> &z, const pair<B> &result) {
        return select(abs(z.high) >= B(vanishes), B(0), finished(result) * B(unit));
    }
    template <class B>
    RECTIFIED_INLINE static pair<B> bounded(const pair<B> &z) {
        const auto inside = abs(z.high) < B(vanishes);
        return {select(inside, z.high, select(z.high == z.high, B(vanishes), z.high)), select(inside, z.low, B(0))};
    }
    // Where the result vanishes it is 1, so that no step is subnormal.
    template <class B>
    RECTIFIED_INLINE static pair<B> bell(const pair<B> &z) {
        return power_of(product_of(z, z) * select(abs(z.high) >= B(vanishes), B(0), B(1)));
    }
    // Times 2^160, with all the digits that the square has.
    template <class B>
    RECTIFIED_INLINE static pair<B> power_of(const pair<B> &square) {
        using D = batch<double, B::registers>;
        const pair<D> e = exponential<D>::template of_minus<-160>(D::bits_of(square.high), D::bits_of(square.low)).whole();
        return with_rest(B::bits_of(e.high), [&] { return B::bits_of(e.low); });
    }
};

// What follows is made of 1 + z^2. Where z is so large that its square may not be a number, and 1 is nothing beside it,
// both are taken times a power of two: z times the root, and the sum times its square. The sign of epsilon is left out.
template <class B>
struct sum_of_squares {
    pair<B> z, square, sum;
    B root, down;  // what z is to be multiplied with, for it may be that of a raised distance

    RECTIFIED_INLINE sum_of_squares(const B &r, const B &epsilon) {
        const raised<B> up(finite_beside_zero(r, epsilon), epsilon);
        const B d = distance(up.distance);
        down = up.down;
        pair<B> product;
        if constexpr (has_spare_digits<B>) {  // and its range
            root = one_ = B(1);
            product = product_of(epsilon, d);
        } else {
            const auto large = abs(epsilon * d) > B(0x1p400), far = d > abs(epsilon);
            root = select(large, B(0x1p-600), B(1));
            one_ = select(large, B(0), B(1));
            product = product_of(select(far, d, epsilon) * root, select(far, epsilon, d));
        }
        const B size = abs(product.high), low = select(size == product.high, product.low, -product.low);
        z = {with_sign_of(lesser(B(0x1p497), size), r), select(size < B(0x1p497), low, B(0))};
        square = product_of(z, z);
        sum = sum_of_any(one_, square.high);
        sum = sum_of(sum.high, sum.low + square.low);
    }

    RECTIFIED_INLINE pair<B> reciprocal() const {
        const B q = B(1) / sum.high;
        return with_rest(q, [&] { return q * fnma(q, sum.low, fnma(q, sum.high, B(1))); });
    }

    RECTIFIED_INLINE pair<B> square_root() const {
        const B s = sqrt(sum.high);
        return with_rest(s, [&] { return (fnma(s, s, sum.high) + sum.low) * (B(0.5) / s); });
    }

    RECTIFIED_INLINE pair<B> reciprocal_root() const {
        const pair<B> s = square_root();
        const B q = B(1) / s.high;
        return with_rest(q, [&] { return q * fnma(q, s.low, fnma(q, s.high, B(1))); });
    }

    // Back down from where z was taken: a power of z in the denominator, for each time that it stands there.
    RECTIFIED_INLINE pair<B> lowered(const pair<B> &a) const { return {a.high * root, a.low * root}; }

    // a z^2 - b, which may be near 0.
    RECTIFIED_INLINE pair<B> less(double a, double b) const {
        const pair<B> product = product_of(B(a), square);
        const pair<B> difference = sum_of_any(product.high, B(-b) * one_);
        return sum_of(difference.high, difference.low + product.low);
    }

  private:
    B one_;
};

// The same of float32, for an epsilon of usual size: unit + t^2, where t is z times the root of the unit, a power of two.
template <class B>
RECTIFIED_INLINE B sum_in_float32(const pair<B> &t, float unit) {
    return fma(t.high, t.high, fma(t.high + t.high, t.low, B(unit)));
}

// And what it lacks, from both sides of the sum as in sum_of_any.
template <class B>
RECTIFIED_INLINE pair<B> whole_sum_in_float32(const pair<B> &t, float unit) {
    const B sum = fma(t.high, t.high, B(unit)), part = sum - B(unit);
    const B lost = fma(t.high, t.high, -part) + (B(unit) - (sum - part));
    return {sum, fma(t.high + t.high, t.low, lost)};
}

// Its root, and what the square of that lacks to it.
template <class B>
struct root_in_float32 {
    B root, rest;

    RECTIFIED_INLINE root_in_float32(const pair<B> &t, float unit) {
        const B sum = sum_in_float32(t, unit);
        root = sqrt(sum);
        rest = fnma(root, root, sum);
    }
};

// 1 / (1 + z^2)
struct inverse_quadratic : radial, curved {
    static constexpr const char *name = "inverse_quadratic";
    static constexpr bool is_short = true;

    // For epsilon = 1.
    template <int N>
    RECTIFIED_INLINE static batch<float, N> value(const batch<float, N> &r) {
        using B = batch<float, N>;
        const auto near = [](const B &z, const B &)
                              __attribute__((always_inline)) { return quick_reciprocal(fma(z, z, B(1))); };
        return up_to(B(0x1p63f), near, through_float64([](const auto &...in) { return value(in...); }), r, B(1));
    }
    // -z / (s^2 / 2) with s = 1 + z^2. Up to 2^24 the sum less one is exact, and so is what the sum has lost.
    template <int N>
    RECTIFIED_INLINE static batch<float, N> derivative(const batch<float, N> &r) {
        using B = batch<float, N>;
        const auto near = [](const B &z, const B &) __attribute__((always_inline)) {
            const B sum = fma(z, z, B(1)), lost = fma(z, z, B(1) - sum);
            const B divisor = fma(sum, sum * B(0.5f), sum * lost), reciprocal = quick_reciprocal(divisor);
            const B quotient = z * reciprocal;
            return fnma(fnma(quotient, divisor, z), reciprocal, -quotient);
        };
        return up_to(B(0x1p12f), near, through_float64([](const auto &...in) { return derivative(in...); }), r, B(1));
    }

    template <class B>
    RECTIFIED_INLINE static B value(const B &r, const B &epsilon) {
        const sum_of_squares<B> sum(r, epsilon);
        return rounded(sum.reciprocal()) * sum.root * sum.root;
    }
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &r, const B &epsilon) {
        return slope(r, epsilon, abs(epsilon));
    }
    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &r, const B &epsilon) {  // epsilon^2 (6 z^2 - 2) q^3
        const sum_of_squares<B> sum(r, epsilon);
        const pair<B> q = sum.reciprocal(), factor = product_of(operand(abs(epsilon)), sum.lowered(sum.lowered(q)));
        return finished(times(sum.less(6, 2), q, factor, factor));
    }
    template <int Parameter, class B>
    RECTIFIED_INLINE static B derivative_wrt(const B &r, const B &epsilon) {
        return slope(r, epsilon, with_sign_of(operand(distance(r)).high, epsilon));
    }

    template <int N>
    RECTIFIED_INLINE static batch<float, N> value_in_float32(const batch<float, N> &r, const batch<float, N> &epsilon) {
        using B = batch<float, N>;
        const pair<B> sum = whole_sum_in_float32(scaled_in_float32(r, epsilon, 0x1p-20f, 0x1p63f), 0x1p-40f);
        const B q = quick_reciprocal(sum.high);
        return fnma(q * sum.low, q, q) * B(0x1p-40f);
    }
    template <int N>
    RECTIFIED_INLINE static batch<float, N> derivative_in_float32(const batch<float, N> &r,
                                                                  const batch<float, N> &epsilon) {
        using B = batch<float, N>;
        const pair<B> up = scaled_in_float32(r, epsilon, 0x1p24f, 0x1p84f);
        const pair<B> sum = whole_sum_in_float32(pair<B>{up.high * B(0x1p-24f), up.low * B(0x1p-24f)}, 1);
        const B high = B(1) / sum.high;
        const pair<B> q = {high, high * fnma(high, sum.low, fnma(high, sum.high, B(1)))};
        return -finished(times(product_of(abs(epsilon + epsilon), up), q, q)) * B(0x1p-24f);
    }

  private:
    template <class B>
    RECTIFIED_INLINE static B slope(const B &r, const B &epsilon, const B &factor) {  // -2 factor z q^2
        const sum_of_squares<B> sum(r, epsilon);
        const pair<B> q = sum.lowered(sum.reciprocal());  // the square of q may be too large for a number
        return finished(times(sum.z, q, operand(factor), q)) * sum.root * (B(-2) * sum.down);
    }
};

// 1 / sqrt(1 + z^2)
struct inverse_multiquadric : radial, curved {
    static constexpr const char *name = "inverse_multiquadric";
    static constexpr bool is_short = true;

    // For epsilon = 1. 1 / sqrt(s) = q (1 + (1 - s q^2) / 2), where two roundings have left q a little off.
    template <int N>
    RECTIFIED_INLINE static batch<float, N> value(const batch<float, N> &r) {
        using B = batch<float, N>;
        const auto near = [](const B &z, const B &) __attribute__((always_inline)) {
            const B sum = fma(z, z, B(1)), q = quick_root(sum).reciprocal;
            return fma(q * B(0.5f), fnma(sum * q, q, B(1)), q);
        };
        return up_to(B(0x1p62f), near, through_float64([](const auto &...in) { return value(in...); }), r, B(1));
    }
    template <int N, road Road = beside_others>
    RECTIFIED_INLINE static batch<float, N> derivative(const batch<float, N> &r, const Road &road = {}) {
        using B = batch<float, N>;
        const auto anywhere = [](const auto &d) { return -derivative_in_float32(d, std::decay_t<decltype(d)>(1)); };
        const B d = distance(r);
        return -with_sign_of(in_the_middle<inverse_multiquadric_slope_near_table>(anywhere, d, road), d);
    }

    template <class B>
    RECTIFIED_INLINE static B value(const B &r, const B &epsilon) {
        const sum_of_squares<B> sum(r, epsilon);
        return unless_infinite(finite_beside_zero(r, epsilon), rounded(sum.reciprocal_root()) * sum.root);
    }
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &r, const B &epsilon) {
        return slope(r, epsilon, abs(epsilon));
    }
    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &r, const B &epsilon) {  // epsilon^2 (2 z^2 - 1) q^5
        const sum_of_squares<B> sum(r, epsilon);
        const pair<B> q = sum.reciprocal_root(), low = sum.lowered(q), factor = product_of(operand(abs(epsilon)), low);
        return finished(times(sum.less(2, 1), q, q, factor, low, factor));
    }
    template <int Parameter, class B>
    RECTIFIED_INLINE static B derivative_wrt(const B &r, const B &epsilon) {
        return slope(r, epsilon, with_sign_of(distance(r), epsilon));
    }

    template <int N>
    RECTIFIED_INLINE static batch<float, N> value_in_float32(const batch<float, N> &r, const batch<float, N> &epsilon) {
        using B = batch<float, N>;
        const pair<B> t = scaled_in_float32(r, epsilon, 0x1p-30f, 0x1p126f);
        const root_in_float32<B> s(t, 0x1p-60f);
        const auto far = t.high > B(1);  // there 1 is nothing beside the square
        const B root = select(far, t.high, s.root), q = quick_reciprocal(root);
        const B low = select(far, t.low, s.rest * B(0.5f) * q);
        return fma(q, fnma(q, low, fnma(q, root, B(1))), q) * B(0x1p-30f);
    }
    template <int N>
    RECTIFIED_INLINE static batch<float, N> derivative_in_float32(const batch<float, N> &r,
                                                                  const batch<float, N> &epsilon) {
        using B = batch<float, N>;
        const pair<B> up = scaled_in_float32(r, epsilon, 0x1p24f, 0x1p108f);
        const pair<B> sum = whole_sum_in_float32(pair<B>{up.high * B(0x1p-54f), up.low * B(0x1p-54f)}, 0x1p-60f);
        const B root = sqrt(sum.high), high = B(1) / root;
        const B rest = fma(fnma(root, root, sum.high) + sum.low, high * B(-0.5f), fnma(high, root, B(1)) * root);
        const pair<B> q = {high * B(0x1p-30f), high * rest * high * B(0x1p-30f)};
        return -finished(times(product_of(abs(epsilon), up), q, q, q)) * B(0x1p-24f);
    }

  private:
    template <class B>
    RECTIFIED_INLINE static B unless_infinite(const B &r, const B &result) {
        return select(r == B(std::numeric_limits<double>::infinity()), B(0), result);
    }
    template <class B>
    RECTIFIED_INLINE static B slope(const B &r, const B &epsilon, const B &factor) {  // -factor z q^3
        const sum_of_squares<B> sum(r, epsilon);
        const pair<B> q = sum.reciprocal_root(), low = sum.lowered(q);
        return -unless_infinite(r, finished(times(q, sum.z, operand(factor), low, low)) * sum.down);
    }
};

// -sqrt(1 + z^2)
struct multiquadric : radial, curved {
    static constexpr const char *name = "multiquadric";
    static constexpr bool is_short = true;

    // For epsilon = 1.
    template <int N>
    RECTIFIED_INLINE static batch<float, N> value(const batch<float, N> &r) {
        using B = batch<float, N>;
        const auto near = [](const B &z, const B &)
                              __attribute__((always_inline)) { return -quick_root(fma(z, z, B(1))).root; };
        return up_to(B(0x1p62f), near, through_float64([](const auto &...in) { return value(in...); }), r, B(1));
    }
    // -z / sqrt(1 + z^2), with q as above.
    template <int N>
    RECTIFIED_INLINE static batch<float, N> derivative(const batch<float, N> &r) {
        using B = batch<float, N>;
        const auto near = [](const B &z, const B &) __attribute__((always_inline)) {
            const B sum = fma(z, z, B(1)), q = quick_root(sum).reciprocal;
            const B rest = fnma(sum * q, q, B(1)), half = z * B(-0.5f);
            return fnma(z, q, half * (q * rest));
        };
        return up_to(B(0x1p62f), near, through_float64([](const auto &...in) { return derivative(in...); }), r, B(1));
    }

    template <class B>
    RECTIFIED_INLINE static B value(const B &r, const B &epsilon) {
        const sum_of_squares<B> sum(r, epsilon);
        return -(rounded(sum.square_root()) / sum.root);
    }
    template <class B>
    RECTIFIED_INLINE static B derivative(const B &r, const B &epsilon) {
        return slope(r, epsilon, abs(epsilon));
    }
    template <class B>
    RECTIFIED_INLINE static B second_derivative(const B &r, const B &epsilon) {  // -epsilon^2 q^3
        const sum_of_squares<B> sum(r, epsilon);
        const pair<B> q = sum.lowered(sum.reciprocal_root()), factor = product_of(operand(abs(epsilon)), q);
        return -finished(times(factor, q, factor));
    }
    template <int Parameter, class B>
    RECTIFIED_INLINE static B derivative_wrt(const B &r, const B &epsilon) {
        return slope(r, epsilon, with_sign_of(distance(finite_beside_zero(r, epsilon)), epsilon));
    }

    template <int N>
    RECTIFIED_INLINE static batch<float, N> value_in_float32(const batch<float, N> &r, const batch<float, N> &epsilon) {
        using B = batch<float, N>;
        const pair<B> t = product_of(abs(epsilon) * B(0x1p-30f), distance(r));
        return select(t.high > B(1), t.high, sqrt(sum_in_float32(t, 0x1p-60f))) * B(-0x1p30f);
    }
    template <int N>
    RECTIFIED_INLINE static batch<float, N> derivative_in_float32(const batch<float, N> &r,
                                                                  const batch<float, N> &epsilon) {
        using B = batch<float, N>;
        const pair<B> up = scaled_in_float32(r, epsilon, 0x1p24f, 0x1p54f), product = product_of(abs(epsilon), up);
        const root_in_float32<B> s(up, 0x1p48f);
        const B q = B(1) / s.root, slope = product.high * q;
        const B low = s.rest * B(0.5f) * q;
        const B rest = fnma(slope, low, fnma(slope, s.root, product.high)) + product.low;
        return -finished(pair<B>{slope, rest * q});
    }

  private:
    template <class B>
    RECTIFIED_INLINE static B slope(const B &r, const B &epsilon, const B &factor) {  // -factor z q
        const sum_of_squares<B> sum(r, epsilon);
        return -(finished(times(sum.reciprocal_root(), sum.z, pair<B>{factor, B(0)})) * sum.down);
    }
};

}  // namespace rectified::RECTIFIED_TARGET
