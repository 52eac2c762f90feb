// Softmax and its relatives: shares of a whole, which are largest where the input is.
#pragma once

#include "../fold.hpp"
#include "../rows.hpp"

namespace rectified::RECTIFIED_TARGET {

// Shares are the powers of e times a factor. The sum is that of the rounded powers: so equal numbers, and one alone, have
// the shares that they should have.
template <class B>
RECTIFIED_INLINE pair<B> factor_of(const pair<wide_of<B>> &all) {
    using D = wide_of<B>;
    const D sum = all.high + all.low, reciprocal = D(1) / sum;
    const B factor = narrowed<B>(reciprocal);
    if constexpr (std::is_same_v<B, D>)
        return {factor, reciprocal * fnma(reciprocal, (all.high - sum) + all.low, fnma(reciprocal, sum, D(1)))};
    else
        return {factor, narrowed<B>(reciprocal - widened(factor))};
}

// The sum of e^x over a row, or, for softmin, of e^-x, and each number's share in it.
//
// Part by part: the powers stand beside the largest number so far. When a later part has one that is larger by far the sum
// is scaled down; its powers have to be computed again, once all is known. Infinities share alike.
template <class C>
class shares {
    using B = batch<C, 1>;
    using D = wide_of<B>;
    using I = typename B::integer;
    static constexpr bool is_float = std::is_same_v<C, float>;
    static constexpr C infinity = std::numeric_limits<C>::infinity();

  public:
    RECTIFIED_INLINE shares(row_group<C> &data, int input, bool negated)
        : data_(data), input_(input), sign_(negated ? std::numeric_limits<typename I::scalar>::min() : 0) {}

    // Takes all numbers into account, and, if Keep, keeps their powers where the result will be.
    template <bool Keep>
    RECTIFIED_INLINE void take_all() {
        kept_ = Keep && data_.keeps();
        data_.parts([&](npy_intp i) {
            if (kept_)
                take<true>(data_.in(input_, i), data_.out(i));
            else
                take<false>(data_.in(input_, i), {});
        });
    }

    // Takes the only part into account.
    template <bool Keep>
    RECTIFIED_INLINE void take_at_once() {
        const strip<B> x = data_.in(input_, 0);
        kept_ = Keep;
        largest_ = largest_in(x);
        powers_ = powers_beside<B>(largest_);
        add<Keep>(x, data_.out(0));
    }

    RECTIFIED_INLINE void finish() { factor_ = factor_of<B>(whole()); }

    // The shares of part i, where the result will be.
    RECTIFIED_INLINE strip<B> put(npy_intp i) const {
        const strip<B> to = data_.out(i);
        if (kept_ && !moved_)
            of_powers(to);
        else if (powers_.are_plain())
            of_numbers<true>(data_.in(input_, i), to);
        else
            of_numbers<false>(data_.in(input_, i), to);
        return to;
    }

    // What the logarithms of shares need: log(sum) = m + log(1 + t), where t is what the others are beside the largest, m.
    // Where they are little the sum does not tell, and they are added up once more.
    RECTIFIED_INLINE void finish_logarithm() {
        const pair<B> added = powers_.pair_of(largest_);
        const pair<D> top = {widened(added.high), widened(added.low)};
        const pair<D> all = whole(), less = sum_of_any(all.high, -top.high);
        pair<D> others = {less.high, less.low + all.low};
        const auto hidden = others.high < top.high * D(0x1p-8);
        if (any(hidden)) {
            const pair<D> again = data_.sum(without_largest(data_, input_, powers_, largest_, I(sign_)));
            others = {select(hidden, again.high, others.high), select(hidden, again.low, others.low)};
        }
        if constexpr (is_float)
            others = {(others.high + others.low) / (top.high + top.low), D(0)};
        else
            others = quotient_of(others, top);
        const pair<D> log = log_of_one_plus_any<!is_float>(others);
        const pair<D> sum = sum_of_any(widened(largest_), log.high);
        of_largest_ = B(0) - narrowed<B>(log.high + log.low);
        logarithm_.high = narrowed<B>(sum.high);
        const B low = narrowed<B>((sum.high - widened(logarithm_.high)) + (sum.low + log.low));
        logarithm_.low = select(abs(largest_) == B(infinity), of_largest_ - of_largest_, low);  // NaN stays
    }

    RECTIFIED_INLINE void put_logarithms(npy_intp i) const {
        const pair<B> logarithm = logarithm_;
        const B largest = largest_, of_largest = of_largest_;
        const I sign = I(sign_);
        together(
            [=](const C *x, C *y) __attribute__((always_inline)) {
                const B number = read(x, sign);
                store(y, select(number == largest, of_largest, (number - logarithm.high) - logarithm.low));
            },
            data_.in(input_, i), data_.out(i));
    }

  private:
    RECTIFIED_INLINE static B read(const C *from, const I &sign) { return B::bits_of(I::bits_of(load<B>(from)) + sign); }

    template <bool Keep>
    [[gnu::noinline]] void take(const strip<B> &x, const strip<B> &kept) {
        const B most = greater(beside_, largest_in(x));
        if (!begun_ || any(most > beside_ + B(16))) move_to(most);
        largest_ = greater(largest_, most);
        add<Keep>(x, kept);
    }

    RECTIFIED_INLINE B largest_in(const strip<B> &x) const {
        B most = B(-infinity);
        const I sign = I(sign_);
        together([&](const C *x) __attribute__((always_inline)) { most = greater(most, read(x, sign)); }, x);
        return data_.largest(most);
    }

    template <bool Keep>
    RECTIFIED_INLINE void add(const strip<B> &x, const strip<B> &kept) {
        if (powers_.are_plain())
            add_beside<true, Keep>(x, kept);
        else
            add_beside<false, Keep>(x, kept);
        idle_ += x.idle;
    }

    template <bool Plain, bool Keep>
    RECTIFIED_INLINE void add_beside(const strip<B> &x, const strip<B> &kept) {
        const auto powers = powers_;
        const I sign = I(sign_);
        total<B> sum = sum_;
        together(
            [&](const C *x, C *kept) __attribute__((always_inline)) {
                const B power = powers.template of<Plain>(read(x, sign));
                sum.add(power);
                if constexpr (Keep) store(kept, power);
            },
            x, kept);
        sum_ = sum;
    }

    RECTIFIED_INLINE void of_powers(const strip<B> &powers) const {
        const pair<B> factor = factor_;
        together(
            [&](C *at) __attribute__((always_inline)) {
                const B power = load<B>(at);
                store(at, fma(power, factor.high, power * factor.low));
            },
            powers);
    }

    template <bool Plain>
    [[gnu::noinline]] void of_numbers(const strip<B> &x, const strip<B> &to) const {
        const auto powers = powers_;
        const pair<B> factor = factor_;
        const I sign = I(sign_);
        together(
            [&](const C *x, C *to) __attribute__((always_inline)) {
                const B power = powers.template of<Plain>(read(x, sign));
                store(to, fma(power, factor.high, power * factor.low));
            },
            x, to);
    }

    [[gnu::noinline]] static pair<D> without_largest(row_group<C> &data, int input, const powers_beside<B> beside, B largest,
                                                     I sign) {
        const auto powers = beside;
        total<B> sum;
        data.parts([&](npy_intp i) {
            together(
                [&](const C *x) __attribute__((always_inline)) {
                    const B number = read(x, sign);
                    sum.add(select(number == largest, B(0), powers.of(number)));
                },
                data.in(input, i));
        });
        return sum.sum();
    }

    // Over the whole row. What fills it up counts nothing, unless all of it is minus infinity: then it has to be taken
    // away.
    RECTIFIED_INLINE pair<D> whole() const {
        pair<D> sum = data_.sum(sum_.sum());
        if (idle_ && any(largest_ == B(-infinity))) sum.high = sum.high - widened(powers_.of(largest_)) * D(idle_);
        return sum;
    }

    RECTIFIED_INLINE void move_to(const B &most) {
        const powers_beside<B> next(most);
        if (begun_) {
            const auto same = most == beside_, flat = (abs(most) == B(infinity)) | (abs(beside_) == B(infinity));
            const B none = select(flat, B(0), next.of(beside_)), before = select(flat, B(1), powers_.of(beside_));
            sum_.scale(widened(select(same, B(1), none)) / widened(select(same, B(1), before)));
            moved_ = true;
        }
        powers_ = next;
        beside_ = most;
        begun_ = true;
    }

    row_group<C> &data_;
    powers_beside<B> powers_;
    total<B> sum_;
    B beside_ = B(-infinity), largest_ = B(-infinity), of_largest_;
    pair<B> factor_, logarithm_;
    int input_, idle_ = 0;
    typename I::scalar sign_;  // its bit
    bool begun_ = false, moved_ = false, kept_ = false;
};

// A row that is one part: the same for all that need its shares.
template <class C>
[[gnu::noinline]] strip<batch<C, 1>> shares_at_once(row_group<C> &data, int input, bool negated) {
    shares<C> found(data, input, negated);
    found.template take_at_once<true>();
    found.finish();
    return found.put(0);
}

template <bool Negated>
struct softmax_value {
    static constexpr int inputs = 1;
    template <class C>
    static C padding(int) {
        return Negated ? std::numeric_limits<C>::infinity() : -std::numeric_limits<C>::infinity();
    }
    template <class C>
    static void run(row_group<C> &data) {
        if (!data.has_parts()) {
            shares_at_once(data, 0, Negated);
            return data.written(0);
        }
        shares<C> found(data, 0, Negated);
        found.template take_all<true>();
        found.finish();
        data.parts([&](npy_intp i) {
            found.put(i);
            data.written(i);
        });
    }
};

struct log_softmax_value {
    static constexpr int inputs = 1;
    template <class C>
    static C padding(int) {
        return -std::numeric_limits<C>::infinity();
    }
    template <class C>
    static void run(row_group<C> &data) {
        shares<C> found(data, 0, false);
        if (data.has_parts())
            found.template take_all<false>();
        else
            found.template take_at_once<false>();
        found.finish_logarithm();
        data.parts([&](npy_intp i) {
            found.put_logarithms(i);
            data.written(i);
        });
    }
};

// What a product with the Jacobian is made of: p, the shares, and g, what it is multiplied with.
enum class product {
    softmax,       // p (g - sum(p g))
    softmin,       // the same, negative
    log_backward,  // g - p sum(g)
    log_forward,   // g - sum(p g)
};

// Adds g, or p g, to the sum.
template <bool WithShares, class B>
[[gnu::noinline]] void add_products(const strip<B> &g, const strip<B> &p, pair<wide_of<B>> &to) {
    using D = wide_of<B>;
    pair<D> sum = to;
    together(
        [&](const auto *g, const auto *p) __attribute__((always_inline)) {
            D term = widened(load<B>(g));
            if constexpr (WithShares) term = term * widened(load<B>(p));
            if constexpr (std::is_same_v<B, D>) {
                const pair<D> next = sum_of_any(sum.high, term);
                sum = {next.high, sum.low + next.low};
            } else {
                sum.high = sum.high + term;
            }
        },
        g, p);
    to = sum;
}

template <product Kind, class B>
[[gnu::noinline]] void put_products(const strip<B> &g, const strip<B> &p, const strip<B> &to, const pair<B> &sum) {
    const B high = sum.high, low = sum.low;
    together(
        [=](const auto *at, const auto *p, auto *to) __attribute__((always_inline)) {
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

// shares(i, again) has the shares of part i, for the first time or again.
template <product Kind, class C, class Shares>
RECTIFIED_INLINE void multiply_with_jacobian(row_group<C> &data, Shares shares) {
    using B = batch<C, 1>;
    using D = wide_of<B>;
    pair<D> sum = {D(0), D(0)};
    data.parts([&](npy_intp i) { add_products<Kind != product::log_backward, B>(data.in(0, i), shares(i, false), sum); });
    sum = data.sum(sum);
    const D whole = sum.high + sum.low;
    const B high = narrowed<B>(whole), low = narrowed<B>(whole - widened(high));
    data.parts([&](npy_intp i) {
        put_products<Kind, B>(data.in(0, i), shares(i, true), data.out(i), {high, low});
        data.written(i);
    });
}

// From the input: (n),(n)->(n).
template <product Kind>
struct product_from_input {
    static constexpr int inputs = 2;
    static constexpr bool negated = Kind == product::softmin;
    template <class C>
    static C padding(int input) {
        return input ? softmax_value<negated>::template padding<C>(0) : C(0);
    }
    template <class C>
    static void run(row_group<C> &data) {
        if (!data.has_parts())
            return multiply_with_jacobian<Kind>(
                data, [&](npy_intp, bool again) { return again ? data.out(0) : shares_at_once(data, 1, negated); });
        shares<C> found(data, 1, negated);
        found.template take_all<true>();
        found.finish();
        multiply_with_jacobian<Kind>(
            data, [&](npy_intp i, bool again) { return again && data.keeps() ? data.out(i) : found.put(i); });
    }
};

// From the output: (n),(n)->(n).
template <product Kind>
struct product_from_output {
    static constexpr int inputs = 2;
    static constexpr bool of_logarithms = Kind == product::log_backward;
    template <class C>
    static C padding(int input) {
        return input && of_logarithms ? -std::numeric_limits<C>::infinity() : C(0);
    }
    template <class C>
    static void run(row_group<C> &data) {
        multiply_with_jacobian<Kind>(data, [&](npy_intp i, bool again) {
            if (!of_logarithms) return data.in(1, i);
            const auto to = data.out(i);
            if (!again || !data.keeps()) put_powers(data.in(1, i), to);
            return to;
        });
    }

  private:
    template <class B>
    [[gnu::noinline]] static void put_powers(const strip<B> &y, const strip<B> &to) {
        const powers_beside<B> powers(B(0));
        together(
            [&](const auto *y, auto *to) __attribute__((always_inline)) {
                store(to, powers.template of<true>(load<B>(y)) * B(powers.unit));
            },
            y, to);
    }
};

// Sums to 1; equal where all are equal. Its Jacobian is symmetric.
struct softmax : fold {
    static constexpr const char *name = "softmax";
    template <class S, class C>
    using loops = row_loops<S, C, softmax_value<false>, product_from_input<product::softmax>,
                            product_from_output<product::softmax>>;
    static constexpr fold_operation operations[] = {
        {"", "(n)->(n)"}, {"backward", "(n),(n)->(n)"}, {"backward_from_output", "(n),(n)->(n)"}};
};

struct softmin : fold {
    static constexpr const char *name = "softmin";
    template <class S, class C>
    using loops = row_loops<S, C, softmax_value<true>, product_from_input<product::softmin>,
                            product_from_output<product::softmin>>;
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
