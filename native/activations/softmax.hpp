// Softmax and its relatives: shares of a whole, which are largest where the input is.
#pragma once

#include "../fold.hpp"
#include "../rows.hpp"

namespace rectified::RECTIFIED_TARGET {

// The sum of e^x over a row, and each number's share in it.
//
// Part by part: the powers stand beside the largest number so far. When a later part has one that is larger by far the sum
// is scaled down; its powers have to be computed again, once all is known. Infinities share alike: then every number counts
// as 0 where it is equal to the largest, and as minus infinity where it is not.
template <class B, class Policy, bool Negated>
class shares {
    using D = wide_of<B>;
    using T = typename B::scalar;
    using Mask = typename B::integer;
    static constexpr T infinity = std::numeric_limits<T>::infinity();

  public:
    // Take numbers into account. If there is a place for their powers, those are kept. With Apart the largest of them are
    // only counted: then the others are not hidden beside them.
    template <bool Keep, bool Apart = false>
    RECTIFIED_INLINE void take(const strip<B> &x, const strip<B> &kept) {
        B most = B(-infinity);
        together([&](const T *x) __attribute__((always_inline)) { most = greater(most, signed_(load<B>(x))); }, x);
        most = Policy::largest(most);
        if (!begun_ || Policy::any(most > beside_ + B(32))) move_to(most);
        largest_ = greater(largest_, most);
        const auto powers = powers_;
        const B top = flat_any_ ? select(flat_, B(0), most) : most;
        total<B> sum = total_;
        B count = B(0);
        together(
            [&](const T *x, T *kept) __attribute__((always_inline)) {
                const B number = read(x);
                const pair<B> power = powers.pair_of(number);
                if constexpr (Apart) {
                    const auto is_top = number == top;
                    sum.add({select(is_top, B(0), power.high), select(is_top, B(0), power.low)});
                    count = count + select(is_top, B(1), B(0));
                } else {
                    sum.add(power);
                }
                if constexpr (Keep) store(kept, power.high);
            },
            x, kept);
        total_ = sum;
        count_ = count;
        idle_ += x.idle;
    }

    bool has_moved() const { return moved_; }  // what was kept does not hold

    // Powers have been rounded, but not in the sum. The largest gets its share from more digits too: so equal numbers, and
    // one alone, have the shares that they should have.
    RECTIFIED_INLINE void finish() {
        const pair<D> all = whole();
        set_top();
        top_power_ = powers_.of(top_);
        const pair<D> top_share = quotient_of(powers_.wide_of_number(top_), all);
        top_share_ = narrowed<B>(top_share.high + top_share.low);
        const D sum = all.high + all.low, reciprocal = D(1) / sum;
        factor_.high = narrowed<B>(reciprocal);
        if constexpr (std::is_same_v<T, double>)
            factor_.low = reciprocal * fnma(reciprocal, (all.high - sum) + all.low, fnma(reciprocal, sum, D(1)));
        else
            factor_.low = narrowed<B>(reciprocal - widened(factor_.high));
    }

    RECTIFIED_INLINE B of_power(const B &power) const {
        return select(power == top_power_, top_share_, fma(power, factor_.high, power * factor_.low));
    }
    RECTIFIED_INLINE B of(const T *x) const { return of_power(powers_.of(read(x))); }

    // What the logarithms of shares need: log(sum) = m + log(1 + t), where t is what the others are beside the largest, m.
    // Where they are little the sum does not tell, and they are added up once more: `each` hands over all numbers.
    template <bool Apart, class Each>
    RECTIFIED_INLINE void finish_logarithm(Each each) {
        pair<D> others;
        if constexpr (Apart) {
            set_top();
            const pair<D> top = powers_.wide_of_number(top_), less = quotient_of(Policy::sum(total_.sum()), top);
            const pair<D> more = sum_of_any(widened(count_) - D(1), less.high);
            others = {more.high, more.low + less.low};
        } else {
            set_top();
            const pair<D> all = whole(), top = powers_.wide_of_number(top_);
            const pair<B> added = powers_.pair_of(top_);
            const pair<D> less = sum_of_any(all.high, -widened(added.high));
            others = quotient_of(sum_of(less.high, less.low + (all.low - widened(added.low))), top);
            if (Policy::any(others.high < D(0x1p-8))) {
                total<B> rest;
                each([&](const T *x) __attribute__((always_inline)) {
                    const B number = read(x);
                    const pair<B> power = powers_.pair_of(number);
                    const auto is_top = number == top_;
                    rest.add({select(is_top, B(0), power.high), select(is_top, B(0), power.low)});
                });
                others = quotient_of(Policy::sum(rest.sum()), top);
            }
        }
        const pair<D> log = log_of_one_plus_any(others);
        const pair<D> all = sum_of_any(widened(top_ - powers_.origin), log.high);
        if constexpr (std::is_same_v<T, double>) {
            logarithm_ = sum_of(all.high, all.low + log.low);
        } else {
            const D rounded = all.high + (all.low + log.low);
            logarithm_.high = narrowed<B>(rounded);
            logarithm_.low = narrowed<B>(rounded - widened(logarithm_.high));
        }
        of_largest_ = -narrowed<B>(log.high + log.low);
    }

    RECTIFIED_INLINE B logarithm_of(const T *x) const {
        const B number = read(x);
        const pair<B> difference = sum_of_any(number - powers_.origin, -logarithm_.high);
        const B rounded = difference.high + (difference.low - logarithm_.low);
        return select(number == top_, of_largest_, select(difference.high == B(-infinity), difference.high, rounded));
    }

  private:
    RECTIFIED_INLINE static B signed_(const B &x) {
        if constexpr (Negated)
            return -x;
        else
            return x;
    }

    RECTIFIED_INLINE B read(const T *from) const {
        const B x = signed_(load<B>(from));
        if (!flat_any_) return x;
        return select(flat_, select(x == beside_, B(0), x - beside_), x);
    }

    RECTIFIED_INLINE void set_top() { top_ = flat_any_ ? select(flat_, B(0), largest_) : largest_; }

    // Over the whole row. What fills it up counts nothing, unless all of it is minus infinity: then it has to be taken
    // away.
    RECTIFIED_INLINE pair<D> whole() const {
        pair<D> sum = Policy::sum(total_.sum());
        if (idle_ && flat_any_ && Policy::any(beside_ < B(0))) sum.high = sum.high - widened(powers_.of(B(0))) * D(idle_);
        return sum;
    }

    RECTIFIED_INLINE void move_to(const B &most) {
        const Mask flat = abs(most) == B(infinity);
        const powers_beside<B> powers(select(flat, B(0), most));
        if (begun_) {
            const D share = widened(powers.of(beside_)) / widened(powers_.of(beside_));
            const D scale = flat_any_ || Policy::any(flat) ? D(0) : share;
            total_.scale(scale);
            moved_ = true;
        }
        powers_ = powers;
        beside_ = most;
        flat_ = flat;
        flat_any_ = Policy::any(flat);
        begun_ = true;
    }

    powers_beside<B> powers_;
    total<B> total_;
    B beside_ = B(0), largest_ = B(-infinity), top_, top_power_, top_share_, of_largest_, count_;
    Mask flat_;
    pair<B> factor_, logarithm_;
    int idle_ = 0;
    bool begun_ = false, moved_ = false, flat_any_ = false;
};

template <class B, class Data, bool Negated, bool Keep, bool Apart = false>
RECTIFIED_INLINE shares<B, typename Data::policy, Negated> shares_of(Data &data, int input) {
    shares<B, typename Data::policy, Negated> found;
    data.parts([&](npy_intp i) {
        const strip<B> x = data.in(input, i);
        if (Keep && data.keeps()) {
            found.template take<true>(x, data.out(i));
            data.written(i);
        } else {
            found.template take<false, Apart>(x, x);
        }
    });
    return found;
}

// f(data, i, shares): for each part of the row, where `shares(place)` computes the shares there, from kept powers or anew.
template <class B, bool Negated, class Data, class F>
RECTIFIED_INLINE void with_shares(Data &data, int input, F f) {
    auto found = shares_of<B, Data, Negated, true>(data, input);
    found.finish();
    if (data.keeps() && !found.has_moved())
        f([&](npy_intp i) { return data.kept(i); },
          [&](const typename B::scalar *at) __attribute__((always_inline)) { return found.of_power(load<B>(at)); });
    else
        f([&](npy_intp i) { return data.in(input, i); },
          [&](const typename B::scalar *at) __attribute__((always_inline)) { return found.of(at); });
}

template <bool Negated>
struct softmax_value {
    static constexpr int inputs = 1;
    template <class C>
    static C padding(int) {
        return Negated ? std::numeric_limits<C>::infinity() : -std::numeric_limits<C>::infinity();
    }
    template <class B, class Data>
    static void run(Data &data) {
        with_shares<B, Negated>(data, 0, [&](auto source, auto share) __attribute__((always_inline)) {
            data.parts([&](npy_intp i) {
                const strip<B> from = source(i);
                together([&](const auto *at, auto *y) __attribute__((always_inline)) { store(y, share(at)); }, from,
                         data.out(i));
                data.written(i);
            });
        });
    }
};

struct log_softmax_value {
    static constexpr int inputs = 1;
    template <class C>
    static C padding(int) {
        return -std::numeric_limits<C>::infinity();
    }
    template <class B, class Data>
    static void run(Data &data) {
        constexpr bool apart =
            std::is_same_v<typename Data::policy, row_per_lane>;  // whose largest is known from the start
        auto found = shares_of<B, Data, false, false, apart>(data, 0);
        found.template finish_logarithm<apart>(
            [&](auto f) __attribute__((always_inline)) { data.parts([&](npy_intp i) { together(f, data.in(0, i)); }); });
        data.parts([&](npy_intp i) {
            const strip<B> x = data.in(0, i);
            together([&](const auto *x, auto *y) __attribute__((always_inline)) { store(y, found.logarithm_of(x)); }, x,
                     data.out(i));
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

template <product Kind>
struct jacobian_product {
    // `at` tells where p is read in part i, and `p` computes it there.
    template <class B, class Data, class At, class P>
    RECTIFIED_INLINE static void run(Data &data, At at, P p) {
        using Policy = typename Data::policy;
        using D = wide_of<B>;
        pair<D> sum = {D(0), D(0)};
        data.parts([&](npy_intp i) {
            const strip<B> g = data.in(0, i), from = at(i);
            together(
                [&](const auto *g, const auto *place) __attribute__((always_inline)) {
                    D term = widened(load<B>(g));
                    if constexpr (Kind != product::log_backward) term = term * widened(p(place));
                    if constexpr (std::is_same_v<typename B::scalar, float>) {
                        sum.high = sum.high + term;
                    } else {
                        const pair<D> next = sum_of_any(sum.high, term);
                        sum = {next.high, sum.low + next.low};
                    }
                },
                g, from);
        });
        sum = Policy::sum(sum);
        const D whole = sum.high + sum.low;
        const B high = narrowed<B>(whole), low = narrowed<B>(whole - widened(high));
        data.parts([&](npy_intp i) {
            const strip<B> g = data.in(0, i), from = at(i);
            together(
                [&](const auto *at, const auto *place, auto *to) __attribute__((always_inline)) {
                    const B g = load<B>(at), share = p(place);
                    if constexpr (Kind == product::softmax)
                        store(to, share * ((g - high) - low));
                    else if constexpr (Kind == product::softmin)
                        store(to, share * ((high - g) + low));
                    else if constexpr (Kind == product::log_backward)
                        store(to, fnma(share, high, g));
                    else
                        store(to, (g - high) - low);
                },
                g, from, data.out(i));
            data.written(i);
        });
    }
};

// From the input: (n),(n)->(n).
template <product Kind>
struct product_from_input {
    static constexpr int inputs = 2;
    static constexpr bool negated = Kind == product::softmin;
    template <class C>
    static C padding(int input) {
        return input ? softmax_value<negated>::template padding<C>(0) : C(0);
    }
    template <class B, class Data>
    static void run(Data &data) {
        with_shares<B, negated>(data, 1, [&](auto at, auto p) __attribute__((always_inline)) {
            jacobian_product<Kind>::template run<B>(data, at, p);
        });
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
    template <class B, class Data>
    static void run(Data &data) {
        const powers_beside<B> powers(B(0));
        jacobian_product<Kind>::template run<B>(
            data, [&](npy_intp i) { return data.in(1, i); },
            [&](const auto *at) __attribute__((always_inline)) {
                const B y = load<B>(at);
                if constexpr (of_logarithms)
                    return powers.of(y) * B(powers.unit);
                else
                    return y;
            });
    }
};

// Sums to 1; equal where all are equal. Its Jacobian is symmetric.
struct softmax : fold {
    static constexpr const char *name = "softmax";
    template <class S, class C>
    using loops = fold_loops<row_loop<softmax_value<false>, S, C>, row_loop<product_from_input<product::softmax>, S, C>,
                             row_loop<product_from_output<product::softmax>, S, C>>;
    static constexpr fold_operation operations[] = {
        {"", "(n)->(n)"}, {"backward", "(n),(n)->(n)"}, {"backward_from_output", "(n),(n)->(n)"}};
};

struct softmin : fold {
    static constexpr const char *name = "softmin";
    template <class S, class C>
    using loops = fold_loops<row_loop<softmax_value<true>, S, C>, row_loop<product_from_input<product::softmin>, S, C>,
                             row_loop<product_from_output<product::softmin>, S, C>>;
    static constexpr auto &operations = softmax::operations;
};

struct log_softmax : fold {
    static constexpr const char *name = "log_softmax";
    template <class S, class C>
    using loops = fold_loops<row_loop<log_softmax_value, S, C>, row_loop<product_from_input<product::log_backward>, S, C>,
                             row_loop<product_from_output<product::log_backward>, S, C>,
                             row_loop<product_from_input<product::log_forward>, S, C>>;
    static constexpr fold_operation operations[] = {
        {"", "(n)->(n)"}, {"backward", "(n),(n)->(n)"}, {"backward_from_output", "(n),(n)->(n)"}, {"jvp", "(n),(n)->(n)"}};
};

}  // namespace rectified::RECTIFIED_TARGET
