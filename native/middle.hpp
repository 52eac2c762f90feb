// float32 where inputs mostly lie.
#pragma once

#include <type_traits>

#include "power.hpp"
#include "tabulated.hpp"

namespace rectified::RECTIFIED_TARGET {

// What a function does with the numbers beyond its middle, for which it has a longer way.
//
// They go that way beside the others, which have then gone both.
struct beside_others {
    template <class F, class B>
    RECTIFIED_INLINE B operator()(F far, const B &x, const B &near, const typename B::integer &beyond) const {
        if (any(beyond)) [[unlikely]] {
            const B copies[] = {x, near};  // what a call takes the address of is in memory all the time
            return replaced(far, copies[0], copies[1], beyond);
        }
        return near;
    }

  private:
    template <class F, class B>
    [[gnu::noinline]] static B replaced(F f, const B &x, const B &y, const typename B::integer &condition) {
        return select(condition, f(x), y);
    }
};
// They stay for later: what stands in their places is of no use.
template <class B>
struct put_off {
    typename B::integer *beyond;

    template <class F>
    RECTIFIED_INLINE B operator()(F, const B &, const B &near, const typename B::integer &condition) const {
        *beyond = condition;
        return near;
    }
};
// All are beyond.
struct far_only {
    template <class F, class B>
    RECTIFIED_INLINE B operator()(F far, const B &x, const B &, const typename B::integer &) const {
        return far(x);
    }
};
template <class T>
concept road = std::is_same_v<T, beside_others> || std::is_same_v<T, far_only> || requires(T t) { t.beyond; };

// A smooth function near 0, for |x| below some number, where nearly all inputs of a network lie, and `far` elsewhere.
//
// There a polynomial does in the place of an exponential, or of a root and a quotient: sixteen of them, about centers whose
// values are exact, so that one rounding is left, and of the slope little more. Which way a number goes depends on nothing
// but itself.
template <class Table, class Far, class B, road Road>
RECTIFIED_INLINE B in_the_middle(Far far, const B &x, const B &bounded, const typename B::integer &beyond,
                                 const Road &road) {
    return road(far, x, tabulated<Table, B>(bounded).result(), beyond);
}

template <class Table, class Far, class B, road Road>
RECTIFIED_INLINE B in_the_middle(Far far, const B &x, const Road &road) {
    return in_the_middle<Table>(far, x, x, abs(x) >= B(Table::end), road);
}

// x f(x) with f(-x) = 1 - f(x), where right of the end it rounds to x.
template <class Table, class Far, class B, road Road>
RECTIFIED_INLINE B gated_in_the_middle(Far far, const B &x, const Road &road) {
    const B end = B(Table::end), a = lesser(end, abs(x));
    return greater(B(-0.0f), x) - in_the_middle<Table>(far, x, a, x <= -end, road);
}

}  // namespace rectified::RECTIFIED_TARGET
