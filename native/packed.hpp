// Forward and backward passes that keep one bit an element between them, for functions whose derivative takes two values.
//
// Bits stand in bytes, the first element's lowest, as numpy.packbits(…, bitorder="little") packs them.
#pragma once

#include <numpy/npy_common.h>

#include "element.hpp"
#include "operations.hpp"

namespace rectified::RECTIFIED_TARGET {

// What a product with a slope is computed in, so that a short type is rounded once.
template <class S>
using multiplied_in = std::conditional_t<std::is_same_v<S, float>, float, double>;

// What the loops need of a function: kernels for elements side by side, and for one number for each parameter.
template <class S>
struct packing {
    void (*value)(const S *const *in, S *out, npy_intp count, bool past_caches);
    void (*steep)(const S *const *in, unsigned char *bits, npy_intp count);  // a count of eights
    void (*slopes)(const S *const *parameters, multiplied_in<S> *steep, multiplied_in<S> *elsewhere);
    int parameters;
};

template <class S>
void forward_packed(char **args, const npy_intp *dimensions, const npy_intp *steps, void *packing);  // (n),()…->(n),(m)
template <class S>
void backward_packed(char **args, const npy_intp *dimensions, const npy_intp *steps, void *packing);  // (n),(m),()…->(n)

template <class S>
using packed_in = std::conditional_t<std::is_same_v<S, double>, double, float>;

// As many registers as it takes to fill a byte.
template <class C>
using batch_of_bytes = batch<C, (batch<C, 1>::lanes < 8 ? 8 / batch<C, 1>::lanes : 1)>;

template <class F, class S, class C>
struct bits_kernel {
    using B = batch_of_bytes<C>;

    static void steep(const S *const *in, unsigned char *bits, npy_intp count) {
        steep(in, bits, count, std::make_integer_sequence<int, parameters_of<F>()>{});
    }
    static void slopes(const S *const *parameters, multiplied_in<S> *steep, multiplied_in<S> *elsewhere) {
        slopes(parameters, steep, elsewhere, std::make_integer_sequence<int, parameters_of<F>()>{});
    }

  private:
    template <int... P>
    static void steep(const S *const *in, unsigned char *bits, npy_intp count, std::integer_sequence<int, P...>) {
        const B parameters[] = {B(), repeated<B>(in[P + 1])...};
        const S *const x = in[0];
        for (npy_intp i = 0; i < count; i += B::lanes) {
            const std::uint64_t found = signs(F::is_steep(load<B>(x + i), parameters[P + 1]...));
            for (int k = 0; k < B::lanes / 8; ++k) bits[i / 8 + k] = static_cast<unsigned char>(found >> (8 * k));
        }
    }

    template <int... P>
    static void slopes([[maybe_unused]] const S *const *parameters, multiplied_in<S> *steep, multiplied_in<S> *elsewhere,
                       std::integer_sequence<int, P...>) {
        using one = batch<multiplied_in<S>, 1>;
        *steep = F::template slope_where_steep<one>(repeated<one>(parameters[P])...).part[0][0];
        *elsewhere = F::template slope_elsewhere<one>(repeated<one>(parameters[P])...).part[0][0];
    }
};

}  // namespace rectified::RECTIFIED_TARGET
