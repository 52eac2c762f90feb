// From a function's struct to its operations: what each ufunc computes, and from which inputs.
#pragma once

#include <iterator>

#include "kink.hpp"

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
};

template <class F>
struct value : operation<F, 1, parameters_of<F>()> {
    static constexpr const char *kind = "";
    template <class... B>
    RECTIFIED_INLINE static auto of(const B &...in) {
        return F::value(in...);
    }
};

template <class F>
struct derivative : operation<F, 1, parameters_of<F>()> {
    static constexpr const char *kind = "derivative";
    template <class... B>
    RECTIFIED_INLINE static auto of(const B &...in) {
        if constexpr (requires { F::derivative(in..., smallest{}); })
            return F::derivative(in..., smallest{});
        else
            return F::derivative(in...);
    }
};

template <class F>
struct derivative_at_kink : operation<F, 1, parameters_of<F>() + 1> {
    static constexpr const char *kind = "derivative", *detail = "_at_kink";
    template <class B, class... P>
    RECTIFIED_INLINE static B of(const B &x, const B &t, const P &...parameters) {
        return F::derivative(x, parameters..., between<B>{t});
    }
};

template <class F, int Parameter>
struct derivative_wrt : operation<F, 1, parameters_of<F>()> {
    static constexpr const char *kind = "derivative", *detail = "_wrt_";
    template <class... B>
    RECTIFIED_INLINE static auto of(const B &...in) {
        return F::template derivative_wrt<Parameter>(in...);
    }
};

template <class F>
struct derivative_from_output : operation<F, 1, parameters_of<F>()> {
    static constexpr const char *kind = "derivative", *detail = "_from_output";
    template <class... B>
    RECTIFIED_INLINE static auto of(const B &...in) {
        return F::derivative_from_output(in...);
    }
};

template <class D>
struct backward : operation<typename D::function, 2, D::parameters> {
    static constexpr const char *kind = "backward", *detail = D::detail;
    template <class B, class... In>
    RECTIFIED_INLINE static B of(const B &dy, const In &...in) {
        return dy * D::of(in...);
    }
};

}  // namespace rectified::RECTIFIED_TARGET
