// Powers of e for sums of them: beside a common factor, so that none overflows.
#pragma once

#include "elementary.hpp"

namespace rectified::RECTIFIED_TARGET {

// A sum is taken in float64, or, of float64, in pairs.
template <class B>
using wide_of = batch<double, std::is_same_v<typename B::scalar, float> ? 2 * B::registers : B::registers>;

namespace single {

// The lower or (Half 1) the upper half of a register of float32, and a register of two halves. GCC would take four steps
// for one.
template <int Half>
RECTIFIED_INLINE register_t<double> half_widened(register_t<float> x) {
#if defined(__AVX512F__)
    const __m512d bits = _mm512_castps_pd((__m512)x);
    return (register_t<double>)_mm512_cvtps_pd(_mm256_castpd_ps(_mm512_extractf64x4_pd(bits, Half)));
#elif defined(__AVX__)
    return (register_t<double>)_mm256_cvtps_pd(_mm256_extractf128_ps((__m256)x, Half));
#elif defined(__x86_64__)
    return (register_t<double>)_mm_cvtps_pd(Half ? _mm_movehl_ps((__m128)x, (__m128)x) : (__m128)x);
#else
    register_t<double> result;
    constexpr int lanes = register_bytes / sizeof(double);
    for (int i = 0; i < lanes; ++i) result[i] = x[Half * lanes + i];
    return result;
#endif
}
RECTIFIED_INLINE register_t<float> halves_narrowed(register_t<double> low, register_t<double> high) {
#if defined(__AVX512F__)
    const __m512d first = _mm512_castps_pd(_mm512_castps256_ps512(_mm512_cvtpd_ps((__m512d)low)));
    return (register_t<float>)_mm512_insertf64x4(first, _mm256_castps_pd(_mm512_cvtpd_ps((__m512d)high)), 1);
#elif defined(__AVX__)
    return (register_t<float>)_mm256_set_m128(_mm256_cvtpd_ps((__m256d)high), _mm256_cvtpd_ps((__m256d)low));
#elif defined(__x86_64__)
    return (register_t<float>)_mm_movelh_ps(_mm_cvtpd_ps((__m128d)low), _mm_cvtpd_ps((__m128d)high));
#else
    register_t<float> result;
    constexpr int lanes = register_bytes / sizeof(double);
    for (int i = 0; i < 2 * lanes; ++i) result[i] = static_cast<float>(i < lanes ? low[i] : high[i - lanes]);
    return result;
#endif
}

}  // namespace single

// With a D of fewer lanes, the first of them.
template <class B, class D = wide_of<B>>
RECTIFIED_INLINE D widened(const B &x) {
    if constexpr (std::is_same_v<typename B::scalar, double>)
        return x;
    else
        return D::each(
            [&](int i) { return i % 2 ? single::half_widened<1>(x.part[i / 2]) : single::half_widened<0>(x.part[i / 2]); });
}

// With a D of fewer lanes, all again.
template <class B, class D>
RECTIFIED_INLINE B narrowed(const D &x) {
    constexpr int registers = D::registers;
    if constexpr (std::is_same_v<typename B::scalar, double>)
        return x;
    else
        return B::each(
            [&](int i) { return single::halves_narrowed(x.part[2 * i % registers], x.part[(2 * i + 1) % registers]); });
}

template <class B>
RECTIFIED_INLINE void add(pair<wide_of<B>> &sum, const wide_of<B> &term) {
    if constexpr (std::is_same_v<B, wide_of<B>>) {
        const auto next = sum_of_any(sum.high, term);
        sum = {next.high, sum.low + next.low};
    } else {
        sum.high = sum.high + term;
    }
}

// A polynomial by its even and odd terms together: half as many steps one after the other.
template <class B, class T, std::size_t Count>
RECTIFIED_INLINE B polynomial_in_pairs(const T (&c)[Count], const B &x, const B &square) {
    B sum = Count % 2 ? B(c[Count - 1]) : fma(B(c[Count - 1]), x, B(c[Count - 2]));
    for (int i = int(Count - 1) / 2 * 2 - 2; i >= 0; i -= 2) sum = fma(sum, square, fma(B(c[i + 1]), x, B(c[i])));
    return sum;
}

// e^x 2^(headroom - shift), in float32 times the same c for all x, for |x| < far and up to 32 above m, where e^m 2^-shift
// is near 1: what is left of m is a power of two. What lies so far below m that even many such numbers vanish beside it is
// cut off.
template <class B>
class small_powers {
  protected:
    using T = typename B::scalar;
    using I = typename B::integer;
    using table = exponential_table<T>;
    static constexpr bool is_float = std::is_same_v<T, float>;

  public:
    static constexpr T far = is_float ? 512 : 4096, unit = is_float ? T(0x1p-60) : T(0x1p-100);  // 2^-headroom

    small_powers() = default;
    RECTIFIED_INLINE explicit small_powers(const B &m) : lowest_(m + B(vanishes)) {
        const B shift = fma(m, B(per_unit / steps), B(round)) - B(round);
        round_ = B(round + (headroom + bias) * steps) - shift * B(steps);
    }

    // A power, unrounded: (1 + less) unit, where unit is 2^k, or, of float32, c 2^(k/8). The product keeps NaN, which an
    // addition to the exponent would not.
    struct power {
        B less, unit;
        RECTIFIED_INLINE B rounded() const { return fma(less, unit, unit); }
        RECTIFIED_INLINE pair<B> whole() const {
            const B high = rounded();
            return {high, fma(less, unit, unit - high)};
        }
    };

    // In two steps, for they are long.
    struct reduced {
        B r, unit;
    };
    RECTIFIED_INLINE reduced reduce(const B &x) const {
        const B s = greater(lowest_, x), shifted = fma(s, B(per_unit), round_), count = shifted - round_;
        return {fma(count, B(-step_low), fma(count, B(-step_high), s)), power_of_step(I::bits_of(shifted))};
    }
    RECTIFIED_INLINE static power of(const reduced &a) {
        const B square = a.r * a.r;
        return {fma(square, polynomial_in_pairs(tail(), a.r, square), a.r), a.unit};
    }

    RECTIFIED_INLINE power of(const B &x) const { return of(reduce(x)); }

    // Times this a power is e^x 2^-shift.
    RECTIFIED_INLINE static pair<B> plain() {
        if constexpr (is_float)
            return constant<B>(unit / table::ratio_factor);
        else
            return {B(unit), B(0)};
    }

  protected:
    static constexpr T vanishes = is_float ? -128 : -770, headroom = is_float ? 60 : 100;
    static constexpr T bias = is_float ? 0 : 1023;  // the table has its own
    static constexpr int steps = is_float ? table::steps : 1,
                         places = format<T>::mantissa - std::countr_zero(unsigned(steps));
    static constexpr T round = format<T>::round, per_unit = table::steps_per_unit / (table::steps / steps);
    static constexpr T step_high = table::step_high * (table::steps / steps),
                       step_low = table::step_low * (table::steps / steps);

    // From the low bits of `shifted`; those of `round` fall off. Of float32 the table has c 2^(k/8) to no more digits than
    // one number: powers are divided by their sum, and with this c that is wrong by almost the same.
    RECTIFIED_INLINE static B power_of_step(const I &count) {
        if constexpr (is_float)
            return B::bits_of(I::bits_of(lookup<B>(table::ratio_power, count)) + (count << places));
        else
            return B::bits_of(count << places);
    }
    static constexpr auto &tail() {
        if constexpr (is_float)
            return table::ratio_tail;
        else
            return table::whole_tail;
    }

    B lowest_, round_;
};

// The same for any x, with e^(x - origin): the origin is 0, or, where m is large, m itself. In both cases the difference is
// exact for every x that counts. Where m is infinite, numbers equal to it have the power 1, and others vanish.
template <class B>
class powers_beside : public small_powers<B> {
    using small = small_powers<B>;
    using typename small::T;
    static constexpr T infinity = std::numeric_limits<T>::infinity(), largest = std::numeric_limits<T>::max();

  public:
    using typename small::reduced;
    powers_beside() = default;
    RECTIFIED_INLINE explicit powers_beside(const B &m) {
        const auto up = m == B(infinity), down = m == B(-infinity);
        const B middle = select(up, B(largest), select(down, B(0), m));
        origin_ = select(abs(middle) >= B(small::far), middle, B(0));
        scale_ = select(up, B(0.5), B(1));
        static_cast<small &>(*this) = small(middle - origin_);
        this->lowest_ = select(down, B(0), this->lowest_);
        highest_ = select(up, B(0), B(infinity));
    }

    // Where m is small it takes less.
    static bool is_small(const B &m) { return !any(abs(m) >= B(small::far)); }
    const small &of_small() const { return *this; }

    RECTIFIED_INLINE reduced reduce(const B &x) const { return small::reduce(lesser(highest_, fma(x, scale_, -origin_))); }
    using small::of;
    RECTIFIED_INLINE auto of(const B &x) const { return small::of(reduce(x)); }

  private:
    B origin_, scale_, highest_;
};

// A sum of powers, to more digits than they have: beside a number that is larger than each of them it is known exactly what
// rounding takes away (Dekker).
template <class B>
class total {
  public:
    RECTIFIED_INLINE explicit total(const B &larger) : beside_(larger), high_(larger) {}

    // Adds a power, of which `rounded` is what it says.
    template <class Power>
    RECTIFIED_INLINE void add(const Power &x, const B &rounded) {
        const B sum = high_ + rounded;
        low_ = low_ + fma(x.less, x.unit, x.unit - (sum - high_));
        high_ = sum;
    }

    RECTIFIED_INLINE pair<B> sum() const {
        const pair<B> added = sum_of(high_, -beside_);
        return sum_of_any(added.high, added.low + low_);
    }

  private:
    B beside_, high_, low_ = B(0);
};

// 1 + x as a mantissa of 1 and more, and how often that is doubled, for x >= 0.
template <class D>
struct one_plus {
    using I = typename D::integer;
    pair<D> sum;
    D mantissa, doublings, down;

    RECTIFIED_INLINE explicit one_plus(const D &x) : sum(sum_of_any(D(1), x)) {
        const I bits = I::bits_of(sum.high), one = I::bits_of(D(1)), exponent = (bits >> 52) - (one >> 52);
        mantissa = D::bits_of((bits & I((std::int64_t(1) << 52) - 1)) | one);
        doublings = D::bits_of(exponent + I::bits_of(D(0x1.8p52))) - D(0x1.8p52);
        down = D::bits_of(one - (exponent << 52));
    }
};

inline constexpr double log_of_2 = 0x1.62e42fefa39efp-1, log_of_2_low = 0x1.abc9e3b39803fp-56;

// log(1 + x / y) for x >= 0 and y > 0: but for the doublings, it is 2 atanh of one quotient.
template <class D>
RECTIFIED_INLINE D log_of_one_plus_quotient(const D &x, const D &y) {
    using I = typename D::integer;
    const auto small = x < y;
    const D sum = x + y;
    const I exponents = I(0x7ffll << 52), ratio = (I::bits_of(sum) & exponents) - (I::bits_of(y) & exponents);
    const I steps = select(small, I(0), ratio), one = I::bits_of(D(1));
    const D part = sum * D::bits_of(one - steps);
    const D s = select(small, x, part - y) / (part + y), square = s * s;
    const D log = fma(s * square, polynomial_in_pairs(logarithm_table<double>::tail, square, square * square), s + s);
    const D doublings = D::bits_of((steps >> 52) + I::bits_of(D(0x1.8p52))) - D(0x1.8p52);
    return fma(doublings, D(log_of_2), log);
}

// log(1 + x) for x >= 0.
template <class D>
RECTIFIED_INLINE pair<D> log_of_one_plus_any(const pair<D> &x) {
    const one_plus<D> sum(x.high);
    const auto small = x.high < D(1), plain = x.high <= D(std::numeric_limits<double>::max());
    const pair<D> part = log_of_one_plus(
        pair<D>{select(small, x.high, sum.mantissa - D(1)), select(small, x.low, (sum.sum.low + x.low) * sum.down)});
    const pair<D> whole = product_of(sum.doublings, pair<D>{D(log_of_2), D(log_of_2_low)});
    const pair<D> both = sum_of(whole.high, part.high);
    const D high = select(small, part.high, both.high);
    const D low = select(small, part.low, both.low + (whole.low + part.low));
    return {select(plain, high, x.high), select(plain, low, D(0))};
}

}  // namespace rectified::RECTIFIED_TARGET
