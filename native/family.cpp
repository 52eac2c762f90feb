// The functions of one header, for one instruction set: all their operations, and the loops of each.
#include RECTIFIED_HEADER

#include <algorithm>
#include <iterator>

#include "blocks.hpp"
#include "category.hpp"
#include "every_input.hpp"
#include "fold.hpp"
#include "halves.hpp"
#include "kernel.hpp"
#include "loops.hpp"
#include "packed.hpp"
#include "registry.hpp"
#include "two_slopes.hpp"

namespace rectified::RECTIFIED_TARGET {
namespace {

// The type that a kernel computes an element in, and the one that it takes it as; a loop converts to that from the array's.
// Half precision is computed in float32 where that, or a pair of it, is exact, in float64 elsewhere: rounding the result
// once more is then correct rounding. Where float64 is `ample` for shorter types a function says so. Where float32 has
// kernels of its own they go first, and float64 settles what they leave open.
template <class Op, class S>
struct types {
    using computed = S;
    using taken = S;
};
template <class Op>
using longer = std::conditional_t<requires { Op::function::ample_for_shorter; }, ample, double>;
template <class Op>
struct types<Op, float> {
    using computed = std::conditional_t<Op::through_double, longer<Op>, float>;
    using taken = std::conditional_t<std::is_same_v<computed, double>, double, float>;
};
template <class Op>
struct types<Op, half> {
    static constexpr bool is_exact_in_float = Op::in_pairs || requires { Op::function::piecewise_linear; };
    using computed = std::conditional_t<is_exact_in_float, float, longer<Op>>;
    using taken = std::conditional_t<!is_exact_in_float, double, std::conditional_t<Op::rare, float, half>>;
};
template <class Op>
struct types<Op, bfloat16> {
    using computed = typename types<Op, half>::computed;
    using taken = std::conditional_t<std::is_same_v<typename types<Op, half>::taken, half>, bfloat16,
                                     typename types<Op, half>::taken>;
};

// What a kernel computes of an operation: of a backward pass the slope, which a loop multiplies, block by block.
template <class Op>
struct slope_of_pass {
    using computed = Op;
};
template <class D>
struct slope_of_pass<backward<D>> {
    using computed = D;
};

// A backward pass is a kernel of its own where it is short.
template <class Op>
struct plan {
    using computed = Op;
};
template <class D>
    requires(!D::is_short || D::rare)
struct plan<backward<D>> : slope_of_pass<backward<D>> {};

template <class Op, class S, class C, class Plan = plan<Op>>
struct work_of {
    using computed = typename Plan::computed;
    static constexpr bool multiplied = !std::is_same_v<computed, Op>;

    template <bool FixedParameters>
    static constexpr typename work<S>::kernel kernel_for() {
        if constexpr (computed::parameters == 0 ? FixedParameters : !(FixedParameters && computed::rare))
            return kernel<computed, S, C, FixedParameters>::run;
        else
            return nullptr;
    }

    // A kernel that puts numbers off is the slower the fewer it gets.
    static constexpr npy_intp part =
        kernel<computed, S, C, true>::puts_off ? block : std::min<npy_intp>(block, part_bytes / sizeof(S));

    static constexpr work<S> value = {kernel_for<true>(),
                                      kernel_for<false>(),
                                      computed::data,
                                      computed::parameters,
                                      multiplied,
                                      Op::cheap ? 1 << 19 : 1 << 18,
                                      part};
};

template <class Op, class S>
using work_for = work_of<Op, typename types<Op, S>::taken, typename types<Op, S>::computed>;

// A slope that is too small for all of float32's digits has to be seen before it is multiplied.
template <class Op>
constexpr settled_work settled_work_of = {&work_of<Op, float, float, slope_of_pass<Op>>::value,
                                          &work_for<Op, double>::value};

template <class Op, class S>
constexpr typed_loop computed_loop(signed char type = type_number<S>) {
    if constexpr (sizeof(S) == 2 && std::is_same_v<typename types<Op, S>::taken, double> && !Op::through_double)
        return {type, settled_loop<S>, &settled_work_of<Op>};
    else
        return {type, loop<S, typename types<Op, S>::taken>, &work_for<Op, S>::value};
}

template <class Op, class S>
constinit tables tables_of;
template <class Op, class S>
constexpr tabulated_work tabulated_work_of = {computed_loop<Op, S>(), computed_loop<Op, double>(), Op::parameters,
                                              &tables_of<Op, S>};

// A short type has so few numbers that a table holds what all of them give. What takes no longer than its memory has none.
template <class Op, class S>
constexpr typed_loop loop_of(signed char type = type_number<S>) {
    constexpr bool is_short = std::is_same_v<S, half> || std::is_same_v<S, bfloat16>;
    if constexpr (!is_short || Op::cheap || Op::template rounds_to_odd<S>)
        return computed_loop<Op, S>(type);
    else if constexpr (Op::data == 1)
        return {type, result_of_table<S>, &tabulated_work_of<Op, S>};
    else
        return {type, product_with_table<S>, &tabulated_work_of<Op, S>};
}

// The loop for a type of integers, by its size.
template <class Op, class Integer>
constexpr typed_loop integer_loop(signed char type) {
    using S = integer_of<sizeof(Integer)>;
    return loop_of<Op, std::conditional_t<std::is_signed_v<Integer>, S, std::make_unsigned_t<S>>>(type);
}

template <class Op, std::size_t Count>
void add(registry &to, const typed_loop (&loops)[Count], const char *parameter = "") {
    to.add({Op::function::name, Op::kind, Op::detail, parameter, Op::inputs, nullptr, loops, Count});
}

template <class Op>
void add(registry &to, const char *parameter = "") {
    static constexpr typed_loop loops[] = {loop_of<Op, half>(), loop_of<Op, float>(), loop_of<Op, double>(),
                                           loop_of<Op, bfloat16>()};
    add<Op>(to, loops, parameter);
}

template <class Op>
void add_with_integers(registry &to) {
    static constexpr typed_loop loops[] = {integer_loop<Op, signed char>(NPY_BYTE),
                                           integer_loop<Op, unsigned char>(NPY_UBYTE),
                                           integer_loop<Op, short>(NPY_SHORT),
                                           integer_loop<Op, unsigned short>(NPY_USHORT),
                                           integer_loop<Op, int>(NPY_INT),
                                           integer_loop<Op, unsigned>(NPY_UINT),
                                           integer_loop<Op, long>(NPY_LONG),
                                           integer_loop<Op, unsigned long>(NPY_ULONG),
                                           integer_loop<Op, long long>(NPY_LONGLONG),
                                           integer_loop<Op, unsigned long long>(NPY_ULONGLONG),
                                           loop_of<Op, half>(),
                                           loop_of<Op, float>(),
                                           loop_of<Op, double>(),
                                           loop_of<Op, bfloat16>()};
    add<Op>(to, loops);
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

// What a function's struct has, for a number of each kind: F's derivative takes what stands at a kink, and so on.
using probe = batch<float, 1>;
template <class F, class... P>
concept has_kink = requires(probe x, P... p) { F::derivative(x, p..., smallest{}); };
template <class F, class... P>
concept has_second_derivative = requires(probe x, P... p) { F::second_derivative(x, p...); };
template <class F, class... P>
concept has_two_slopes = requires(probe x, P... p) { F::is_steep(x, p...); };
template <class F, class... P>
concept is_told_by_output = requires(probe y, P... p) { F::derivative_from_output(y, p...); };

template <class F, class S>
struct packing_of {
    using C = packed_in<S>;
    static constexpr packing<S> parts = {kernel<value<F>, S, C, true>::run, bits_kernel<F, S, C>::steep,
                                         bits_kernel<F, S, C>::slopes, parameters_of<F>()};
};

template <class F, class S>
constexpr typed_loop packed_loop(loop_t run) {
    return {type_number<S>, run, &packing_of<F, S>::parts};
}

template <class F>
void add_packed(registry &to) {
    // The signatures, for as many parameters as there are.
    static constexpr const char *forward[] = {"(n)->(n),(m)", "(n),()->(n),(m)", "(n),(),()->(n),(m)"};
    static constexpr const char *backward[] = {"(n),(m)->(n)", "(n),(m),()->(n)", "(n),(m),(),()->(n)"};
    static constexpr typed_loop forwards[] = {
        packed_loop<F, half>(forward_packed<half>), packed_loop<F, float>(forward_packed<float>),
        packed_loop<F, double>(forward_packed<double>), packed_loop<F, bfloat16>(forward_packed<bfloat16>)};
    static constexpr typed_loop backwards[] = {
        packed_loop<F, half>(backward_packed<half>), packed_loop<F, float>(backward_packed<float>),
        packed_loop<F, double>(backward_packed<double>), packed_loop<F, bfloat16>(backward_packed<bfloat16>)};
    constexpr int parameters = parameters_of<F>();
    to.add({F::name, "forward_packed", "", "", 1 + parameters, forward[parameters], forwards, std::size(forwards), 2,
            2 + parameters});
    to.add(
        {F::name, "backward_packed", "", "", 2 + parameters, backward[parameters], backwards, std::size(backwards), 1, 1});
}

// A product of two short numbers is exact in float32, and such are the values of functions that pass numbers on as they
// are.
template <class F, class S>
struct unit_of {
    static constexpr bool is_short = sizeof(S) == 2,
                          passes = std::is_base_of_v<pass_or_stop, F> && !requires { F::rounds; };
    using C = std::conditional_t<!is_short, typename types<part<F>, S>::taken, std::conditional_t<passes, float, double>>;
    using computed = std::conditional_t<is_short && !passes, longer<part<F>>, typename types<part<F>, S>::computed>;
    static constexpr unit_work<C> work = {&stored_as<S, C>::way, &work_of<value<F>, C, computed>::value,
                                          &work_of<derivative<F>, C, computed>::value};
    static constexpr unit_work<float> quick = {&stored_as<S, float>::way, &work_for<value<F>, float>::value,
                                               &work_for<derivative<F>, float>::value, &work};

    // A product's error is its factors', as a backward pass's is.
    template <class Unit>
    static constexpr bool settles = requires { Unit::is_product; } && is_short && !passes && !value<F>::through_double &&
                                    !derivative<F>::through_double;
    template <class Unit>
    static constexpr typed_loop loop() {
        if constexpr (settles<Unit>)
            return {type_number<S>, settled_unit_loop<Unit, S>, &quick};
        else
            return {type_number<S>, unit_loop<Unit, C>, &work};
    }
};

template <class F, class Unit>
void add_unit(registry &to) {
    static constexpr typed_loop loops[] = {
        unit_of<F, half>::template loop<Unit>(), unit_of<F, float>::template loop<Unit>(),
        unit_of<F, double>::template loop<Unit>(), unit_of<F, bfloat16>::template loop<Unit>()};
    static constexpr unit_signature<Unit, parameters_of<F>()> signature;
    to.add({F::name, Unit::kind, "", "", Unit::inputs + parameters_of<F>(), signature.text, loops, std::size(loops),
            Unit::outputs});
}

template <class F, class... Unit>
void add_units(registry &to) {
    (add_unit<F, Unit>(to), ...);
}

template <class F, class... P>
void add_ridge(registry &to) {
    if constexpr (int(sizeof...(P)) < parameters_of<F>()) {
        add_ridge<F, P..., probe>(to);
    } else {
        if constexpr (requires { F::keeps_integers; })
            add_with_integers<value<F>>(to);
        else
            add<value<F>>(to);
        add_with_backward<derivative<F>>(to);
        if constexpr (has_second_derivative<F, P...>) add<second_derivative<F>>(to);
        if constexpr (has_kink<F, P...>) add_with_backward<derivative_at_kink<F>>(to);
        if constexpr (is_told_by_output<F, P...>) add<backward<derivative_from_output<F>>>(to);
        if constexpr (has_two_slopes<F, P...>) add_packed<F>(to);
        if constexpr (std::is_base_of_v<ridge, F>) add_units<F, gated, gated_backward, gated_jvp>(to);
        if constexpr (std::is_base_of_v<ridge, F> && value<F>::cheap) add_units<F, doubled, doubled_backward>(to);
        add_parameters<F>(to, std::make_integer_sequence<int, parameters_of<F>()>{});
    }
}

template <class F, class S, class C, int K>
constexpr typed_loop fold_loop() {
    using loops = typename F::template loops<S, C>;
    return {type_number<S>, loops::run[K], loops::work};
}

template <class F, int K>
void add_fold_operation(registry &to) {
    static constexpr typed_loop loops[] = {fold_loop<F, half, float, K>(), fold_loop<F, float, float, K>(),
                                           fold_loop<F, double, double, K>(), fold_loop<F, bfloat16, float, K>()};
    constexpr fold_operation operation = F::operations[K];
    to.add({F::name, operation.kind, "", "", operation.inputs(), operation.signature, loops, std::size(loops),
            operation.outputs(), operation.bits, true});
}

template <class F, int... K>
void add_fold(registry &to, std::integer_sequence<int, K...>) {
    (add_fold_operation<F, K>(to), ...);
}

template <class F>
void add_function(registry &to) {
    if constexpr (std::is_base_of_v<fold, F>)
        add_fold<F>(to, std::make_integer_sequence<int, std::size(F::operations)>{});
    else
        add_ridge<F>(to);
}

template <class... F>
void add_functions(registry &to) {
    (add_function<F>(to), ...);
}

}  // namespace

void RECTIFIED_FILL(registry &to) { add_functions<RECTIFIED_FUNCTIONS>(to); }

}  // namespace rectified::RECTIFIED_TARGET
