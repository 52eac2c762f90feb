// What a derivative is at a kink: an element of the interval between the left and the right derivative.
#pragma once

#include "vector.hpp"

namespace rectified::RECTIFIED_TARGET {

// The element of smallest magnitude.
struct smallest {
    template <class B>
    RECTIFIED_INLINE B operator()(const B &left, const B &right) const {
        const B low = select(left < right, left, right), high = select(left < right, right, left);
        return select(low > B(0), low, select(high < B(0), high, B(0)));
    }
};

// (1 - t) left + t right.
template <class B>
struct between {
    B t;

    RECTIFIED_INLINE B operator()(const B &left, const B &right) const { return (B(1) - t) * left + t * right; }
};

template <class T>
concept kink_choice = std::is_same_v<T, smallest> || requires(T choice) { choice.t; };

}  // namespace rectified::RECTIFIED_TARGET
