// From a function's struct to its operations: what each ufunc computes, and from which inputs.
#pragma once

#include <iterator>

#include "kink.hpp"
#include "middle.hpp"
#include "round_to_odd.hpp"
#include "two_slopes.hpp"
#include "usual.hpp"

namespace rectified::RECTIFIED_TARGET {

template <class F>
constexpr int parameters_of() {
    if constexpr (requires { F::parameters; })
        return static_cast<int>(std::size(F::parameters));
    else
        return 0;
}

// An operation reads `data` arrays, element by element, and `parameters` numbers, mostly the same for all elements.
template <class F, int Data, int Parameters>
struct operation {
    using function = F;
    static constexpr int data = Data, parameters = Parameters, inputs = Data + Parameters;
    static constexpr const char *detail = "";
    static constexpr bool cheap = requires { F::piecewise_linear; };            // takes less time than its memory does
    static constexpr bool is_short = cheap || requires { F::is_short; };        // takes few steps, with no long chains
    static constexpr bool through_double = requires { F::ample_for_shorter; };  // computes float32 in float64
    static constexpr bool rare = false;                                         // not worth code of its own for each case
    static constexpr bool in_pairs = false;    // has as_pair, which float32 has in all digits that a short type needs
    static constexpr bool has_middle = false;  // is told what to do with float32 beyond it
    template <class C>
    static constexpr bool knows_one = false;  // is simpler where its one parameter is 1, and can do without it
    template <class S>
    static constexpr bool rounds_to_odd = false;  // has rounded_to_odd, of which no digit is lost that S needs
};

// The same where that parameter is 1.
template <class Op>
struct with_one : Op {
    static constexpr int parameters = 0, inputs = Op::data;
    template <class C>
    static constexpr bool knows_one = false;
};

template <class F>
struct value : operation<F, 1, parameters_of<F>()> {
    static constexpr const char *kind = "";
    static constexpr bool in_pairs = requires(batch<float, 1> x) { F::value_as_pair(x); };
    template <class C>
    static constexpr bool knows_one = parameters_of<F>() == 1 && requires(batch<C, 1> x) { F::value(x); };
    static constexpr bool has_middle = requires(batch<float, 1> x) { F::value(x, far_only{}); };
    static constexpr bool through_double =
        operation<F, 1, parameters_of<F>()>::through_double && !requires(batch<float, 1> x) { F::value_in_float32(x, x); };
    template <class... B>
    RECTIFIED_INLINE static auto of(const B &...in) {
        if constexpr (requires { F::value_in_float32(in...); })
            return if_usual(F::value_in_float32(in...), [](const auto &...in) { return F::value(in...); }, in...);
        else
            return F::value(in...);
    }
    template <class B>
    RECTIFIED_INLINE static pair<B> as_pair(const B &x) {
        return F::value_as_pair(x);
    }
};

template <class F>
struct derivative : operation<F, 1, parameters_of<F>()> {
    static constexpr const char *kind = "derivative";
    static constexpr bool is_short = operation<F, 1, parameters_of<F>()>::is_short || requires { F::derivative_is_short; };
    static constexpr bool in_pairs = requires(batch<float, 1> x) { F::backward_as_pair(x, x); };
    template <class C>
    static constexpr bool knows_one = parameters_of<F>() == 1 && requires(batch<C, 1> x) { F::derivative(x); };
    static constexpr bool has_middle = requires(batch<float, 1> x) { F::derivative(x, far_only{}); };
    static constexpr bool through_double = operation<F, 1, parameters_of<F>()>::through_double &&
                                           !requires(batch<float, 1> x) { F::derivative_in_float32(x, x); };
    template <class... B>
    RECTIFIED_INLINE static auto of(const B &...in) {
        if constexpr (requires { F::derivative_in_float32(in...); })
            return if_usual(F::derivative_in_float32(in...), [](const auto &...in) { return F::derivative(in...); }, in...);
        else if constexpr (std::is_base_of_v<pass_or_stop, F>)
            return slope_of<F>(in...);
        else if constexpr (requires { F::derivative(in..., smallest{}); })
            return F::derivative(in..., smallest{});
        else
            return F::derivative(in...);
    }
    template <class B>
    RECTIFIED_INLINE static pair<B> as_pair(const B &x) {
        return product_as_pair(B(1), x);
    }
    template <class B>
    RECTIFIED_INLINE static pair<B> product_as_pair(const B &dy, const B &x) {
        return F::backward_as_pair(dy, x);
    }
    template <class S>
    static constexpr bool rounds_to_odd = requires { requires F::template derivative_is_exact<S>; };
    template <class S, class B>
    RECTIFIED_INLINE static B rounded_to_odd(const B &x) {
        return of(x);
    }
    template <class S, class B>
    RECTIFIED_INLINE static B product_rounded_to_odd(const B &dy, const B &x)
        requires requires { F::template backward_rounded_to_odd<S>(dy, x); }
    {
        return F::template backward_rounded_to_odd<S>(dy, x);
    }
};

template <class F>
struct second_derivative : operation<F, 1, parameters_of<F>()> {
    static constexpr const char *kind = "second_derivative";
    static constexpr bool through_double = true;
    template <class... B>
    RECTIFIED_INLINE static auto of(const B &...in) {
        return F::second_derivative(in...);
    }
};

template <class F>
struct derivative_at_kink : operation<F, 1, parameters_of<F>() + 1> {
    static constexpr const char *kind = "derivative", *detail = "_at_kink";
    static constexpr bool rare = true;
    template <class B, class... P>
    RECTIFIED_INLINE static B of(const B &x, const B &t, const P &...parameters) {
        return F::derivative(x, parameters..., between<B>{t});
    }
};

template <class F, int Parameter>
struct derivative_wrt : operation<F, 1, parameters_of<F>()> {
    static constexpr const char *kind = "derivative", *detail = "_wrt_";
    static constexpr bool rare = true;
    template <class... B>
    RECTIFIED_INLINE static auto of(const B &...in) {
        return F::template derivative_wrt<Parameter>(in...);
    }
};

template <class F>
struct derivative_from_output : operation<F, 1, parameters_of<F>()> {
    static constexpr const char *kind = "derivative", *detail = "_from_output";
    static constexpr bool cheap = true, is_short = true;
    template <class C>
    static constexpr bool knows_one = parameters_of<F>() == 1 && requires(batch<C, 1> y) { F::derivative_from_output(y); };
    static constexpr bool in_pairs = requires(batch<float, 1> y) { F::backward_from_output_as_pair(y, y); } ||
                                     requires(batch<float, 1> y) { F::backward_from_output_as_pair(y, y, y); };
    template <class... B>
    RECTIFIED_INLINE static auto of(const B &...in) {
        return F::derivative_from_output(in...);
    }
    template <class B, class... In>
    RECTIFIED_INLINE static pair<B> product_as_pair(const B &dy, const In &...in) {
        return F::backward_from_output_as_pair(dy, in...);
    }
    template <class S>
    static constexpr bool rounds_to_odd = requires { requires F::template derivative_from_output_is_exact<S>; };
};

template <class D>
struct backward : operation<typename D::function, 2, D::parameters> {
    static constexpr const char *kind = "backward", *detail = D::detail;
    static constexpr bool cheap = D::cheap, is_short = D::is_short, through_double = D::through_double, rare = D::rare,
                          in_pairs = D::in_pairs, has_middle = D::has_middle;
    template <class C>
    static constexpr bool knows_one = D::template knows_one<C>;
    static constexpr bool has_quick_product =
        requires(batch<float, 1> x) { D::template product_rounded_to_odd<half>(x, x); };
    template <class S>
    static constexpr bool rounds_to_odd = D::template rounds_to_odd<S> || has_quick_product;
    template <class S, class B, class... In>
    RECTIFIED_INLINE static B rounded_to_odd(const B &dy, const In &...in) {
        if constexpr (has_quick_product)
            return D::template product_rounded_to_odd<S>(dy, in...);
        else
            return product_rounded_to_odd<S>(dy, D::of(in...));
    }
    template <class B, class... In>
    RECTIFIED_INLINE static B of(const B &dy, const In &...in) {
        return dy * D::of(in...);
    }
    template <class B, class... In>
    RECTIFIED_INLINE static pair<B> as_pair(const B &dy, const In &...in) {
        return D::product_as_pair(dy, in...);
    }
};

// The value and the derivative as parts of a unit, which rounds what it makes of them.
template <class F>
struct part : operation<F, 1, parameters_of<F>()> {
    static constexpr bool rare = true;
};

}  // namespace rectified::RECTIFIED_TARGET
