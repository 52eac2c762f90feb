// All loops, compiled once for each instruction set.
#include "activations/fold.hpp"
#include "activations/list.hpp"
#include "loops.hpp"
#include "registry.hpp"

namespace rectified::RECTIFIED_TARGET {
namespace {

using probe = batch<float, 1>;

template <class Op, class... Integers>
void add(registry &to, const char *parameter = "") {
    static constexpr typed_loop loops[] = {{type_number<Integers>, loop<Op, Integers>::run}...,
                                           {type_number<half>, loop<Op, half>::run},
                                           {type_number<float>, loop<Op, float>::run},
                                           {type_number<double>, loop<Op, double>::run}};
    to.add({Op::function::name, Op::kind, Op::detail, parameter, Op::inputs, nullptr, loops, std::size(loops)});
}

template <class D>
void add_with_backward(registry &to, const char *parameter = "") {
    add<D>(to, parameter);
    add<backward<D>>(to, parameter);
}

template <class F, int... I>
void add_parameters(registry &to, std::integer_sequence<int, I...>) {
    (add_with_backward<derivative_wrt<F, I>>(to, F::parameters[I]), ...);
}

// F's derivative takes what stands at a kink; and F can be differentiated from its output.
template <class F, class... P>
concept has_kink = requires(probe x, P... p) { F::derivative(x, p..., smallest{}); };
template <class F, class... P>
concept from_output = requires(probe y, P... p) { F::derivative_from_output(y, p...); };

template <class F, class... P>
void add_function(registry &to) {
    if constexpr (int(sizeof...(P)) < parameters_of<F>()) {
        add_function<F, P..., probe>(to);
    } else {
        if constexpr (requires { F::keeps_integers; })
            add<value<F>, signed char, unsigned char, short, unsigned short, int, unsigned, long, unsigned long, long long,
                unsigned long long>(to);
        else
            add<value<F>>(to);
        add_with_backward<derivative<F>>(to);
        if constexpr (has_kink<F, P...>) add_with_backward<derivative_at_kink<F>>(to);
        if constexpr (from_output<F, P...>) add<backward<derivative_from_output<F>>>(to);
        add_parameters<F>(to, std::make_integer_sequence<int, parameters_of<F>()>{});
    }
}

template <class... F>
void add_all(registry &to, list<F...>) {
    (add_function<F>(to), ...);
}

// A fold's entry, for loops that are static functions of a class template.
#define RECTIFIED_ADD_FOLD(to, function, loop, kind, operation, inputs, signature)              \
    do {                                                                                        \
        static constexpr typed_loop loops[] = {{type_number<half>, loop<half>::operation},      \
                                               {type_number<float>, loop<float>::operation},    \
                                               {type_number<double>, loop<double>::operation}}; \
        to.add({function::name, kind, "", "", inputs, signature, loops, std::size(loops)});     \
    } while (false)

}  // namespace

void fill(registry &to) {
    add_all(to, ridge_functions{});
    RECTIFIED_ADD_FOLD(to, maxout, maxout_loop, "", value, 1, "(k)->()");
    RECTIFIED_ADD_FOLD(to, maxout, maxout_loop, "derivative", derivative, 1, "(k)->(k)");
    RECTIFIED_ADD_FOLD(to, maxout, maxout_loop, "backward", backward, 2, "(),(k)->(k)");
}

}  // namespace rectified::RECTIFIED_TARGET
