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

template <class B>
RECTIFIED_INLINE wide_of<B> widened(const B &x) {
    if constexpr (std::is_same_v<typename B::scalar, double>)
        return x;
    else
        return wide_of<B>::each(
            [&](int i) { return i % 2 ? single::half_widened<1>(x.part[i / 2]) : single::half_widened<0>(x.part[i / 2]); });
}

template <class B>
RECTIFIED_INLINE B narrowed(const wide_of<B> &x) {
    if constexpr (std::is_same_v<typename B::scalar, double>)
        return x;
    else
        return B::each([&](int i) { return single::halves_narrowed(x.part[2 * i], x.part[2 * i + 1]); });
}

// e^(x - origin) 2^(headroom - shift) for x up to 32 above m, where e^(m - origin) 2^-shift is near 1.
//
// The origin is 0, or, where m is large, m itself: in both cases the difference is exact for every x that counts, and what
// is left of m is a power of two. What lies so far below m that even many such numbers vanish beside it is cut off.
template <class B>
class powers_beside {
    using T = typename B::scalar;
    using D = wide_of<B>;
    static constexpr bool is_float = std::is_same_v<T, float>;

  public:
    static constexpr T unit = is_float ? T(0x1p-60) : T(0x1p-100);  // 2^-headroom
    B origin;

    powers_beside() = default;
    RECTIFIED_INLINE explicit powers_beside(const B &m)
        : origin(select(abs(m) >= B(far), m, B(0))), lowest_((m - origin) + B(vanishes)) {
        shift_ = fma(m - origin, B(per_unit), B(round)) - B(round);
        round_ = (B(round) + B(headroom)) - shift_;
    }

    RECTIFIED_INLINE B of(const B &x) const {
        const reduced a(*this, x);
        return (a.less_one + B(1)) * a.power;
    }

    // With what rounding it took away.
    RECTIFIED_INLINE pair<B> pair_of(const B &x) const {
        const reduced a(*this, x);
        const B sum = a.less_one + B(1);
        return {sum * a.power, (a.less_one - (sum - B(1))) * a.power};
    }

    // In more digits than are in a number.
    RECTIFIED_INLINE pair<D> wide_of_number(const B &x) const {
        if constexpr (is_float) {
            const D rest = fnma(widened(shift_), D(0.693147180559945309), widened(x - origin));
            return {powers_beside<D>(D(0)).of(rest) * D(powers_beside<D>::unit / double(unit)), D(0)};
        } else {
            return pair_of(x);
        }
    }

  private:
    using table = exponential_table<T>;
    static constexpr T far = is_float ? 512 : 4096, vanishes = is_float ? -128 : -770, headroom = is_float ? 60 : 100;
    static constexpr T round = format<T>::round;
    static constexpr T per_unit = table::steps_per_unit / 16;
    static constexpr T log_2_high = table::step_high * 16, log_2_low = table::step_low * 16;

    // A polynomial by its even and odd terms together: half as many steps one after the other.
    template <std::size_t Count>
    RECTIFIED_INLINE static B in_pairs(const T (&c)[Count], const B &x, const B &square) {
        B sum = Count % 2 ? B(c[Count - 1]) : fma(B(c[Count - 1]), x, B(c[Count - 2]));
        for (int i = int(Count - 1) / 2 * 2 - 2; i >= 0; i -= 2) sum = fma(sum, square, fma(B(c[i + 1]), x, B(c[i])));
        return sum;
    }

    struct reduced {
        B less_one, power;  // the product with power keeps NaN, which an addition to the exponent would not

        RECTIFIED_INLINE reduced(const powers_beside &beside, const B &x) {
            using I = typename B::integer;
            const B s = greater(beside.lowest_, x - beside.origin);
            const B shifted = fma(s, B(per_unit), beside.round_), count = shifted - beside.round_;
            const B r = fma(count, B(-log_2_low), fma(count, B(-log_2_high), s));
            power = B::bits_of(I::bits_of(B(1)) + (I::bits_of(shifted) << format<T>::mantissa));
            less_one = fma(r * r, in_pairs(table::whole_tail, r, r * r), r);
        }
    };

    B lowest_, round_, shift_;
};

// A sum of many positive numbers, to more digits than they have.
template <class B>
class total {
    using D = wide_of<B>;

  public:
    RECTIFIED_INLINE void add(const pair<B> &x) {
        if constexpr (std::is_same_v<typename B::scalar, float>) {
            high_ = high_ + widened(x.high);
        } else {
            const pair<B> next = sum_of_any(high_, x.high);
            high_ = next.high;
            low_ = low_ + next.low;
        }
        low_ = low_ + x.low;
    }

    RECTIFIED_INLINE void scale(const D &factor) {
        high_ = high_ * factor;
        low_ = low_ * narrowed<B>(factor);
    }

    RECTIFIED_INLINE pair<D> sum() const { return {high_, widened(low_)}; }

  private:
    D high_ = D(0);
    B low_ = B(0);
};

// log(1 + x) for x >= 0.
template <class D>
RECTIFIED_INLINE pair<D> log_of_one_plus_any(const pair<D> &x) {
    using I = typename D::integer;
    const pair<D> sum = sum_of_any(D(1), x.high);
    const I bits = I::bits_of(sum.high), one = I::bits_of(D(1)), exponent = (bits >> 52) - (one >> 52);
    const D mantissa = D::bits_of((bits & I((std::int64_t(1) << 52) - 1)) | one);
    const D count = D::bits_of(exponent + I::bits_of(D(0x1.8p52))) - D(0x1.8p52);
    const D down = D::bits_of(one - (exponent << 52));
    const auto small = x.high < D(1);
    const pair<D> part =
        log_of_one_plus(pair<D>{select(small, x.high, mantissa - D(1)), select(small, x.low, (sum.low + x.low) * down)});
    const pair<D> whole = product_of(count, pair<D>{D(0x1.62e42fefa39efp-1), D(0x1.abc9e3b39803fp-56)});
    const pair<D> both = sum_of(whole.high, part.high);
    const auto plain = x.high <= D(std::numeric_limits<double>::max());
    const D high = select(small, part.high, both.high);
    const D low = select(small, part.low, both.low + (whole.low + part.low));
    return {select(plain, high, x.high), select(plain, low, D(0))};
}

}  // namespace rectified::RECTIFIED_TARGET
