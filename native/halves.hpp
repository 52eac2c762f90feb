// Units that are made of a function along two halves of an axis: they take two and give one, or take one and give two.
#pragma once

#include "loops.hpp"
#include "storage.hpp"

namespace rectified::RECTIFIED_TARGET {

inline constexpr int most_parameters = 2;  // of a function

// What a unit's loop is given: the function, and how the arrays' numbers become those that its kernels take. Where float32
// leaves open how a result is rounded to a short type, the same in float64 decides.
template <class C>
struct unit_work {
    const storage<C> *stored;
    const work<C> *value, *slope;
    const unit_work<double> *sure = nullptr;
};

// What a unit asks a function for: its value or its slope, at an input or at the negative of that.
enum property { its_value, its_slope };
struct question {
    property wanted;
    int input;
    bool negated = false;
};

template <class B, int Count>
struct results {
    B of[Count];
};

// Each unit has inputs and questions, and `of` makes its outputs from the inputs and the answers.
struct gated {
    static constexpr const char *kind = "gated";
    static constexpr bool is_product = true;
    static constexpr int inputs = 2, outputs = 1;
    static constexpr question questions[] = {{its_value, 1}};
    template <class B>
    RECTIFIED_INLINE static results<B, outputs> of(const B &other, const B &, const B &value) {
        return {{other * value}};
    }
};

struct gated_backward {
    static constexpr const char *kind = "gated_backward";
    static constexpr bool is_product = true;
    static constexpr int inputs = 3, outputs = 2;
    static constexpr question questions[] = {{its_value, 2}, {its_slope, 2}};
    template <class B>
    RECTIFIED_INLINE static results<B, outputs> of(const B &dy, const B &other, const B &, const B &value, const B &slope) {
        return {{dy * value, dy * (other * slope)}};
    }
};

struct gated_jvp {
    static constexpr const char *kind = "gated_jvp";
    static constexpr int inputs = 4, outputs = 1;
    static constexpr question questions[] = {{its_value, 3}, {its_slope, 3}};
    template <class B>
    RECTIFIED_INLINE static results<B, outputs> of(const B &moved_other, const B &moved, const B &other, const B &,
                                                   const B &value, const B &slope) {
        return {{moved * (other * slope) + moved_other * value}};
    }
};

struct doubled {
    static constexpr const char *kind = "doubled";
    static constexpr int inputs = 1, outputs = 2;
    static constexpr question questions[] = {{its_value, 0}, {its_value, 0, true}};
    template <class B>
    RECTIFIED_INLINE static results<B, outputs> of(const B &, const B &first, const B &second) {
        return {{first, second}};
    }
};

struct doubled_backward {
    static constexpr const char *kind = "doubled_backward";
    static constexpr int inputs = 3, outputs = 1;
    static constexpr question questions[] = {{its_slope, 2}, {its_slope, 2, true}};
    template <class B>
    RECTIFIED_INLINE static results<B, outputs> of(const B &to_first, const B &to_second, const B &, const B &slope,
                                                   const B &opposite) {
        return {{to_first * slope - to_second * opposite}};
    }
};

// (n) for each input, () for each parameter, (n) for each output.
template <class Unit, int Parameters>
struct unit_signature {
    static_assert(Parameters <= most_parameters);
    char text[4 * (Unit::inputs + Unit::outputs) + 3 * Parameters + 1] = {};

    constexpr unit_signature() {
        char *to = text;
        const auto put = [&](const char *part) {
            while (*part) *to++ = *part++;
        };
        for (int k = 0; k < Unit::inputs; ++k) put(k ? ",(n)" : "(n)");
        for (int k = 0; k < Parameters; ++k) put(",()");
        for (int k = 0; k < Unit::outputs; ++k) put(k ? ",(n)" : "->(n)");
    }
};

// The loop of a unit. What NumPy hands through is a unit_work<C>.
template <class Unit, class C>
void unit_loop(char **args, const npy_intp *dimensions, const npy_intp *steps, void *work);

// The same in float32 for a short type, and in float64 for what that leaves open. What NumPy hands through is a
// unit_work<float>.
template <class Unit, class S>
void settled_unit_loop(char **args, const npy_intp *dimensions, const npy_intp *steps, void *work);

}  // namespace rectified::RECTIFIED_TARGET
