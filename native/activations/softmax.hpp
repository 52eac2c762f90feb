// Softmax and its relatives: shares of a whole, which are largest where the input is.
#pragma once

#include "../fold.hpp"
#include "../rows.hpp"

namespace rectified::RECTIFIED_TARGET {

// ---- steps, of one part of a row ---------------------------------------------------------------------------------------

// Four at a time, of which none waits for the others.
template <class B>
RECTIFIED_INLINE B largest_of(const strip<B> &x) {
    using T = typename B::scalar;
    using Four = batch<T, 4 * B::registers>;
    const T none = -std::numeric_limits<T>::infinity();
    Four four = Four(none);
    B most = B(none);
    by_stretches(
        [&](npy_intp numbers, const T *x) __attribute__((always_inline)) {
            npy_intp j = 0;
            for (; j + Four::lanes <= numbers; j += Four::lanes) four = greater(four, load<Four>(x + j));
            for (; j < numbers; j += B::lanes) most = greater(most, load<B>(x + j));
        },
        x);
    Four::visit([&](int i)
                    __attribute__((always_inline)) { most = greater(most, B::each([&](int) { return four.part[i]; })); });
    return most;
}

// The sum of e^x, where each power is less than `larger`. With Keep they are kept. Meanwhile numbers that are read next are
// fetched, and places that are written to soon.
template <bool Keep, class Powers, class B>
RECTIFIED_INLINE pair<B> sum_of_powers(const Powers powers, const strip<B> &x, const strip<B> &to, const B &larger) {
    total<B> sum(larger);
    const npy_intp next = x.count * B::lanes;
    staggered(
        [&](const auto *x) __attribute__((always_inline)) {
            __builtin_prefetch(x + next);
            return powers.reduce(load<B>(x));
        },
        [&](const auto &reduced, auto *to) __attribute__((always_inline)) {
            __builtin_prefetch(to + written_soon<typename B::scalar>);
            const auto power = powers.of(reduced);
            const B rounded = power.rounded();
            sum.add(power, rounded);
            if constexpr (Keep) store(to, rounded);
        },
        x, to);
    return sum.sum();
}

// From powers to shares. Powers have been rounded, but not in the sum. The largest gets its share from more digits too: so
// equal numbers, and one alone, have the shares that they should have.
template <class B>
class share {
  public:
    share() = default;
    RECTIFIED_INLINE share(const pair<B> &sum, const pair<B> &largest) : largest_(largest.high), factor_(B(1) / sum.high) {
        factor_low_ = factor_ * fnma(factor_, sum.low, fnma(factor_, sum.high, B(1)));
        rest_of_largest_ = fma(largest.low, factor_, largest.high * factor_low_);
    }

    RECTIFIED_INLINE B of(const B &power) const {
        return fma(power, factor_, select(power == largest_, rest_of_largest_, power * factor_low_));
    }

  private:
    B largest_, rest_of_largest_, factor_, factor_low_;
};

template <class B>
RECTIFIED_INLINE void powers_to_shares(const strip<B> &powers, const share<B> share) {
    put_aligned([&](const auto *at) __attribute__((always_inline)) { return share.of(load<B>(at)); }, powers, powers);
}

template <class Powers, class B>
RECTIFIED_INLINE void put_shares(const Powers powers, const share<B> share, const strip<B> &x, const strip<B> &to) {
    staggered([&](const auto *x) __attribute__((always_inline)) { return powers.reduce(load<B>(x)); },
              [&](const auto &reduced, auto *to)
                  __attribute__((always_inline)) { store(to, share.of(powers.of(reduced).rounded())); },
              x, to);
}

// ---- the shares of a row -----------------------------------------------------------------------------------------------

// Of minus infinities alone those count that fill up a row: they have to be taken away.
template <class B>
RECTIFIED_INLINE void take_away_idle(int idle, const powers_beside<B> &powers, const B &largest, pair<B> &sum) {
    if (idle && any(largest == B(-std::numeric_limits<typename B::scalar>::infinity())))
        sum.high = sum.high - powers.of(largest).rounded() * B(idle);
}

// f(sum, power of the largest) for a row that is one part.
template <bool Keep, class C, class B, class F>
RECTIFIED_INLINE void at_once(const row_group<C> &data, const strip<B> &x, const strip<B> &to, const B &largest, F f) {
    const B larger = B(2 / small_powers<B>::unit);
    if (powers_beside<B>::is_small(largest)) {
        const small_powers<B> powers(largest);
        return f(data.sum(sum_of_powers<Keep>(powers, x, to, larger)), powers.of(largest).whole());
    }
    const powers_beside<B> powers(largest);
    pair<B> sum = data.sum(sum_of_powers<Keep>(powers, x, to, larger));
    take_away_idle(x.idle, powers, largest, sum);
    f(sum, powers.of(largest).whole());
}

// The shares of a row that is one part, where the result will be.
template <class C>
[[gnu::noinline]] strip<row_batch<C>> shares_at_once(row_group<C> &data, int input) {
    using B = row_batch<C>;
    const strip<B> x = data.in(input, 0), to = data.out(0);
    at_once<true>(data, x, to, data.largest(largest_of(x)),
                  [&](const pair<B> &sum, const pair<B> &largest)
                      __attribute__((always_inline)) { powers_to_shares(to, share<B>(sum, largest)); });
    return to;
}

// The same part by part: the powers stand beside the largest number so far. When a later part has one that is larger by far
// the sum is scaled down; its powers have to be computed again, once all is known. Infinities share alike.
template <class C>
class shares {
    using B = row_batch<C>;
    static constexpr C infinity = std::numeric_limits<C>::infinity();

  public:
    // With Keep the powers are kept where the result will be.
    [[gnu::noinline]] shares(row_group<C> &data, int input, bool keep)
        : data_(data), input_(input), kept_(keep && data_.keeps()) {
        data_.parts([&](npy_intp i) { take(data_.in(input_, i), data_.out(i)); });
        sum_ = data_.sum(sum_);
        take_away_idle(idle_, powers_, largest_, sum_);
        share_ = share<B>(sum_, powers_.of(largest_).whole());
    }

    // The shares of part i, where the result will be.
    [[gnu::noinline]] strip<B> put(npy_intp i) const {
        const strip<B> to = data_.out(i);
        if (kept_ && !moved_)
            powers_to_shares(to, share_);
        else if (powers_beside<B>::is_small(beside_))
            put_shares(powers_.of_small(), share_, data_.in(input_, i), to);
        else
            put_shares(powers_, share_, data_.in(input_, i), to);
        return to;
    }

    const pair<B> &sum() const { return sum_; }
    const powers_beside<B> &powers() const { return powers_; }
    const B &largest() const { return largest_; }

  private:
    RECTIFIED_INLINE void take(const strip<B> &x, const strip<B> &kept) {
        const B here = data_.largest(largest_of(x)), most = greater(beside_, here);
        if (!begun_ || any(most > beside_ + B(16))) move_to(most);
        largest_ = greater(largest_, most);
        idle_ += x.idle;
        const B top = powers_.of(here).rounded();
        const auto add = [&](const auto &powers) {
            return kept_ ? added<true>(powers, x, kept, top + top) : added<false>(powers, x, x, top + top);
        };
        const pair<B> part = powers_beside<B>::is_small(beside_) ? add(powers_.of_small()) : add(powers_);
        const pair<B> all = sum_of_any(sum_.high, part.high);
        sum_ = {all.high, sum_.low + (all.low + part.low)};
    }

    template <bool Keep, class Powers>
    [[gnu::noinline]] static pair<B> added(const Powers &powers, const strip<B> &x, const strip<B> &to, const B &larger) {
        return sum_of_powers<Keep>(powers, x, to, larger);
    }

    void move_to(const B &most) {
        const powers_beside<B> next(most);
        if (begun_) {
            const auto same = most == beside_, flat = (abs(most) == B(infinity)) | (abs(beside_) == B(infinity));
            const B none = select(flat, B(0), next.of(beside_).rounded()),
                    before = select(flat, B(1), powers_.of(beside_).rounded());
            const B scale = select(same, B(1), none) / select(same, B(1), before);
            sum_ = {sum_.high * scale, sum_.low * scale};
            moved_ = true;
        }
        powers_ = next;
        beside_ = most;
        begun_ = true;
    }

    row_group<C> &data_;
    powers_beside<B> powers_;
    pair<B> sum_ = {B(0), B(0)};
    B beside_ = B(-infinity), largest_ = B(-infinity);
    share<B> share_;
    int input_, idle_ = 0;
    bool begun_ = false, moved_ = false, kept_;
};

// ---- logarithms of shares ----------------------------------------------------------------------------------------------

// log(sum) = m + log(1 + t), where t is what the others are beside the largest, m. Where they are little the sum does not
// tell, and they are added up once more.
template <class C>
class logarithm {
    using B = row_batch<C>;
    static constexpr bool is_float = std::is_same_v<C, float>;

  public:
    [[gnu::noinline]] logarithm(row_group<C> &data, const powers_beside<B> &powers, const B &largest, const pair<B> &sum)
        : largest_(largest) {
        const pair<B> top = powers.of(largest).whole(), less = sum_of_any(sum.high, -top.high);
        pair<B> others = {less.high, less.low + (sum.low - top.low)};
        const auto hidden = others.high < top.high * B(data.each_lane_a_row() ? 0x1p-10 : 0x1p-5);  // by how many they are
        if (any(hidden)) {
            const pair<B> again = data.sum(without_largest(data, powers));
            others = {select(hidden, again.high, others.high), select(hidden, again.low, others.low)};
        }
        if constexpr (is_float) {
            if (data.each_lane_a_row())
                add_to_largest<wide_of<B>>(others, top);
            else  // one lane would do
                add_to_largest<batch<double, 1>>(others, top);
        } else {
            const pair<B> log = log_of_one_plus_any(quotient_of(others, top)), all = sum_of_any(largest, log.high);
            of_largest_ = B(0) - (log.high + log.low);
            high_ = all.high + (all.low + log.low);
            low_ = (all.high - high_) + (all.low + log.low);
        }
        const auto infinite = abs(largest) == B(std::numeric_limits<C>::infinity());
        high_ = select(infinite, largest, high_);
        low_ = select(infinite, of_largest_ - of_largest_, low_);  // NaN stays
    }

    // In a row that has parts the places have not been fetched yet.
    template <bool HasParts>
    [[gnu::noinline]] void put(const strip<B> &x, const strip<B> &to) const {
        const B high = high_, low = low_, largest = largest_, of_largest = of_largest_;
        put_aligned(
            [=](const C *x, const C *to) __attribute__((always_inline)) {
                if constexpr (HasParts) __builtin_prefetch(to + written_soon<C>);
                const B number = load<B>(x);
                return select(number == largest, of_largest, (number - high) - low);
            },
            to, x, to);
    }

  private:
    template <class D>
    RECTIFIED_INLINE void add_to_largest(const pair<B> &others, const pair<B> &top) {
        const auto whole = [](const pair<B> &x) { return widened<B, D>(x.high) + widened<B, D>(x.low); };
        const D log = log_of_one_plus_quotient(whole(others), whole(top)), all = widened<B, D>(largest_) + log;
        of_largest_ = B(0) - narrowed<B>(log);
        high_ = narrowed<B>(all);
        low_ = narrowed<B>(all - widened<B, D>(high_));
    }

    [[gnu::noinline]] pair<B> without_largest(row_group<C> &data, const powers_beside<B> powers) const {
        const B largest = largest_;
        pair<B> sum = {B(0), B(0)};
        data.parts([&](npy_intp i) {
            together(
                [&](const C *x) __attribute__((always_inline)) {
                    const B number = load<B>(x);
                    const auto is_largest = number == largest;
                    const pair<B> power = powers.of(number).whole(),
                                  next = sum_of_any(sum.high, select(is_largest, B(0), power.high));
                    sum = {next.high, sum.low + (next.low + select(is_largest, B(0), power.low))};
                },
                data.in(0, i));
        });
        return sum;
    }

    B largest_, of_largest_, high_, low_;
};

struct softmax_value {
    static constexpr int inputs = 1, turned = 384;
    template <class C>
    static C padding(int) {
        return -std::numeric_limits<C>::infinity();
    }
    template <class C>
    static void run(row_group<C> &data) {
        if (!data.has_parts()) {
            shares_at_once(data, 0);
            return data.written(0);
        }
        const shares<C> found(data, 0, true);
        data.parts_again([&](npy_intp i) {
            found.put(i);
            data.written(i);
        });
    }
};

struct softmin_value : softmax_value {
    static constexpr bool negated = true;
};

struct log_softmax_value {
    static constexpr int inputs = 1;
    template <class C>
    static C padding(int) {
        return -std::numeric_limits<C>::infinity();
    }
    template <class C>
    static void run(row_group<C> &data) {
        const auto log = logarithm_of(data);
        const bool has_parts = data.has_parts();
        data.parts([&](npy_intp i) {
            has_parts ? log.template put<true>(data.in(0, i), data.out(i))
                      : log.template put<false>(data.in(0, i), data.out(i));
            data.written(i);
        });
    }

  private:
    template <class C>
    static logarithm<C> logarithm_of(row_group<C> &data) {
        using B = row_batch<C>;
        if (data.has_parts()) {
            const shares<C> found(data, 0, false);
            return {data, found.powers(), found.largest(), found.sum()};
        }
        const strip<B> x = data.in(0, 0);
        const B largest = data.largest(largest_of(x));
        pair<B> sum;
        at_once<false>(data, x, data.out(0), largest,
                       [&](const pair<B> &found, const pair<B> &) __attribute__((always_inline)) { sum = found; });
        return {data, powers_beside<B>(largest), largest, sum};
    }
};

// What a product with the Jacobian is made of: p, the shares, and g, what it is multiplied with.
enum class product {
    softmax,       // p (g - sum(p g))
    softmin,       // the same, negative
    log_backward,  // g - p sum(g)
    log_forward,   // g - sum(p g)
};

// Adds g, or p g, to the sum. A product of two short numbers is exact in float32.
template <bool WithShares, bool AreShort, class B>
[[gnu::noinline]] void add_products(const strip<B> &g, const strip<B> &p, pair<wide_of<B>> &to) {
    using D = wide_of<B>;
    pair<D> sum = to;
    const npy_intp next = g.count * B::lanes;
    together(
        [&](const auto *g, const auto *p) __attribute__((always_inline)) {
            __builtin_prefetch(g + next);
            if constexpr (WithShares) __builtin_prefetch(p + next);
            if constexpr (!WithShares)
                add<B>(sum, widened(load<B>(g)));
            else if constexpr (AreShort)
                add<B>(sum, widened(load<B>(g) * load<B>(p)));
            else
                add<B>(sum, widened(load<B>(g)) * widened(load<B>(p)));
        },
        g, p);
    to = sum;
}

template <product Kind, class B>
[[gnu::noinline]] void put_products(const strip<B> &g, const strip<B> &p, const strip<B> &to, const pair<B> &sum) {
    const B high = sum.high, low = sum.low;
    together(
        [=](const auto *at, const auto *p, auto *to) __attribute__((always_inline)) {
            __builtin_prefetch(to + written_soon<typename B::scalar>);
            const B g = load<B>(at), share = load<B>(p);
            if constexpr (Kind == product::softmax)
                store(to, share * ((g - high) - low));
            else if constexpr (Kind == product::softmin)
                store(to, share * ((high - g) + low));
            else if constexpr (Kind == product::log_backward)
                store(to, fnma(share, high, g));
            else
                store(to, (g - high) - low);
        },
        g, p, to);
}

// shares(i, again) has the shares of part i, for the first time or again. Where the sum is of g alone they are not needed
// for it; otherwise what was read last is read first once more.
template <product Kind, bool FromOutput = false, class C, class Shares>
RECTIFIED_INLINE void multiply_with_jacobian(row_group<C> &data, Shares shares) {
    using B = row_batch<C>;
    using D = wide_of<B>;
    constexpr bool with_shares = Kind != product::log_backward;
    constexpr bool from_output = FromOutput && with_shares && std::is_same_v<C, float>;
    pair<D> sum = {D(0), D(0)};
    data.parts([&](npy_intp i) {
        const strip<B> g = data.in(0, i);
        const strip<B> p = with_shares ? shares(i, false) : g;
        if (from_output && data.converts())
            add_products<with_shares, from_output, B>(g, p, sum);
        else
            add_products<with_shares, false, B>(g, p, sum);
    });
    pair<B> total;
    if constexpr (std::is_same_v<B, D>) {
        sum = data.sum(sum);
        total = {sum.high + sum.low, B(0)};
    } else {
        total = data.sum_as_pair(sum.high);
    }
    const auto put = [&](npy_intp i) {
        put_products<Kind, B>(data.in(0, i), shares(i, with_shares), data.out(i), total);
        data.written(i);
    };
    with_shares ? data.parts_again(put) : data.parts(put);
}

// From the input: (n),(n)->(n).
template <product Kind>
struct product_from_input {
    static constexpr int inputs = 2, turned = 448;
    template <class C>
    static C padding(int input) {
        return input ? -std::numeric_limits<C>::infinity() : C(0);
    }
    template <class C>
    static void run(row_group<C> &data) {
        if (!data.has_parts())
            return multiply_with_jacobian<Kind>(
                data, [&](npy_intp, bool again) { return again ? data.out(0) : shares_at_once(data, 1); });
        const shares<C> found(data, 1, true);
        multiply_with_jacobian<Kind>(
            data, [&](npy_intp i, bool again) { return again && data.keeps() ? data.out(i) : found.put(i); });
    }
};

struct softmin_product_from_input : product_from_input<product::softmin> {
    static constexpr bool negated = true;
};

// From the output: (n),(n)->(n).
template <product Kind>
struct product_from_output {
    static constexpr int inputs = 2, turned = 96;
    static constexpr bool of_logarithms = Kind == product::log_backward;
    template <class C>
    static C padding(int input) {
        return input && of_logarithms ? -std::numeric_limits<C>::infinity() : C(0);
    }
    template <class C>
    static void run(row_group<C> &data) {
        multiply_with_jacobian<Kind, true>(data, [&](npy_intp i, bool) {
            if (!of_logarithms) return data.in(1, i);
            const auto to = data.out(i);
            put_powers(data.in(1, i), to);
            return to;
        });
    }

  private:
    template <class B>
    [[gnu::noinline]] static void put_powers(const strip<B> &y, const strip<B> &to) {
        const small_powers<B> powers(B(0));
        const npy_intp next = y.count * B::lanes;
        together(
            [&](const auto *y, auto *to) __attribute__((always_inline)) {
                __builtin_prefetch(y + next);
                __builtin_prefetch(to + written_soon<typename B::scalar>);
                store(to, rounded_product(powers.plain(), powers.of(load<B>(y)).rounded()));
            },
            y, to);
    }
};

// Sums to 1; equal where all are equal. Its Jacobian is symmetric.
struct softmax : fold {
    static constexpr const char *name = "softmax";
    template <class S, class C>
    using loops =
        row_loops<S, C, softmax_value, product_from_input<product::softmax>, product_from_output<product::softmax>>;
    static constexpr fold_operation operations[] = {
        {"", "(n)->(n)"}, {"backward", "(n),(n)->(n)"}, {"backward_from_output", "(n),(n)->(n)"}};
};

struct softmin : fold {
    static constexpr const char *name = "softmin";
    template <class S, class C>
    using loops = row_loops<S, C, softmin_value, softmin_product_from_input, product_from_output<product::softmin>>;
    static constexpr auto &operations = softmax::operations;
};

struct log_softmax : fold {
    static constexpr const char *name = "log_softmax";
    template <class S, class C>
    using loops = row_loops<S, C, log_softmax_value, product_from_input<product::log_backward>,
                            product_from_output<product::log_backward>, product_from_input<product::log_forward>>;
    static constexpr fold_operation operations[] = {
        {"", "(n)->(n)"}, {"backward", "(n),(n)->(n)"}, {"backward_from_output", "(n),(n)->(n)"}, {"jvp", "(n),(n)->(n)"}};
};

}  // namespace rectified::RECTIFIED_TARGET
