// The elementary functions that activations are made of: branch-free, for batches of any floating-point type.
#pragma once

#include <bit>

#include "pair.hpp"
#include "tables.hpp"

namespace rectified::RECTIFIED_TARGET {

template <class T>
struct format;
template <>
struct format<float> {
    static constexpr int mantissa = 23;
    static constexpr float round = 0x1.8p23f;   // adding it rounds to an integer, which stands in the low bits
    static constexpr float vanishes = -110.0f;  // 4 e^vanishes rounds to 0, of float64 by so much that x86 does it at once
    static constexpr float ends = 140.0f;       // e^-ends rounds to 0 even times 2^40
    static constexpr float saturates = 20.0f;   // 1 + e^-saturates rounds to 1
    static constexpr int headroom = 40;         // e^-vanishes 2^-headroom is a number, and its reciprocal is normal
    static constexpr float unit = 0x1p-40f;     // 2^-headroom
};
template <>
struct format<double> {
    static constexpr int mantissa = 52;
    static constexpr double round = 0x1.8p52;
    static constexpr double vanishes = -757.0;
    static constexpr double ends = 780.0;
    static constexpr double saturates = 40.0;
    static constexpr int headroom = 100;
    static constexpr double unit = 0x1p-100;
};
template <>
struct format<ample> : format<double> {};

template <>
struct logarithm_table<ample> : logarithm_table<double> {};

// x times a power of two below 1. Where float32 ends as subnormal numbers, x86 rounds in microcode, for longer than a batch
// takes otherwise. There x is added to the number whose last digit becomes the smallest one: that rounds alike, and what
// the sum's bits are more is the result.
template <class B>
RECTIFIED_INLINE B brought_down(const B &x, typename B::scalar unit) {
    using T = typename B::scalar;
    if constexpr (std::is_same_v<T, float>) {
        using I = typename B::integer;
        const B a = abs(x), least = B(std::numeric_limits<T>::min() / unit);
        const auto ends = a < least;
        if (any(ends)) [[unlikely]] {
            const B end = B::bits_of(I::bits_of(a + least) - I::bits_of(least));
            return select(ends, with_sign_of(end, x), select(ends, least, x) * B(unit));
        }
    }
    return x * B(unit);
}

// a b, the last step, where that may be so small that its low half is no number: there it comes down from farther up.
template <class B, class F = format<typename B::scalar>>
RECTIFIED_INLINE B finished_product(const pair<B> &a, const pair<B> &b) {
    constexpr typename B::scalar down = F::unit * F::unit;
    const auto small = abs(a.high * b.high) < B(std::numeric_limits<typename B::scalar>::min() / down);
    return finished(product_of(a * select(small, B(1 / down), B(1)), b)) * select(small, B(down), B(1));
}

#if defined(__AVX2__) && !defined(__AVX512F__)
template <class Table>
struct side_by_side {
    alignas(64) double value[32];
    constexpr side_by_side() : value() {
        for (int i = 0; i < 32; ++i) value[i] = i % 2 ? Table::power_rest[i / 2] : Table::power[i / 2];
    }
};
template <class Table>
inline constexpr side_by_side<Table> powers{};
#endif

// power[index mod steps] and power_rest[index mod steps].
template <class Table, class B>
RECTIFIED_INLINE void lookup_both(const typename B::integer &index, B &power, B &rest) {
#if defined(__AVX2__) && !defined(__AVX512F__)
    if constexpr (std::is_same_v<typename B::scalar, double>) {  // four loads take half as long as two gathers
        const double *const table = powers<Table>.value;
        B::visit([&](int i) {
            const __m256i twice = _mm256_and_si256((__m256i)(index.part[i] << 1), _mm256_set1_epi64x(30));
            const auto at = [&](int even, int odd) {
                return _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_load_pd(table + even)), _mm_load_pd(table + odd), 1);
            };
            const __m256d first = at(_mm256_extract_epi64(twice, 0), _mm256_extract_epi64(twice, 2));
            const __m256d second = at(_mm256_extract_epi64(twice, 1), _mm256_extract_epi64(twice, 3));
            power.part[i] = (register_t<double>)_mm256_unpacklo_pd(first, second);
            rest.part[i] = (register_t<double>)_mm256_unpackhi_pd(first, second);
        });
        return;
    }
#endif
    power = lookup<B>(Table::power, index);
    rest = lookup<B>(Table::power_rest, index);
}

// e^-x 2^-headroom = large (1 + rest), for |x| < 1000 where large is a normal number, with a relative error below 2^-27
// (float32) or 2^-55 (float64), and mostly near 2^-29 or 2^-57.
//
// With 2^(j/steps) from a table as a number and what it lacks, the rest of the argument is at most ln(2)/16 (float32),
// ln(2)/32 (float64): a short polynomial does, and its rounding errors stand so far below 1 that the product is good to
// some digits more than one number. Eight float32 are a register of AVX2, and a permutation of one looks them up.
template <class B>
struct exponential {
    B large, rest;

    template <int Headroom>
    RECTIFIED_INLINE static exponential of_minus(const B &x) {
        const reduced a(x, Headroom);
        return {a.large, a.less_one(a.r, table::tail) + a.power_rest};
    }

    // x_low is added to x: a correction below its last digit.
    template <int Headroom>
    RECTIFIED_INLINE static exponential of_minus(const B &x, const B &x_low) {
        const reduced a(x, Headroom);
        return {a.large, a.less_one(a.r - x_low, table::tail) + a.power_rest};
    }

    RECTIFIED_INLINE B rounded() const { return fma(large, rest, large); }
    RECTIFIED_INLINE pair<B> whole() const {
        const B high = rounded();
        return with_rest(high, [&] { return fma(large, rest, large - high); });
    }
    RECTIFIED_INLINE pair<B> unordered() const { return {large, large * rest}; }

    // e^-x - 1, to the relative accuracy of its own: where the table's value is 1, the polynomial stands alone.
    RECTIFIED_INLINE static pair<B> of_minus_less_one(const B &x, const B &x_low = B(0)) {
        return of_minus_with_less_one<0>(x, x_low).less_one;
    }

    // Both, from one reduction.
    struct with_less_one {
        exponential whole;
        pair<B> less_one;
    };
    template <int Headroom>
    RECTIFIED_INLINE static with_less_one of_minus_with_less_one(const B &x, const B &x_low = B(0)) {
        const reduced a(x, Headroom);
        const B p = a.less_one(a.r, table::relative_tail), rest = p + a.power_rest;
        const B p_low = fma(a.r * a.r, a.tail(a.r, table::relative_tail), a.r - p) - fma(x_low, p, x_low);
        const B rest_low = ((p - rest) + a.power_rest) + p_low;
        const B bare = a.large * B(power_of_2(Headroom));
        const pair<B> difference = sum_of(B(-1), bare);
        const B high = fma(bare, rest, difference.high);
        const B low = fma(bare, rest, difference.high - high) + difference.low;
        return {{a.large, rest}, {high, fma(bare, rest_low, low)}};
    }

  private:
    using T = typename B::scalar;
    using I = typename B::integer;
    using table = exponential_table<T>;

    static constexpr T power_of_2(int exponent) {
        T power = 1;
        for (; exponent > 0; --exponent) power *= 2;
        for (; exponent < 0; ++exponent) power /= 2;
        return power;
    }

    struct reduced {
        B r, large, power_rest;

        RECTIFIED_INLINE reduced(const B &x, int headroom) {
            using F = format<T>;
            constexpr int places = F::mantissa - std::countr_zero(unsigned{table::steps});
            const B round = B(F::round - table::steps * headroom);
            const B shifted = fnma(x, B(table::steps_per_unit), round);
            const B count = shifted - round;
            r = fma(count, B(table::step_high), x);  // -r, exact: step_high has few digits
            r = fnma(count, B(table::step_low), -r);
            const I steps = I::bits_of(shifted);
            lookup_both<table>(steps, large, power_rest);
            large = B::bits_of(I::bits_of(large) + (steps << places));  // the bits of F::round fall off
        }

        template <std::size_t Degree>
        RECTIFIED_INLINE static B tail(const B &r, const T (&coefficients)[Degree]) {
            B q = B(coefficients[Degree - 1]);
            for (int i = Degree - 2; i >= 0; --i) q = fma(q, r, B(coefficients[i]));
            return q;
        }

        template <std::size_t Degree>
        RECTIFIED_INLINE static B less_one(const B &r, const T (&coefficients)[Degree]) {  // e^r - 1
            return fma(r * r, tail(r, coefficients), r);
        }
    };
};

// e^x, and the same times 2^headroom, which is a normal number where e^x is none.
template <class B>
struct power_of_e {
    using T = typename B::scalar;
    pair<B> up;

    RECTIFIED_INLINE explicit power_of_e(const pair<B> &x) {
        up = exponential<B>::template of_minus<-format<T>::headroom>(-x.high, -x.low).whole();
    }
    RECTIFIED_INLINE explicit power_of_e(const B &x) : power_of_e(pair<B>{x, B(0)}) {}

    RECTIFIED_INLINE pair<B> plain() const { return {up.high * B(unit), up.low * B(unit)}; }

    static constexpr T unit = format<T>::unit, one = 1 / unit;
    static constexpr T ends = std::is_same_v<T, float> ? -114 : -770;  // e^ends rounds to 0, even times some thousands
};

// c_0 + c_1 x + c_2 x^2 + ...
template <class B, class T, std::size_t Count>
RECTIFIED_INLINE B polynomial(const T (&coefficients)[Count], const B &x) {
    B sum = B(coefficients[Count - 1]);
    for (int i = Count - 2; i >= 0; --i) sum = fma(sum, x, B(coefficients[i]));
    return sum;
}

// What is added to more than 1: a number that is too small for that is the least one that is not.
template <class B>
RECTIFIED_INLINE B scaled_down(const B &x, typename B::scalar unit, typename B::scalar least) {
    return unit == 1 ? x : greater(B(least / unit), x) * B(unit);
}

// log(1 + e) = 2 atanh(s) for s = e / (2 + e) = high + low in [0, 1/3], to relative accuracy; both times 2^headroom where
// unit is 2^-headroom.
template <class B>
RECTIFIED_INLINE pair<B> twice_atanh(const pair<B> &s, typename B::scalar unit) {
    using T = typename B::scalar;
    constexpr T least = std::is_same_v<T, float> ? 0x1p-23 : 0x1p-60;  // times its square no s is subnormal
    const B bare = scaled_down(s.high, unit, least), square = bare * bare;
    const B tail = polynomial(logarithm_table<T>::tail, square);
    const B twice = s.high + s.high, rest = fma(s.high * square, tail, s.low + s.low);
    if constexpr (has_spare_digits<B>)
        return {twice + rest, B(0)};
    else
        return {twice, rest};
}

// log(1 + e) for e in [0, 1], as twice_atanh.
template <class B>
RECTIFIED_INLINE pair<B> log_of_one_plus(const pair<B> &e, typename B::scalar unit = 1) {
    pair<B> divisor = sum_of(B(2), scaled_down(e.high, unit, 0x1p-120));
    divisor.low = fma(e.low, B(unit), divisor.low);
    return twice_atanh(quotient_of(e, divisor), unit);
}

// log(x 2^scale) of float32, for normal x > 0, to relative accuracy: by a table of the octave about 1, from which on either
// side the whole octaves are counted. Where the table's part and theirs are not 0 they are more than what is added to them.
template <class B>
RECTIFIED_INLINE pair<B> logarithm_of(const B &x, const B &scale) {
    using I = typename B::integer;
    using table = octave_table;
    const I bits = I::bits_of(x) - I::bits_of(B(table::start)), octaves = bits >> 23, row = bits >> 19;
    const B m = B::bits_of(I::bits_of(x) - (octaves << 23)), round = B(format<float>::round);
    const B count = (B::bits_of(octaves + I::bits_of(round)) - round) + scale;
    const B u = fma(m, lookup_of_16<B>(table::inverse, row), B(-1));
    const pair<B> sum = sum_of(fma(count, B(table::of_2_high), lookup_of_16<B>(table::high, row)), u);
    const B rest = fma(count, B(table::of_2_low), lookup_of_16<B>(table::low, row));
    return {sum.high, sum.low + fma(u * u, polynomial(table::tail, u), rest)};
}

}  // namespace rectified::RECTIFIED_TARGET
