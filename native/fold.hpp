// What a fold has: operations, each a generalized ufunc, and their loops in the same order.
#pragma once

#include "category.hpp"
#include "registry.hpp"

namespace rectified {

struct fold_operation {
    const char *kind, *signature;
    int bits = -1;  // the operand that is bytes

    constexpr int inputs() const { return operands(signature, true); }
    constexpr int outputs() const { return operands(signature, false); }

  private:
    static constexpr int operands(const char *text, bool before_arrow) {
        int found = 0;
        bool before = true;
        for (; *text; ++text) {
            before = before && *text != '>';
            found += *text == '(' && before == before_arrow;
        }
        return found;
    }
};

template <class... Loops>
struct fold_loops {
    static constexpr loop_t run[] = {Loops::run...};
    static constexpr const void *work = nullptr;  // what they are given
};

}  // namespace rectified
