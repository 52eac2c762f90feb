// Distributions that put all on few.
#pragma once

#include "../fold.hpp"
#include "../rows.hpp"

namespace rectified::RECTIFIED_TARGET {

// max(x - tau, 0), where tau is such that the sum is 1 (Michelot): from a threshold that is too low, what lies above it has
// a better one, until none falls below. Infinities share alike.
template <class B, class Policy>
class sparse_support {
    using D = wide_of<B>;
    using T = typename B::scalar;
    static constexpr T infinity = std::numeric_limits<T>::infinity();

  public:
    template <class Each>
    RECTIFIED_INLINE sparse_support(Each each, int idle_lanes) {
        B most = B(-infinity);
        each([&](const T *x) __attribute__((always_inline)) { most = greater(most, load<B>(x)); });
        most_ = Policy::largest(most);
        flat_ = Policy::any(abs(most_) == B(infinity));
        const D idle = select(widened(most_) == D(-infinity), D(idle_lanes), D(0));  // what fills up a row of nothing else
        D bad = D(0), count = D(0);
        each([&](const T *x) __attribute__((always_inline)) {
            const D z = below(x);
            bad = select(z == z, bad, z);
        });
        bad = Policy::sum(pair<D>{bad, D(0)}).high;
        threshold_ = D(-1) + bad;
        for (bool better = true; better;) {
            D sum = D(0), members = D(0);
            each([&](const T *x) __attribute__((always_inline)) {
                const D z = below(x);
                const auto is_member = z > threshold_;
                sum = sum + select(is_member, z, D(0));
                members = members + select(is_member, D(1), D(0));
            });
            sum = Policy::sum(pair<D>{sum, D(0)}).high;
            members = Policy::sum(pair<D>{members, D(0)}).high - idle;
            threshold_ = (sum - D(1)) / members + bad;
            better = Policy::any(select(members == count, typename D::integer(0), typename D::integer(-1)));
            count = members;
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

template <class B, class Data>
RECTIFIED_INLINE auto support_of(Data &data, int input) {
    int idle = 0;
    data.parts([&](npy_intp i) { idle += data.in(input, i).idle; });
    const auto each = [&](auto f) __attribute__((always_inline)) {
        data.parts([&](npy_intp i) { together(f, data.in(input, i)); });
    };
    return sparse_support<B, typename Data::policy>(each, idle);
}

struct sparsemax_value {
    static constexpr int inputs = 1;
    template <class C>
    static C padding(int) {
        return -std::numeric_limits<C>::infinity();
    }
    template <class B, class Data>
    static void run(Data &data) {
        const auto support = support_of<B>(data, 0);
        data.parts([&](npy_intp i) {
            const strip<B> x = data.in(0, i);
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
    template <class B, class Data>
    static void run(Data &data) {
        if constexpr (FromOutput) {
            project<B>(data, [](const auto *at) __attribute__((always_inline)) { return load<B>(at); });
        } else {
            const auto support = support_of<B>(data, 1);
            project<B>(data, [&](const auto *at) __attribute__((always_inline)) { return support.of(at); });
        }
    }

  private:
    template <class B, class Data, class Share>
    RECTIFIED_INLINE static void project(Data &data, Share share) {
        using D = wide_of<B>;
        D sum = D(0), members = D(0);
        data.parts([&](npy_intp i) {
            const strip<B> g = data.in(0, i), from = data.in(1, i);
            together(
                [&](const auto *g, const auto *at) __attribute__((always_inline)) {
                    const B y = share(at);
                    sum = sum + widened(select(y > B(0), load<B>(g), B(0)));
                    members = members + widened(select(y > B(0), B(1), B(0)));
                },
                g, from);
        });
        using Policy = typename Data::policy;
        const D mean = Policy::sum(pair<D>{sum, D(0)}).high / Policy::sum(pair<D>{members, D(0)}).high;
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
    template <class S, class C>
    using loops = fold_loops<row_loop<sparsemax_value, S, C>, row_loop<sparsemax_product<false>, S, C>,
                             row_loop<sparsemax_product<true>, S, C>>;
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
    template <class B, class Data>
    static void run(Data &data) {
        using T = typename B::scalar;
        using Policy = typename Data::policy;
        B most = B(-std::numeric_limits<T>::infinity()), bad = B(0);
        each<B>(data, [&](const T *at) __attribute__((always_inline)) {
            const B x = load<B>(at);
            most = greater(most, x);
            bad = select(x == x, bad, x);
        });
        most = Policy::largest(most);
        bad = narrowed<B>(Policy::sum(pair<wide_of<B>>{widened(bad), wide_of<B>(0)}).high);
        finder<B, Policy> found(most);
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
    template <class B, class Data, class F>
    RECTIFIED_INLINE static void each(Data &data, F f) {
        data.parts([&](npy_intp i) { together(f, data.in(Inputs - 1, i)); });
    }

    template <class B, class Policy>
    struct finder {
        using I = typename B::integer;
        B most;
        I open = I(-1);

        RECTIFIED_INLINE explicit finder(const B &x) : most(x) {}

        RECTIFIED_INLINE B here(const B &x) {
            const I is = x == most;
            B found = select(is & open, B(1), B(0));
            if constexpr (std::is_same_v<Policy, row_per_lane>) {
                open = select(is, I(0), open);
            } else if (open.part[0][0] && row_per_lane::any(is)) {
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
    using loops = fold_loops<row_loop<one_hot<1>, S, C>, row_loop<one_hot<2>, S, C>, row_loop<one_hot<2>, S, C>>;
    static constexpr auto &operations = sparsemax::operations;
};

}  // namespace rectified::RECTIFIED_TARGET
