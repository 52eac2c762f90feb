// All loops, compiled once for each instruction set.
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
void add_ridge_functions(registry &to, list<F...>) {
    (add_function<F>(to), ...);
}

template <class F>
void add_fold(registry &to) {
    static constexpr typed_loop values[] = {{type_number<half>, F::template loops<half>::value},
                                            {type_number<float>, F::template loops<float>::value},
                                            {type_number<double>, F::template loops<double>::value}};
    static constexpr typed_loop derivatives[] = {{type_number<half>, F::template loops<half>::derivative},
                                                 {type_number<float>, F::template loops<float>::derivative},
                                                 {type_number<double>, F::template loops<double>::derivative}};
    static constexpr typed_loop backwards[] = {{type_number<half>, F::template loops<half>::backward},
                                               {type_number<float>, F::template loops<float>::backward},
                                               {type_number<double>, F::template loops<double>::backward}};
    to.add({F::name, "", "", "", 1, "(k)->()", values, std::size(values)});
    to.add({F::name, "derivative", "", "", 1, "(k)->(k)", derivatives, std::size(derivatives)});
    to.add({F::name, "backward", "", "", 2, "(),(k)->(k)", backwards, std::size(backwards)});
}

template <class... F>
void add_folds(registry &to, list<F...>) {
    (add_fold<F>(to), ...);
}

}  // namespace

void fill(registry &to) {
    add_ridge_functions(to, ridge_functions{});
    add_folds(to, folds{});
}

}  // namespace rectified::RECTIFIED_TARGET
