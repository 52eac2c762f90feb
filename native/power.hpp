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

// Whether a condition holds in any lane.
template <class I>
RECTIFIED_INLINE bool any(const I &condition) {
    std::int64_t found = 0;
    I::visit([&](int i) {
        const auto part = (register_t<std::int64_t>)condition.part[i];
        for (int k = 0; k < register_bytes / 8; ++k) found |= part[k];
    });
    return found != 0;
}

// e^(x - origin) 2^(headroom - shift) for x up to 32 above m, where e^(m - origin) 2^-shift is near 1.
//
// The origin is 0, or, where m is large, m itself: in both cases the difference is exact for every x that counts, and what
// is left of m is a power of two. What lies so far below m that even many such numbers vanish beside it is cut off. Where m
// is infinite, numbers equal to it have the power 1, and others vanish.
template <class B>
class powers_beside {
    using T = typename B::scalar;
    using I = typename B::integer;
    static constexpr bool is_float = std::is_same_v<T, float>;
    static constexpr T infinity = std::numeric_limits<T>::infinity(), largest = std::numeric_limits<T>::max();

  public:
    static constexpr T unit = is_float ? T(0x1p-60) : T(0x1p-100);  // 2^-headroom

    powers_beside() = default;
    RECTIFIED_INLINE explicit powers_beside(const B &m) {
        const auto up = m == B(infinity), down = m == B(-infinity);
        const B middle = select(up, B(largest), select(down, B(0), m));
        origin_ = select(abs(middle) >= B(far), middle, B(0));
        scale_ = select(up, B(0.5), B(1));
        const B distance = middle - origin_;
        lowest_ = select(down, B(0), distance + B(vanishes));
        highest_ = select(up, B(0), B(infinity));
        const B shift = fma(distance, B(per_unit), B(round)) - B(round);
        round_ = (B(round) + B(headroom)) - shift;
        plain_ = !any((abs(m) >= B(far)));
    }

    // Whether all origins are 0: then it takes less.
    bool are_plain() const { return plain_; }

    template <bool Plain = false>
    RECTIFIED_INLINE B of(const B &x) const {
        const reduced a(*this, bounded<Plain>(x));
        return fma(a.less_one, a.power, a.power);
    }

    // With what rounding it took away.
    RECTIFIED_INLINE pair<B> pair_of(const B &x) const {
        const reduced a(*this, bounded<false>(x));
        const B sum = a.less_one + B(1);
        return {sum * a.power, (a.less_one - (sum - B(1))) * a.power};
    }

  private:
    using table = exponential_table<T>;
    static constexpr T far = is_float ? 512 : 4096, vanishes = is_float ? -128 : -770, headroom = is_float ? 60 : 100;
    static constexpr T round = format<T>::round;
    static constexpr T per_unit = table::steps_per_unit / 16;
    static constexpr T log_2_high = table::step_high * 16, log_2_low = table::step_low * 16;

    template <bool Plain>
    RECTIFIED_INLINE B bounded(const B &x) const {
        return greater(lowest_, Plain ? x : lesser(highest_, fma(x, scale_, -origin_)));
    }

    // A polynomial by its even and odd terms together: half as many steps one after the other.
    template <std::size_t Count>
    RECTIFIED_INLINE static B in_pairs(const T (&c)[Count], const B &x, const B &square) {
        B sum = Count % 2 ? B(c[Count - 1]) : fma(B(c[Count - 1]), x, B(c[Count - 2]));
        for (int i = int(Count - 1) / 2 * 2 - 2; i >= 0; i -= 2) sum = fma(sum, square, fma(B(c[i + 1]), x, B(c[i])));
        return sum;
    }

    struct reduced {
        B less_one, power;  // the product with power keeps NaN, which an addition to the exponent would not

        RECTIFIED_INLINE reduced(const powers_beside &beside, const B &s) {
            const B shifted = fma(s, B(per_unit), beside.round_), count = shifted - beside.round_;
            const B r = fma(count, B(-log_2_low), fma(count, B(-log_2_high), s)), square = r * r;
            power = B::bits_of(I::bits_of(B(1)) + (I::bits_of(shifted) << format<T>::mantissa));
            less_one = fma(square, in_pairs(table::whole_tail, r, square), r);
        }
    };

    B origin_, scale_, lowest_, highest_, round_;
    bool plain_;
};

// A sum of many positive numbers, to more digits than they have.
template <class B>
class total {
    using D = wide_of<B>;

  public:
    RECTIFIED_INLINE void add(const B &x) {
        if constexpr (std::is_same_v<B, D>) {
            const pair<B> next = sum_of_any(sum_.high, x);
            sum_ = {next.high, sum_.low + next.low};
        } else {
            sum_.high = sum_.high + widened(x);
        }
    }

    RECTIFIED_INLINE void scale(const D &factor) { sum_ = {sum_.high * factor, sum_.low * factor}; }

    RECTIFIED_INLINE pair<D> sum() const { return sum_; }

  private:
    pair<D> sum_ = {D(0), D(0)};
};

// log(1 + x) for x >= 0: in pairs, or in plain float64, which has digits enough for float32.
template <bool Pairs, class D>
RECTIFIED_INLINE pair<D> log_of_one_plus_any(const pair<D> &x) {
    using I = typename D::integer;
    const D log_2 = D(0x1.62e42fefa39efp-1), log_2_low = D(0x1.abc9e3b39803fp-56);
    const pair<D> sum = sum_of_any(D(1), x.high);
    const I bits = I::bits_of(sum.high), one = I::bits_of(D(1)), exponent = (bits >> 52) - (one >> 52);
    const D mantissa = D::bits_of((bits & I((std::int64_t(1) << 52) - 1)) | one);
    const D count = D::bits_of(exponent + I::bits_of(D(0x1.8p52))) - D(0x1.8p52);
    const auto small = x.high < D(1), plain = x.high <= D(std::numeric_limits<double>::max());
    const D part = select(small, x.high, mantissa - D(1));
    pair<D> log;
    if constexpr (Pairs) {
        const D down = D::bits_of(one - (exponent << 52));
        log = log_of_one_plus(pair<D>{part, select(small, x.low, (sum.low + x.low) * down)});
        const pair<D> whole = product_of(count, pair<D>{log_2, log_2_low});
        const pair<D> both = sum_of(whole.high, log.high);
        log = {select(small, log.high, both.high), select(small, log.low, both.low + (whole.low + log.low))};
    } else {
        log = twice_atanh(pair<D>{part / (D(2) + part), D(0)}, 1);
        log = {log.high + log.low, D(0)};
        log.high = select(small, log.high, fma(count, log_2, log.high));
    }
    return {select(plain, log.high, x.high), select(plain, log.low, D(0))};
}

}  // namespace rectified::RECTIFIED_TARGET
