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

template <template <class> class Loop>
void add_fold(registry &to, const char *function, const char *kind, int inputs, const char *signature) {
    static constexpr typed_loop loops[] = {{type_number<half>, Loop<half>::run},
                                           {type_number<float>, Loop<float>::run},
                                           {type_number<double>, Loop<double>::run}};
    to.add({function, kind, "", "", inputs, signature, loops, std::size(loops)});
}

}  // namespace

void fill(registry &to) {
    add_all(to, ridge_functions{});
    add_fold<fold::maxout_value>(to, maxout::name, "", 1, "(k)->()");
    add_fold<fold::maxout_derivative>(to, maxout::name, "derivative", 1, "(k)->(k)");
    add_fold<fold::maxout_backward>(to, maxout::name, "backward", 2, "(),(k)->(k)");
}

}  // namespace rectified::RECTIFIED_TARGET
