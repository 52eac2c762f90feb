#include "loops.hpp"

#include <algorithm>

#include "blocks.hpp"
#include "element.hpp"
#include "ends.hpp"
#include "environment.hpp"
#include "memory.hpp"
#include "settle.hpp"
#include "threads.hpp"

namespace rectified::RECTIFIED_TARGET {
namespace {

constexpr int most_operands = 8;

// Elements between the type that they are stored in and the one that they are computed in.
template <class To, class From>
void convert(const From *from, npy_intp count, To *to) {
    using wide = std::conditional_t<(sizeof(To) > sizeof(From)), To, From>;
    using B = batch<wide, 1>;
    npy_intp i = 0;
    for (; i + B::lanes <= count; i += B::lanes) store(to + i, load<B>(from + i));
    if (i == count) return;
    From last[B::lanes] = {};
    To converted[B::lanes];
    for (npy_intp j = i; j < count; ++j) last[j - i] = from[j];
    store(converted, load<B>(last));
    for (npy_intp j = i; j < count; ++j) to[j] = converted[j - i];
}

// What is `remote`, beyond a core's own caches, is asked for ahead.
template <class C>
void multiply(const C *dy, const C *slope, npy_intp count, C *to, bool remote, bool past_caches) {
    using B = batch<C, 1>;
    npy_intp i = 0;
    for (; i + B::lanes <= count; i += B::lanes) {
        constexpr npy_intp ahead = 16 * B::lanes;
        const B product = load<B>(dy + i) * load<B>(slope + i);
        if (remote) __builtin_prefetch(dy + i + ahead);
        if (remote && !past_caches) __builtin_prefetch(to + i + ahead);
        if (past_caches)
            stream(to + i, product);
        else
            store(to + i, product);
    }
    for (; i < count; ++i) to[i] = dy[i] * slope[i];
}

template <class S, class C>
class looper {
    using sure_work = work<double>;

  public:
    looper(char *const *args, npy_intp count, const npy_intp *steps, const work<C> &work, const sure_work *sure = nullptr)
        : args_(args),
          count_(count),
          steps_(steps),
          work_(work),
          sure_(sure),
          data_(work.data + work.multiplied),
          inputs_(data_ + work.parameters) {}

    void run() const {
        if (depends_on_order()) {
            for (npy_intp i = 0; i < count_; ++i) by_blocks(i, i + 1, false);
            return;
        }
        const bool stream = past_caches(), direct = is_direct();
        const auto body = [=, this](npy_intp begin, npy_intp end) {
            const auto compute = [=, this](npy_intp from, npy_intp to, bool streamed_to) {
                direct ? at_once(from, to, streamed_to) : by_blocks(from, to, streamed_to);
            };
            const S *const out = reinterpret_cast<const S *>(args_[inputs_]);
            const bool aligns = stream || (same && steps_[inputs_] == sizeof(S) && is_far<S>(end - begin));
            const npy_intp start = aligns && !direct ? std::min(begin + before_register(out + begin), end) : begin;
            if (start > begin) compute(begin, start, false);
            compute(start, end, stream);
            if (stream) streamed();
        };
        if (count_ < work_.worth_splitting)
            body(0, count_);
        else
            in_parallel(count_, least_share, body);
    }

  private:
    template <class, class>
    friend class looper;

    static constexpr bool same = std::is_same_v<S, C>, may_settle = sizeof(S) == 2 && std::is_same_v<C, float>;

    // Results that are open, with their operands, until there are enough of them to fill the registers of float64.
    struct open_results {
        npy_intp count = 0, which[block];
        C operands[most_operands][block];
    };
    struct no_results {};
    static constexpr npy_intp worth_settling = 64;

    char *const *const args_;
    const npy_intp count_;
    const npy_intp *const steps_;
    const work<C> &work_;
    const sure_work *const sure_;  // what decides where C leaves open how a result is rounded
    const int data_, inputs_;

    // A fold such as accumulate reads what it wrote: an output that moves over an input, or does not move at all.
    bool depends_on_order() const {
        if (count_ < 2) return false;
        if (steps_[inputs_] == 0) return true;
        const auto first = [&](int i) { return args_[i] + (steps_[i] < 0 ? steps_[i] * (count_ - 1) : 0); };
        const auto last = [&](int i) { return args_[i] + (steps_[i] < 0 ? 0 : steps_[i] * (count_ - 1)) + sizeof(S); };
        for (int i = 0; i < inputs_; ++i)
            if (first(i) < last(inputs_) && first(inputs_) < last(i) &&
                (args_[i] != args_[inputs_] || steps_[i] != steps_[inputs_]))
                return true;
        return false;
    }

    // A kernel can take the operands as they are.
    bool is_direct() const {
        if (!same || work_.multiplied || !work_.with_fixed_parameters) return false;
        if (count_ == 1) return true;
        bool yes = steps_[inputs_] == sizeof(S);
        for (int i = 0; i < inputs_; ++i) yes = yes && steps_[i] == (i < data_ ? npy_intp(sizeof(S)) : 0);
        return yes;
    }

    // A core's own caches may not hold so much three times.
    bool is_remote() const { return count_ * npy_intp(sizeof(S)) >= 512 << 10; }

    // Whether the result goes past the caches: it has no place in them, and is not in them already.
    bool past_caches() const {
        if (!same || steps_[inputs_] != sizeof(S)) return false;
        npy_intp bytes = count_ * sizeof(S);
        for (int i = 0; i < inputs_; ++i) {
            if (args_[i] == args_[inputs_]) return false;
            bytes += count_ * (steps_[i] < 0 ? -steps_[i] : steps_[i]);
        }
        return bytes >= memory::streaming_bytes;
    }

    void at_once(npy_intp begin, npy_intp end, bool stream) const {
        const C *in[most_operands];
        for (int k = 0; k < inputs_; ++k) in[k] = reinterpret_cast<const C *>(args_[k]) + (k < data_ ? begin : 0);
        work_.with_fixed_parameters(in, reinterpret_cast<C *>(args_[inputs_]) + begin, end - begin, stream);
    }

    void by_blocks(npy_intp begin, npy_intp end, bool stream) const {
        alignas(64) C buffer[most_operands][block], result[block];
        const C *in[most_operands];
        std::conditional_t<may_settle, open_results, no_results> open;
        bool fixed = work_.with_fixed_parameters;
        for (int k = data_; k < inputs_; ++k) fixed = fixed && steps_[k] == 0;
        const auto kernel = fixed ? work_.with_fixed_parameters : work_.with_arrays;
        for (int k = 0; k < inputs_; ++k) {
            in[k] = buffer[k];
            if (steps_[k] != 0) continue;
            const S value = read<S>(args_[k]);
            if constexpr (same)
                buffer[k][0] = value;
            else
                convert(&value, 1, buffer[k]);
            const npy_intp copies = fixed && k >= data_ ? 1 : end - begin < block ? end - begin : block;
            for (npy_intp i = 1; i < copies; ++i) buffer[k][i] = buffer[k][0];
        }
        const npy_intp most = work_.multiplied && is_remote() ? work_.part : block;
        for (npy_intp i = begin; i < end; i += most) {
            const npy_intp count = end - i < most ? end - i : most;
            for (int k = 0; k < inputs_; ++k)
                if (steps_[k] != 0) in[k] = computable(args_[k] + i * steps_[k], steps_[k], count, buffer[k]);
            char *const to = args_[inputs_] + i * steps_[inputs_];
            C *place = result;
            if constexpr (same) place = place_for(to, steps_[inputs_], result);
            kernel(in + work_.multiplied, work_.multiplied ? result : place, count, stream && !work_.multiplied);
            if constexpr (std::is_floating_point_v<C>)
                if (work_.multiplied) times(in[0], result, count, place, stream);
            if constexpr (same) {
                scatter(place, count, to, steps_[inputs_]);
            } else {
                S stored[block];
                S *const narrow = place_for(to, steps_[inputs_], stored);
                if (!sure_) {
                    convert(place, count, narrow);
                } else if constexpr (may_settle) {
                    npy_intp found[block];
                    if (const npy_intp few = round_and_list_open(place, count, narrow, found)) {
                        if (open.count + few > block) settle(open);
                        remember(in, i, found, few, open);
                    }
                }
                scatter(narrow, count, to, steps_[inputs_]);
                if constexpr (may_settle)
                    if (open.count >= worth_settling) settle(open);
            }
        }
        if constexpr (may_settle)
            if (open.count) settle(open);
    }

    void times(const C *factors, C *slopes, npy_intp count, C *to, bool stream) const {
        if constexpr (may_settle)
            if (sure_) return multiply_or_leave_open<S>(factors, slopes, count);
        multiply(factors, slopes, count, to, is_remote(), stream);
    }

    void remember(const C *const *in, npy_intp first, const npy_intp *found, npy_intp count, open_results &open) const {
        for (npy_intp j = 0; j < count; ++j) open.which[open.count + j] = first + found[j];
        for (int k = 0; k < inputs_; ++k)
            for (npy_intp j = 0; j < (steps_[k] ? count : 1); ++j)
                open.operands[k][steps_[k] ? open.count + j : 0] = in[k][steps_[k] ? found[j] : 0];
        open.count += count;
    }

    // Compute them once more: their operands stand in C, which has all their digits.
    [[gnu::noinline]] void settle(open_results &open) const {
        S operands[most_operands][block], results[block];
        char *args[most_operands + 1];
        npy_intp steps[most_operands + 1];
        for (int k = 0; k < inputs_; ++k) {
            convert(open.operands[k], steps_[k] ? open.count : 1, operands[k]);
            args[k] = reinterpret_cast<char *>(operands[k]);
            steps[k] = steps_[k] ? sizeof(S) : 0;
        }
        args[inputs_] = reinterpret_cast<char *>(results);
        steps[inputs_] = sizeof(S);
        looper<S, double>(args, open.count, steps, *sure_).by_blocks(0, open.count, false);
        for (npy_intp j = 0; j < open.count; ++j)
            __builtin_memcpy(args_[inputs_] + open.which[j] * steps_[inputs_], results + j, sizeof(S));
        open.count = 0;
    }

    static const C *computable(const char *from, npy_intp step, npy_intp count, C *buffer) {
        if constexpr (same) {
            return gathered(from, step, count, buffer);
        } else {
            S stored[block];
            convert(gathered(from, step, count, stored), count, buffer);
            return buffer;
        }
    }
};

}  // namespace

template <class S, class C>
void loop(char **args, const npy_intp *dimensions, const npy_intp *steps, void *work) {
    const default_environment environment;
    looper<S, C>(args, dimensions[0], steps, *static_cast<const rectified::RECTIFIED_TARGET::work<C> *>(work)).run();
}

template <class S>
void settled_loop(char **args, const npy_intp *dimensions, const npy_intp *steps, void *settled_work) {
    const default_environment environment;
    const auto &[quick, sure] = *static_cast<const rectified::RECTIFIED_TARGET::settled_work *>(settled_work);
    const int data = quick->data + quick->multiplied;
    if (suit_float32<S>(args + data, steps + data, quick->parameters))
        looper<S, float>(args, dimensions[0], steps, *quick, sure).run();
    else
        looper<S, double>(args, dimensions[0], steps, *sure).run();
}
template void settled_loop<half>(char **, const npy_intp *, const npy_intp *, void *);
template void settled_loop<bfloat16>(char **, const npy_intp *, const npy_intp *, void *);

#define RECTIFIED_LOOP(S, C) template void loop<S, C>(char **, const npy_intp *, const npy_intp *, void *);
RECTIFIED_LOOP(float, float)
RECTIFIED_LOOP(double, double)
RECTIFIED_LOOP(float, double)
RECTIFIED_LOOP(half, half)
RECTIFIED_LOOP(half, float)
RECTIFIED_LOOP(half, double)
RECTIFIED_LOOP(bfloat16, bfloat16)
RECTIFIED_LOOP(bfloat16, float)
RECTIFIED_LOOP(bfloat16, double)
RECTIFIED_LOOP(std::int8_t, std::int8_t)
RECTIFIED_LOOP(std::uint8_t, std::uint8_t)
RECTIFIED_LOOP(std::int16_t, std::int16_t)
RECTIFIED_LOOP(std::uint16_t, std::uint16_t)
RECTIFIED_LOOP(std::int32_t, std::int32_t)
RECTIFIED_LOOP(std::uint32_t, std::uint32_t)
RECTIFIED_LOOP(std::int64_t, std::int64_t)
RECTIFIED_LOOP(std::uint64_t, std::uint64_t)

}  // namespace rectified::RECTIFIED_TARGET
