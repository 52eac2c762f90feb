// Distributions that put all on few.
#pragma once

#include "../fold.hpp"
#include "../rows.hpp"

namespace rectified::RECTIFIED_TARGET {

// A row's sum less one number, from those of its lanes.
template <class B, class D = wide_of<B>>
RECTIFIED_INLINE D whole(const row_group<typename B::scalar> &data, const pair<D> &lanes, double less) {
    if constexpr (std::is_same_v<B, D>) {
        const pair<D> sum = data.sum(lanes), all = sum_of_any(sum.high, D(-less));
        const D low = all.low + sum.low;
        return select(low == low, all.high + low, all.high);  // an infinite sum has no rest
    } else {
        return data.sum(lanes.high) - D(less);
    }
}

// max(x - tau, 0), where tau is such that the sum is 1 (Michelot): from a threshold that is too low, what lies above it has
// a better one, until none falls below. It only rises: where a number lies on it but for rounding, two would take turns.
// Infinities share alike.
template <class T>
class sparse_support {
    using B = row_batch<T>;
    using D = wide_of<B>;
    static constexpr T infinity = std::numeric_limits<T>::infinity();

  public:
    sparse_support(row_group<T> &data, int input) {
        int idle_lanes = 0;
        data.parts([&](npy_intp i) { idle_lanes += data.in(input, i).idle; });
        const auto each = [&](auto f) __attribute__((always_inline)) {
            data.parts([&](npy_intp i) { together(f, data.in(input, i)); });
        };
        B most = B(-infinity);
        each([&](const T *x) __attribute__((always_inline)) { most = greater(most, load<B>(x)); });
        most_ = data.largest(most);
        flat_ = any(abs(most_) == B(infinity));
        const D idle = select(widened(most_) == D(-infinity), D(idle_lanes), D(0));  // what fills up a row of nothing else
        D bad = D(0);
        each([&](const T *x) __attribute__((always_inline)) {
            const D z = below(x);
            bad = select(z == z, bad, z);
        });
        bad = data.sum(bad);
        threshold_ = D(-1) + bad;
        for (bool better = true; better;) {
            pair<D> sum = {D(0), D(0)};
            D members = D(0);
            each([&](const T *x) __attribute__((always_inline)) {
                const D z = below(x);
                const auto is_member = z > threshold_;
                add<B>(sum, select(is_member, z, D(0)));
                members = members + select(is_member, D(1), D(0));
            });
            members = data.sum(members) - idle;
            const D next = whole<B>(data, sum, 1) / members + bad;
            better = any(next > threshold_);
            threshold_ = greater(threshold_, next);
        }
    }

    RECTIFIED_INLINE B of(const T *x) const { return narrowed<B>(greater(D(0), below(x) - threshold_)); }

  private:
    RECTIFIED_INLINE D below(const T *from) const {
        const B x = load<B>(from);
        const D z = widened(x) - widened(most_);
        return flat_ ? select(widened(x) == widened(most_), D(0), z) : z;
    }

    B most_;
    D threshold_;
    bool flat_;
};

struct sparsemax_value {
    static constexpr int inputs = 1;
    template <class C>
    static C padding(int) {
        return -std::numeric_limits<C>::infinity();
    }
    template <class C>
    static void run(row_group<C> &data) {
        const sparse_support<C> support(data, 0);
        data.parts([&](npy_intp i) {
            const auto x = data.in(0, i);
            together([&](const auto *x, auto *y) __attribute__((always_inline)) { store(y, support.of(x)); }, x,
                     data.out(i));
            data.written(i);
        });
    }
};

// g less its mean over the support, and 0 outside; from the output, whose support is where it is positive.
template <bool FromOutput>
struct sparsemax_product {
    static constexpr int inputs = 2;
    template <class C>
    static C padding(int input) {
        return input && !FromOutput ? -std::numeric_limits<C>::infinity() : C(0);
    }
    template <class C>
    static void run(row_group<C> &data) {
        if constexpr (FromOutput) {
            project(data, [](const auto *at) __attribute__((always_inline)) { return load<row_batch<C>>(at); });
        } else {
            const sparse_support<C> support(data, 1);
            project(data, [&](const auto *at) __attribute__((always_inline)) { return support.of(at); });
        }
    }

  private:
    template <class C, class Share>
    RECTIFIED_INLINE static void project(row_group<C> &data, Share share) {
        using B = row_batch<C>;
        using D = wide_of<B>;
        pair<D> sum = {D(0), D(0)};
        D members = D(0);
        data.parts([&](npy_intp i) {
            const strip<B> g = data.in(0, i), from = data.in(1, i);
            together(
                [&](const auto *g, const auto *at) __attribute__((always_inline)) {
                    const B y = share(at);
                    add<B>(sum, widened(select(y > B(0), load<B>(g), B(0))));
                    members = members + widened(select(y > B(0), B(1), B(0)));
                },
                g, from);
        });
        const D mean = whole<B>(data, sum, 0) / data.sum(members);
        data.parts([&](npy_intp i) {
            const strip<B> g = data.in(0, i), from = data.in(1, i);
            together(
                [&](const auto *g, const auto *at, auto *to) __attribute__((always_inline)) {
                    const B y = share(at), inside = narrowed<B>(widened(load<B>(g)) - mean);
                    store(to, select(y > B(0), inside, select(y == y, B(0), y)));
                },
                g, from, data.out(i));
            data.written(i);
        });
    }
};

// Its Jacobian is symmetric.
struct sparsemax : fold {
    static constexpr const char *name = "sparsemax";
    // The threshold takes away leading digits.
    template <class S, class C>
    using loops = row_loops<S, std::conditional_t<std::is_same_v<S, C>, C, double>, sparsemax_value,
                            sparsemax_product<false>, sparsemax_product<true>>;
    static constexpr fold_operation operations[] = {
        {"", "(n)->(n)"}, {"backward", "(n),(n)->(n)"}, {"backward_from_output", "(n),(n)->(n)"}};
};

// 1 where the first of the largest is, else 0; the derivative is 0. Inputs is 2 for that, whose first input it ignores.
template <int Inputs>
struct one_hot {
    static constexpr int inputs = Inputs;
    template <class C>
    static C padding(int) {
        return -std::numeric_limits<C>::infinity();
    }
    template <class T>
    static void run(row_group<T> &data) {
        using B = row_batch<T>;
        B most = B(-std::numeric_limits<T>::infinity()), bad = B(0);
        each(data, [&](const T *at) __attribute__((always_inline)) {
            const B x = load<B>(at);
            most = greater(most, x);
            bad = select(x == x, bad, x);
        });
        most = data.largest(most);
        bad = narrowed<B>(data.sum(widened(bad)));
        finder<B> found(most, data.each_lane_a_row());
        data.parts([&](npy_intp i) {
            const strip<B> x = data.in(Inputs - 1, i);
            together(
                [&](const T *at, T *to)
                    __attribute__((always_inline)) { store(to, (Inputs == 1 ? found.here(load<B>(at)) : B(0)) + bad); },
                x, data.out(i));
            data.written(i);
        });
    }

  private:
    template <class T, class F>
    RECTIFIED_INLINE static void each(row_group<T> &data, F f) {
        data.parts([&](npy_intp i) { together(f, data.in(Inputs - 1, i)); });
    }

    template <class B>
    struct finder {
        using I = typename B::integer;
        B most;
        bool each_lane_a_row;
        I open = I(-1);

        RECTIFIED_INLINE finder(const B &x, bool each_lane) : most(x), each_lane_a_row(each_lane) {}

        RECTIFIED_INLINE B here(const B &x) {
            const I is = x == most;
            B found = select(is & open, B(1), B(0));
            if (each_lane_a_row) {
                open = select(is, I(0), open);
            } else if (open.part[0][0] && any(is)) {
                typename B::scalar lanes[B::lanes];
                store(lanes, found);
                bool first = true;
                for (auto &lane : lanes) {
                    lane = first ? lane : 0;
                    first = first && lane == 0;
                }
                found = load<B>(lanes);
                open = I(0);
            }
            return found;
        }
    };
};

struct hardmax : fold {
    static constexpr const char *name = "hardmax";
    template <class S, class C>
    using loops = row_loops<S, C, one_hot<1>, one_hot<2>, one_hot<2>>;
    static constexpr auto &operations = sparsemax::operations;
};

}  // namespace rectified::RECTIFIED_TARGET
